//! Several seeds of one experiment: spread over seeds and over users, kept apart.

use serde::{Deserialize, Serialize};

use super::averaging::{mean, sample_sd};
use super::table::per_user;
use super::{Averaging, Metric, RankList};

/// One number over the seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SeedSummary {
    /// Number of seeds.
    pub n: usize,
    /// Mean over seeds.
    pub mean: f64,
    /// Standard deviation over seeds, with `n - 1`; `None` for one seed.
    pub sd: Option<f64>,
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
}

impl SeedSummary {
    /// Summarise one value a seed; `None` for no value.
    ///
    /// ```
    /// use bench::eval::SeedSummary;
    /// let s = SeedSummary::of(&[1.0, 2.0, 3.0]).unwrap();
    /// assert_eq!((s.mean, s.sd, s.min, s.max), (2.0, Some(1.0), 1.0, 3.0));
    /// assert_eq!(SeedSummary::of(&[1.0]).unwrap().sd, None);
    /// ```
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        let min = values.iter().copied().reduce(f64::min)?;
        let max = values.iter().copied().reduce(f64::max)?;
        Some(Self { n: values.len(), mean: mean(values), sd: sample_sd(values), min, max })
    }

    /// The standard error of the mean over seeds, `sd / sqrt(n)`; `None` for one seed.
    #[must_use]
    pub fn se(&self) -> Option<f64> {
        self.sd.map(|sd| sd / (self.n as f64).sqrt())
    }
}

/// A mean over users and seeds with the two sources of its uncertainty. Seeds are not users: more seeds make
/// `se_seeds` small and leave `se_users` where it is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TwoLevel {
    /// The mean over seeds of the mean over users, with its spread over seeds.
    pub seeds: SeedSummary,
    /// Standard error over users of that mean: from the spread over users of each user's mean over seeds.
    pub se_users: f64,
    /// Standard error over users of a single run: the mean over seeds of each run's own.
    pub se_users_one_seed: f64,
    /// Standard error over seeds, `sd / sqrt(n)`; `None` for one seed.
    pub se_seeds: Option<f64>,
}

impl TwoLevel {
    /// Both together, `sqrt(se_users^2 + se_seeds^2)`; one seed says nothing about the spread over seeds, so then
    /// this is `se_users` alone and the report says so.
    #[must_use]
    pub fn se_both(&self) -> f64 {
        self.se_users.hypot(self.se_seeds.unwrap_or(0.0))
    }
}

/// A metric over seeds and users. All lists must hold the same users in the same order.
/// `None` if there is no list or the lists differ in length.
#[must_use]
pub fn two_level(lists: &[RankList], metric: Metric, averaging: Averaging) -> Option<TwoLevel> {
    let n_users = lists.first()?.n_users();
    if lists.iter().any(|list| list.n_users() != n_users) {
        return None;
    }
    let table: Vec<Vec<f64>> = lists.iter().map(|list| per_user(list, metric)).collect();
    two_level_of(&table, averaging)
}

/// The same of any number a user: one list a seed, the same users in the same order in each.
/// `None` if there is no list or the lists differ in length.
#[must_use]
pub fn two_level_of(table: &[Vec<f64>], averaging: Averaging) -> Option<TwoLevel> {
    let n_users = table.first()?.len();
    if table.iter().any(|list| list.len() != n_users) {
        return None;
    }
    let values: Vec<f64> = table.iter().map(|users| averaging.mean(users)).collect();
    let errors: Vec<f64> = table.iter().map(|users| averaging.standard_error(users)).collect();
    let users: Vec<f64> = (0..n_users)
        .map(|user| table.iter().map(|seed| seed[user]).sum::<f64>() / table.len() as f64)
        .collect();
    let seeds = SeedSummary::of(&values)?;
    Some(TwoLevel {
        seeds,
        se_users: averaging.standard_error(&users),
        se_users_one_seed: mean(&errors),
        se_seeds: seeds.se(),
    })
}
