//! The rungs between which a ranker's numbers stand.

use std::fmt;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::{Metric, SeedSummary};

/// One way to order the candidates of a user, from the floor to the ceiling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rung {
    /// A uniformly random order; its expected value, see [`expected_random`].
    Random,
    /// The retriever's order, best first: what the ranker starts from.
    Retriever,
    /// The language model as it was before training.
    ZeroShot,
    /// The language model after training.
    Tuned,
    /// The held-out item first: no ranker can do better with these candidates.
    Oracle,
}

impl Rung {
    /// The name in files and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Retriever => "retriever",
            Self::ZeroShot => "zero-shot",
            Self::Tuned => "tuned",
            Self::Oracle => "oracle",
        }
    }
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The expected metric of a user whose held-out item is one of `candidates` in a uniformly random order: the mean of the metric
/// over the ranks 1 to `candidates`. Exact, so there is no need to draw orders. 0 without candidates.
///
/// ```
/// use bench::eval::{Metric, MetricKind, expected_random};
/// // Five of twenty places are within a cutoff of 5.
/// assert_eq!(expected_random(Metric::new(MetricKind::Recall, 5), 20), 0.25);
/// // (1 + 1/2) / 4
/// assert_eq!(expected_random(Metric::new(MetricKind::Mrr, 2), 4), 0.375);
/// ```
#[must_use]
pub fn expected_random(metric: Metric, candidates: u32) -> f64 {
    let sum: f64 = (1..=candidates).map(|rank| metric.of(NonZeroU32::new(rank))).sum();
    sum / f64::from(candidates.max(1))
}

/// The share of the room above the retriever's order that a ranker gained: (ranker - retriever) / (oracle - retriever). 1 is a
/// perfect order, 0 the retriever's, less than 0 a worse one. `None` where the retriever leaves no room.
///
/// It is the same over R and over all users: outside of R all three are 0, so both differences shrink by |R| / |U|.
#[must_use]
pub fn headroom_gained(ranker: f64, retriever: f64, oracle: f64) -> Option<f64> {
    (oracle > retriever).then(|| (ranker - retriever) / (oracle - retriever))
}

/// One number a seed, where every seed has one.
#[must_use]
pub fn over_seeds(values: impl IntoIterator<Item = Option<f64>>) -> Option<SeedSummary> {
    SeedSummary::of(&values.into_iter().collect::<Option<Vec<f64>>>()?)
}
