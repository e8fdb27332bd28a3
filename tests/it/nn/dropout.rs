//! Masks that are functions of a key and a position.

use bench::nn::dropout::Dropout;

use super::tools::{bits, values};

const POSITIONS: usize = 1 << 20;

fn mask(dropout: Dropout) -> Vec<f32> {
    (0..POSITIONS).step_by(16).flat_map(|first| dropout.factors(first)).collect()
}

/// How many standard deviations `count` successes of `n` trials are from the expected ones.
fn sigmas(count: usize, n: usize, p: f64) -> f64 {
    (count as f64 - n as f64 * p) / (n as f64 * p * (1.0 - p)).sqrt()
}

#[test]
fn the_rate_is_right_within_four_sigma_and_what_is_kept_is_scaled() {
    for (i, rate) in [0.1, 0.25, 0.5, 0.9].into_iter().enumerate() {
        let mask = mask(Dropout::new(77 + i as u64, 3, rate));
        let dropped = mask.iter().filter(|x| **x == 0.0).count();
        let off = sigmas(dropped, POSITIONS, rate);
        assert!(off.abs() < 4.0, "rate {rate}: {dropped} dropped, {off:.1} sigma");
        let scale = mask.iter().copied().fold(0f32, f32::max);
        assert!((f64::from(scale) * (1.0 - rate) - 1.0).abs() < 1e-4, "rate {rate}: scale {scale}");
        assert!(mask.iter().all(|x| *x == 0.0 || *x == scale));
    }
}

#[test]
fn every_lane_of_a_line_has_the_rate() {
    let mask = mask(Dropout::new(5, 0, 0.3));
    for lane in 0..16 {
        let dropped = mask.iter().skip(lane).step_by(16).filter(|x| **x == 0.0).count();
        let off = sigmas(dropped, POSITIONS / 16, 0.3);
        assert!(off.abs() < 4.5, "lane {lane}: {off:.1} sigma");
    }
}

#[test]
fn masks_of_other_steps_layers_and_neighbours_are_independent() {
    let base = mask(Dropout::new(1, 1, 0.5));
    let agree = |a: &[f32], b: &[f32]| a.iter().zip(b).filter(|(a, b)| a == b).count();
    let mut checks = vec![];
    for (step, layer) in [(1, 0), (1, 2), (2, 1), (0, 1), (1 << 32, 1), (u64::MAX, 6)] {
        checks.push((format!("step {step}, layer {layer}"), mask(Dropout::new(step, layer, 0.5))));
    }
    for lag in [1, 4, 16, 64, 256] {
        checks.push((format!("lag {lag}"), base[lag..].to_vec()));
    }
    for (what, other) in checks {
        let off = sigmas(agree(&base, &other), other.len(), 0.5);
        assert!(off.abs() < 4.5, "{what}: {off:.1} sigma");
    }
}

#[test]
fn the_same_key_gives_the_same_mask_again_however_it_is_cut() {
    let dropout = Dropout::new(9, 4, 0.4);
    let mut whole = values(1, 1003, 1.0);
    let mut parts = whole.clone();
    dropout.apply(32, &mut whole);
    let (left, rest) = parts.split_at_mut(16);
    let (middle, right) = rest.split_at_mut(480);
    dropout.apply(32 + 496, right);
    dropout.apply(32, left);
    dropout.apply(48, middle);
    assert_eq!(bits(&whole), bits(&parts));
    let expected: Vec<f32> = values(1, 1003, 1.0)
        .iter()
        .zip((32..).step_by(16).flat_map(|first| dropout.factors(first)))
        .map(|(x, factor)| x * factor)
        .collect();
    assert_eq!(bits(&whole), bits(&expected));
}

#[test]
fn a_rate_of_zero_is_the_identity() {
    for dropout in [Dropout::off(), Dropout::new(3, 1, 0.0)] {
        assert!(dropout.is_off());
        let mut found = values(2, 100, 1.0);
        dropout.apply(0, &mut found);
        assert_eq!(bits(&found), bits(&values(2, 100, 1.0)));
        assert_eq!(dropout.factors(160), [1.0; 16]);
    }
}

#[test]
fn a_rate_near_one_drops_nearly_all_and_stays_finite() {
    let mask = mask(Dropout::new(3, 1, 0.999_999_9));
    assert!(mask.iter().all(|x| *x == 0.0));
}
