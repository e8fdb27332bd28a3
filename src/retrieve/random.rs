//! A random order of the catalogue for every user: the floor of every table.

use rand_pcg::Pcg64;
use rayon::prelude::*;

use super::catalogue::{MASKED, masked, walk};
use super::{Error, Query, Retrieved, Retriever};
use crate::nn::init::permutation;
use crate::seed::Seed;

/// A permutation of the catalogue for each user, from the seed and the user's place in the query.
pub struct RandomOrder {
    seed: Seed,
    items: usize,
}

impl RandomOrder {
    /// Orders of `items` items.
    #[must_use]
    pub fn new(seed: Seed, items: usize) -> Self {
        Self { seed, items }
    }

    fn order(&self, user: usize) -> Vec<u32> {
        let mut stream: Pcg64 = self.seed.stream(&format!("retriever/random/{user}"));
        let mut order = permutation(&mut stream, self.items);
        order.iter_mut().for_each(|item| *item += 1);
        order
    }
}

impl Retriever for RandomOrder {
    fn retrieve(&self, query: &Query<'_>) -> Result<Retrieved, Error> {
        let (k, items) = (query.k, self.items);
        if k > items {
            return Err(Error::TooFewItems { k, items });
        }
        let one = |user: usize| {
            let masked = masked(&query.histories[user], query.mask, usize::MAX);
            let (best, rank) = walk(&self.order(user), &masked, query.targets[user], k);
            // The score is minus the place, so no two unmasked items tie.
            let score = |(place, item): (usize, &u32)| {
                if masked.binary_search(item).is_ok() { MASKED } else { -(place as f32) }
            };
            let scores: Vec<f32> = best.iter().enumerate().map(score).collect();
            (best, scores, rank)
        };
        let users: Vec<_> = (0..query.histories.len()).into_par_iter().map(one).collect();
        let mut retrieved = Retrieved { k, ..Retrieved::default() };
        for (best, scores, rank) in users {
            retrieved.candidates.extend(best);
            retrieved.scores.extend(scores);
            retrieved.ranks.push(rank);
        }
        Ok(retrieved)
    }
}
