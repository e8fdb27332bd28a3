//! Values of scipy, statsmodels and ranx, made by golden.py.

use bench::seed::Seed;
use bench::significance::{
    BootstrapInterval, Crossed, Design, Method, Paired, Power, SeedDraw, SeedPairing, Zeros,
    benjamini_hochberg, bonferroni, holm, mcnemar, paired_t, resample, sign_flips, wilcoxon,
};
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("golden.json")).expect("golden.json")
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|x| x.as_f64().expect("a number")).collect()
}

fn pairs() -> Vec<(Value, Paired)> {
    let cases = golden()["paired"].as_array().unwrap().clone();
    cases
        .into_iter()
        .map(|case| {
            let (a, b) = (numbers(&case["a"]), numbers(&case["b"]));
            let paired = Paired::new(&[a], &[b], SeedPairing::Shared).unwrap();
            (case, paired)
        })
        .collect()
}

#[track_caller]
fn close(ours: f64, theirs: &Value, what: &str, name: &Value) {
    let theirs = theirs.as_f64().unwrap_or_else(|| panic!("no {what} for {name}"));
    assert!(
        (ours - theirs).abs() <= 1e-6 * theirs.abs().clamp(1e-3, 1.0),
        "{name}: {what} is {ours}, not {theirs}"
    );
}

#[test]
fn paired_t_and_its_interval_are_those_of_scipy_and_ranx() {
    for (case, paired) in pairs() {
        let (test, interval) = paired_t(&paired, 0.95);
        let name = &case["name"];
        close(test.statistic, &case["t"], "t", name);
        close(test.p, &case["t_p"], "p", name);
        close(test.p, &case["ranx_t_p"], "p of ranx", name);
        close(interval.low, &case["low"], "the lower end", name);
        close(interval.high, &case["high"], "the upper end", name);
    }
}

#[test]
fn wilcoxon_is_scipy_s_with_both_ways_for_zeros_with_and_without_continuity() {
    let mut exact = 0;
    for (case, paired) in pairs() {
        let name = &case["name"];
        if let Some(theirs) = case.get("wilcoxon_exact") {
            let ours = wilcoxon(&paired, Zeros::Drop, false);
            assert_eq!(ours.method, Method::ExactWilcoxon, "{name}");
            close(ours.p, theirs, "exact p", name);
            exact += 1;
            continue;
        }
        for (zeros, continuity, key) in [
            (Zeros::Drop, false, "wilcox_false"),
            (Zeros::Drop, true, "wilcox_true"),
            (Zeros::Pratt, false, "pratt_false"),
            (Zeros::Pratt, true, "pratt_true"),
        ] {
            let ours = wilcoxon(&paired, zeros, continuity);
            assert_eq!(ours.method, Method::Wilcoxon, "{name}");
            close(ours.p, &case[key], key, name);
        }
    }
    assert_eq!(exact, 3, "8, 14 and 50 users without zeros and ties");
}

#[test]
fn exact_randomization_is_scipy_s_over_all_sign_patterns() {
    let mut seen = 0;
    for (case, paired) in pairs() {
        let Some(theirs) = case.get("permutation_p") else { continue };
        let ours = sign_flips(&paired, 1_000, Seed::new(0));
        assert_eq!(ours.method, Method::ExactRandomization, "{}", case["name"]);
        close(ours.p, theirs, "p", &case["name"]);
        seen += 1;
    }
    assert_eq!(seen, 4);
}

#[test]
fn mcnemar_is_that_of_statsmodels_and_mid_p_follows_the_binomial() {
    for case in golden()["mcnemar"].as_array().unwrap() {
        let (b, c) = (case["b"].as_u64().unwrap() as u32, case["c"].as_u64().unwrap() as u32);
        let name = Value::from(format!("{b} against {c}"));
        let ours = mcnemar(b, c);
        close(ours.p, &case["p"], "p", &name);
        close(ours.mid_p.unwrap(), &case["mid_p"], "mid-p", &name);
    }
}

#[test]
fn corrections_are_those_of_statsmodels() {
    for case in golden()["families"].as_array().unwrap() {
        let p = numbers(&case["p"]);
        for (ours, key) in [
            (bonferroni(&p).unwrap(), "bonferroni"),
            (holm(&p).unwrap(), "holm"),
            (benjamini_hochberg(&p).unwrap(), "fdr_bh"),
        ] {
            for (ours, theirs) in ours.iter().zip(numbers(&case[key])) {
                assert!((ours - theirs).abs() < 1e-12, "{key}: {ours}, not {theirs}");
            }
        }
    }
}

#[test]
fn the_crossed_model_agrees_with_statsmodels_mean_squares_and_scipy_s_t() {
    for case in golden()["crossed"].as_array().unwrap() {
        let d: Vec<Vec<f64>> = case["d"].as_array().unwrap().iter().map(numbers).collect();
        let zeros = vec![vec![0.0; d[0].len()]; d.len()];
        let paired = Paired::new(&d, &zeros, SeedPairing::Shared).unwrap();
        let crossed = Crossed::of(&paired).unwrap();
        let name = Value::from(format!("{} seeds of {} users", d.len(), d[0].len()));
        close(crossed.se, &case["se"], "SE", &name);
        close(crossed.degrees.unwrap(), &case["df"], "df", &name);
        close(crossed.test().p, &case["p"], "p", &name);
        let interval = crossed.interval(0.95).unwrap();
        close(interval.low, &case["low"], "the lower end", &name);
        close(interval.high, &case["high"], "the upper end", &name);
        close(crossed.components.users, &case["users"], "variance of users", &name);
        close(crossed.components.seeds, &case["seeds"], "variance of seeds", &name);
        close(crossed.components.interaction, &case["rest"], "variance of the rest", &name);
    }
}

#[test]
fn the_minimum_detectable_effect_is_that_of_statsmodels_within_a_hundredth() {
    // statsmodels uses the noncentral t; Bloom's formula has no need of it and differs by its approximation.
    for case in golden()["powers"].as_array().unwrap() {
        let n = case["n"].as_u64().unwrap() as usize;
        let values: Vec<f64> = (0..n).map(|user| (user % 2) as f64).collect();
        let sd = (n as f64 / (4.0 * (n - 1) as f64)).sqrt();
        let paired = Paired::new(&[values], &[vec![0.0; n]], SeedPairing::Shared).unwrap();
        let power = Power::of_users(&paired, Design { alpha: 0.05, power: 0.8 }, 0.1);
        let ratio = power.minimum.unwrap() / sd / case["d"].as_f64().unwrap();
        assert!((ratio - 1.0).abs() < 0.01, "{n} users: {ratio}");
    }
}

#[test]
fn bootstrap_intervals_over_users_are_scipy_s_up_to_the_noise_of_resampling() {
    let case = &golden()["bootstrap"];
    let paired = Paired::new(&[numbers(&case["a"])], &[numbers(&case["b"])], SeedPairing::Shared).unwrap();
    let samples = resample(&[&paired], 100_000, SeedDraw::Fixed, Seed::new(4)).unwrap().remove(0);
    for (kind, key) in [(BootstrapInterval::Percentile, "percentile"), (BootstrapInterval::Bca, "BCa")] {
        let theirs = numbers(&case[key]);
        let ours = samples.interval(kind, 0.95).unwrap();
        let width = theirs[1] - theirs[0];
        assert!((ours.low - theirs[0]).abs() < 0.01 * width, "{key}: {} and {}", ours.low, theirs[0]);
        assert!((ours.high - theirs[1]).abs() < 0.01 * width, "{key}: {} and {}", ours.high, theirs[1]);
    }
}
