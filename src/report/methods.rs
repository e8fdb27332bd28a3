//! The ranks of every method of an experiment over all users: what tests and figures are made from.

use std::num::NonZeroU32;

use super::{Error, Input};
use crate::eval::{Metric, RankList, Rung};
use crate::run::{Cell, RankingCell};

/// A method over all users.
pub(super) struct MethodRanks {
    /// Retriever, zero-shot or tuned.
    pub rung: Rung,
    /// One list a seed, all of the same users in the same order.
    pub lists: Vec<RankList>,
}

impl MethodRanks {
    /// A metric of every user, by seed.
    pub(super) fn values(&self, metric: Metric) -> Vec<Vec<f64>> {
        let of = |list: &RankList| list.ranks.iter().map(|rank| metric.of(*rank)).collect();
        self.lists.iter().map(of).collect()
    }
}

/// The retriever, and the models of the ranker through the read-out that counts, lowest rung first. Beside a ranker the retriever's
/// lists end at its candidates, so that all have the same users R. A model is there if it ranked all of R with every seed.
pub(super) fn method_ranks(input: &Input<'_>, retrieved: &[RankList]) -> Result<Vec<MethodRanks>, Error> {
    let cut =
        |(cell, list): (&Cell, &RankList)| list.cut(u32::try_from(cell.retrieval.k).unwrap_or(u32::MAX));
    let within: Vec<RankList> = input.cells.iter().zip(retrieved).map(cut).collect();
    let mut found = Vec::new();
    for rung in [Rung::ZeroShot, Rung::Tuned] {
        let lists: Option<Vec<RankList>> =
            input.rankings.iter().zip(&within).map(|(cell, list)| model(cell, rung, list)).collect();
        if let Some(lists) = lists.filter(|lists| lists.len() == within.len() && !lists.is_empty()) {
            found.push(MethodRanks { rung, lists });
        }
    }
    let lists = if input.rankings.is_empty() { retrieved.to_vec() } else { within };
    found.insert(0, MethodRanks { rung: Rung::Retriever, lists });
    Ok(found)
}

fn model(cell: &RankingCell, rung: Rung, retrieved: &RankList) -> Option<RankList> {
    let part = &cell.ranking.test;
    let reading = part.reading(rung, &cell.audit.read_out)?;
    if part.users.len() != retrieved.ranks.iter().flatten().count() {
        return None;
    }
    let mut ranks = vec![None; retrieved.n_users()];
    for (user, rank) in part.users.iter().zip(&reading.ranks) {
        *ranks.get_mut(*user as usize)? = NonZeroU32::new(*rank);
    }
    Some(RankList { ranks })
}
