//! Recall over all users is a whole number of them.

use super::cells::{Cell, Cells};
use super::digits::Digits;
use super::hidden::interval;
use super::sizes::Sizes;
use super::{Check, Finding, Severity};
use crate::baseline::{Comparable, Scope};
use crate::eval::MetricKind;

/// Hold the recalls of tables over all users against |U|. Tables of other data, and of programs that average batches, are left
/// out.
pub(super) fn overall(cells: &Cells<'_>, sizes: &Sizes, findings: &mut Vec<Finding>) {
    for table in cells.tables.iter().filter(|table| table.scope == Scope::Overall && !table.of_batches()) {
        let Some(users) = sizes.users(table) else { continue };
        let recalls = table.cells.iter().filter(|cell| {
            cell.row.metric.kind == MetricKind::Recall && cell.row.tags.comparable != Some(Comparable::No)
        });
        let ways: Vec<(Cell<'_>, Vec<Digits>)> = recalls
            .map(|cell| {
                let fits = |way: &Digits| {
                    let (first, last) = interval(cell, *way).hits(i128::from(users));
                    first <= last
                };
                (*cell, Digits::ALL.into_iter().filter(fits).collect())
            })
            .collect();
        let without: Vec<Cell<'_>> =
            ways.iter().filter(|(_, ways)| ways.is_empty()).map(|(cell, _)| *cell).collect();
        let near = |cell: &Cell<'_>| {
            format!("{} of {users} users is {:.2}", cell.row.printed, cell.printed.value() * users as f64)
        };
        if !without.is_empty() {
            findings.push(Finding {
                numbers: without.iter().map(near).collect::<Vec<_>>().join("; "),
                meaning: "These recalls are no whole number of users, rounded or cut (means over batches, or over other users, \
                    can do this)."
                    .to_owned(),
                ..table.finding(Severity::Doubt, Check::WholeUsers, &without)
            });
        } else if !Digits::ALL.iter().any(|way| ways.iter().all(|(_, of)| of.contains(way))) {
            let only = |way: Digits| {
                let of: Vec<&str> = ways
                    .iter()
                    .filter(|(_, ways)| **ways == [way])
                    .map(|(cell, _)| cell.row.printed.as_str())
                    .collect();
                of.join(", ")
            };
            let cells: Vec<Cell<'_>> =
                ways.iter().filter(|(_, ways)| ways.len() == 1).map(|(cell, _)| *cell).collect();
            findings.push(Finding {
                numbers: format!(
                    "of {users} users, only if rounded: {}; only if cut: {}",
                    only(Digits::Rounded),
                    only(Digits::Cut)
                ),
                meaning: "The recalls of one table are whole numbers of users only if some were rounded and others cut.".to_owned(),
                ..table.finding(Severity::Doubt, Check::WholeUsers, &cells)
            });
        }
    }
}
