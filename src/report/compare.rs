//! Ours beside the published numbers of the same method.

use super::model::{Comparison, Source, Summary, Verdict};
use crate::baseline::{Baseline, Row, Scope};

/// The rule of a verdict, for captions.
pub const RULE: &str = "within two standard errors or 3 %, whichever is larger: \
    |ours - published| <= max(2 sqrt(SE_users^2 + SE_seeds^2), 0.03 published)";

/// Share of the published number that a difference may always have.
const RELATIVE_TOLERANCE: f64 = 0.03;
/// Number of standard errors that a difference may always have.
const STANDARD_ERRORS: f64 = 2.0;

/// The name under which papers print a retriever of ours.
#[must_use]
pub(super) fn published_name(retriever: &str) -> Option<&'static str> {
    match retriever {
        "lru" => Some("LRURec"),
        _ => None,
    }
}

/// Every published test number of `retriever` on `dataset` that `summary` has too, in the order of the files.
pub(super) fn comparisons(
    retriever: &str,
    dataset: &str,
    summary: &Summary,
    baselines: &[Baseline],
) -> Vec<Comparison> {
    let Some(method) = published_name(retriever) else { return Vec::new() };
    let mut found: Vec<Comparison> = Vec::new();
    for baseline in baselines {
        for row in &baseline.rows {
            if row.dataset == dataset && row.method == method && row.split == "test" {
                found.extend(compare(row, source(baseline, &row.table), summary));
            }
        }
    }
    // Papers print by metric, whatever paper a figure is from: R@20 comes last.
    found.sort_by_key(|comparison| (comparison.scope, comparison.metric));
    found
}

pub(super) fn source(baseline: &Baseline, table: &str) -> Source {
    let paper = &baseline.paper;
    Source {
        id: paper.id.clone(),
        title: paper.title.clone(),
        source: paper.source.clone(),
        table: table.to_owned(),
    }
}

fn compare(row: &Row, source: Source, summary: &Summary) -> Option<Comparison> {
    let (ours, se_users, se_seeds) = match row.scope {
        Scope::Overall => {
            let ours = summary.test.get(&row.metric)?;
            (ours.seeds.mean, Some(ours.se_users), ours.se_seeds)
        }
        Scope::RetrievedSubset => {
            let ours = summary.test_retrieved_subset.get(&row.metric)?;
            (ours.mean, None, ours.se())
        }
        Scope::RankerOnly => return None,
    };
    let difference = ours - row.value;
    // No verdict over R: our R and theirs are different users.
    let verdict = se_users.map(|users| verdict(difference, row.value, users.hypot(se_seeds.unwrap_or(0.0))));
    Some(Comparison {
        metric: row.metric,
        scope: row.scope,
        ours,
        se_users,
        se_seeds,
        published: row.value,
        printed: row.printed.clone(),
        method: row.method.clone(),
        source,
        protocol: row.protocol.clone(),
        derived: row.derived.clone(),
        difference,
        relative: (row.value > 0.0).then(|| difference / row.value),
        verdict,
    })
}

fn verdict(difference: f64, published: f64, standard_error: f64) -> Verdict {
    let allowed = (STANDARD_ERRORS * standard_error).max(RELATIVE_TOLERANCE * published);
    Verdict { allowed, within: difference.abs() <= allowed }
}
