//! The table of comparisons, for every document that has one.

use super::Contrast;
use crate::document::{Cell, Column, Row, Table};
use crate::significance::{Design, Settings};

/// A table of contrasts, one group of rows for each pair of methods. `groups` are the headings, and how many contrasts, in order, stand
/// below each.
#[must_use]
pub fn contrast_table(
    id: &str,
    caption: String,
    contrasts: &[Contrast],
    groups: &[(String, usize)],
    settings: &Settings,
) -> Table {
    let columns = vec![
        Column::text("Metric"),
        Column::number("Reference"),
        Column::number("Method"),
        Column::number("Difference"),
        Column::number("Relative").unit("%"),
        Column::number("low"),
        Column::number("high"),
        Column::number("p"),
        Column::number("Holm"),
        Column::number("d_z"),
        Column::number("win"),
        Column::number("tie"),
        Column::number("loss"),
        Column::number("MDE"),
        Column::text("Verdict"),
    ];
    let mut table = Table::new(id, caption, columns)
        .group("", 5)
        .group(format!("{} % interval", percent(settings.level)), 2)
        .group("p-value", 2)
        .group("", 1)
        .group("users", 3)
        .group("", 2);
    let mut rest = contrasts.iter();
    for (heading, count) in groups {
        for contrast in rest.by_ref().take(*count) {
            table = table.row(Row::new(cells(contrast, settings.design.alpha)).group(heading.clone()));
        }
    }
    table
}

fn cells(contrast: &Contrast, alpha: f64) -> Vec<Cell> {
    let plain = |value: f64| Cell::number(format!("{value:.4}"), value);
    let signed = |value: f64| Cell::number(format!("{:+.4}", value + 0.0), value);
    let users = |n: usize| Cell::number(n.to_string(), n as f64);
    let or_none = |value: Option<f64>, cell: &dyn Fn(f64) -> Cell| value.map_or_else(Cell::none, cell);
    let percent = contrast.relative.map(|share| 100.0 * share);
    vec![
        Cell::text(contrast.metric.to_string()),
        plain(contrast.reference_mean),
        plain(contrast.mean),
        signed(contrast.difference),
        or_none(percent, &|percent| Cell::number(format!("{:+.2}", percent + 0.0), percent)),
        or_none(contrast.low, &signed),
        or_none(contrast.high, &signed),
        p_value(contrast.p),
        p_value(contrast.p_holm),
        or_none(contrast.d_z, &|d| Cell::number(format!("{:+.3}", d + 0.0), d)),
        users(contrast.wins),
        users(contrast.ties),
        users(contrast.losses),
        or_none(contrast.minimum, &plain),
        Cell::text(contrast.told(alpha)),
    ]
}

/// A p-value: 4 places, or that it is below what they show.
pub(crate) fn p_value(p: f64) -> Cell {
    if p < 0.0001 { Cell::number("<.0001", p) } else { Cell::number(format!("{p:.4}"), p) }
}

/// What the columns of [`contrast_table`] are; `count` is the number of comparisons that were corrected together.
#[must_use]
pub fn contrast_notes(count: usize, design: Design) -> [String; 2] {
    [
        format!(
            "Difference: method - reference, of means over users and seeds; who is not among a ranker's users counts 0. Relative: in \
             percent of the reference, from unrounded values. Values are rounded to the nearest 4th decimal, percents to the 2nd. p is \
             two-sided; Holm: corrected over all {count} comparisons of this table. Intervals are not corrected."
        ),
        format!(
            "Verdict: better or worse where p by Holm is below {}. d_z: mean over standard deviation of the users' differences. win, tie, \
             loss: users for whom the method is better, the same, worse. MDE: the smallest difference that would be found {} times in 100 \
             at p < {} without correction; underpowered: the observed one is smaller.",
            design.alpha,
            percent(design.power),
            design.alpha
        ),
    ]
}

/// The test and the interval of contrasts, and what else they have to tell: `test: ..; interval: ..; ..`.
#[must_use]
pub fn contrast_tests(contrasts: &[Contrast]) -> String {
    let once = |of: &mut dyn Iterator<Item = &String>| {
        let mut all: Vec<String> = Vec::new();
        for one in of {
            if !all.contains(one) {
                all.push(one.clone());
            }
        }
        all
    };
    let tests = once(&mut contrasts.iter().map(|contrast| &contrast.test));
    let intervals = once(&mut contrasts.iter().map(|contrast| &contrast.interval));
    let notes = once(&mut contrasts.iter().flat_map(|contrast| &contrast.notes));
    let mut text = format!("test: {}; interval: {}", tests.join(" or "), intervals.join(" or "));
    for note in notes {
        text.push_str("; ");
        text.push_str(&note);
    }
    text
}

/// A share in percent, to 2 places.
pub(crate) fn percent(share: f64) -> f64 {
    // 100 * 0.95 is 95 to a reader.
    (1e4 * share).round() / 1e2
}
