//! Ours beside the published numbers of the same method.

use std::collections::BTreeMap;

use super::model::{Comparison, Source, Summary, Verdict};
use super::ranker::RankerOnly;
use crate::baseline::{Baseline, Row, Scope};
use crate::eval::{Metric, TwoLevel};

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

/// Our mean with its errors over users and over seeds, where there are any.
type Ours = (f64, Option<f64>, Option<f64>);

fn compare(row: &Row, source: Source, summary: &Summary) -> Option<Comparison> {
    let ours = match row.scope {
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
    Some(beside(row, source, ours))
}

/// A number of ours and a published one.
fn beside(row: &Row, source: Source, (ours, se_users, se_seeds): Ours) -> Comparison {
    let difference = ours - row.value;
    // No verdict over R: our R and theirs are different users.
    let verdict = se_users.map(|users| verdict(difference, row.value, users.hypot(se_seeds.unwrap_or(0.0))));
    Comparison {
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
    }
}

/// A ranker's test numbers.
pub(super) struct RankerNumbers<'a> {
    pub overall: Option<&'a BTreeMap<Metric, TwoLevel>>,
    pub ranker_only: &'a BTreeMap<Metric, RankerOnly>,
}

/// The names under which papers print a ranker with this backbone.
fn published_rankers(backbone: &str) -> &'static [&'static str] {
    // A local folder may bear the repository's name.
    let name = backbone.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next().unwrap_or(backbone);
    match name.to_ascii_lowercase().as_str() {
        "llama-2-7b-hf" => &["LlamaRec"],
        "llama-3.1-8b" | "meta-llama-3.1-8b" => &["Llama 3.1 8B"],
        _ => &[],
    }
}

/// Every published test number of a ranker with this backbone on `dataset` that `ours` has too. Over R a paper's users are
/// those that its own retriever found, whatever it calls the table.
pub(super) fn ranker_comparisons(
    backbone: &str,
    dataset: &str,
    ours: &RankerNumbers<'_>,
    baselines: &[Baseline],
) -> Vec<Comparison> {
    let methods = published_rankers(backbone);
    let mut found: Vec<Comparison> = Vec::new();
    for baseline in baselines {
        for row in &baseline.rows {
            if row.dataset != dataset || !methods.contains(&row.method.as_str()) || row.split != "test" {
                continue;
            }
            let number = match row.scope {
                Scope::Overall => ours
                    .overall
                    .and_then(|of| of.get(&row.metric))
                    .map(|of| (of.seeds.mean, Some(of.se_users), of.se_seeds)),
                Scope::RankerOnly | Scope::RetrievedSubset => {
                    ours.ranker_only.get(&row.metric).map(|of| (of.seeds.mean, None, of.seeds.se()))
                }
            };
            found.extend(number.map(|number| beside(row, source(baseline, &row.table), number)));
        }
    }
    found.sort_by_key(|comparison| (comparison.scope, comparison.metric));
    found
}

fn verdict(difference: f64, published: f64, standard_error: f64) -> Verdict {
    let allowed = (STANDARD_ERRORS * standard_error).max(RELATIVE_TOLERANCE * published);
    Verdict { allowed, within: difference.abs() <= allowed }
}
