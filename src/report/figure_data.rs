//! What figures are drawn from, so that each can be drawn again from `results.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::methods::MethodRanks;
use super::strata::{Breakdown, Strata, breakdowns};
use super::{Error, Input};
use crate::eval::{Metric, MetricKind, RankList, Rung};
use crate::run::Cell;
use crate::significance::{Crossed, Paired, SeedPairing, paired_t};

/// The numbers of the figures, in full precision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FigureData {
    /// What the intervals are to cover.
    pub level: f64,
    /// The metric of figures that show only one: NDCG@10, or NDCG at the largest cutoff.
    pub metric: Metric,
    /// Each method over all users of the test: the retriever, and the models of the ranker where all of R were ranked.
    pub methods: Vec<MethodData>,
    /// `metric` by groups of users; empty where the data were not there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub breakdowns: Vec<Breakdown>,
}

/// One method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MethodData {
    /// Which.
    pub rung: Rung,
    /// Means over users and seeds.
    pub overall: BTreeMap<Metric, Interval>,
    /// Users whose held-out item has rank 1, 2, .. up to the number of candidates, all seeds together.
    pub rank_counts: Vec<u64>,
    /// The sum of |R| over the seeds.
    pub retrieved: u64,
}

/// A mean with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The mean over seeds of the means over users.
    pub mean: f64,
    /// The lower end, not below 0; `None` for fewer than two users.
    pub low: Option<f64>,
    /// The upper end, not above 1.
    pub high: Option<f64>,
}

/// What intervals are to cover.
pub(super) const LEVEL: f64 = 0.95;

impl Interval {
    /// Of the values of a metric, one list of users a seed: the t interval of users and seeds
    /// ([`Crossed`]), or that of users alone for one seed; cut to 0 and 1, beyond which no metric goes.
    pub(super) fn of(table: &[Vec<f64>]) -> Result<Self, Error> {
        let zeros: Vec<Vec<f64>> = table.iter().map(|users| vec![0.0; users.len()]).collect();
        let paired = Paired::new(table, &zeros, SeedPairing::Shared)?;
        let mean = paired.means().0;
        let ends = match Crossed::of(&paired) {
            Some(crossed) => crossed.interval(LEVEL)?,
            None => paired_t(&paired, LEVEL).1,
        };
        let some = paired.users() > 1;
        let end = |value: f64| (some && value.is_finite()).then_some(value.clamp(0.0, 1.0));
        Ok(Self { mean, low: end(ends.low), high: end(ends.high) })
    }
}

/// The metric of figures that show only one.
pub(super) fn headline(metrics: &[Metric]) -> Option<Metric> {
    let ten = Metric::new(MetricKind::Ndcg, 10);
    let largest = metrics.iter().copied().filter(|metric| metric.kind == MetricKind::Ndcg).max();
    if metrics.contains(&ten) { Some(ten) } else { largest }
}

pub(super) fn figure_data(
    input: &Input<'_>,
    methods: &[MethodRanks],
    metrics: &[Metric],
    candidates: u32,
) -> Result<Option<FigureData>, Error> {
    let Some(metric) = headline(metrics) else { return Ok(None) };
    let mut found = Vec::new();
    for method in methods {
        let mut overall = BTreeMap::new();
        for metric in metrics {
            overall.insert(*metric, Interval::of(&method.values(*metric))?);
        }
        let mut rank_counts = vec![0; candidates as usize];
        for rank in method.lists.iter().flat_map(|list| list.ranks.iter().flatten()) {
            if let Some(count) = rank_counts.get_mut(rank.get() as usize - 1) {
                *count += 1;
            }
        }
        let retrieved = rank_counts.iter().sum();
        found.push(MethodData { rung: method.rung, overall, rank_counts, retrieved });
    }
    let same_users = |strata: &Strata<'_>| {
        let users = |cell: &Cell| cell.retrieval.test.n_users();
        input.cells.iter().all(|cell| users(cell) == strata.history.len())
            && strata.history.len() == strata.popularity.len()
    };
    let breakdowns = match input.strata.as_ref().filter(|strata| same_users(strata)) {
        Some(strata) => breakdowns(strata, methods, metric)?,
        None => Vec::new(),
    };
    Ok(Some(FigureData { level: LEVEL, metric, methods: found, breakdowns }))
}

impl FigureData {
    /// A method.
    #[must_use]
    pub fn method(&self, rung: Rung) -> Option<&MethodData> {
        self.methods.iter().find(|method| method.rung == rung)
    }
}

/// The users of some lists at these places.
pub(super) fn at(lists: &[RankList], users: &[usize], metric: Metric) -> Vec<Vec<f64>> {
    let of = |list: &RankList| users.iter().map(|user| metric.of(list.ranks[*user])).collect();
    lists.iter().map(of).collect()
}
