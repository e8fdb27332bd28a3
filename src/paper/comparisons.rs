//! Every test of the report.

use super::block::Block;
use super::verdicts::Verdicts;
use super::words::{self, counted, listed};
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
            for row in verdicts.rows(pair) {
                table = table.row(Row::new(cells(row, settings.design.alpha)).group(&block.title));
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

fn cells(row: &significance::Row, alpha: f64) -> Vec<Cell> {
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
        Cell::text(verdict(row, alpha)),
    ]
}

fn p_value(p: f64) -> Cell {
    if p < 0.0001 { Cell::number("<.0001", p) } else { Cell::number(format!("{p:.4}"), p) }
}

fn verdict(row: &significance::Row, alpha: f64) -> String {
    let effect = &row.comparison.effect;
    let word = if effect.wins == 0 && effect.losses == 0 {
        "the same"
    } else if row.p_holm >= alpha {
        "undecided"
    } else if effect.difference > 0.0 {
        "better"
    } else {
        "worse"
    };
    let weak = if row.comparison.power().underpowered { ", underpowered" } else { "" };
    format!("{word}{weak}")
}

fn percent(share: f64) -> f64 {
    // 100 * 0.95 is 95 to a reader.
    (1e4 * share).round() / 1e2
}
