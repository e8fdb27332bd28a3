//! Cells of tables: what is shown beside the exact value.

use super::super::format::{self, thousands};
use super::super::model::Comparison;
use crate::document::{Better, Cell, Column};
use crate::eval::{Metric, SeedSummary};

/// A metric or a loss: 4 places. A loss may have run away.
pub(super) fn number(value: f64) -> Cell {
    if value.is_finite() { Cell::number(format::metric(value), value) } else { Cell::text("not finite") }
}

/// The same, or a dash.
pub(super) fn optional(value: Option<f64>) -> Cell {
    value.map_or_else(Cell::none, number)
}

/// A mean with its standard deviation, if there is one.
pub(super) fn mean_sd(mean: f64, sd: Option<f64>) -> Cell {
    let cell = number(mean);
    match sd {
        Some(sd) => cell.spread(format::metric(sd), sd),
        None => cell,
    }
}

/// A difference with its sign.
pub(super) fn signed(value: f64) -> Cell {
    Cell::number(format::signed(value + 0.0), value)
}

/// A share in percent with its sign, for a column in percent.
pub(super) fn percent(share: Option<f64>) -> Cell {
    share.map_or_else(Cell::none, |share| {
        let value = 100.0 * share;
        Cell::number(format!("{:+.2}", value + 0.0), value)
    })
}

/// A count.
pub(super) fn count(value: u64) -> Cell {
    Cell::number(thousands(value), value as f64)
}

/// A count over seeds.
pub(super) fn count_over(summary: &SeedSummary) -> Cell {
    let cell = Cell::number(format::count(summary.mean, None), summary.mean);
    match summary.sd {
        Some(sd) => cell.spread(format!("{sd:.1}"), sd),
        None => cell,
    }
}

/// A published number as the paper prints it, or as it was derived.
pub(super) fn published(comparison: &Comparison) -> Cell {
    if comparison.derived.is_some() {
        number(comparison.published)
    } else {
        Cell::number(comparison.printed.clone(), comparison.published)
    }
}

/// A number as somebody printed it, sorted by what it says where that is a number.
pub(super) fn printed(text: &str) -> Cell {
    match text.replace(',', "").parse::<f64>() {
        Ok(value) if value.is_finite() => Cell::number(text, value),
        _ => Cell::text(text),
    }
}

/// A column of words and then one for each metric.
pub(super) fn metric_columns(first: &str, metrics: &[Metric], compete: bool) -> Vec<Column> {
    let of = |metric: &Metric| {
        let column = Column::number(metric.short());
        if compete { column.better(Better::Higher) } else { column }
    };
    std::iter::once(Column::text(first)).chain(metrics.iter().map(of)).collect()
}

/// The cells of a row.
pub(super) fn row(first: impl Into<String>, cells: impl IntoIterator<Item = Cell>) -> Vec<Cell> {
    std::iter::once(Cell::text(first)).chain(cells).collect()
}
