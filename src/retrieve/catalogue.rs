//! The whole catalogue against many users: best items and the target's rank in one pass over tiles of scores, which are
//! never all in memory and never sorted.

use std::num::NonZeroU32;

use super::{Error, Query, Retrieved};
use crate::cuda::{self, Array, Slice};
use crate::data::ItemId;
use crate::experiment::HistoryMask;
use crate::nn::cross_entropy::logit;
use crate::nn::gemm::{Left, Start, gemm_on};
use crate::nn::ops::{Cpu, Ops};
use crate::nn::parallel::{self, Shared};
use crate::nn::simd::{Kernel, Lanes, dispatch, lanes, vectors};

/// The score of an item that cannot be retrieved (the reference's value).
pub const MASKED: f32 = -1e9;
/// Users of a task: four virtual registers.
const USERS: usize = 64;
/// Items whose scores are in memory at once: 64 KiB.
const ITEMS: usize = 252;

/// A linear scorer: score of item `i` for a user with state `h` is `weight[i] . h + bias[i]`. Row 0 is the padding.
#[derive(Clone, Copy)]
pub struct Scorer<P> {
    /// d.
    pub width: usize,
    /// (items + 1, d).
    pub weight: P,
    /// (items + 1).
    pub bias: P,
}

/// Operations with a walk over the catalogue.
pub trait Walks: Ops {
    /// Best items and target ranks of every user, as [`retrieve`].
    ///
    /// # Errors
    /// [`Error::TooFewItems`], or if the device fails.
    fn walk(
        &mut self,
        scorer: Scorer<Self::Part<'_>>,
        states: Self::Part<'_>,
        query: &Query<'_>,
        window: usize,
    ) -> Result<Retrieved, Error>;
}

impl Walks for Cpu {
    fn walk(
        &mut self,
        scorer: Scorer<&[f32]>,
        states: &[f32],
        query: &Query<'_>,
        window: usize,
    ) -> Result<Retrieved, Error> {
        retrieve(scorer, states, query, window)
    }
}

impl Walks for cuda::Ops {
    fn walk(
        &mut self,
        scorer: Scorer<Slice<'_, f32>>,
        states: Slice<'_, f32>,
        query: &Query<'_>,
        window: usize,
    ) -> Result<Retrieved, Error> {
        let (k, items) = (query.k, scorer.bias.len() - 1);
        if k > items {
            return Err(Error::TooFewItems { k, items });
        }
        let (mut masks, mut offsets) = (Vec::new(), vec![0u32]);
        for history in query.histories {
            masks.extend(masked(history, query.mask, window));
            offsets.push(masks.len() as u32);
        }
        let targets: Vec<u32> = query.targets.iter().map(|item| item.get()).collect();
        let machine = self.kernels().machine();
        let (targets, masks) = (Array::of(machine, &targets)?, Array::of(machine, &masks)?);
        let offsets = Array::of(machine, &offsets)?;
        let Scorer { width, weight, bias } = scorer;
        let (targets, masks, offsets) = (targets.all(), masks.all(), offsets.all());
        let walk = cuda::Walk { width, k, masked: MASKED, states, weight, bias, targets, masks, offsets };
        let walked = self.kernels().walk(walk)?;
        let (mut candidates, mut scores) = (walked.candidates.get()?, walked.scores.get()?);
        for (user, filled) in
            walked.filled.get()?.into_iter().enumerate().filter(|(_, filled)| (*filled as usize) < k)
        {
            let list = user * k..(user + 1) * k;
            complete(&mut candidates[list.clone()], &mut scores[list], filled as usize);
        }
        let better = walked.better.get()?.into_iter();
        let ranks = better.map(|better| NonZeroU32::MIN.saturating_add(better)).collect();
        let tied_users = walked.tied.get()?.into_iter().filter(|tied| *tied != 0).count() as u64;
        Ok(Retrieved { k, candidates, scores, ranks, tied_users })
    }
}

/// The items of a history that cannot be retrieved, ascending.
#[must_use]
pub fn masked(history: &[ItemId], mask: HistoryMask, window: usize) -> Vec<u32> {
    let from = match mask {
        HistoryMask::None => history.len(),
        HistoryMask::All => 0,
        HistoryMask::Window => history.len().saturating_sub(window),
    };
    let mut items: Vec<u32> = history[from..].iter().map(|item| item.get()).collect();
    items.sort_unstable();
    items.dedup();
    items
}

/// Best items and target ranks of every user. `# Shapes: states (users, d)`; `window` is what [`HistoryMask::Window`] means.
///
/// Each score is one chain of fused multiply-adds, so equal states and weights give equal scores wherever they are computed.
///
/// # Errors
/// [`Error::TooFewItems`] when the catalogue is smaller than `k`.
pub fn retrieve(
    scorer: Scorer<&[f32]>,
    states: &[f32],
    query: &Query<'_>,
    window: usize,
) -> Result<Retrieved, Error> {
    let (users, k, items) = (query.histories.len(), query.k, scorer.bias.len() - 1);
    if k > items {
        return Err(Error::TooFewItems { k, items });
    }
    let mut candidates = vec![0u32; users * k];
    let mut scores = vec![0f32; users * k];
    let mut ranks = vec![NonZeroU32::MIN; users];
    let mut tied = vec![false; users];
    {
        let (candidates, scores) = (Shared::new(&mut candidates), Shared::new(&mut scores));
        let (ranks, tied) = (Shared::new(&mut ranks), Shared::new(&mut tied));
        parallel::each(users.div_ceil(USERS), |task| {
            let from = task * USERS;
            let count = USERS.min(users - from);
            let histories = &query.histories[from..][..count];
            // SAFETY: tasks own disjoint users.
            let (candidates, scores, ranks, tied) = unsafe {
                (
                    candidates.part(from * k, count * k),
                    scores.part(from * k, count * k),
                    ranks.part(from, count),
                    tied.part(from, count),
                )
            };
            dispatch(Users {
                scorer,
                states: &states[from * scorer.width..][..count * scorer.width],
                targets: &query.targets[from..][..count],
                masks: histories.iter().map(|history| masked(history, query.mask, window)).collect(),
                k,
                candidates,
                scores,
                ranks,
                tied,
            });
        });
    }
    let tied_users = tied.iter().filter(|tied| **tied).count() as u64;
    Ok(Retrieved { k, candidates, scores, ranks, tied_users })
}

struct Users<'a> {
    scorer: Scorer<&'a [f32]>,
    states: &'a [f32],
    targets: &'a [ItemId],
    masks: Vec<Vec<u32>>,
    k: usize,
    candidates: &'a mut [u32],
    scores: &'a mut [f32],
    ranks: &'a mut [NonZeroU32],
    tied: &'a mut [bool],
}

impl Kernel for Users<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Scorer { width: d, weight, bias } = self.scorer;
        let (users, k, v) = (self.targets.len(), self.k, bias.len());
        let mut turned = vec![0f32; d * USERS];
        let (mut goal, mut above) = ([f32::INFINITY; USERS], [0f32; USERS]);
        for u in 0..users {
            let state = &self.states[u * d..][..d];
            for (row, x) in turned.chunks_exact_mut(USERS).zip(state) {
                row[u] = *x;
            }
            let target = self.targets[u].get();
            let is_masked = self.masks[u].binary_search(&target).is_ok();
            goal[u] = if is_masked { MASKED } else { logit(state, weight, bias, target as usize) };
        }
        // Best so far of each user, best first; a new item must beat the last of them.
        let mut worst = [if k == 0 { f32::INFINITY } else { f32::NEG_INFINITY }; USERS];
        let mut filled = [0usize; USERS];
        let mut before = [0u32; USERS]; // ties with a smaller id
        let mut next_masked = [0usize; USERS];
        let mut tile = vec![0f32; ITEMS * USERS];
        for first in (1..v).step_by(ITEMS) {
            let items = ITEMS.min(v - first);
            let left = Left::rows(&weight[first * d..][..items * d], d);
            let start = Start::Rows(&bias[first..][..items]);
            gemm_on::<L>((items, users, d), left, &turned, USERS, &mut tile, USERS, start);
            for (u, mask) in self.masks.iter().enumerate() {
                while let Some(item) =
                    mask.get(next_masked[u]).map(|item| *item as usize).filter(|i| *i < first + items)
                {
                    tile[(item - first) * USERS + u] = MASKED;
                    next_masked[u] += 1;
                }
            }
            vectors!(users, at, n => unsafe {
                let goals = L::load(goal.as_ptr().add(at));
                let mut count = L::load(above.as_ptr().add(at));
                let real = lanes(n);
                let mut worsts = L::load(worst.as_ptr().add(at));
                for item in 0..items {
                    let score = L::load(tile.as_ptr().add(item * USERS + at));
                    count = L::add(count, L::keep(L::gt_bits(score, goals), L::splat(1.0)));
                    let id = (first + item) as u32;
                    let mut ties = L::eq_bits(score, goals) & real;
                    while ties != 0 {
                        let u = at + ties.trailing_zeros() as usize;
                        ties &= ties - 1;
                        let target = self.targets[u].get();
                        before[u] += u32::from(id < target);
                        self.tied[u] |= id != target && goal[u] != MASKED;
                    }
                    let mut better = L::gt_bits(score, worsts) & real;
                    if better != 0 {
                        while better != 0 {
                            let u = at + better.trailing_zeros() as usize;
                            better &= better - 1;
                            let list = u * k..(u + 1) * k;
                            let (ids, scores) = (&mut self.candidates[list.clone()], &mut self.scores[list]);
                            insert(ids, scores, &mut filled[u], id, tile[item * USERS + u]);
                            if filled[u] == k {
                                worst[u] = scores[k - 1];
                            }
                        }
                        worsts = L::load(worst.as_ptr().add(at));
                    }
                }
                L::store(above.as_mut_ptr().add(at), count);
            });
        }
        for u in 0..users {
            // Nothing compares with NaN, so a diverged model would rank every target first.
            let better = if goal[u].is_nan() { v as u32 - 2 } else { above[u] as u32 + before[u] };
            self.ranks[u] = NonZeroU32::MIN.saturating_add(better);
            if filled[u] < k {
                let list = u * k..(u + 1) * k;
                complete(&mut self.candidates[list.clone()], &mut self.scores[list], filled[u]);
            }
        }
    }
}

/// Put an item behind all that score at least as much; items come in ascending id, so ties stay in that order.
#[inline]
fn insert(ids: &mut [u32], scores: &mut [f32], filled: &mut usize, id: u32, score: f32) {
    let mut at = (*filled).min(ids.len() - 1);
    if *filled < ids.len() {
        *filled += 1;
    }
    while at > 0 && scores[at - 1] < score {
        scores[at] = scores[at - 1];
        ids[at] = ids[at - 1];
        at -= 1;
    }
    scores[at] = score;
    ids[at] = id;
}

/// Behind the `filled` best, the items with the smallest ids of those that no comparison let in: their scores are minus infinity
/// or NaN.
#[cold]
fn complete(ids: &mut [u32], scores: &mut [f32], filled: usize) {
    let mut next = 1;
    for at in filled..ids.len() {
        while ids[..at].contains(&next) {
            next += 1;
        }
        ids[at] = next;
        scores[at] = f32::NEG_INFINITY;
    }
}

/// Best items and the target's rank when a user's whole catalogue is already in order: `order` holds every item id, best first.
#[must_use]
pub fn walk(order: &[u32], masked: &[u32], target: ItemId, k: usize) -> (Vec<u32>, NonZeroU32) {
    let is_masked = |item: u32| masked.binary_search(&item).is_ok();
    let open = order.iter().copied().filter(|item| !is_masked(*item));
    // Masked items share the lowest score, so they follow by ascending id.
    let mut whole = open.chain(masked.iter().copied());
    let mut best = Vec::with_capacity(k);
    let mut rank = None;
    for (place, item) in whole.by_ref().enumerate() {
        if best.len() < k {
            best.push(item);
        }
        if item == target.get() {
            rank = NonZeroU32::new(place as u32 + 1);
        }
        if rank.is_some() && best.len() == k {
            break;
        }
    }
    (best, rank.unwrap_or(NonZeroU32::MAX))
}
