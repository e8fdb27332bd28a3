//! What holds for any values.

use bench::seed::Seed;
use bench::significance::{
    BootstrapInterval, Crossed, Outcome, Paired, SeedDraw, SeedPairing, Settings, Zeros, benjamini_hochberg,
    bonferroni, compare, holm, mcnemar, paired_t, resample, sign_flips, wilcoxon,
};
use proptest::prelude::*;

/// Metrics of up to 30 users with up to 4 seeds, of few values or of many.
fn tables() -> impl Strategy<Value = Paired> {
    (1usize..5, 1usize..30, any::<bool>()).prop_flat_map(|(seeds, users, few)| {
        let value = if few {
            prop::sample::select(vec![0.0, 0.5, 1.0, 0.386_852_807]).boxed()
        } else {
            (0.0..1.0f64).boxed()
        };
        let run = prop::collection::vec(value, users);
        let runs = prop::collection::vec(run, seeds);
        (runs.clone(), runs, any::<bool>()).prop_map(|(a, b, shared)| {
            let pairing = if shared { SeedPairing::Shared } else { SeedPairing::Independent };
            Paired::new(&a, &b, pairing).unwrap()
        })
    })
}

fn tests(paired: &Paired) -> Vec<Outcome> {
    let mut all = vec![
        sign_flips(paired, 499, Seed::new(1)),
        wilcoxon(paired, Zeros::Drop, true),
        wilcoxon(paired, Zeros::Pratt, false),
        paired_t(paired, 0.95).0,
    ];
    all.extend(Crossed::of(paired).map(|crossed| crossed.test()));
    all
}

/// The users in another order.
fn reordered(values: &[Vec<f64>], by: usize) -> Vec<Vec<f64>> {
    values
        .iter()
        .map(|run| {
            let mut run = run.clone();
            let len = run.len().max(1);
            run.rotate_left(by % len);
            run.reverse();
            run
        })
        .collect()
}

fn near(x: f64, y: f64) -> bool {
    x == y || (x - y).abs() <= 1e-9 * x.abs().max(y.abs()).max(1e-3)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn p_is_a_probability_and_the_same_with_a_and_b_exchanged(paired in tables()) {
        for (ours, swapped) in tests(&paired).iter().zip(tests(&paired.swapped())) {
            prop_assert!((0.0..=1.0).contains(&ours.p), "{:?}", ours);
            prop_assert!(ours.mid_p.is_none_or(|mid| (0.0..=ours.p).contains(&mid)));
            prop_assert!(near(ours.p, swapped.p), "{:?} and {:?}", ours, swapped);
        }
    }

    #[test]
    fn the_order_of_users_does_not_matter(
        a in prop::collection::vec(prop::collection::vec(0.0..1.0f64, 17), 2),
        b in prop::collection::vec(prop::collection::vec(0.0..1.0f64, 17), 2),
        by in 0usize..17,
    ) {
        let one = Paired::new(&a, &b, SeedPairing::Shared).unwrap();
        let other = Paired::new(&reordered(&a, by), &reordered(&b, by), SeedPairing::Shared).unwrap();
        for (one, other) in tests(&one).iter().zip(tests(&other)) {
            prop_assert!(near(one.p, other.p), "{:?} and {:?}", one, other);
        }
    }

    #[test]
    fn intervals_hold_the_estimate_and_grow_with_their_level(paired in tables()) {
        let estimate = paired.means().0 - paired.means().1;
        let mut widths = Vec::new();
        for level in [0.5, 0.9, 0.99] {
            let mut intervals = vec![paired_t(&paired, level).1];
            intervals.extend(Crossed::of(&paired).map(|crossed| crossed.interval(level).unwrap()));
            for interval in &intervals {
                prop_assert!(interval.low <= estimate + 1e-9 && estimate <= interval.high + 1e-9, "{:?}", interval);
            }
            widths.push(intervals.iter().map(|interval| interval.high - interval.low).collect::<Vec<_>>());
        }
        for two in widths.windows(2) {
            prop_assert!(two[0].iter().zip(&two[1]).all(|(narrow, wide)| narrow <= wide));
        }
    }

    #[test]
    fn seeds_that_agree_by_chance_do_not_halve_the_error_over_users(paired in tables()) {
        if let Some(crossed) = Crossed::of(&paired) {
            prop_assert!(crossed.se >= 0.5 * crossed.se_users * (1.0 - 1e-12));
            if let Some(degrees) = crossed.degrees {
                let (least, most) = (crossed.seeds_a.min(crossed.seeds_b).min(crossed.users), crossed.users);
                prop_assert!((least as f64 - 1.0..=most as f64 - 1.0).contains(&degrees), "{}", degrees);
            }
        }
    }

    #[test]
    fn p_and_the_interval_of_the_crossed_t_agree(paired in tables()) {
        if let Some(crossed) = Crossed::of(&paired) {
            let interval = crossed.interval(0.95).unwrap();
            let p = crossed.test().p;
            if (p - 0.05).abs() > 1e-6 {
                prop_assert_eq!(p < 0.05, interval.low > 0.0 || interval.high < 0.0, "{} {:?}", p, interval);
            }
        }
    }

    #[test]
    fn adjusted_p_values_are_at_least_the_raw_ones_in_their_order(p in prop::collection::vec(0.0..=1.0f64, 0..40)) {
        let (holm, fdr, all) = (holm(&p).unwrap(), benjamini_hochberg(&p).unwrap(), bonferroni(&p).unwrap());
        for at in 0..p.len() {
            prop_assert!(p[at] <= fdr[at] && fdr[at] <= holm[at] + 1e-15 && holm[at] <= all[at] && all[at] <= 1.0);
            for other in 0..p.len() {
                if p[at] <= p[other] {
                    prop_assert!(holm[at] <= holm[other] && fdr[at] <= fdr[other]);
                }
            }
        }
    }

    #[test]
    fn mcnemar_is_monotone_in_what_it_sees(b in 0u32..60, c in 0u32..60) {
        let test = mcnemar(b, c);
        prop_assert!((0.0..=1.0).contains(&test.p));
        prop_assert!(near(test.p, mcnemar(c, b).p));
        if b >= c {
            prop_assert!(mcnemar(b + 1, c).p <= test.p + 1e-12);
        }
    }

    #[test]
    fn resamples_lie_within_the_values_and_their_quantiles_are_ordered(paired in tables(), all in any::<bool>()) {
        let draw = if all { SeedDraw::All } else { SeedDraw::OneLess };
        let samples = resample(&[&paired], 200, draw, Seed::new(2)).unwrap().remove(0);
        prop_assert!(samples.sorted.is_sorted() && samples.sorted.len() == 200);
        prop_assert!(samples.sorted.iter().all(|value| value.abs() <= 1.0 + 1e-9));
        for kind in [BootstrapInterval::Percentile, BootstrapInterval::Expanded, BootstrapInterval::Bca] {
            let interval = samples.interval(kind, 0.9).unwrap();
            prop_assert!(interval.low <= interval.high, "{:?}", interval);
        }
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let value = |seed: usize, user: usize, odd: usize| ((seed * 31 + user * 17) % odd) as f64 / odd as f64;
    let runs = |odd| -> Vec<Vec<f64>> {
        (0..3).map(|seed| (0..500).map(|user| value(seed, user, odd)).collect()).collect()
    };
    let paired = Paired::new(&runs(97), &runs(89), SeedPairing::Shared).unwrap();
    let settings = Settings { resamples: 1_000, sign_flips: 10_000, ..Settings::default() };
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| compare(&paired, &settings).unwrap())
    };
    let one = with(1);
    assert!(one.users_given_runs.randomization.draws.is_some());
    assert_eq!(one, with(2));
    assert_eq!(one, with(5));
}

#[test]
fn resampling_metrics_together_gives_what_each_gives_alone() {
    let run =
        |odd: usize| vec![(0..50).map(|user| (user * 7 % odd) as f64 / odd as f64).collect::<Vec<f64>>(); 2];
    let one = Paired::new(&run(13), &run(11), SeedPairing::Shared).unwrap();
    let two = Paired::new(&run(5), &run(17), SeedPairing::Shared).unwrap();
    let together = resample(&[&one, &two], 300, SeedDraw::All, Seed::new(9)).unwrap();
    let alone = resample(&[&one], 300, SeedDraw::All, Seed::new(9)).unwrap();
    // The users that differ somewhere are not the same, so the draws are others; the distribution is one.
    let spread = |sorted: &[f64]| {
        let mean = sorted.iter().sum::<f64>() / sorted.len() as f64;
        (sorted.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / sorted.len() as f64).sqrt()
    };
    assert_eq!(together.len(), 2);
    let (x, y) = (spread(&together[0].sorted), spread(&alone[0].sorted));
    assert!((x / y - 1.0).abs() < 0.25, "{x} and {y}");
}

#[test]
fn the_bootstrap_has_the_variance_that_theory_gives_it() {
    // Users with and without a difference, two shared seeds with S - 1 drawn: A/U + B/S, and what Owen (2007) says of the rest.
    let users = 200;
    let table: Vec<Vec<f64>> = (0..2)
        .map(|_| (0..users).map(|user| if user % 4 == 0 { (user % 12) as f64 / 12.0 } else { 0.0 }).collect())
        .collect();
    let paired = Paired::new(&table, &vec![vec![0.0; users]; 2], SeedPairing::Shared).unwrap();
    let samples = resample(&[&paired], 20_000, SeedDraw::OneLess, Seed::new(5)).unwrap().remove(0);
    let mean = samples.sorted.iter().sum::<f64>() / 20_000.0;
    let variance = samples.sorted.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 20_000.0;
    let centre = table[0].iter().sum::<f64>() / users as f64;
    let plug_in = table[0].iter().map(|value| (value - centre).powi(2)).sum::<f64>() / (users * users) as f64;
    assert!((mean - centre).abs() < 4.0 * (plug_in / 20_000.0).sqrt(), "{mean} and {centre}");
    assert!((variance / plug_in - 1.0).abs() < 0.05, "{variance} and {plug_in}");
}
