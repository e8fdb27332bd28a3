//! Percentages of the text, computed again from the tables.

use super::cells::{Cell, Cells, Table};
use super::digits::{Digits, Printed};
use super::{Check, Finding, Recomputed, Severity};
use crate::baseline::{Baseline, Claim, Scope};
use crate::eval::Metric;

/// Compute every claim again: `100 (method - over) / over`, or the mean of it over all metrics that both have.
pub(super) fn claims(
    file: &Baseline,
    cells: &Cells<'_>,
    others: &[&Baseline],
    findings: &mut Vec<Finding>,
) -> Vec<Recomputed> {
    let others: Vec<Cells<'_>> = others.iter().map(|other| Cells::new(other)).collect();
    let mut found = Vec::new();
    for claim in &file.claims {
        match again(claim, cells, &others) {
            Some(recomputed) => {
                tell(claim, &recomputed, findings);
                found.push(recomputed);
            }
            None => findings.push(Finding {
                numbers: format!("{} %", claim.printed),
                meaning: "The claim cannot be computed again: its table or the number that it compares with is in no file."
                    .to_owned(),
                ..about(claim, Severity::Note)
            }),
        }
    }
    same_gain(file, cells, findings);
    found
}

fn about(claim: &Claim, severity: Severity) -> Finding {
    let metric = claim.metric.map_or_else(|| "mean of all metrics".to_owned(), |metric| metric.to_string());
    Finding {
        severity,
        check: Check::Claim,
        line: claim.line,
        dataset: claim.dataset.clone(),
        table: claim.table.clone(),
        cells: format!("{metric}, {} over {}", claim.method, claim.over),
        numbers: String::new(),
        meaning: String::new(),
    }
}

/// The tables that a claim is about.
fn tables<'a>(claim: &'a Claim, cells: &'a Cells<'a>) -> impl Iterator<Item = &'a Table<'a>> {
    cells.tables.iter().filter(|table| table.name == claim.table && table.dataset == claim.dataset)
}

fn again(claim: &Claim, cells: &Cells<'_>, others: &[Cells<'_>]) -> Option<Recomputed> {
    let mut pairs: Vec<(Cell<'_>, Cell<'_>)> = Vec::new();
    for table in tables(claim, cells) {
        for cell in table.cells.iter().filter(|cell| cell.row.method == claim.method) {
            if claim.metric.is_some_and(|metric| metric != cell.row.metric) {
                continue;
            }
            let here = table.get(&claim.over, cell.row.metric);
            let elsewhere = || elsewhere(table, &claim.over, cell.row.metric, others);
            pairs.extend(here.or_else(elsewhere).map(|over| (*cell, over)));
        }
    }
    let gains: Option<Vec<(f64, f64, f64)>> =
        pairs.iter().map(|(cell, over)| gain(cell.printed, over.printed)).collect();
    let gains = gains.filter(|gains| !gains.is_empty())?;
    let mean = |of: fn(&(f64, f64, f64)) -> f64| gains.iter().map(of).sum::<f64>() / gains.len() as f64;
    let recomputed = mean(|gain| gain.0);
    let claimed = Printed::read(&claim.printed)?;
    let fits = |way: &Digits| {
        let interval = claimed.interval(*way);
        // A float's last bits must not decide.
        (interval.low() - 1e-9..=interval.high() + 1e-9).contains(&recomputed)
    };
    Some(Recomputed {
        line: claim.line,
        dataset: claim.dataset.clone(),
        table: claim.table.clone(),
        what: about(claim, Severity::Note).cells,
        claimed: claim.printed.clone(),
        recomputed,
        possible: (mean(|gain| gain.1), mean(|gain| gain.2)),
        digits: Digits::ALL.into_iter().filter(fits).collect(),
    })
}

/// A number of another file over the same users.
fn elsewhere<'a>(
    table: &Table<'_>,
    method: &str,
    metric: Metric,
    others: &'a [Cells<'a>],
) -> Option<Cell<'a>> {
    let same = |other: &&Table<'_>| {
        (other.dataset, other.split, other.scope) == (table.dataset, table.split, table.scope)
    };
    others.iter().flat_map(|cells| &cells.tables).filter(same).find_map(|other| other.get(method, metric))
}

/// The gain in percent from printed digits, and the least and most that unrounded numbers can give. `None` over 0.
fn gain(method: Printed, over: Printed) -> Option<(f64, f64, f64)> {
    let ((low, high), (least, most)) = (method.bounds(), over.bounds());
    if least <= 0.0 {
        return None;
    }
    let percent = |a: f64, b: f64| 100.0 * (a - b) / b;
    Some((percent(method.value(), over.value()), percent(low, most), percent(high, least)))
}

fn tell(claim: &Claim, of: &Recomputed, findings: &mut Vec<Finding>) {
    if !of.digits.is_empty() {
        return;
    }
    let Some((least, most)) = Printed::read(&claim.printed).map(Printed::bounds) else { return };
    let (low, high) = of.possible;
    let numbers = format!(
        "claimed {} %; the printed digits give {:.4} %, unrounded numbers {low:.3} to {high:.3} %",
        claim.printed, of.recomputed
    );
    let possible = least <= high && low <= most;
    let (severity, meaning) = if possible {
        (Severity::Note, "The claim does not follow from the printed digits; unrounded numbers can give it.")
    } else {
        (Severity::Contradiction, "The claim does not follow from the table, whatever digits were dropped.")
    };
    findings.push(Finding { numbers, meaning: meaning.to_owned(), ..about(claim, severity) });
}

/// Users outside of R add nothing, so a gain is the same over R and over all users.
fn same_gain(file: &Baseline, cells: &Cells<'_>, findings: &mut Vec<Finding>) {
    let scope =
        |claim: &Claim| tables(claim, cells).next().map(|table| (table.scope, table.split.to_owned()));
    for (at, claim) in file.claims.iter().enumerate() {
        let Some((Scope::RankerOnly, split)) = scope(claim) else { continue };
        for other in file.claims.iter().enumerate().filter(|(place, _)| *place != at).map(|(_, other)| other)
        {
            let same = (&claim.dataset, &claim.metric, &claim.method, &claim.over)
                == (&other.dataset, &other.metric, &other.method, &other.over);
            if !same || scope(other) != Some((Scope::Overall, split.clone())) {
                continue;
            }
            let bounds = |claim: &Claim| Printed::read(&claim.printed).map(Printed::bounds);
            let (Some((a, b)), Some((c, d))) = (bounds(claim), bounds(other)) else { continue };
            if a > d || c > b {
                findings.push(Finding {
                    table: format!("{} and {}", claim.table, other.table),
                    numbers: format!("{} % over R, {} % over all users", claim.printed, other.printed),
                    meaning: "Users outside of R add nothing, so both tables must give the same gain; one of the two claims is wrong."
                        .to_owned(),
                    ..about(claim, Severity::Contradiction)
                });
            }
        }
    }
}
