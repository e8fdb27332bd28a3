//! Every test of the report.

use super::block::Block;
use super::verdicts::Verdicts;
use super::words::{self, counted, listed};
use crate::compare::{Contrast, p_value, percent};
use crate::document::{Cell, Column, Row, Table};
use crate::significance;

/// The tests against each dataset's reference, or those of all other pairs. `None` where there are none.
pub(super) fn table(
    (id, caption): (&str, &str),
    blocks: &[Block],
    verdicts: &Verdicts,
    of_reference: bool,
) -> Option<Table> {
    let settings = &verdicts.family.settings;
    let columns = vec![
        Column::text("Method"),
        Column::text("Against"),
        Column::text("Metric"),
        Column::number("Difference"),
        Column::number("low"),
        Column::number("high"),
        Column::number("Relative").unit("%"),
        Column::number("p"),
        Column::number("Holm"),
        Column::number("d_z"),
        Column::number("MDE"),
        Column::text("Verdict"),
    ];
    let mut table = Table::new(id, caption, columns)
        .group("", 4)
        .group(format!("{} % interval", percent(settings.level)), 2)
        .group("", 1)
        .group("p-value", 2)
        .group("", 3);
    for (at, block) in blocks.iter().enumerate() {
        for (pair, tested) in verdicts.pairs.iter().enumerate() {
            if tested.block != at || (tested.b == block.reference) != of_reference {
                continue;
            }
            for (metric, row) in verdicts.metrics.iter().zip(verdicts.rows(pair)) {
                let verdict = Contrast::new(*metric, row).told(settings.design.alpha);
                table = table.row(Row::new(cells(row, verdict)).group(&block.title));
            }
        }
    }
    (!table.rows.is_empty()).then_some(table)
}

/// What the numbers of those tables are.
pub(super) fn notes(verdicts: &Verdicts) -> Vec<String> {
    let settings = &verdicts.family.settings;
    let (alpha, power) = (settings.design.alpha, percent(settings.design.power));
    vec![
        format!(
            "Difference: of means over all users and seeds; who is not among a ranker's users counts 0. Relative: in percent of the method \
             that it is held against, from unrounded values. p is two-sided; Holm: corrected over all {} of this report. Intervals are not \
             corrected.",
            counted(verdicts.family.rows.len(), "test")
        ),
        format!(
            "Verdict: better or worse where p by Holm is below {alpha}. d_z: mean over standard deviation of the users' differences. MDE: the \
             smallest difference that would be found {power} times in 100 at p < {alpha} without correction; underpowered: the observed one \
             is smaller."
        ),
    ]
}

/// Tests, pairing and correction in a sentence or two, for captions.
pub(super) fn how(verdicts: &Verdicts) -> String {
    let rows = &verdicts.family.rows;
    if rows.is_empty() {
        return "One method a dataset: nothing is tested.".to_owned();
    }
    let mut tests: Vec<&str> = rows.iter().map(|row| row.comparison.primary().method.name()).collect();
    tests.sort_unstable();
    tests.dedup();
    let mut reasons: Vec<&str> = verdicts.pairs.iter().map(|pair| pair.reason.as_str()).collect();
    reasons.sort_unstable();
    reasons.dedup();
    format!(
        "Superscripts: letters of the dataset's methods that a method is better than, at p < {} two-sided after Holm's correction over all {} \
         of this report (every pair of a dataset's methods, every metric, over all users). Tests: {}; {}.",
        verdicts.family.settings.design.alpha,
        counted(rows.len(), "test"),
        listed(&tests),
        listed(&reasons)
    )
}

fn cells(row: &significance::Row, verdict: String) -> Vec<Cell> {
    let comparison = &row.comparison;
    let (effect, ends, power) = (&comparison.effect, comparison.interval(), comparison.power());
    let finite =
        |value: f64, text: String| if value.is_finite() { Cell::number(text, value) } else { Cell::none() };
    let signed = |value: f64| finite(value, format!("{:+.4}", value + 0.0));
    vec![
        Cell::text(&row.a),
        Cell::text(&row.b),
        Cell::text(&row.metric),
        signed(effect.difference),
        signed(ends.low),
        signed(ends.high),
        words::percent(effect.relative.map(|share| 100.0 * share)),
        p_value(row.p),
        p_value(row.p_holm),
        effect.d_z.map_or_else(Cell::none, |d| finite(d, format!("{:+.3}", d + 0.0))),
        power.minimum.map_or_else(Cell::none, |least| finite(least, format!("{least:.4}"))),
        Cell::text(verdict),
    ]
}
