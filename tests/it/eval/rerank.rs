//! Places among candidates, and what a random order is worth.

use std::num::NonZeroU32;

use bench::eval::{Metric, MetricKind, expected_among, expected_random, headroom_gained, rank_among};
use proptest::prelude::*;

proptest! {
    #[test]
    fn the_rank_is_the_place_after_sorting(
        scores in prop::collection::vec(0u8..4, 1..12),
        at in any::<prop::sample::Index>(),
        start in 0u32..50,
    ) {
        let target = at.index(scores.len());
        let scores: Vec<f32> = scores.into_iter().map(f32::from).collect();
        // Ids in an order that is not that of the places.
        let items: Vec<u32> = (0..scores.len() as u32).map(|place| (place * 7 + start) % 53).collect();
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(items[a].cmp(&items[b])));
        let place = order.iter().position(|&found| found == target).unwrap() as u32 + 1;
        let tied = scores.iter().enumerate().any(|(other, score)| other != target && *score == scores[target]);
        prop_assert_eq!(rank_among(&scores, &items, target), Some((place, tied)));
    }

    #[test]
    fn ties_are_worth_the_mean_over_all_orders_of_the_tied(
        scores in prop::collection::vec(0u8..3, 1..8),
        at in any::<prop::sample::Index>(),
        cutoff in 1u32..9,
    ) {
        let target = at.index(scores.len());
        let scores: Vec<f32> = scores.into_iter().map(f32::from).collect();
        for kind in MetricKind::ALL {
            let metric = Metric::new(kind, cutoff);
            // Ids turned by one put each of the tied at each of their places once.
            let n = scores.len() as u32;
            let tied: Vec<usize> = (0..scores.len()).filter(|&other| scores[other] == scores[target]).collect();
            let of = |turn: usize| {
                let id = |place: usize| match tied.iter().position(|&other| other == place) {
                    Some(at) => ((at + turn) % tied.len()) as u32,
                    None => n + place as u32,
                };
                let items: Vec<u32> = (0..scores.len()).map(id).collect();
                metric.of(NonZeroU32::new(rank_among(&scores, &items, target).unwrap().0))
            };
            let mean = (0..tied.len()).map(of).sum::<f64>() / tied.len() as f64;
            let value = expected_among(&scores, target, metric).unwrap();
            prop_assert!((value - mean).abs() < 1e-12, "{} {}", value, mean);
        }
    }

    #[test]
    fn a_random_order_is_worth_the_mean_over_all_places(k in 1u32..30, cutoff in 1u32..30) {
        for kind in MetricKind::ALL {
            let metric = Metric::new(kind, cutoff);
            // Every rotation of a list puts the target at another place, each once.
            let rotations: f64 = (0..k).map(|turn| metric.of(NonZeroU32::new(turn + 1))).sum();
            let value = expected_random(metric, k);
            prop_assert!((value - rotations / f64::from(k)).abs() < 1e-12);
            prop_assert!((0.0..=1.0).contains(&value));
        }
    }
}

#[test]
fn a_perfect_retriever_leaves_no_headroom() {
    assert_eq!(headroom_gained(0.5, 1.0, 1.0), None);
    assert_eq!(headroom_gained(0.75, 0.5, 1.0), Some(0.5));
    assert_eq!(headroom_gained(0.25, 0.5, 1.0), Some(-0.5));
}
