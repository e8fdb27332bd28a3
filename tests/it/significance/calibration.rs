//! The short form of `cargo bench --bench significance`: fewer simulated null experiments, wider bounds.
//!
//! Of 1,000 experiments a share of .05 has the standard error .0069, so the bounds below are those of the long form, .05 +- .01 and .93 to
//! .97, and three of them.

use bench::seed::Seed;
use bench::significance::{
    BootstrapInterval, Crossed, Interval, Paired, SeedDraw, Zeros, paired_t, resample, sign_flips, wilcoxon,
};
use rayon::prelude::*;

use super::simulated::{Between, Experiment, METRICS, Simulated};

const EXPERIMENTS: usize = 1_000;
const NOISE: f64 = 0.021;

/// The share of the experiments for which `is` holds.
fn share(simulated: &Simulated, is: impl Fn(&Experiment) -> bool + Sync) -> f64 {
    let count = (0..EXPERIMENTS)
        .into_par_iter()
        .filter(|number| is(&simulated.experiment(Seed::new(7), *number)))
        .count();
    count as f64 / EXPERIMENTS as f64
}

#[track_caller]
fn within(share: f64, low: f64, high: f64, what: &str) {
    assert!((low - NOISE..=high + NOISE).contains(&share), "{what}: {share}");
}

fn covers(interval: &Interval, truth: f64) -> bool {
    interval.low <= truth && truth <= interval.high
}

fn crossed(table: &Paired) -> Crossed {
    Crossed::of(table).expect("seeds and users")
}

#[test]
fn simulated_ranks_are_those_of_a_retriever_that_finds_two_thirds_in_the_first_ten() {
    let experiment = Simulated::new(3_000, 1, Between::Nothing).experiment(Seed::new(7), 0);
    let (a, b) = experiment.recall.means();
    assert!((a - 0.68).abs() < 0.03 && (b - 0.68).abs() < 0.03, "{a} and {b}");
    assert_eq!(METRICS.map(|metric| metric.to_string()), ["NDCG@10", "Recall@10"]);
}

#[test]
fn tests_over_users_reject_a_true_null_one_time_in_twenty() {
    for (seeds, between) in [(1, Between::Nothing), (5, Between::Common)] {
        let simulated = Simulated::new(126, seeds, between);
        let found = |p: f64| p <= 0.05;
        within(
            share(&simulated, |e| found(sign_flips(&e.ndcg, 999, Seed::new(0)).p)),
            0.04,
            0.06,
            "randomization",
        );
        within(share(&simulated, |e| found(wilcoxon(&e.ndcg, Zeros::Drop, false).p)), 0.04, 0.06, "Wilcoxon");
        within(share(&simulated, |e| found(paired_t(&e.ndcg, 0.95).0.p)), 0.04, 0.06, "paired t");
        // Exact tests of hits have few p-values: at most .05, and mid-p nearer to it.
        let hits = share(&simulated, |e| found(sign_flips(&e.recall, 999, Seed::new(0)).p));
        within(hits, 0.01, 0.05, "exact test of hits");
        let mid = share(&simulated, |e| found(sign_flips(&e.recall, 999, Seed::new(0)).mid_p.unwrap()));
        within(mid, 0.035, 0.06, "mid-p");
        assert!(mid >= hits);
    }
}

#[test]
fn the_crossed_t_covers_whatever_seeds_vary_in() {
    for between in [Between::Nothing, Between::Common, Between::Own] {
        let simulated = Simulated::new(126, 5, between);
        let covered = share(&simulated, |e| covers(&crossed(&e.ndcg).interval(0.95).unwrap(), 0.0));
        within(covered, 0.93, 0.97, between.name());
        let rejected = share(&simulated, |e| crossed(&e.recall).test().p <= 0.05);
        within(rejected, 0.04, 0.06, between.name());
    }
}

#[test]
fn tests_over_users_are_about_these_runs_and_no_others() {
    // With shifts of its own each method's runs differ; the interval over users covers what these runs would show, not 0.
    let simulated = Simulated::new(600, 5, Between::Own);
    within(
        share(&simulated, |e| covers(&paired_t(&e.ndcg, 0.95).1, e.given_runs[0])),
        0.93,
        0.97,
        "these runs",
    );
    let another = share(&simulated, |e| covers(&paired_t(&e.ndcg, 0.95).1, 0.0));
    assert!(another < 0.85, "another training: {another}");
    within(
        share(&simulated, |e| covers(&crossed(&e.ndcg).interval(0.95).unwrap(), 0.0)),
        0.93,
        0.97,
        "crossed t",
    );
}

#[test]
fn expanded_percentiles_cover_and_plain_ones_with_all_seeds_fall_short() {
    let simulated = Simulated::new(250, 5, Between::Own);
    let covered = |draw: SeedDraw, kind: BootstrapInterval| {
        share(&simulated, |e| {
            let samples = resample(&[&e.ndcg], 199, draw, Seed::new(0)).unwrap();
            covers(&samples[0].interval(kind, 0.95).unwrap(), 0.0)
        })
    };
    within(covered(SeedDraw::OneLess, BootstrapInterval::Expanded), 0.93, 0.975, "expanded");
    let plain = covered(SeedDraw::All, BootstrapInterval::Percentile);
    assert!(plain < 0.94, "{plain}");
}
