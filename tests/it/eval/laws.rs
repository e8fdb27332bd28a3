use bench::eval::{Averaging, Metric, MetricKind, MetricTable, RankList, overall_from_parts};
use proptest::prelude::*;

use super::list;

fn lists() -> impl Strategy<Value = RankList> {
    prop::collection::vec(0u32..60, 1..80).prop_map(|ranks| list(&ranks))
}

fn averagings() -> impl Strategy<Value = Averaging> {
    prop_oneof![Just(Averaging::Users), (1usize..20).prop_map(|size| Averaging::Batches { size })]
}

fn value(ranks: &RankList, kind: MetricKind, k: u32, averaging: Averaging) -> f64 {
    MetricTable::overall(ranks, &[k], 20, averaging).get(Metric::new(kind, k)).expect("asked for")
}

proptest! {
    #[test]
    fn metrics_lie_in_order_between_zero_and_one(ranks in lists(), k in 1u32..40, averaging in averagings()) {
        let [mrr, ndcg, recall] = MetricKind::ALL.map(|kind| value(&ranks, kind, k, averaging));
        prop_assert!(0.0 <= mrr && mrr <= ndcg && ndcg <= recall && recall <= 1.0 + 1e-12);
    }

    #[test]
    fn metrics_grow_with_the_cutoff(ranks in lists(), k in 1u32..40, averaging in averagings()) {
        for kind in MetricKind::ALL {
            prop_assert!(value(&ranks, kind, k, averaging) <= value(&ranks, kind, k + 1, averaging));
        }
    }

    #[test]
    fn overall_equals_ranker_only_times_hit_rate(ranks in lists(), k in 1u32..=20) {
        let overall = MetricTable::overall(&ranks, &[k], 20, Averaging::Users);
        let Some(ranker) = MetricTable::ranker_only(&ranks, &[k], 20) else {
            prop_assert!(overall.values.values().all(|e| e.value == 0.0));
            return Ok(());
        };
        prop_assert_eq!(ranker.n_users, overall.n_retrieved);
        for (metric, estimate) in &overall.values {
            let of_parts = overall_from_parts(ranker.values[metric].value, ranker.n_users, 0.0, overall.n_users);
            prop_assert!((estimate.value - of_parts).abs() < 1e-12);
        }
    }

    #[test]
    fn cutting_at_the_candidates_changes_no_metric(ranks in lists(), k in 1u32..=20, averaging in averagings()) {
        prop_assert_eq!(
            MetricTable::overall(&ranks, &[k], 20, averaging),
            MetricTable::overall(&ranks.cut(20), &[k], 20, averaging)
        );
    }

    #[test]
    fn the_weights_of_an_averaging_reproduce_its_mean(ranks in lists(), averaging in averagings()) {
        let weights = averaging.weights(ranks.n_users());
        prop_assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let metric = Metric::new(MetricKind::Ndcg, 10);
        let weighted: f64 = weights.iter().zip(&ranks.ranks).map(|(w, rank)| w * metric.of(*rank)).sum();
        prop_assert!((weighted - value(&ranks, MetricKind::Ndcg, 10, averaging)).abs() < 1e-12);
    }

    #[test]
    fn full_batches_are_averaged_as_users_are(ranks in prop::collection::vec(0u32..60, 24)) {
        let ranks = list(&ranks);
        let users = value(&ranks, MetricKind::Mrr, 10, Averaging::Users);
        let batches = value(&ranks, MetricKind::Mrr, 10, Averaging::Batches { size: 8 });
        prop_assert!((users - batches).abs() < 1e-12);
    }
}
