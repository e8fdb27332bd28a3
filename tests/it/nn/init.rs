//! Initial weights and random orders.

use bench::experiment::{DatasetSource, LruSpec};
use bench::nn::init::{open01, permutation, truncated_normal};
use bench::retrieve::LruRec;
use bench::seed::Seed;

use super::tools::bits;

#[test]
fn the_truncated_normal_stays_inside_its_limit_and_has_its_deviation() {
    let mut rng = Seed::new(1).stream("a");
    let n = 200_000;
    let draws: Vec<f64> = (0..n).map(|_| f64::from(truncated_normal(&mut rng, 0.02, 0.04))).collect();
    assert!(draws.iter().all(|x| x.abs() <= 0.04 + 1e-9));
    let mean = draws.iter().sum::<f64>() / f64::from(n);
    let sd = (draws.iter().map(|x| x * x).sum::<f64>() / f64::from(n) - mean * mean).sqrt();
    // Variance of a normal cut at two deviations: 1 - 2 * 2 phi(2) / (2 Phi(2) - 1) = 0.7737.
    let expected = 0.02 * 0.773_741_3f64.sqrt();
    assert!(mean.abs() < 4.0 * expected / f64::from(n).sqrt(), "mean {mean}");
    assert!(
        (sd / expected - 1.0).abs() < 4.0 / f64::from(2 * n).sqrt(),
        "deviation {sd}, expected {expected}"
    );
    assert!(draws.iter().any(|x| x.abs() > 0.039), "the limit is reached");
}

#[test]
fn uniform_draws_are_inside_the_open_interval_and_even() {
    let mut rng = Seed::new(2).stream("a");
    let mut bins = [0u32; 10];
    for _ in 0..100_000 {
        let x = open01(&mut rng);
        assert!(x > 0.0 && x < 1.0);
        bins[(x * 10.0) as usize] += 1;
    }
    for count in bins {
        assert!((f64::from(count) - 10_000.0).abs() < 4.5 * (100_000.0f64 * 0.1 * 0.9).sqrt(), "{bins:?}");
    }
}

#[test]
fn a_permutation_holds_every_number_once() {
    for n in [0usize, 1, 2, 3, 100, 1000] {
        let mut order = permutation(&mut Seed::new(n as u64).stream("a"), n);
        order.sort_unstable();
        assert_eq!(order, (0..n as u32).collect::<Vec<_>>());
    }
}

#[test]
fn every_permutation_of_four_is_as_likely_as_any_other() {
    let mut counts = std::collections::BTreeMap::new();
    let mut rng = Seed::new(3).stream("a");
    for _ in 0..24_000 {
        *counts.entry(permutation(&mut rng, 4)).or_insert(0u32) += 1;
    }
    assert_eq!(counts.len(), 24);
    let chi: f64 = counts.values().map(|c| (f64::from(*c) - 1000.0).powi(2) / 1000.0).sum();
    assert!(chi < 58.6, "chi-square with 23 degrees of freedom is {chi}; above 58.6 in 1 of 16,000 cases");
}

#[test]
fn streams_of_other_names_and_seeds_are_other_streams() {
    use rand::Rng;
    let first = |seed: u64, name: &str| Seed::new(seed).stream(name).next_u64();
    let all = [first(1, "a"), first(1, "b"), first(2, "a"), first(1, "ab"), first(1, "")];
    let distinct: std::collections::BTreeSet<u64> = all.into_iter().collect();
    assert_eq!(distinct.len(), all.len());
    assert_eq!(first(1, "a"), first(1, "a"));
}

fn spec() -> LruSpec {
    let mut spec = LruSpec::paper_default(&DatasetSource::Beauty);
    (spec.hidden_dim, spec.state_dim, spec.feed_forward_dim) = (8, 500, 20);
    spec
}

#[test]
fn a_models_eigenvalues_begin_on_their_ring_with_their_normaliser() {
    let spec = spec();
    let model = LruRec::init(&spec, 30, Seed::new(4)).unwrap();
    let named = model.params.named().unwrap();
    let mut squares = Vec::new();
    for block in 0..2 {
        let logs = named[&format!("model.lru_blocks.{block}.lru_layer.params_log")].to_vec2::<f32>().unwrap();
        for ((nu, theta), gamma) in logs[0].iter().zip(&logs[1]).zip(&logs[2]) {
            let radius = (-f64::from(*nu).exp()).exp();
            let (angle, gamma) = (f64::from(*theta).exp(), f64::from(*gamma).exp());
            assert!((spec.r_min - 1e-6..=spec.r_max + 1e-6).contains(&radius), "|lambda| = {radius}");
            assert!(angle > 0.0 && angle < std::f64::consts::TAU + 1e-5, "theta = {angle}");
            assert!((gamma - (1.0 - radius * radius).sqrt()).abs() < 1e-5, "gamma = {gamma}");
            squares.push(radius * radius);
        }
    }
    // |lambda|^2 is uniform between the squares of the radii.
    let mean = squares.iter().sum::<f64>() / 1000.0;
    let (low, high) = (spec.r_min * spec.r_min, spec.r_max * spec.r_max);
    let sd = (high - low) / 12f64.sqrt() / 1000f64.sqrt();
    assert!((mean - f64::midpoint(low, high)).abs() < 4.0 * sd, "mean of |lambda|^2 is {mean}");
}

#[test]
fn layer_norms_begin_as_the_identity_and_everything_else_within_two_deviations() {
    let model = LruRec::init(&spec(), 30, Seed::new(4)).unwrap();
    for (name, tensor) in model.params.named().unwrap() {
        let values: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
        if name.ends_with("layer_norm.weight") {
            assert!(values.iter().all(|x| *x == 1.0), "{name}");
        } else if name.ends_with("layer_norm.bias") {
            assert!(values.iter().all(|x| *x == 0.0), "{name}");
        } else if !name.ends_with("params_log") {
            assert!(values.iter().all(|x| x.abs() <= 0.04 && *x != 0.0), "{name}");
        }
    }
}

#[test]
fn one_seed_gives_one_model_and_another_seed_another() {
    let weights = |seed: u64| LruRec::init(&spec(), 30, Seed::new(seed)).unwrap().params.flat.read(bits);
    assert!(weights(5) == weights(5));
    assert!(weights(5) != weights(6));
}
