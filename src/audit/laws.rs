//! What holds for the three metrics of any rank list, and so for their means with any weights.
//!
//! With one held-out item a hit at rank r adds 1 to Recall, 1 / r to MRR and 1 / log2(r + 1) to NDCG, for r up to the cutoff.
//! So the three means at a cutoff lie in the convex hull of the points (1, 1 / r, 1 / log2(r + 1)) and 0, and their growth from
//! one cutoff to the next in the cone of the ranks between.

use std::collections::BTreeMap;

use super::cells::{Cell, Cells, Table};
use super::{Check, Finding, Severity};
use crate::eval::{Metric, MetricKind};

/// Slack for the arithmetic of floats, far below a printed digit.
const EPSILON: f64 = 1e-12;

/// Hold every method of every table against the laws.
pub(super) fn laws(cells: &Cells<'_>, findings: &mut Vec<Finding>) {
    for table in &cells.tables {
        for method in table.methods() {
            let mut of: BTreeMap<Metric, Cell<'_>> = BTreeMap::new();
            for cell in table.cells.iter().filter(|cell| cell.row.method == method) {
                of.insert(cell.row.metric, *cell);
            }
            order(table, &of, findings);
            let cutoffs: Vec<u32> = {
                let mut all: Vec<u32> = of.keys().map(|metric| metric.k).collect();
                all.dedup();
                all
            };
            for &k in &cutoffs {
                hull(table, &of, k, findings);
            }
            growth(table, &of, &cutoffs, findings);
        }
    }
}

/// Rounding and cutting keep the order of numbers, so printed ones of as many places must have it too.
fn order(table: &Table<'_>, of: &BTreeMap<Metric, Cell<'_>>, findings: &mut Vec<Finding>) {
    for (metric, cell) in of {
        let larger_kind = of.iter().filter(|(other, _)| other.k == metric.k && other.kind > metric.kind);
        let next_cutoff = of.iter().find(|(other, _)| other.kind == metric.kind && other.k > metric.k);
        for (other, larger) in larger_kind.chain(next_cutoff) {
            if cell.printed.units <= larger.printed.units {
                continue;
            }
            let law = if other.k == metric.k {
                format!("{} is never above {} at the same cutoff.", metric.kind.name(), other.kind.name())
            } else {
                format!("{} never falls with the cutoff.", metric.kind.name())
            };
            findings.push(Finding {
                numbers: format!("{} = {} > {} = {}", metric, cell.row.printed, other, larger.row.printed),
                meaning: law,
                ..table.finding(Severity::Contradiction, Check::Order, &[*cell, *larger])
            });
        }
    }
}

/// A number in [0, 1] whose digits were dropped in whichever way.
fn bounds(cell: &Cell<'_>) -> (f64, f64) {
    let (low, high) = cell.printed.bounds();
    (low.max(0.0), high.min(1.0))
}

fn discount(rank: u32) -> f64 {
    1.0 / (f64::from(rank) + 1.0).log2()
}

/// MRR between Recall / k and Recall; NDCG between what the chord and the curve through (1 / r, 1 / log2(r + 1)) allow.
///
/// The curve is concave, so its lower hull is the chord from r = k to r = 1 and its upper hull the segments between neighbours.
/// Both are linear in (Recall, MRR) with weights of at least 0, so the ends of the intervals give the extremes.
fn hull(table: &Table<'_>, of: &BTreeMap<Metric, Cell<'_>>, k: u32, findings: &mut Vec<Finding>) {
    let get = |kind| of.get(&Metric::new(kind, k));
    let (mrr, ndcg, recall) = (get(MetricKind::Mrr), get(MetricKind::Ndcg), get(MetricKind::Recall));
    let mut tell = |what: &Cell<'_>, given: &[&Cell<'_>], low: f64, high: f64| {
        let (least, most) = bounds(what);
        if least <= high + EPSILON && low <= most + EPSILON {
            return;
        }
        let named: Vec<String> =
            given.iter().map(|cell| format!("{} = {}", cell.row.metric, cell.row.printed)).collect();
        findings.push(Finding {
            numbers: format!(
                "{} = {}; with {} it is in [{low:.5}, {high:.5}]",
                what.row.metric,
                what.row.printed,
                named.join(" and ")
            ),
            meaning: "No ranks within the cutoff give these numbers together.".to_owned(),
            ..table.finding(Severity::Contradiction, Check::Range, &[*what])
        });
    };
    let Some(recall) = recall else { return };
    let (hits, most_hits) = bounds(recall);
    if let Some(mrr) = mrr {
        tell(mrr, &[recall], hits / f64::from(k), most_hits);
    }
    let Some(ndcg) = ndcg else { return };
    let Some(mrr) = mrr else {
        tell(ndcg, &[recall], hits * discount(k), most_hits);
        return;
    };
    let (least, most) = bounds(mrr);
    // A line through the points of two ranks: NDCG = constant x Recall + slope x MRR.
    let line = |first: u32, second: u32| {
        let (x, other_x) = (1.0 / f64::from(first), 1.0 / f64::from(second));
        let slope = (discount(first) - discount(second)) / (x - other_x);
        (discount(first) - slope * x, slope)
    };
    let (mut low, mut high) = (hits, most_hits);
    if k > 1 {
        let (constant, slope) = line(1, k);
        low = constant * hits + slope * least;
        high = (1..k.min(1000))
            .map(|rank| {
                let (constant, slope) = line(rank, rank + 1);
                constant * most_hits + slope * most
            })
            .fold(most_hits, f64::min);
    }
    tell(ndcg, &[recall, mrr], low, high);
}

/// Between two cutoffs MRR grows by 1 / r and NDCG by 1 / log2(r + 1) for each new hit at a rank r between them.
fn growth(table: &Table<'_>, of: &BTreeMap<Metric, Cell<'_>>, cutoffs: &[u32], findings: &mut Vec<Finding>) {
    for pair in cutoffs.windows(2) {
        let [from, to] = *pair else { continue };
        let grown = |kind| {
            let (one, other) = (of.get(&Metric::new(kind, from))?, of.get(&Metric::new(kind, to))?);
            let ((a, b), (c, d)) = (bounds(one), bounds(other));
            Some((*one, *other, (c - b).max(0.0), d - a))
        };
        let Some((_, _, hits, most_hits)) = grown(MetricKind::Recall) else { continue };
        let gains: [(MetricKind, f64, f64); 2] = [
            (MetricKind::Mrr, 1.0 / f64::from(to), 1.0 / (f64::from(from) + 1.0)),
            (MetricKind::Ndcg, discount(to), discount(from + 1)),
        ];
        for (kind, last, first) in gains {
            let Some((one, other, least, most)) = grown(kind) else { continue };
            let (low, high) = (hits * last, most_hits * first);
            if least <= high + EPSILON && low <= most + EPSILON {
                continue;
            }
            let difference = other.printed.value() - one.printed.value();
            findings.push(Finding {
                numbers: format!(
                    "{} to {}: +{difference:.4}; the hits between them add [{low:.5}, {high:.5}]",
                    one.row.printed, other.row.printed
                ),
                meaning: format!(
                    "{} grows from cutoff {from} to {to} by what no hits at these ranks can add.",
                    kind.name()
                ),
                ..table.finding(Severity::Contradiction, Check::Range, &[one, other])
            });
        }
    }
}
