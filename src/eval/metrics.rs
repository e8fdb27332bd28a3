//! The three metrics for one user, and their names.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Recall@k of one held-out item, also called hit rate: `[r <= k]`.
///
/// Source: LlamaRec (arXiv 2311.02089) section 4.1; with one relevant item, recall and hit rate are the same.
///
/// ```
/// use std::num::NonZeroU32;
/// use bench::eval::recall_at;
/// assert_eq!(recall_at(NonZeroU32::new(5), 5), 1.0);
/// assert_eq!(recall_at(NonZeroU32::new(6), 5), 0.0);
/// assert_eq!(recall_at(None, 5), 0.0); // not retrieved
/// ```
#[must_use]
pub fn recall_at(rank: Option<NonZeroU32>, k: u32) -> f64 {
    if within(rank, k).is_some() { 1.0 } else { 0.0 }
}

/// MRR@k, the reciprocal rank cut at k: `[r <= k] / r`.
///
/// Source: Voorhees, "The TREC-8 Question Answering Track Report" (1999), cut at k.
///
/// ```
/// use std::num::NonZeroU32;
/// use bench::eval::mrr_at;
/// assert_eq!(mrr_at(NonZeroU32::new(4), 5), 0.25);
/// assert_eq!(mrr_at(NonZeroU32::new(6), 5), 0.0);
/// ```
#[must_use]
pub fn mrr_at(rank: Option<NonZeroU32>, k: u32) -> f64 {
    within(rank, k).map_or(0.0, |r| 1.0 / r)
}

/// NDCG@k of one relevant item: `[r <= k] / log2(r + 1)`; the ideal DCG is 1.
///
/// Source: Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques" (TOIS 2002), with the
/// discount `log2(r + 1)` and binary gain that LlamaRec (arXiv 2311.02089) uses.
///
/// ```
/// use std::num::NonZeroU32;
/// use bench::eval::ndcg_at;
/// assert_eq!(ndcg_at(NonZeroU32::new(1), 5), 1.0);
/// assert_eq!(ndcg_at(NonZeroU32::new(3), 5), 0.5); // 1 / log2(4)
/// assert_eq!(ndcg_at(NonZeroU32::new(7), 5), 0.0);
/// ```
#[must_use]
pub fn ndcg_at(rank: Option<NonZeroU32>, k: u32) -> f64 {
    within(rank, k).map_or(0.0, |r| 1.0 / (r + 1.0).log2())
}

fn within(rank: Option<NonZeroU32>, k: u32) -> Option<f64> {
    rank.map(NonZeroU32::get).filter(|r| *r <= k).map(f64::from)
}

/// Which of the three metrics, in the order of the papers' rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MetricKind {
    /// See [`mrr_at`].
    Mrr,
    /// See [`ndcg_at`].
    Ndcg,
    /// See [`recall_at`].
    Recall,
}

impl MetricKind {
    /// All three, in the papers' order.
    pub const ALL: [Self; 3] = [Self::Mrr, Self::Ndcg, Self::Recall];

    /// The name in full.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mrr => "MRR",
            Self::Ndcg => "NDCG",
            Self::Recall => "Recall",
        }
    }
}

/// A metric at a cutoff. Sorts as the papers print: by cutoff, then M, N, R.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Metric {
    /// The cutoff, at least 1.
    pub k: u32,
    /// Which metric.
    pub kind: MetricKind,
}

impl Metric {
    /// A metric at a cutoff.
    #[must_use]
    pub const fn new(kind: MetricKind, k: u32) -> Self {
        Self { k, kind }
    }

    /// The metric of one user.
    #[must_use]
    pub fn of(self, rank: Option<NonZeroU32>) -> f64 {
        match self.kind {
            MetricKind::Mrr => mrr_at(rank, self.k),
            MetricKind::Ndcg => ndcg_at(rank, self.k),
            MetricKind::Recall => recall_at(rank, self.k),
        }
    }

    /// The papers' short name, such as `N@10`.
    #[must_use]
    pub fn short(self) -> String {
        format!("{}@{}", &self.kind.name()[..1], self.k)
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.kind.name(), self.k)
    }
}

/// A text that names no metric.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a metric; expected MRR@k, NDCG@k or Recall@k (or M@k, N@k, R@k) with k of 1 or more")]
pub struct UnknownMetric(pub String);

impl FromStr for Metric {
    type Err = UnknownMetric;

    /// `NDCG@10`, `ndcg@10` or `N@10`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || UnknownMetric(text.to_owned());
        let (name, k) = text.split_once('@').ok_or_else(unknown)?;
        let kind = match name.to_ascii_lowercase().as_str() {
            "mrr" | "m" => MetricKind::Mrr,
            "ndcg" | "n" => MetricKind::Ndcg,
            "recall" | "r" => MetricKind::Recall,
            _ => return Err(unknown()),
        };
        match k.parse() {
            Ok(k) if k >= 1 => Ok(Self { k, kind }),
            _ => Err(unknown()),
        }
    }
}

impl Serialize for Metric {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Metric {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
