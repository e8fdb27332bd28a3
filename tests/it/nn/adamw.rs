//! AdamW and clipping beside the textbook in f64.

use bench::nn::adamw::{self, AdamW, State, clip_factor, norm};

use super::tools::{assert_close, assert_same_for_any_number_of_threads, bits, values};

const ADAM: AdamW = AdamW { learning_rate: 1e-2, weight_decay: 0.3, beta1: 0.9, beta2: 0.999, epsilon: 1e-9 };

/// Lengths around vectors and tasks of 32,768 elements.
const LENGTHS: [usize; 7] = [1, 15, 17, 1000, 32_767, 32_768, 70_001];

fn gradient(step: u32, n: usize) -> Vec<f32> {
    values(u64::from(step) + 40, n, 0.3)
}

/// Some stretches of `0..n` that decay: one alone at the start, some across tasks, one up to the end.
fn ranges(n: usize) -> Vec<(usize, usize)> {
    let mut ranges = vec![];
    for (from, to) in [(0, 1), (16, 37), (100, 900), (32_000, 33_000), (65_536, 65_537), (70_000, 70_001)] {
        if from < n {
            ranges.push((from, to.min(n)));
        }
    }
    ranges
}

/// Loshchilov and Hutter 2019, algorithm 2, with PyTorch's clipping.
fn textbook(n: usize, steps: u32, limit: f64, decayed: &[(usize, usize)]) -> Vec<f64> {
    let mut weights: Vec<f64> = values(3, n, 1.0).iter().map(|x| f64::from(*x)).collect();
    let (mut first, mut second) = (vec![0f64; n], vec![0f64; n]);
    for step in 1..=steps {
        let gradient: Vec<f64> = gradient(step, n).iter().map(|x| f64::from(*x)).collect();
        let norm = gradient.iter().map(|x| x * x).sum::<f64>().sqrt();
        let factor = (limit / (norm + 1e-6)).min(1.0);
        for i in 0..n {
            let g = gradient[i] * factor;
            if decayed.iter().any(|(from, to)| (*from..*to).contains(&i)) {
                weights[i] -= ADAM.learning_rate * ADAM.weight_decay * weights[i];
            }
            first[i] = ADAM.beta1 * first[i] + (1.0 - ADAM.beta1) * g;
            second[i] = ADAM.beta2 * second[i] + (1.0 - ADAM.beta2) * g * g;
            let m = first[i] / (1.0 - ADAM.beta1.powi(step as i32));
            let v = second[i] / (1.0 - ADAM.beta2.powi(step as i32));
            weights[i] -= ADAM.learning_rate * m / (v.sqrt() + ADAM.epsilon);
        }
    }
    weights
}

fn ours(n: usize, steps: u32, limit: f64, decayed: &[(usize, usize)]) -> Vec<f32> {
    let (mut weights, mut first, mut second) = (values(3, n, 1.0), vec![0.0; n], vec![0.0; n]);
    for step in 1..=steps {
        let gradient = gradient(step, n);
        let factor = clip_factor(norm(&gradient), limit);
        let state = State { weights: &mut weights, first: &mut first, second: &mut second };
        adamw::step(&ADAM, step, factor, &gradient, decayed, state);
    }
    weights
}

#[test]
fn several_steps_equal_the_textbook_with_and_without_clipping_and_decay() {
    for n in LENGTHS {
        for limit in [1e9, 0.05] {
            for decayed in [vec![], ranges(n), vec![(0, n)]] {
                let found = ours(n, 7, limit, &decayed);
                let what = format!("{n} weights, limit {limit}, {} ranges decay", decayed.len());
                assert_close(&what, &found, &textbook(n, 7, limit, &decayed), 1e-6);
            }
        }
    }
}

#[test]
fn decay_reaches_its_ranges_and_nothing_else() {
    let n = 70_001;
    let (without, with) = (ours(n, 1, 1e9, &[]), ours(n, 1, 1e9, &ranges(n)));
    for i in 0..n {
        let decays = ranges(n).iter().any(|(from, to)| (*from..*to).contains(&i));
        // A draw of exactly 0 would not move, but there is none.
        assert_eq!(without[i] != with[i], decays, "weight {i}");
    }
}

#[test]
fn a_zero_gradient_moves_nothing_that_does_not_decay() {
    let (mut weights, mut first, mut second) = (values(1, 50, 1.0), vec![0.0; 50], vec![0.0; 50]);
    let state = State { weights: &mut weights, first: &mut first, second: &mut second };
    adamw::step(&ADAM, 1, 1.0, &[0.0; 50], &[], state);
    assert_eq!(bits(&weights), bits(&values(1, 50, 1.0)));
    assert!(first.iter().chain(&second).all(|x| *x == 0.0));
}

#[test]
fn the_norm_is_that_of_f64() {
    for n in [0, 1, 1023, 1024, 1025, 100_003] {
        for scale in [1e-6, 1.0, 1e6] {
            let g = values(n as u64, n, scale);
            let expected = g.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
            assert!(
                (norm(&g) - expected).abs() <= 1e-6 * expected,
                "{n} at {scale}: {} {expected}",
                norm(&g)
            );
        }
    }
}

#[test]
fn clipping_scales_what_is_too_long_and_nothing_else() {
    assert_eq!(clip_factor(4.0, 5.0), 1.0);
    assert_eq!(clip_factor(0.0, 5.0), 1.0);
    assert!((f64::from(clip_factor(50.0, 5.0)) - 0.1).abs() < 1e-8);
}

#[test]
fn the_number_of_threads_changes_nothing() {
    assert_same_for_any_number_of_threads("adamw", || {
        (norm(&gradient(1, 200_001)).to_bits(), bits(&ours(200_001, 2, 1.0, &ranges(200_001))))
    });
}
