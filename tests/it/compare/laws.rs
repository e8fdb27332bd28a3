//! What holds for all ranks.

use bench::compare::compare;
use proptest::prelude::*;

use super::{method, metrics, sharing};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_same_runs_differ_by_nothing(
        runs in prop::collection::vec(prop::collection::vec(0u32..30, 7), 1..4),
        shared in any::<bool>(),
    ) {
        let runs: Vec<&[u32]> = runs.iter().map(Vec::as_slice).collect();
        let make = if shared { sharing } else { method };
        let compared = compare(&[make("one", &runs), make("other", &runs)], 0, &metrics(&["NDCG@10", "Recall@5"])).unwrap();
        for row in compared.rows() {
            prop_assert_eq!((row.comparison.effect.difference, row.p, row.p_holm), (0.0, 1.0, 1.0));
        }
        prop_assert!(compared.document(&[]).is_ok());
    }

    #[test]
    fn every_comparison_can_be_printed_and_its_p_values_are_some(
        old in prop::collection::vec(0u32..30, 0..6), new in prop::collection::vec(0u32..30, 6), seeds in 1usize..4,
    ) {
        let new = &new[..old.len()];
        let (old, new) = (vec![old.as_slice(); seeds], vec![new; seeds]);
        let compared = compare(&[method("old", &old), sharing("new", &new)], 0, &metrics(&["MRR@10"])).unwrap();
        for row in compared.rows() {
            prop_assert!((0.0..=1.0).contains(&row.p) && row.p <= row.p_holm, "{} {}", row.p, row.p_holm);
        }
        prop_assert!(compared.document(&[]).is_ok());
    }
}
