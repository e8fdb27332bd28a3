//! The ordered lists of a seed, stage by stage.

use std::cmp::Ordering;

use super::Seed;
use crate::eval::Rung;
use crate::run::StoredPart;

/// One way to order the candidates of users: a stage, and of a ranking a model and a read-out.
#[derive(Debug, Clone, Copy)]
pub struct Listing<'a> {
    /// The seed.
    pub seed: u64,
    /// `validation` or `test`.
    pub part: &'static str,
    /// `retrieval` or `ranking`.
    pub stage: &'static str,
    /// Whose order.
    pub rung: Rung,
    /// Through which token ids the letters were read; `None` for the retriever.
    pub read_out: Option<&'a str>,
    /// Candidates of a user.
    pub k: usize,
    /// The users by place in the split, ascending; `None` for all of them.
    users: Option<&'a [u32]>,
    candidates: &'a [u32],
    scores: &'a [f32],
    /// Rank of each user's target: over the whole catalogue for the retriever, among the candidates for a ranker.
    ranks: &'a [u32],
    /// The first stage of the same seed and part, which has every user.
    pub retrieval: &'a StoredPart,
}

/// One user of a listing.
#[derive(Debug, Clone)]
pub struct Ordered {
    /// Place of the user in the split, from 0.
    pub user: u32,
    /// Item ids, best first, with their scores; equal scores by ascending id.
    pub items: Vec<(u32, f32)>,
}

impl<'a> Listing<'a> {
    /// All lists of a seed: validation first, the retriever's first.
    #[must_use]
    pub fn of(seed: Seed<'a>) -> Vec<Self> {
        let Seed { retrieval, ranking } = seed;
        let mut found = Vec::new();
        for part in ["validation", "test"] {
            let stored = &retrieval.retrieval;
            let first = if part == "test" { &stored.test } else { &stored.validation };
            found.push(Self {
                seed: retrieval.manifest.seed,
                part,
                stage: "retrieval",
                rung: Rung::Retriever,
                read_out: None,
                k: stored.k,
                users: None,
                candidates: &first.candidates,
                scores: &first.scores,
                ranks: &first.ranks,
                retrieval: first,
            });
            let Some(ranking) = ranking else { continue };
            let second = if part == "test" { &ranking.ranking.test } else { &ranking.ranking.validation };
            found.extend(second.readings.iter().map(|reading| Self {
                seed: ranking.manifest.seed,
                part,
                stage: "ranking",
                rung: reading.rung,
                read_out: Some(&reading.read_out),
                k: ranking.ranking.k,
                users: Some(&second.users),
                candidates: &second.candidates,
                scores: &reading.scores,
                ranks: &reading.ranks,
                retrieval: first,
            }));
        }
        found
    }

    /// The users that were ranked, each with its list.
    pub fn lists(&self) -> impl Iterator<Item = Ordered> + '_ {
        let k = self.k.max(1);
        self.candidates.chunks(k).zip(self.scores.chunks(k)).enumerate().map(move |(row, (items, scores))| {
            let mut items: Vec<(u32, f32)> = items.iter().copied().zip(scores.iter().copied()).collect();
            if self.users.is_some() {
                // A prompt shows them in an order of its own.
                items.sort_by(|a, b| b.1.partial_cmp(&a.1).unwrap_or(Ordering::Equal).then(a.0.cmp(&b.0)));
            }
            Ordered { user: self.users.map_or(row as u32, |users| users[row]), items }
        })
    }

    /// For every user of the split the rank of the target; `None` for who was not ranked.
    #[must_use]
    pub fn ranks(&self) -> Vec<Option<u32>> {
        let Some(users) = self.users else { return self.ranks.iter().copied().map(Some).collect() };
        let mut all = vec![None; self.retrieval.n_users()];
        for (user, rank) in users.iter().zip(self.ranks) {
            if let Some(place) = all.get_mut(*user as usize) {
                *place = Some(*rank);
            }
        }
        all
    }

    /// A name for files: `retrieval`, or `ranking.tuned.in-context`.
    #[must_use]
    pub fn name(&self) -> String {
        match self.read_out {
            Some(read_out) => format!("{}.{}.{read_out}", self.stage, self.rung),
            None => self.stage.to_owned(),
        }
    }
}
