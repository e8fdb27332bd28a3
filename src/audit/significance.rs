//! Whether a gain in recall can be significant at all, from the hit counts alone.
//!
//! A paired test of two recalls is McNemar's: of the users that only one of the two hits, how many are the one's? Printed tables
//! tell the difference d of the hits, not the pairing. The exact two-sided p = 2 P(X <= b), X ~ Binomial(b + c, 1/2), with
//! c - b = d, is least where b = 0, so p >= 2^(1 - d) under any pairing (McNemar 1947; the exact form is the sign test's).

use std::collections::BTreeSet;

use super::cells::Cells;
use super::digits::Digits;
use super::hidden::interval;
use super::sizes::Sizes;
use super::{Check, Finding, HiddenUsers, Severity};
use crate::baseline::{Baseline, Scope};
use crate::eval::{Metric, MetricKind};

/// The level that papers use.
const LEVEL: f64 = 0.05;

/// Tell of pairs of methods whose recalls are too close for any pairing. The pairs are those of the file's claims.
pub(super) fn significance(
    file: &Baseline,
    cells: &Cells<'_>,
    hidden: &[HiddenUsers],
    sizes: &Sizes,
    findings: &mut Vec<Finding>,
) {
    // A pair's hits are the same over R and over all users; once is enough.
    let mut told: BTreeSet<(String, String, String, Metric)> = BTreeSet::new();
    let over_r = cells.tables.iter().filter(|table| table.scope != Scope::Overall);
    let overall = cells.tables.iter().filter(|table| table.scope == Scope::Overall);
    for table in over_r.chain(overall) {
        let claims = file.claims.iter().filter(|claim| claim.dataset == table.dataset);
        let pairs: BTreeSet<(&str, &str)> =
            claims.map(|claim| (claim.method.as_str(), claim.over.as_str())).collect();
        let users = match table.scope {
            Scope::Overall => sizes.users(table).map(|users| (users, None)),
            _ => hidden
                .iter()
                .find(|users| {
                    users.dataset == table.dataset
                        && users.tables.first().is_some_and(|name| name == table.name)
                })
                .and_then(|users| Some((users.only()?, Some(users)))),
        };
        let Some((n, of)) = users else { continue };
        for (method, over) in pairs {
            for cell in table.cells.iter().filter(|cell| cell.row.method == method) {
                let metric = cell.row.metric;
                let Some(other) = table.get(over, metric).filter(|_| metric.kind == MetricKind::Recall)
                else {
                    continue;
                };
                let key = (table.dataset.to_owned(), method.to_owned(), over.to_owned(), metric);
                if told.contains(&key) {
                    continue;
                }
                let hits = |name: &str, cell| match of {
                    Some(of) => known(of, metric, name),
                    None => any_way(cell, n),
                };
                let (Some((a, b)), Some((c, d))) = (hits(method, cell), hits(over, &other)) else { continue };
                told.insert(key);
                // The largest difference that the digits allow gives the least p.
                let difference = b.saturating_sub(c).max(d.saturating_sub(a));
                let least = least_p(difference);
                if least < LEVEL {
                    continue;
                }
                findings.push(Finding {
                    numbers: format!(
                        "{} against {} hits of {n} users: exact McNemar p >= {least:.3} under any pairing",
                        range(a, b),
                        range(c, d)
                    ),
                    meaning: format!("No pairing of users makes this difference significant at {LEVEL}."),
                    cells: format!("{metric}, {method} over {over}"),
                    ..table.finding(Severity::Doubt, Check::Significance, &[*cell])
                });
            }
        }
    }
}

/// The least exact two-sided p of McNemar's test for a difference of hits, in [0, 1].
fn least_p(difference: u64) -> f64 {
    (1.0 - i32::try_from(difference).unwrap_or(i32::MAX) as f64).exp2().min(1.0)
}

fn known(of: &HiddenUsers, metric: Metric, method: &str) -> Option<(u64, u64)> {
    let found = of.hits.iter().find(|(other, name, ..)| *other == metric && name == method)?;
    Some((found.2, found.3))
}

/// The hits that a recall over all users can stand for, whichever way digits were dropped.
fn any_way(cell: &super::cells::Cell<'_>, users: u64) -> Option<(u64, u64)> {
    let ends = Digits::ALL.map(|way| interval(cell, way).hits(i128::from(users)));
    let whole = ends.into_iter().filter(|(first, last)| first <= last);
    let (first, last) = whole.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
    Some((u64::try_from(first).ok()?, u64::try_from(last).ok()?))
}

fn range(first: u64, last: u64) -> String {
    if first == last { first.to_string() } else { format!("{first} to {last}") }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_least_p_is_that_of_the_sign_test_without_users_for_the_other_side() {
        // 2 x (1/2)^4; scipy.stats.binomtest(0, 4).pvalue prints 0.125.
        assert_eq!(super::least_p(4), 0.125);
        assert_eq!([super::least_p(0), super::least_p(1)], [1.0, 1.0]);
        assert!(super::least_p(6) < 0.05 && super::least_p(5) > 0.05);
    }
}
