use bench::eval::{
    Averaging, Metric, MetricKind, MetricTable, RankList, SeedSummary, overall_from_parts, paper_metrics,
    two_level,
};

use super::{assert_close, list};

fn get(table: &MetricTable, name: &str) -> f64 {
    table.get(name.parse().expect("a metric")).expect("in the table")
}

#[test]
fn four_users_give_the_metrics_worked_by_hand() {
    let table = MetricTable::overall(&list(&[1, 3, 7, 0]), &[5, 10], 20, Averaging::Users);
    assert_eq!((table.n_users, table.n_retrieved), (4, 3));
    assert_close("M@5", get(&table, "M@5"), (1.0 + 1.0 / 3.0) / 4.0, 1e-15);
    assert_close("N@5", get(&table, "N@5"), (1.0 + 0.5) / 4.0, 1e-15);
    assert_eq!(get(&table, "R@5"), 0.5);
    assert_close("M@10", get(&table, "M@10"), (1.0 + 1.0 / 3.0 + 1.0 / 7.0) / 4.0, 1e-15);
    assert_close("N@10", get(&table, "N@10"), (1.0 + 0.5 + 1.0 / 3.0) / 4.0, 1e-15);
    assert_eq!(get(&table, "R@10"), 0.75);
    assert_eq!(get(&table, "R@20"), 0.75);
}

#[test]
fn metrics_are_listed_as_the_papers_list_them() {
    let names: Vec<String> = paper_metrics(&[5, 10], 20).into_iter().map(Metric::short).collect();
    assert_eq!(names, ["M@5", "N@5", "R@5", "M@10", "N@10", "R@10", "R@20"]);
}

#[test]
fn a_cutoff_equal_to_the_candidates_is_listed_once() {
    assert_eq!(paper_metrics(&[20], 20).len(), 3);
}

#[test]
fn long_short_and_lower_case_names_mean_the_same_metric() {
    let metric = Metric::new(MetricKind::Ndcg, 10);
    for name in ["NDCG@10", "ndcg@10", "N@10", "n@10"] {
        assert_eq!(name.parse(), Ok(metric), "{name}");
    }
    assert_eq!(metric.to_string(), "NDCG@10");
}

#[test]
fn an_unknown_metric_is_named_in_the_error() {
    let error = "HR@10".parse::<Metric>().expect_err("unknown");
    assert_eq!(
        error.to_string(),
        "\"HR@10\" is not a metric; expected MRR@k, NDCG@k or Recall@k (or M@k, N@k, R@k) with k of 1 or more"
    );
    for name in ["NDCG@0", "NDCG@", "NDCG", "NDCG@-1", "@5"] {
        assert!(name.parse::<Metric>().is_err(), "{name}");
    }
}

#[test]
fn batch_means_give_a_short_last_batch_too_much_weight() {
    let ranks = list(&[1, 0, 0, 0, 1]);
    let users = MetricTable::overall(&ranks, &[5], 20, Averaging::Users);
    let batches = MetricTable::overall(&ranks, &[5], 20, Averaging::Batches { size: 4 });
    assert_close("users", get(&users, "R@5"), 0.4, 1e-15);
    assert_close("batches", get(&batches, "R@5"), (0.25 + 1.0) / 2.0, 1e-15);
}

#[test]
fn one_user_of_ml_100ks_last_batch_weighs_as_much_as_eight() {
    // 610 users in batches of 16: the last of 39 batches holds 2.
    let mut ranks = vec![0; 610];
    ranks[..84].fill(1);
    ranks[609] = 1;
    let ranks = list(&ranks);
    let users = get(&MetricTable::overall(&ranks, &[10], 20, Averaging::Users), "R@10");
    let batches = get(&MetricTable::overall(&ranks, &[10], 20, Averaging::Batches { size: 16 }), "R@10");
    assert_close("users", users, 85.0 / 610.0, 1e-15);
    assert_close("batches", batches, (84.0 / 16.0 + 0.5) / 39.0, 1e-15);
    assert!(batches - users > 0.008);
}

#[test]
fn overall_equals_ranker_only_times_hit_rate_on_the_papers_figures() {
    // Seed paper, ML-100K, Ours: |R| = 126 of 610; both tables are cut, not rounded, to 4 places.
    for (ranker, overall) in
        [(0.2961, 0.0611), (0.3462, 0.0715), (0.5, 0.1032), (0.3235, 0.0668), (0.4142, 0.0855)]
    {
        let low = overall_from_parts(ranker, 126, 0.0, 610);
        let high = overall_from_parts(ranker + 1e-4, 126, 0.0, 610);
        assert!(low < overall + 1e-4 && high > overall, "{ranker} {overall}");
    }
}

#[test]
fn no_retrieved_user_gives_no_ranker_table() {
    assert_eq!(MetricTable::ranker_only(&list(&[0, 21, 400]), &[5, 10], 20), None);
}

#[test]
fn an_empty_list_gives_zeros_and_not_nan() {
    let table = MetricTable::overall(&RankList::default(), &[5], 20, Averaging::Users);
    assert!(table.values.values().all(|e| e.value == 0.0 && e.se_users == 0.0));
}

#[test]
fn a_rank_of_zero_is_refused_by_user() {
    let error = RankList::from_numbers(&[3, 0]).expect_err("zero");
    assert_eq!(error.to_string(), "rank of user 1 (counted from 0) is 0; expected a rank of 1 or more");
}

#[test]
fn the_standard_error_of_a_hit_rate_is_the_binomial_one() {
    let mut ranks = vec![0; 610];
    ranks[..126].fill(1);
    let table = MetricTable::overall(&list(&ranks), &[5], 20, Averaging::Users);
    let p: f64 = 126.0 / 610.0;
    let expected = (p * (1.0 - p) / 609.0).sqrt();
    assert_close("se", table.values[&"R@5".parse().expect("metric")].se_users, expected, 1e-15);
}

#[test]
fn seeds_and_users_are_two_levels() {
    // Two seeds that swap the hits of two users: no spread over seeds, and no spread over users of the means.
    let metric = Metric::new(MetricKind::Recall, 5);
    let swapped = two_level(&[list(&[1, 0]), list(&[0, 1])], metric, Averaging::Users).expect("same users");
    assert_eq!((swapped.seeds.mean, swapped.seeds.sd, swapped.se_users), (0.5, Some(0.0), 0.0));
    assert_close("one seed", swapped.se_users_one_seed, 0.5, 1e-15);
    // The same list twice: more seeds do not shrink the error over users.
    let same = two_level(&[list(&[1, 0]), list(&[1, 0])], metric, Averaging::Users).expect("same users");
    assert_close("users", same.se_users, 0.5, 1e-15);
    assert_eq!(same.se_seeds, Some(0.0));
}

#[test]
fn one_seed_has_no_spread_over_seeds() {
    let one = two_level(&[list(&[1, 0, 2])], Metric::new(MetricKind::Mrr, 5), Averaging::Users).expect("one");
    assert_eq!((one.seeds.sd, one.se_seeds), (None, None));
    assert_eq!(one.se_both(), one.se_users);
}

#[test]
fn lists_of_different_users_are_not_combined() {
    let metric = Metric::new(MetricKind::Mrr, 5);
    assert_eq!(two_level(&[list(&[1]), list(&[1, 2])], metric, Averaging::Users), None);
    assert_eq!(two_level(&[], metric, Averaging::Users), None);
    assert_eq!(SeedSummary::of(&[]), None);
}
