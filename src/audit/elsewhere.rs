//! The same method's numbers in another paper.

use std::collections::BTreeSet;

use super::cells::{Cell, Cells, Table};
use super::{Check, Finding, Severity};
use crate::baseline::{Baseline, Scope};

/// Compare with every paper that is older: a later one reran or copied the method.
pub(super) fn elsewhere(
    file: &Baseline,
    cells: &Cells<'_>,
    others: &[&Baseline],
    findings: &mut Vec<Finding>,
) {
    for other in others.iter().filter(|other| other.paper.year <= file.paper.year) {
        let theirs = Cells::new(other);
        for table in &cells.tables {
            for method in table.methods() {
                differing(table, method, other, &theirs, findings);
            }
            beaten(file, table, other, &theirs, findings);
        }
    }
}

/// Whether two scopes are over the same kind of users.
const fn same_users(one: Scope, other: Scope) -> bool {
    matches!(one, Scope::Overall) == matches!(other, Scope::Overall)
}

/// Another paper's number of a method, over the same kind of users.
fn find<'a>(theirs: &'a Cells<'a>, table: &Table<'_>, method: &str, cell: &Cell<'_>) -> Option<Cell<'a>> {
    theirs
        .tables
        .iter()
        .filter(|other| {
            (other.dataset, other.split) == (table.dataset, table.split)
                && same_users(other.scope, table.scope)
        })
        .find_map(|other| other.get(method, cell.row.metric))
}

/// A method whose numbers here are not those of its other paper.
fn differing(
    table: &Table<'_>,
    method: &str,
    other: &Baseline,
    theirs: &Cells<'_>,
    findings: &mut Vec<Finding>,
) {
    let pairs: Vec<(Cell<'_>, Cell<'_>)> = table
        .cells
        .iter()
        .filter(|cell| cell.row.method == method)
        .filter_map(|cell| Some((*cell, find(theirs, table, method, cell)?)))
        .collect();
    let differs = |(here, there): &&(Cell<'_>, Cell<'_>)| {
        let ((a, b), (c, d)) = (here.printed.bounds(), there.printed.bounds());
        a > d || c > b
    };
    if !pairs.iter().any(|pair| differs(&pair)) {
        return;
    }
    let relative: Vec<f64> = pairs
        .iter()
        .filter(|(_, there)| there.printed.units > 0)
        .map(|(here, there)| 100.0 * (here.printed.value() / there.printed.value() - 1.0))
        .collect();
    let mean = relative.iter().sum::<f64>() / relative.len().max(1) as f64;
    let list: Vec<String> = pairs
        .iter()
        .map(|(here, there)| {
            format!("{} {} against {}", here.row.metric.short(), here.row.printed, there.row.printed)
        })
        .collect();
    let cells: Vec<Cell<'_>> = pairs.iter().map(|(here, _)| *here).collect();
    findings.push(Finding {
        cells: format!("{method}, {} metrics", pairs.len()),
        numbers: format!("{mean:+.1} % on average; {}", list.join(", ")),
        meaning: format!(
            "{method} has other numbers in {} ({}), {}.",
            other.paper.id,
            other.paper.source,
            theirs_table(&pairs)
        ),
        ..table.finding(Severity::Doubt, Check::Elsewhere, &cells)
    });
}

fn theirs_table<'a>(pairs: &[(Cell<'_>, Cell<'a>)]) -> &'a str {
    pairs.first().map_or("", |(_, there)| there.row.table.as_str())
}

/// A method that is claimed to gain over another, and is below what the other's own paper prints.
fn beaten(
    file: &Baseline,
    table: &Table<'_>,
    other: &Baseline,
    theirs: &Cells<'_>,
    findings: &mut Vec<Finding>,
) {
    let claims = file.claims.iter().filter(|claim| claim.dataset == table.dataset);
    let claimed: BTreeSet<(&str, &str)> =
        claims.map(|claim| (claim.method.as_str(), claim.over.as_str())).collect();
    for (method, over) in claimed {
        let below: Vec<(Cell<'_>, Cell<'_>)> = table
            .cells
            .iter()
            .filter(|cell| cell.row.method == method)
            .filter_map(|cell| Some((*cell, find(theirs, table, over, cell)?)))
            .filter(|(here, there)| here.printed.bounds().1 <= there.printed.bounds().0)
            .collect();
        if below.is_empty() {
            continue;
        }
        let list: Vec<String> = below
            .iter()
            .map(|(here, there)| format!("{} {} < {}", here.row.metric, here.row.printed, there.row.printed))
            .collect();
        let cells: Vec<Cell<'_>> = below.iter().map(|(here, _)| *here).collect();
        findings.push(Finding {
            numbers: list.join(", "),
            meaning: format!(
                "{method} is claimed to gain over {over}, but is below the {over} of {} ({}), {}.",
                other.paper.id,
                other.paper.source,
                theirs_table(&below)
            ),
            ..table.finding(Severity::Doubt, Check::Elsewhere, &cells)
        });
    }
}
