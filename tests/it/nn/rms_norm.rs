//! RMSNorm beside candle's automatic differentiation of plain tensor operations.

use bench::nn::rms_norm::{backward, forward};
use candle_core::{D, Tensor};

use super::tools::{
    assert_close, assert_same_for_any_number_of_threads, bits, constant, elements, poison, values, var,
};

const EPSILON: f32 = 1e-6;

/// RMSNorm by plain operations, which autograd sees through.
fn twin(x: &Tensor, weight: &Tensor) -> Tensor {
    let mean = x.sqr().unwrap().mean_keepdim(D::Minus1).unwrap();
    let rms = (mean + f64::from(EPSILON)).unwrap().sqrt().unwrap();
    x.broadcast_div(&rms).unwrap().broadcast_mul(weight).unwrap()
}

#[test]
fn forward_and_every_gradient_equal_automatic_differentiation() {
    let mut seed = 0;
    // 65,537 elements a row are more than a task holds, 300 rows of 768 are several tasks.
    for (m, d) in [(1, 1), (3, 5), (7, 16), (130, 17), (64, 64), (33, 100), (300, 768), (3, 65_537), (0, 4)] {
        seed += 10;
        let (x, dy, w) = (values(seed, m * d, 2.0), values(seed + 1, m * d, 1.0), values(seed + 2, d, 1.5));
        let (mut y, mut inverse) = (poison(m * d), poison(m));
        forward(&x, &w, EPSILON, &mut y, &mut inverse);
        let held = values(seed + 3, m * d, 1.0);
        let (mut dx, mut frozen, mut dw) = (held.clone(), held.clone(), vec![2.0; d]);
        backward(&x, &w, &inverse, &dy, &mut dx, Some(&mut dw));
        backward(&x, &w, &inverse, &dy, &mut frozen, None);
        assert_eq!(bits(&dx), bits(&frozen), "a frozen weight changes dx");
        if m == 0 {
            assert_eq!(dw, vec![2.0; d]);
            continue;
        }
        let (vx, vw) = (var(&x, &[m, d]), var(&w, &[d]));
        let expected = twin(&vx, &vw);
        let loss = (&expected * constant(&dy, &[m, d])).unwrap().sum_all().unwrap();
        let gradients = loss.backward().unwrap();
        let what = |name: &str| format!("{name} of {m} x {d}");
        assert_close(&what("y"), &y, &elements(&expected), 1e-6);
        let expected: Vec<f64> = elements(gradients.get(&vx).unwrap())
            .iter()
            .zip(&held)
            .map(|(gradient, held)| gradient + f64::from(*held))
            .collect();
        assert_close(&what("dx"), &dx, &expected, 2e-6);
        let expected: Vec<f64> = elements(gradients.get(&vw).unwrap()).iter().map(|x| x + 2.0).collect();
        assert_close(&what("dw"), &dw, &expected, 5e-6);
    }
}

#[test]
fn the_inverse_is_that_of_the_root_of_the_mean_square_and_epsilon() {
    let (mut y, mut inverse) = (poison(6), poison(2));
    forward(&[3.0, 4.0, 0.0, 0.0, 0.0, 0.0], &[1.0, 2.0, 1.0], 1e-5, &mut y, &mut inverse);
    // Worked by hand: (9 + 16) / 3 and 0, each plus epsilon.
    let expected = [1.0 / (25f32 / 3.0 + 1e-5).sqrt(), 1.0 / 1e-5f32.sqrt()];
    for (found, expected) in inverse.iter().zip(expected) {
        assert!((found / expected - 1.0).abs() < 2e-7, "{found} is not {expected}");
    }
    assert_eq!(y, [3.0 * inverse[0], 2.0 * (4.0 * inverse[0]), 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn a_row_does_not_depend_on_the_rows_around_it() {
    let (m, d) = (500, 200);
    let (x, w) = (values(1, m * d, 2.0), values(2, d, 1.0));
    let (mut y, mut inverse) = (poison(m * d), poison(m));
    forward(&x, &w, EPSILON, &mut y, &mut inverse);
    for row in [0, 326, 327, 328, 499] {
        let (mut alone, mut one) = (poison(d), poison(1));
        forward(&x[row * d..][..d], &w, EPSILON, &mut alone, &mut one);
        assert_eq!(bits(&alone), bits(&y[row * d..][..d]), "row {row}");
        assert_eq!(bits(&one), bits(&inverse[row..][..1]), "row {row}");
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let (m, d) = (1000, 200);
    let (x, dy, w) = (values(1, m * d, 2.0), values(2, m * d, 1.0), values(3, d, 1.0));
    assert_same_for_any_number_of_threads("RMSNorm", || {
        let (mut y, mut inverse, mut dx, mut dw) = (poison(m * d), poison(m), vec![1.0; m * d], vec![1.0; d]);
        forward(&x, &w, EPSILON, &mut y, &mut inverse);
        backward(&x, &w, &inverse, &dy, &mut dx, Some(&mut dw));
        [bits(&y), bits(&inverse), bits(&dx), bits(&dw)]
    });
}
