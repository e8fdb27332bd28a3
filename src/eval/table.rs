//! All metrics of one rank list.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Averaging, Metric, MetricKind, RankList};

/// A mean and what sampling the users does to it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The mean.
    pub value: f64,
    /// Its standard error over users: the standard deviation of the users' metrics (with `n - 1`) over `sqrt(n)`.
    pub se_users: f64,
}

/// The metrics of one rank list: M, N and R at every cutoff, and Recall at the number of candidates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricTable {
    /// Users that were averaged over.
    pub n_users: usize,
    /// |R|: those whose held-out item is among the candidates.
    pub n_retrieved: usize,
    /// Length of the candidate list.
    pub candidates: u32,
    /// How users were averaged.
    pub averaging: Averaging,
    /// The metrics, in the papers' order.
    pub values: BTreeMap<Metric, Estimate>,
}

/// The metrics of a table in order: M, N, R at each cutoff, then Recall at `candidates`.
#[must_use]
pub fn paper_metrics(cutoffs: &[u32], candidates: u32) -> Vec<Metric> {
    let mut metrics: Vec<Metric> =
        cutoffs.iter().flat_map(|k| MetricKind::ALL.map(|kind| Metric::new(kind, *k))).collect();
    metrics.push(Metric::new(MetricKind::Recall, candidates));
    metrics.sort_unstable();
    metrics.dedup();
    metrics
}

impl MetricTable {
    /// The metrics over all users. A list that was cut at `candidates` and one over the whole catalogue give the
    /// same for every cutoff up to `candidates`.
    #[must_use]
    pub fn overall(ranks: &RankList, cutoffs: &[u32], candidates: u32, averaging: Averaging) -> Self {
        let values = paper_metrics(cutoffs, candidates)
            .into_iter()
            .map(|metric| {
                let users = per_user(ranks, metric);
                let estimate =
                    Estimate { value: averaging.mean(&users), se_users: averaging.standard_error(&users) };
                (metric, estimate)
            })
            .collect();
        let n_retrieved = ranks.hits(candidates);
        Self { n_users: ranks.n_users(), n_retrieved, candidates, averaging, values }
    }

    /// The metrics over R only, the users whose held-out item is among the candidates (equations 1 to 4 of the seed
    /// paper), each user weighing the same. `None` if R is empty.
    #[must_use]
    pub fn ranker_only(ranks: &RankList, cutoffs: &[u32], candidates: u32) -> Option<Self> {
        let retrieved =
            ranks.cut(candidates).only(|user| ranks.ranks[user].is_some_and(|r| r.get() <= candidates));
        (retrieved.n_users() > 0).then(|| Self::overall(&retrieved, cutoffs, candidates, Averaging::Users))
    }

    /// The mean of a metric, if the table has it.
    #[must_use]
    pub fn get(&self, metric: Metric) -> Option<f64> {
        self.values.get(&metric).map(|estimate| estimate.value)
    }
}

/// One metric of every user, in order.
pub(super) fn per_user(ranks: &RankList, metric: Metric) -> Vec<f64> {
    ranks.ranks.iter().map(|rank| metric.of(*rank)).collect()
}
