//! Popularity and random order.

use bench::data::Part;
use bench::experiment::HistoryMask;
use bench::retrieve::catalogue::MASKED;
use bench::retrieve::{Popularity, Query, RandomOrder, Retrieved, Retriever};
use bench::seed::Seed;

use super::tiny::split;
use crate::nn::tools::assert_same_for_any_number_of_threads;

const MASKS: [HistoryMask; 3] = [HistoryMask::None, HistoryMask::Window, HistoryMask::All];

#[test]
fn popularity_equals_a_sort_by_counts_with_the_history_last() {
    let split = split(50);
    let popularity = Popularity::fit(&split);
    let counts: Vec<usize> =
        (1..=30).map(|id| split.train.iter().flatten().filter(|item| item.get() == id).count()).collect();
    for part in [Part::Validation, Part::Test] {
        let (histories, targets) = (split.histories(part), split.targets(part));
        for mask in MASKS {
            for k in [0, 1, 20, 30] {
                let query = Query { histories: &histories, targets, k, mask };
                let found = popularity.retrieve(&query).unwrap();
                let mut tied = 0;
                for (u, target) in targets.iter().enumerate() {
                    let is_masked = |id: u32| {
                        mask != HistoryMask::None && histories[u].iter().any(|item| item.get() == id)
                    };
                    let score = |id: u32| if is_masked(id) { MASKED } else { counts[id as usize - 1] as f32 };
                    let mut order: Vec<u32> = (1..=30).collect();
                    order.sort_by(|a, b| score(*b).total_cmp(&score(*a)).then(a.cmp(b)));
                    assert_eq!(found.candidates[u * k..(u + 1) * k], order[..k]);
                    let scores: Vec<f32> = order[..k].iter().map(|id| score(*id)).collect();
                    assert_eq!(found.scores[u * k..(u + 1) * k], scores);
                    let place = order.iter().position(|id| *id == target.get()).unwrap();
                    assert_eq!(found.ranks[u].get() as usize, place + 1);
                    let own = score(target.get());
                    tied +=
                        u64::from(own != MASKED && order.iter().filter(|id| score(**id) == own).count() > 1);
                }
                assert_eq!(found.tied_users, tied);
            }
        }
    }
}

#[test]
fn random_order_is_a_whole_order_of_which_ranks_and_candidates_are_parts() {
    let split = split(40);
    let (histories, targets) = (split.histories(Part::Test), split.targets(Part::Test));
    let random = RandomOrder::new(Seed::new(1), 30);
    let ask = |k: usize, mask: HistoryMask| -> Retrieved {
        random.retrieve(&Query { histories: &histories, targets, k, mask }).unwrap()
    };
    let open = ask(30, HistoryMask::None);
    for mask in MASKS {
        let (whole, top) = (ask(30, mask), ask(7, mask));
        for u in 0..40 {
            let order = &whole.candidates[u * 30..(u + 1) * 30];
            let mut sorted = order.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, (1..=30).collect::<Vec<u32>>(), "every item once");
            assert_eq!(
                order.iter().position(|id| *id == targets[u].get()),
                Some(whole.ranks[u].get() as usize - 1)
            );
            assert_eq!(top.candidates[u * 7..(u + 1) * 7], order[..7]);
            // The mask moves what it hides to the end, by id, and leaves the order of the rest.
            let is_masked =
                |id: &u32| mask != HistoryMask::None && histories[u].iter().any(|item| item.get() == *id);
            let mut expected: Vec<u32> =
                open.candidates[u * 30..(u + 1) * 30].iter().copied().filter(|id| !is_masked(id)).collect();
            expected.extend((1..=30).filter(is_masked));
            assert_eq!(order, expected);
            assert!(whole.scores[u * 30..(u + 1) * 30].is_sorted_by(|a, b| a >= b));
        }
        assert_eq!(top.ranks, whole.ranks);
        assert_eq!(top.tied_users, 0);
    }
}

#[test]
fn random_order_is_even_over_the_catalogue() {
    let n = 4000;
    let split = split(n);
    let (histories, targets) = (split.histories(Part::Test), split.targets(Part::Test));
    let query = Query { histories: &histories, targets, k: 0, mask: HistoryMask::None };
    let ranks = RandomOrder::new(Seed::new(2), 30).retrieve(&query).unwrap().ranks;
    let mut counts = [0f64; 30];
    ranks.iter().for_each(|rank| counts[rank.get() as usize - 1] += 1.0);
    let expected = n as f64 / 30.0;
    let chi: f64 = counts.iter().map(|c| (c - expected).powi(2) / expected).sum();
    assert!(chi < 66.0, "chi-square with 29 degrees of freedom is {chi}; above 66 in 1 of 10,000 cases");
}

#[test]
fn another_seed_is_another_order_and_threads_change_nothing() {
    let split = split(50);
    let (histories, targets) = (split.histories(Part::Test), split.targets(Part::Test));
    let query = Query { histories: &histories, targets, k: 20, mask: HistoryMask::All };
    let ask = |seed: u64| RandomOrder::new(Seed::new(seed), 30).retrieve(&query).unwrap();
    assert!(ask(1).candidates != ask(2).candidates);
    assert_same_for_any_number_of_threads("random order", || ask(1));
}

#[test]
fn more_candidates_than_items_are_refused() {
    let split = split(5);
    let (histories, targets) = (split.histories(Part::Test), split.targets(Part::Test));
    let query = Query { histories: &histories, targets, k: 31, mask: HistoryMask::All };
    let retrievers: [Box<dyn Retriever>; 2] =
        [Box::new(Popularity::fit(&split)), Box::new(RandomOrder::new(Seed::new(1), 30))];
    for retriever in retrievers {
        assert_eq!(
            retriever.retrieve(&query).unwrap_err().to_string(),
            "evaluation.candidates = 31, but the catalogue has only 30 items; ask for at most 30"
        );
    }
}
