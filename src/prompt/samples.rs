//! Which items a prompt shows: training samples drawn on demand, and the retriever's candidates.

use rand::{Rng, RngExt};

use super::error::Error;
use crate::data::{ItemId, Part, Split};
use crate::experiment::{CandidateOrder, RankerSpec};
use crate::seed::Seed;

/// A prompt's items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample<'a> {
    /// Index of the user in the split.
    pub user: usize,
    /// All that came before the target, in time order; a prompt shows the last of it.
    pub history: &'a [ItemId],
    /// The candidates in the order in which they are shown.
    pub candidates: Vec<ItemId>,
    /// Which candidate is the target, from 0.
    pub answer: usize,
}

/// All training samples of a split: one for each prefix (of two or more) of each user's training items, whose last item is the
/// target (protocol, section 4).
///
/// Nothing is drawn in advance: a sample's negatives and their order come from a random stream of its own, named by epoch
/// and index, so any sample of any epoch can be made again alone.
#[derive(Debug)]
pub struct TrainingSamples<'a> {
    split: &'a Split,
    seed: Seed,
    negatives: usize,
    with_repetition: bool,
    from_future: bool,
    /// (users + 1) index of each user's first sample.
    starts: Vec<usize>,
    seen: Vec<Seen>,
}

/// A user's items and when each first came.
#[derive(Debug)]
struct Seen {
    /// Item and its first position, by item.
    first: Vec<(ItemId, u32)>,
    /// The first positions, ascending.
    positions: Vec<u32>,
}

impl Seen {
    fn new(items: &[ItemId]) -> Self {
        let mut first: Vec<_> = items.iter().enumerate().map(|(at, &item)| (item, at as u32)).collect();
        first.sort_unstable();
        first.dedup_by_key(|(item, _)| *item);
        let mut positions: Vec<u32> = first.iter().map(|(_, at)| *at).collect();
        positions.sort_unstable();
        Self { first, positions }
    }

    /// Whether `item` is among the first `length` items.
    fn contains(&self, item: ItemId, length: usize) -> bool {
        match self.first.binary_search_by_key(&item, |(item, _)| *item) {
            Ok(at) => (self.first[at].1 as usize) < length,
            Err(_) => false,
        }
    }

    /// How many different items are among the first `length`.
    fn distinct(&self, length: usize) -> usize {
        self.positions.partition_point(|&at| (at as usize) < length)
    }
}

impl<'a> TrainingSamples<'a> {
    /// The samples of `split`. What negatives may be is in `spec`: `negatives`, `negatives_with_repetition`, and
    /// `negatives_from_future`, which without the quirk keeps the user's later training items out. The held-out items may
    /// always be drawn: to leave them out would tell what they are.
    ///
    /// # Errors
    /// [`Error::NothingToTrain`], and [`Error::TooFewNegatives`] for the first user with too few other items.
    pub fn new(split: &'a Split, spec: &RankerSpec, seed: Seed) -> Result<Self, Error> {
        let mut samples = Self {
            split,
            seed,
            negatives: spec.negatives as usize,
            with_repetition: spec.negatives_with_repetition,
            from_future: spec.negatives_from_future,
            starts: Vec::with_capacity(split.train.len() + 1),
            seen: split.train.iter().map(|items| Seen::new(items)).collect(),
        };
        samples.starts.push(0);
        let needed = if samples.with_repetition { 1 } else { samples.negatives };
        for (user, items) in split.train.iter().enumerate() {
            let count = items.len().saturating_sub(1);
            samples.starts.push(samples.starts[user] + count);
            let outside = split.n_items.saturating_sub(samples.seen[user].distinct(items.len()));
            if count > 0 && outside < needed {
                return Err(Error::TooFewNegatives {
                    negatives: samples.negatives,
                    user,
                    outside,
                    items: split.n_items,
                    what: "the training items",
                });
            }
        }
        if samples.is_empty() {
            return Err(Error::NothingToTrain);
        }
        Ok(samples)
    }

    /// How many samples an epoch has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts[self.starts.len() - 1]
    }

    /// Whether there is none; never so for one that [`TrainingSamples::new`] made.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The order of the samples in `epoch`: a permutation of their indices.
    #[must_use]
    pub fn order(&self, epoch: u32) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.len() as u32).collect();
        shuffle(&mut self.seed.stream(&format!("ranker/order/{epoch}")), &mut order);
        order
    }

    /// The sample at `index` with the negatives of `epoch`.
    ///
    /// # Panics
    /// When there is no such sample.
    #[must_use]
    pub fn sample(&self, epoch: u32, index: usize) -> Sample<'a> {
        assert!(index < self.len(), "sample {index} of {}", self.len());
        let user = self.starts.partition_point(|&start| start <= index) - 1;
        let items = &self.split.train[user];
        let length = index - self.starts[user] + 2;
        let (history, target) = (&items[..length - 1], items[length - 1]);
        let excluded = if self.from_future { length } else { items.len() };
        let mut rng = self.seed.stream(&format!("ranker/negatives/{epoch}/{index}"));
        let mut candidates = Vec::with_capacity(self.negatives + 1);
        candidates.push(target);
        self.draw(&mut rng, user, excluded, &mut candidates);
        shuffle(&mut rng, &mut candidates);
        let answer = candidates.iter().position(|&item| item == target).unwrap_or_default();
        Sample { user, history, candidates, answer }
    }

    /// Add negatives to `candidates`: items outside the user's first `excluded`, each as likely as the others.
    fn draw(&self, rng: &mut impl Rng, user: usize, excluded: usize, candidates: &mut Vec<ItemId>) {
        let (items, seen) = (self.split.n_items, &self.seen[user]);
        let outside = items - seen.distinct(excluded);
        let wanted = candidates.len() + self.negatives;
        let needed = if self.with_repetition { 1 } else { self.negatives };
        // Draw and look while most draws are good; else list what is left.
        if outside >= items / 4 && outside >= 4 * needed {
            while candidates.len() < wanted {
                let Some(item) = ItemId::new(rng.random_range(1..=items as u64) as u32) else { continue };
                if !seen.contains(item, excluded) && (self.with_repetition || !candidates.contains(&item)) {
                    candidates.push(item);
                }
            }
            return;
        }
        let mut left: Vec<ItemId> = (1..=items as u32)
            .filter_map(ItemId::new)
            .filter(|&item| !seen.contains(item, excluded))
            .collect();
        while candidates.len() < wanted {
            let at = rng.random_range(0..left.len() as u64) as usize;
            candidates.push(if self.with_repetition { left[at] } else { left.swap_remove(at) });
        }
    }
}

/// Fisher and Yates.
fn shuffle<T>(rng: &mut impl Rng, items: &mut [T]) {
    for i in (1..items.len()).rev() {
        items.swap(i, rng.random_range(0..=i as u64) as usize);
    }
}

/// The samples of everyone whose target is among the candidates (the users R of the protocol, section 3): only they are
/// ranked again.
///
/// `candidates` is (users, k), best first, as the retriever gives them; `histories` and `targets` are those of `part`. The order is
/// the retriever's or a random one, from a stream named by part and user.
///
/// # Errors
/// [`Error::BadCandidates`] if the sizes disagree or an id is 0.
pub fn evaluation<'a>(
    histories: &'a [Vec<ItemId>],
    targets: &[ItemId],
    candidates: &[u32],
    k: usize,
    part: Part,
    order: CandidateOrder,
    seed: Seed,
) -> Result<Vec<Sample<'a>>, Error> {
    let bad = |problem: String| Error::BadCandidates { problem };
    let users = histories.len();
    if targets.len() != users || candidates.len() != users * k {
        return Err(bad(format!(
            "{} candidates and {} targets of {users} users, expected {k} candidates and one target each",
            candidates.len(),
            targets.len()
        )));
    }
    let name = match part {
        Part::Validation => "validation",
        Part::Test => "test",
    };
    let mut samples = Vec::new();
    for (user, (history, target)) in histories.iter().zip(targets).enumerate() {
        let own = &candidates[user * k..(user + 1) * k];
        if !own.contains(&target.get()) {
            continue;
        }
        let mut shown =
            own.iter().map(|&id| ItemId::new(id)).collect::<Option<Vec<_>>>().ok_or_else(|| {
                bad(format!("a candidate of user {user} (from 0) is item 0, expected ids from 1"))
            })?;
        if order == CandidateOrder::Shuffled {
            shuffle(&mut seed.stream(&format!("ranker/candidates/{name}/{user}")), &mut shown);
        }
        let answer = shown.iter().position(|item| item == target).unwrap_or_default();
        samples.push(Sample { user, history, candidates: shown, answer });
    }
    Ok(samples)
}
