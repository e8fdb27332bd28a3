//! Candidates and ranks beside a full sort.

use bench::data::ItemId;
use bench::experiment::HistoryMask;
use bench::nn::cross_entropy::logit;
use bench::retrieve::catalogue::{MASKED, Scorer, masked, retrieve};
use bench::retrieve::{Query, Retrieved};
use proptest::prelude::*;

use super::tiny::sequences;
use crate::nn::tools::{assert_same_for_any_number_of_threads, bits, integers, values};

const WINDOW: usize = 3;

struct Problem {
    d: usize,
    items: usize,
    weight: Vec<f32>,
    bias: Vec<f32>,
    states: Vec<f32>,
    histories: Vec<Vec<ItemId>>,
    targets: Vec<ItemId>,
}

impl Problem {
    /// With `ties`, weights and states are small integers, so many scores are equal.
    fn new(users: usize, items: usize, d: usize, ties: bool, seed: u64) -> Self {
        let draw = |seed: u64, n: usize| {
            let mut x = values(seed, n, 2.0);
            if ties {
                x.iter_mut().for_each(|x| *x = x.round());
            }
            x
        };
        let lengths: Vec<usize> = integers(seed, users, 9).iter().map(|n| *n as usize).collect();
        let histories = sequences(&lengths, items as u32, seed + 1);
        // Every third target is in its own history.
        let targets = integers(seed + 2, users, items as u32).into_iter().enumerate();
        let targets = targets
            .map(|(u, id)| match histories[u].last() {
                Some(last) if u % 3 == 0 => *last,
                _ => ItemId::new(id + 1).unwrap(),
            })
            .collect();
        Self {
            d,
            items,
            weight: draw(seed + 3, (items + 1) * d),
            bias: draw(seed + 4, items + 1),
            states: draw(seed + 5, users * d),
            histories,
            targets,
        }
    }

    fn query(&self, k: usize, mask: HistoryMask) -> Query<'_> {
        Query { histories: &self.histories, targets: &self.targets, k, mask }
    }

    fn scorer(&self) -> Scorer<&[f32]> {
        Scorer { width: self.d, weight: &self.weight, bias: &self.bias }
    }

    fn found(&self, k: usize, mask: HistoryMask) -> Retrieved {
        retrieve(self.scorer(), &self.states, &self.query(k, mask), WINDOW).unwrap()
    }

    /// By sorting the whole catalogue of every user.
    fn sorted(&self, k: usize, mask: HistoryMask) -> Retrieved {
        let mut all = Retrieved { k, ..Retrieved::default() };
        for (u, (history, target)) in self.histories.iter().zip(&self.targets).enumerate() {
            let hidden = match mask {
                HistoryMask::None => &[][..],
                HistoryMask::All => history,
                HistoryMask::Window => &history[history.len().saturating_sub(WINDOW)..],
            };
            let state = &self.states[u * self.d..][..self.d];
            let score = |id: u32| {
                let is_masked = hidden.iter().any(|item| item.get() == id);
                if is_masked { MASKED } else { logit(state, &self.weight, &self.bias, id as usize) }
            };
            let mut order: Vec<(f32, u32)> = (1..=self.items as u32).map(|id| (score(id), id)).collect();
            order.sort_by(|a, b| b.0.partial_cmp(&a.0).unwrap().then(a.1.cmp(&b.1)));
            let place = order.iter().position(|(_, id)| *id == target.get()).unwrap();
            all.ranks.push(std::num::NonZeroU32::new(place as u32 + 1).unwrap());
            all.candidates.extend(order[..k].iter().map(|(_, id)| id));
            all.scores.extend(order[..k].iter().map(|(score, _)| score));
            let own = order[place].0;
            let tied = own != MASKED && order.iter().filter(|(score, _)| *score == own).count() > 1;
            all.tied_users += u64::from(tied);
        }
        all
    }

    fn compare(&self, k: usize, mask: HistoryMask) {
        let (found, expected) = (self.found(k, mask), self.sorted(k, mask));
        let what =
            format!("{} users, {} items, d {}, k {k}, {mask:?}", self.targets.len(), self.items, self.d);
        assert!(found.ranks == expected.ranks, "ranks of {what}");
        assert!(found.candidates == expected.candidates, "candidates of {what}");
        assert!(bits(&found.scores) == bits(&expected.scores), "scores of {what}");
        assert_eq!((found.k, found.tied_users), (k, expected.tied_users), "{what}");
        // A rank and a place among the candidates are the same thing.
        for (u, target) in self.targets.iter().enumerate() {
            let rank = found.ranks[u].get() as usize;
            let place = found.candidates[u * k..(u + 1) * k].iter().position(|id| *id == target.get());
            assert_eq!(place, (rank <= k).then(|| rank - 1), "user {u} of {what}");
        }
    }
}

const MASKS: [HistoryMask; 3] = [HistoryMask::None, HistoryMask::Window, HistoryMask::All];

#[test]
fn ranks_and_candidates_equal_a_full_sort_around_every_border() {
    let mut seed = 0;
    for users in [1, 15, 63, 64, 65, 130] {
        for items in [1, 2, 251, 252, 253, 600] {
            for (mask, ties) in MASKS.into_iter().flat_map(|mask| [(mask, false), (mask, true)]) {
                seed += 10;
                let p = Problem::new(users, items, [3, 8, 17][seed as usize / 10 % 3], ties, seed);
                for k in [0, 1, 20, items] {
                    p.compare(k.min(items), mask);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ranks_and_candidates_equal_a_full_sort(
        users in 1usize..100, items in 1usize..300, d in 1usize..20, ties: bool, seed in 0u64..1 << 40, mask in 0usize..3, k in 0usize..40,
    ) {
        Problem::new(users, items, d, ties, seed).compare(k.min(items), MASKS[mask]);
    }
}

#[test]
fn when_all_scores_are_equal_the_smaller_id_comes_first_and_everyone_is_tied() {
    let mut p = Problem::new(70, 300, 4, true, 1);
    p.states.fill(0.0);
    p.bias.fill(0.5);
    let found = p.found(5, HistoryMask::None);
    assert!(found.candidates.chunks(5).all(|ids| ids == [1, 2, 3, 4, 5]));
    assert!(found.ranks.iter().zip(&p.targets).all(|(rank, target)| rank.get() == target.get()));
    assert_eq!(found.tied_users, 70);
    assert!(found.scores.iter().all(|score| *score == 0.5));
}

#[test]
fn the_padding_is_never_retrieved() {
    let mut p = Problem::new(10, 20, 4, false, 1);
    p.bias[0] = 1e6;
    let found = p.found(20, HistoryMask::None);
    assert!(found.candidates.iter().all(|id| (1..=20).contains(id)));
    assert!(found.ranks.iter().all(|rank| rank.get() <= 20));
}

#[test]
fn a_history_may_repeat_items_and_the_mask_is_sorted() {
    let history = super::tiny::ids(&[9, 3, 9, 7, 3]);
    assert_eq!(masked(&history, HistoryMask::All, 2), [3, 7, 9]);
    assert_eq!(masked(&history, HistoryMask::Window, 2), [3, 7]);
    assert_eq!(masked(&history, HistoryMask::Window, 100), [3, 7, 9]);
    assert!(masked(&history, HistoryMask::None, 2).is_empty());
}

#[test]
fn more_candidates_than_items_are_refused() {
    let p = Problem::new(3, 7, 4, false, 1);
    let error = retrieve(p.scorer(), &p.states, &p.query(8, HistoryMask::All), WINDOW).unwrap_err();
    assert_eq!(
        error.to_string(),
        "evaluation.candidates = 8, but the catalogue has only 7 items; ask for at most 7"
    );
}

#[test]
fn no_users_are_no_results() {
    let p = Problem::new(0, 7, 4, false, 1);
    assert_eq!(p.found(3, HistoryMask::All), Retrieved { k: 3, ..Retrieved::default() });
}

#[test]
fn a_score_that_is_not_a_number_is_no_success() {
    let mut p = Problem::new(70, 40, 4, false, 1);
    p.states[4 * 4] = f32::NAN;
    let found = p.found(5, HistoryMask::None);
    let expected = Problem::new(70, 40, 4, false, 1).sorted(5, HistoryMask::None);
    // User 4 has no scores at all, so the smallest ids stand in for the best.
    assert_eq!(found.candidates[20..25], [1, 2, 3, 4, 5]);
    assert_eq!(found.scores[20..25], [f32::NEG_INFINITY; 5]);
    for u in 0..70 {
        let rank = if u == 4 { 40 } else { expected.ranks[u].get() };
        assert_eq!(found.ranks[u].get(), rank, "user {u}");
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let p = Problem::new(500, 700, 9, true, 2);
    assert_same_for_any_number_of_threads("catalogue", || {
        let r = p.found(20, HistoryMask::Window);
        (r.ranks, r.candidates, bits(&r.scores), r.tied_users)
    });
}
