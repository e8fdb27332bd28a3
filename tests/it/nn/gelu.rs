//! The exact GELU and dropout beside candle's automatic differentiation.

use bench::nn::dropout::Dropout;
use bench::nn::gelu;

use super::math::phi;
use super::tools::{assert_same_for_any_number_of_threads, bits, constant, elements, poison, values, var};

/// Lengths around vectors and tasks.
const LENGTHS: [usize; 9] = [1, 15, 16, 17, 100, 16_383, 16_384, 16_385, 2 * 16_384 + 5];

fn factors(dropout: Dropout, n: usize) -> Vec<f32> {
    (0..n).step_by(16).flat_map(|first| dropout.factors(first)).take(n).collect()
}

/// Fails unless every element is within 1.5e-6, for arguments up to 6 in size.
fn assert_near(what: &str, found: &[f32], expected: &[f64]) {
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let off = (f64::from(*found) - expected).abs();
        assert!(off <= 1.5e-6, "{what}: element {i} is {found}, expected {expected}");
    }
}

#[test]
fn forward_and_backward_equal_automatic_differentiation() {
    for (case, n) in LENGTHS.into_iter().enumerate() {
        for rate in [0.0, 0.3] {
            let dropout = Dropout::new(case as u64, 2, rate);
            let (x, dy) = (values(case as u64, n, 6.0), values(case as u64 + 50, n, 1.0));
            let vx = var(&x, &[n]);
            let cdf = ((vx.as_tensor() / 2f64.sqrt()).unwrap().erf().unwrap() + 1.0).unwrap();
            let y = ((vx.as_tensor() * cdf).unwrap() * 0.5).unwrap();
            let y = (y * constant(&factors(dropout, n), &[n])).unwrap();
            let loss = (&y * constant(&dy, &[n])).unwrap().sum_all().unwrap();
            let gradients = loss.backward().unwrap();
            let mut found = poison(n);
            gelu::forward(&x, dropout, &mut found);
            assert_near(&format!("gelu of {n} at rate {rate}"), &found, &elements(&y));
            let mut found = dy.clone();
            gelu::backward(&x, dropout, &mut found);
            let expected = elements(gradients.get(&vx).unwrap());
            assert_near(&format!("gradient of {n} at rate {rate}"), &found, &expected);
        }
    }
}

#[test]
fn without_dropout_it_is_x_times_the_normal_distribution() {
    let x: Vec<f32> = (-4000..=4000).map(|i| i as f32 / 400.0).collect();
    let mut found = poison(x.len());
    gelu::forward(&x, Dropout::off(), &mut found);
    let worst = x.iter().zip(&found).map(|(x, y)| (f64::from(*y) - f64::from(*x) * phi(f64::from(*x))).abs());
    let worst = worst.fold(0f64, f64::max);
    println!("gelu: largest error on [-10, 10] {worst:.2e}");
    assert!(worst < 6e-7, "{worst:e}");
}

#[test]
fn far_out_it_is_zero_or_the_identity_and_finite() {
    let x = [-1e4, -1e9, -1e30, 1e4, 1e9, 1e30];
    let (mut y, mut dx) = (poison(6), vec![1.0; 6]);
    gelu::forward(&x, Dropout::off(), &mut y);
    gelu::backward(&x, Dropout::off(), &mut dx);
    assert!(y[..3].iter().all(|y| y.abs() < 1e-30), "{y:?}");
    assert_eq!(y[3..], x[3..]);
    assert!(
        dx[..3].iter().all(|dx| dx.abs() < 1e-7) && dx[3..].iter().all(|dx| (dx - 1.0).abs() < 1e-7),
        "{dx:?}"
    );
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let (x, dropout) = (values(3, 100_001, 3.0), Dropout::new(8, 1, 0.5));
    assert_same_for_any_number_of_threads("gelu", || {
        let (mut y, mut dy) = (poison(x.len()), values(4, x.len(), 1.0));
        gelu::forward(&x, dropout, &mut y);
        gelu::backward(&x, dropout, &mut dy);
        (bits(&y), bits(&dy))
    });
}
