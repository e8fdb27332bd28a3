//! What is measured, and on which candidates.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How ranks become a table, and how many candidates go to the second stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluationSpec {
    /// The k of every metric, ascending.
    pub cutoffs: Vec<u32>,
    /// Best-scored items of every user that make the candidate list R is defined on.
    pub candidates: u32,
    /// Over what the retriever's metrics are averaged.
    pub averaging: Averaging,
    /// Which items of a user's history cannot be retrieved.
    pub mask_history: HistoryMask,
}

/// Over what the retriever's metrics are averaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Averaging {
    /// Every user weighs the same.
    Users,
    /// Quirk: the mean of the means of batches of the retriever's batch size; a short last batch weighs too much.
    Batches,
}

/// Which items of a user's history cannot be retrieved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HistoryMask {
    /// Quirk: only those inside the window of the last `max_len` items.
    Window,
    /// All of them.
    All,
    /// None of them: what was seen can be recommended again.
    None,
}

/// Which of the three metrics of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SelectMetric {
    /// `[r <= k]`
    Recall,
    /// `[r <= k] / log2(r + 1)`
    Ndcg,
    /// `[r <= k] / r`
    Mrr,
}

/// A metric at a cutoff, written `recall@10`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SelectBy {
    /// The metric.
    pub metric: SelectMetric,
    /// Its k, at least 1.
    pub k: u32,
}

impl fmt::Display for SelectBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.metric {
            SelectMetric::Recall => "recall",
            SelectMetric::Ndcg => "ndcg",
            SelectMetric::Mrr => "mrr",
        };
        write!(f, "{kind}@{}", self.k)
    }
}

impl FromStr for SelectBy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "a metric such as \"recall@10\", \"ndcg@10\" or \"mrr@10\"".to_owned();
        let (kind, k) = text.split_once('@').ok_or_else(expected)?;
        let metric = match kind {
            "recall" => SelectMetric::Recall,
            "ndcg" => SelectMetric::Ndcg,
            "mrr" => SelectMetric::Mrr,
            _ => return Err(expected()),
        };
        let digits =
            !k.is_empty() && k.len() <= 4 && !k.starts_with('0') && k.bytes().all(|b| b.is_ascii_digit());
        let k = if digits { k.parse().map_err(|_| expected())? } else { return Err(expected()) };
        Ok(Self { metric, k })
    }
}

impl Serialize for SelectBy {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SelectBy {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
