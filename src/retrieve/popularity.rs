//! The most frequent training items first: what any retriever has to beat.

use super::catalogue::{masked, walk};
use super::{Error, Query, Retrieved, Retriever};
use crate::data::{ItemId, Split};

/// Items by how often they occur in the training part of the split.
pub struct Popularity {
    /// Occurrences of item `i + 1`.
    counts: Vec<u32>,
    /// Item ids, best first; equal counts by ascending id.
    order: Vec<u32>,
}

impl Popularity {
    /// Count the training items.
    #[must_use]
    pub fn fit(split: &Split) -> Self {
        let mut counts = vec![0u32; split.n_items];
        for item in split.train.iter().flatten() {
            counts[item.index()] += 1;
        }
        let mut order: Vec<u32> = (1..=split.n_items as u32).collect();
        order.sort_by_key(|item| std::cmp::Reverse(counts[*item as usize - 1]));
        Self { counts, order }
    }

    fn count(&self, item: u32) -> u32 {
        self.counts[item as usize - 1]
    }

    fn is_tied(&self, target: ItemId, masked: &[u32]) -> bool {
        let count = self.counts[target.index()];
        masked.binary_search(&target.get()).is_err()
            && self
                .order
                .iter()
                .skip_while(|item| self.count(**item) > count)
                .take_while(|item| self.count(**item) == count)
                .any(|item| *item != target.get() && masked.binary_search(item).is_err())
    }
}

impl Retriever for Popularity {
    fn retrieve(&self, query: &Query<'_>) -> Result<Retrieved, Error> {
        let (k, items) = (query.k, self.counts.len());
        if k > items {
            return Err(Error::TooFewItems { k, items });
        }
        let mut retrieved = Retrieved { k, ..Retrieved::default() };
        for (history, &target) in query.histories.iter().zip(query.targets) {
            // There is no window here, so the whole history is what HistoryMask::Window means.
            let masked = masked(history, query.mask, usize::MAX);
            let (best, rank) = walk(&self.order, &masked, target, k);
            let score = |item: &u32| {
                let open = masked.binary_search(item).is_err();
                if open { self.count(*item) as f32 } else { super::catalogue::MASKED }
            };
            retrieved.scores.extend(best.iter().map(score));
            retrieved.candidates.extend(best);
            retrieved.ranks.push(rank);
            retrieved.tied_users += u64::from(self.is_tied(target, &masked));
        }
        Ok(retrieved)
    }
}
