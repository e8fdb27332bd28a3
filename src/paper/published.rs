//! Published numbers of a dataset, one method of one table at a time.

use std::collections::BTreeMap;

use crate::baseline::{Baseline, Comparable, Scope};
use crate::eval::Metric;

/// A method of a paper's table.
#[derive(Debug, Clone, PartialEq)]
pub struct PublishedMethod {
    /// As printed.
    pub method: String,
    /// The paper that the file is of: its short name, title, and where to find it.
    pub paper: [String; 3],
    /// The table.
    pub table: String,
    /// Its numbers, and as they are printed.
    pub values: BTreeMap<Metric, (f64, String)>,
    /// Where the number was copied from, if not from the paper of the file.
    pub copied_from: Option<String>,
    /// Whether it may be compared with ours; `None` where the file does not say.
    pub comparable: Option<Comparable>,
    /// Why, in a clause.
    pub why: String,
}

/// The order in which the seed paper's Table IV has its methods.
const TABLE_IV: [&str; 4] = ["PALR", "GPT4Rec", "RecMind", "POD"];

impl PublishedMethod {
    /// Whether it competes with ours for best and second.
    #[must_use]
    pub fn competes(&self) -> bool {
        self.comparable == Some(Comparable::Yes)
    }

    /// Whether it was taken over from elsewhere, or is said not to be comparable: a row of the seed paper's Table IV.
    #[must_use]
    pub fn is_context(&self) -> bool {
        self.copied_from.is_some() || self.comparable == Some(Comparable::No)
    }

    /// `yes`, `no` or `unknown`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self.comparable {
            Some(Comparable::Yes) => "yes",
            Some(Comparable::No) => "no",
            Some(Comparable::Unknown) | None => "unknown",
        }
    }
}

/// The test numbers of a dataset in one scope, with the methods of the seed paper's Table IV first, in its order. What the same
/// paper prints again is left out.
#[must_use]
pub fn published(baselines: &[Baseline], dataset: &str, scope: Scope) -> Vec<PublishedMethod> {
    let mut found: Vec<PublishedMethod> = Vec::new();
    for baseline in baselines {
        let paper = &baseline.paper;
        let begun = found.len();
        let rows = baseline.rows.iter().filter(|row| {
            row.dataset == dataset && row.scope == scope && row.split == "test" && row.derived.is_none()
        });
        for row in rows {
            let same = |known: &&mut PublishedMethod| known.table == row.table && known.method == row.method;
            let at = match found[begun..].iter_mut().find(same) {
                Some(known) => known,
                None => {
                    found.push(PublishedMethod {
                        method: row.method.clone(),
                        paper: [paper.id.clone(), paper.title.clone(), paper.source.clone()],
                        table: row.table.clone(),
                        values: BTreeMap::new(),
                        copied_from: row.tags.copied_from.clone(),
                        comparable: row.tags.comparable,
                        why: row.tags.why.clone().unwrap_or_else(|| row.protocol.clone()),
                    });
                    let last = found.len() - 1;
                    &mut found[last]
                }
            };
            at.values.insert(row.metric, (row.value, row.printed.clone()));
        }
    }
    let all = found.clone();
    found.retain(|one| !all.iter().any(|other| repeats(one, other)));
    found.sort_by_key(|one| TABLE_IV.iter().position(|known| *known == one.method).unwrap_or(TABLE_IV.len()));
    found
}

/// Whether the same paper prints all numbers of `one` in another, longer row.
fn repeats(one: &PublishedMethod, other: &PublishedMethod) -> bool {
    one.paper == other.paper
        && one.method == other.method
        && one.values.len() < other.values.len()
        && one.values.iter().all(|(metric, value)| other.values.get(metric) == Some(value))
}
