//! The values of two methods on the same users.

use serde::{Deserialize, Serialize};

use super::SignificanceError;
use crate::eval::{Metric, RankList};

/// Whether run s of A and run s of B have something in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeedPairing {
    /// The same seed gave both methods the same candidates (two rankers on one retriever), so they are compared seed by seed. Right
    /// as well, only with fewer degrees of freedom, where equal seeds mean nothing: any pairing of independent runs is one.
    Shared,
    /// The seeds of A and of B are independent trainings; they may differ in number.
    Independent,
}

/// Two methods, the same users in the same order, one value a user and seed. Finite by construction.
#[derive(Debug, Clone, PartialEq)]
pub struct Paired {
    pub(super) a: Vec<Vec<f64>>,
    pub(super) b: Vec<Vec<f64>>,
    pub(super) pairing: SeedPairing,
    users: usize,
    /// A - B of each user's means over seeds, as multiples of `unit`.
    steps: Vec<i64>,
    unit: f64,
    /// The same over the common denominator of both numbers of seeds, if all values are 0 or 1.
    hits: Option<Vec<i64>>,
}

/// Differences are rounded to 2^-40 of the largest value, so that equal differences are equal whatever sums they came from.
const STEPS: f64 = (1u64 << 40) as f64;

impl Paired {
    /// Values of one metric: `a[seed][user]` and `b[seed][user]`.
    ///
    /// # Errors
    /// If a method has no seed, runs differ in their number of users, shared seeds differ in number, or a value is not finite. No
    /// users at all is no error.
    pub fn new(a: &[Vec<f64>], b: &[Vec<f64>], pairing: SeedPairing) -> Result<Self, SignificanceError> {
        let expected = a.first().ok_or(SignificanceError::NoSeeds { method: 'A' })?.len();
        for (method, runs) in [('A', a), ('B', b)] {
            if runs.is_empty() {
                return Err(SignificanceError::NoSeeds { method });
            }
            for (seed, run) in runs.iter().enumerate() {
                if run.len() != expected {
                    return Err(SignificanceError::Users { method, seed, found: run.len(), expected });
                }
                if let Some(user) = run.iter().position(|value| !value.is_finite()) {
                    return Err(SignificanceError::NotFinite { method, seed, user, value: run[user] });
                }
            }
        }
        if pairing == SeedPairing::Shared && a.len() != b.len() {
            return Err(SignificanceError::Seeds { a: a.len(), b: b.len() });
        }
        Ok(Self::of_checked(a.to_vec(), b.to_vec(), pairing, expected))
    }

    /// One metric of ranked users: one list a seed, the same users in the same order.
    ///
    /// # Errors
    /// As [`Paired::new`].
    pub fn of_ranks(
        a: &[RankList],
        b: &[RankList],
        metric: Metric,
        pairing: SeedPairing,
    ) -> Result<Self, SignificanceError> {
        let values = |lists: &[RankList]| -> Vec<Vec<f64>> {
            lists.iter().map(|list| list.ranks.iter().map(|rank| metric.of(*rank)).collect()).collect()
        };
        Self::new(&values(a), &values(b), pairing)
    }

    fn of_checked(a: Vec<Vec<f64>>, b: Vec<Vec<f64>>, pairing: SeedPairing, users: usize) -> Self {
        let values = || a.iter().chain(&b).flatten();
        let largest = values().fold(0.0f64, |most, value| most.max(value.abs()));
        let unit = if largest > 0.0 { largest / STEPS } else { 1.0 };
        let sums = |runs: &[Vec<f64>]| -> Vec<f64> {
            (0..users).map(|user| runs.iter().map(|run| run[user]).sum()).collect()
        };
        let (sums_a, sums_b) = (sums(&a), sums(&b));
        let (seeds_a, seeds_b) = (a.len() as f64, b.len() as f64);
        let means = sums_a.iter().zip(&sums_b).map(|(x, y)| x / seeds_a - y / seeds_b);
        let steps = means.map(|difference| (difference / unit).round() as i64).collect();
        // Sums of zeros and ones are exact.
        let hits = values()
            .all(|value| *value == 0.0 || *value == 1.0)
            .then(|| sums_a.iter().zip(&sums_b).map(|(x, y)| (x * seeds_b - y * seeds_a) as i64).collect());
        Self { a, b, pairing, users, steps, unit, hits }
    }

    /// The same with A and B exchanged.
    #[must_use]
    pub fn swapped(&self) -> Self {
        Self::of_checked(self.b.clone(), self.a.clone(), self.pairing, self.users)
    }

    /// Number of users.
    #[must_use]
    pub fn users(&self) -> usize {
        self.users
    }

    /// Number of seeds of A and of B.
    #[must_use]
    pub fn seeds(&self) -> (usize, usize) {
        (self.a.len(), self.b.len())
    }

    /// Whether the seeds are shared.
    #[must_use]
    pub fn pairing(&self) -> SeedPairing {
        self.pairing
    }

    /// A - B of each user's means over seeds, rounded to 2^-40 of the largest value.
    #[must_use]
    pub fn differences(&self) -> Vec<f64> {
        self.steps.iter().map(|steps| *steps as f64 * self.unit).collect()
    }

    /// The mean over seeds and users of A and of B; 0 without users.
    #[must_use]
    pub fn means(&self) -> (f64, f64) {
        let mean = |runs: &[Vec<f64>]| {
            let sum: f64 = runs.iter().map(|run| run.iter().sum::<f64>()).sum();
            sum / (runs.len() * self.users.max(1)) as f64
        };
        (mean(&self.a), mean(&self.b))
    }

    /// The differences in whole units, and the unit.
    pub(super) fn steps(&self) -> (&[i64], f64) {
        (&self.steps, self.unit)
    }

    /// For values that are all 0 or 1: (hits of A) x (seeds of B) - (hits of B) x (seeds of A) of each user. `None` for others.
    #[must_use]
    pub fn hits(&self) -> Option<&[i64]> {
        self.hits.as_deref()
    }
}
