//! Means of a line, over all users and over R.

use std::num::NonZeroU32;

use crate::compare::{Method, Run};
use crate::eval::{Metric, SeedSummary};
use crate::significance::{Crossed, Paired, SeedPairing, paired_t};

/// What intervals of means are to cover.
const LEVEL: f64 = 0.95;

/// The means of a method with each seed. A mean is a sum over ranks of (users with the rank) x (metric of the rank), so methods with
/// equally many users at every rank have the same bits.
#[derive(Debug, Clone, PartialEq)]
pub struct Means {
    seeds: Vec<Counts>,
}

#[derive(Debug, Clone, PartialEq)]
struct Counts {
    users: u64,
    retrieved: u64,
    /// Users with rank 1, 2, ...
    all: Vec<u64>,
    /// The same within the candidates.
    of_r: Vec<u64>,
}

impl Counts {
    fn of(run: &Run, candidates: u32, deepest: u32) -> Self {
        let mut all = vec![0u64; deepest.max(candidates) as usize];
        for rank in run.ranks.ranks.iter().flatten() {
            if let Some(count) = all.get_mut(rank.get() as usize - 1) {
                *count += 1;
            }
        }
        let of_r = all[..(candidates as usize).min(all.len())].to_vec();
        Self { users: run.ranks.n_users() as u64, retrieved: of_r.iter().sum(), all, of_r }
    }

    fn mean(counts: &[u64], metric: Metric, users: u64) -> Option<f64> {
        let each = counts.iter().zip(1u32..);
        let sum: f64 = each.map(|(count, rank)| *count as f64 * metric.of(NonZeroU32::new(rank))).sum();
        (users > 0).then(|| sum / users as f64)
    }
}

impl Means {
    /// Count the ranks of a method up to `deepest`, the largest cutoff.
    #[must_use]
    pub fn of(method: &Method, deepest: u32) -> Self {
        Self { seeds: method.runs.iter().map(|run| Counts::of(run, method.candidates, deepest)).collect() }
    }

    /// The mean over all users, equations 5 and 6 of the seed paper; who is not in R counts 0. `None` without users.
    #[must_use]
    pub fn overall(&self, metric: Metric) -> Option<SeedSummary> {
        self.over_seeds(|seed| Counts::mean(&seed.all, metric, seed.users))
    }

    /// The mean over R, equations 1 to 4 of the seed paper. `None` where a seed has nobody in R.
    #[must_use]
    pub fn over_r(&self, metric: Metric) -> Option<SeedSummary> {
        self.over_seeds(|seed| Counts::mean(&seed.of_r, metric, seed.retrieved))
    }

    /// |R|.
    #[must_use]
    pub fn retrieved(&self) -> Option<SeedSummary> {
        self.over_seeds(|seed| Some(seed.retrieved as f64))
    }

    fn over_seeds(&self, value: impl Fn(&Counts) -> Option<f64>) -> Option<SeedSummary> {
        SeedSummary::of(&self.seeds.iter().map(value).collect::<Option<Vec<f64>>>()?)
    }
}

/// By how many percent `value` is above `reference`, of the unrounded means: 100 (value - reference) / reference. `None` where the
/// reference is 0.
///
/// ```
/// use bench::paper::percent_gain;
/// assert_eq!(percent_gain(0.15, 0.12).map(|gain| gain.round()), Some(25.0));
/// assert_eq!(percent_gain(0.15, 0.0), None);
/// ```
#[must_use]
pub fn percent_gain(value: f64, reference: f64) -> Option<f64> {
    let gain = 100.0 * (value - reference) / reference;
    (reference > 0.0 && gain.is_finite()).then_some(gain)
}

/// The mean of unrounded percentages, one a metric, as the seed paper averages them. `None` if there is none, or one is missing.
///
/// ```
/// use bench::paper::mean_gain;
/// assert_eq!(mean_gain(&[Some(10.0), Some(20.0)]), Some(15.0));
/// assert_eq!(mean_gain(&[Some(10.0), None]), None);
/// ```
#[must_use]
pub fn mean_gain(gains: &[Option<f64>]) -> Option<f64> {
    let gains = gains.iter().copied().collect::<Option<Vec<f64>>>()?;
    (!gains.is_empty()).then(|| gains.iter().sum::<f64>() / gains.len() as f64)
}

/// The 95 % interval of a method's mean over all users: that of its difference from 0, by the crossed model of users and seeds where
/// there are two seeds, else by t over users. `None` without users.
pub(super) fn interval(method: &Method, metric: Metric) -> Option<(f64, f64)> {
    let values: Vec<Vec<f64>> =
        method.runs.iter().map(|run| run.ranks.ranks.iter().map(|rank| metric.of(*rank)).collect()).collect();
    let zeros = vec![vec![0.0; method.users()]; values.len()];
    let paired =
        Paired::new(&values, &zeros, SeedPairing::Shared).ok().filter(|paired| paired.users() > 1)?;
    let ends = match Crossed::of(&paired) {
        Some(crossed) => crossed.interval(LEVEL).ok()?,
        None => paired_t(&paired, LEVEL).1,
    };
    (ends.low.is_finite() && ends.high.is_finite()).then_some((ends.low, ends.high))
}
