//! Dropout, residual and layer norm beside candle's automatic differentiation of plain tensor operations.

use bench::nn::dropout::Dropout;
use bench::nn::norm::{self, EPSILON, Saved, product_sums};
use candle_core::{D, Tensor};

use super::tools::{
    assert_close, assert_same_for_any_number_of_threads, bits, constant, elements, poison, values, var,
};

/// The factors of every element: the mask of a row begins at a multiple of 16.
fn factors(dropout: Dropout, m: usize, d: usize) -> Vec<f32> {
    let line = d.next_multiple_of(16);
    let row = |row: usize| {
        (0..line).step_by(16).flat_map(move |at| dropout.factors(row * line + at)).take(d).collect::<Vec<_>>()
    };
    (0..m).flat_map(row).collect()
}

/// Layer norm by plain operations, which autograd sees through.
pub fn layer_norm(z: &Tensor, weight: &Tensor, bias: &Tensor) -> Tensor {
    let centred = z.broadcast_sub(&z.mean_keepdim(D::Minus1).unwrap()).unwrap();
    let variance = centred.sqr().unwrap().mean_keepdim(D::Minus1).unwrap();
    let deviation = (variance + f64::from(EPSILON)).unwrap().sqrt().unwrap();
    let normal = centred.broadcast_div(&deviation).unwrap();
    normal.broadcast_mul(weight).unwrap().broadcast_add(bias).unwrap()
}

struct Run {
    y: Vec<f32>,
    dz: Vec<f32>,
    dx: Vec<f32>,
    d_weight: Vec<f32>,
    d_bias: Vec<f32>,
}

/// Forward and backward from random inputs; the sums of weight and bias start from 1 and 2.
fn run(m: usize, d: usize, seed: u64, residual: bool, dropout: Dropout) -> Run {
    let (x, r, dy) = (values(seed, m * d, 2.0), values(seed + 1, m * d, 2.0), values(seed + 2, m * d, 1.0));
    let (weight, bias) = (values(seed + 3, d, 1.5), values(seed + 4, d, 1.0));
    let (mut y, mut normal, mut inverse) = (poison(m * d), poison(m * d), poison(m));
    let saved = Saved { normal: &mut normal, inverse: &mut inverse };
    norm::forward(d, &x, residual.then_some(&r[..]), dropout, (&weight, &bias), &mut y, saved);
    let (mut dz, mut dx, mut d_weight, mut d_bias) =
        (poison(m * d), poison(m * d), vec![1.0; d], vec![2.0; d]);
    let sums = (&mut d_weight[..], &mut d_bias[..]);
    norm::backward(d, &dy, (&normal, &inverse), &weight, dropout, &mut dz, &mut dx, sums);
    Run { y, dz, dx, d_weight, d_bias }
}

#[test]
fn forward_and_every_gradient_equal_automatic_differentiation() {
    let mut seed = 0;
    for d in [3, 8, 15, 16, 17, 33, 64, 100] {
        for m in [1, 2, 63, 64, 65, 130] {
            for (residual, rate) in [(false, 0.0), (true, 0.0), (false, 0.4), (true, 0.4)] {
                seed += 10;
                let dropout = Dropout::new(seed, 1, rate);
                let found = run(m, d, seed, residual, dropout);
                let (x, r) =
                    (var(&values(seed, m * d, 2.0), &[m, d]), var(&values(seed + 1, m * d, 2.0), &[m, d]));
                let (weight, bias) =
                    (var(&values(seed + 3, d, 1.5), &[d]), var(&values(seed + 4, d, 1.0), &[d]));
                let mut z = (x.as_tensor() * constant(&factors(dropout, m, d), &[m, d])).unwrap();
                if residual {
                    z = (z + r.as_tensor()).unwrap();
                }
                let y = layer_norm(&z, &weight, &bias);
                let loss =
                    (&y * constant(&values(seed + 2, m * d, 1.0), &[m, d])).unwrap().sum_all().unwrap();
                let gradients = loss.backward().unwrap();
                let get = |v: &Tensor| elements(gradients.get(v).unwrap());
                let plus = |v: &Tensor, held: f64| get(v).iter().map(|x| x + held).collect::<Vec<_>>();
                let what = |name: &str| format!("{name} of {m} x {d}, residual {residual}, rate {rate}");
                let tolerance = if d < 8 { 1e-4 } else { 5e-6 };
                assert_close(&what("y"), &found.y, &elements(&y), tolerance);
                // The gradient of a row of three has one degree of freedom left: what cancels in it may be far larger than
                // what stays, unless other rows set the scale.
                if d >= 8 || m >= 63 {
                    assert_close(&what("dx"), &found.dx, &get(&x), tolerance);
                    if residual {
                        assert_close(&what("dz"), &found.dz, &get(&r), tolerance);
                    }
                }
                assert_close(&what("dweight"), &found.d_weight, &plus(&weight, 1.0), tolerance);
                assert_close(&what("dbias"), &found.d_bias, &plus(&bias, 2.0), 5e-6);
            }
        }
    }
}

#[test]
fn the_gradient_of_a_dropped_element_is_zero_and_of_a_kept_one_is_scaled() {
    let (m, d, dropout) = (70, 21, Dropout::new(4, 7, 0.5));
    let found = run(m, d, 9, true, dropout);
    for ((dx, dz), factor) in found.dx.iter().zip(&found.dz).zip(factors(dropout, m, d)) {
        assert_eq!(*dx, dz * factor);
    }
}

#[test]
fn a_row_of_one_value_or_of_equal_values_gives_the_bias() {
    for d in [1, 5, 16, 37] {
        let (weight, bias) = (values(1, d, 1.0), values(2, d, 1.0));
        let (mut y, mut normal, mut inverse) = (poison(d), poison(d), poison(1));
        let saved = Saved { normal: &mut normal, inverse: &mut inverse };
        norm::forward(d, &vec![0.75; d], None, Dropout::off(), (&weight, &bias), &mut y, saved);
        for (y, bias) in y.iter().zip(&bias) {
            assert!((y - bias).abs() < 1e-4, "{y} is not {bias}");
        }
    }
}

#[test]
fn a_row_does_not_depend_on_the_rows_around_it() {
    let (d, seed) = (13, 3);
    let many = run(130, d, seed, false, Dropout::off());
    let x = values(seed, 130 * d, 2.0);
    for row in [0, 63, 64, 129] {
        let (weight, bias) = (values(seed + 3, d, 1.5), values(seed + 4, d, 1.0));
        let (mut y, mut normal, mut inverse) = (poison(d), poison(d), poison(1));
        let saved = Saved { normal: &mut normal, inverse: &mut inverse };
        norm::forward(d, &x[row * d..][..d], None, Dropout::off(), (&weight, &bias), &mut y, saved);
        assert_eq!(bits(&y), bits(&many.y[row * d..][..d]), "row {row}");
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    assert_same_for_any_number_of_threads("norm", || {
        let r = run(1000, 40, 5, true, Dropout::new(2, 2, 0.5));
        [bits(&r.y), bits(&r.dz), bits(&r.dx), bits(&r.d_weight), bits(&r.d_bias)]
    });
}

#[test]
fn column_sums_are_added_to_what_is_there() {
    for (m, n) in [(1, 1), (5, 3), (7, 16), (300, 17), (65, 70)] {
        let (a, b) = (values(1, m * n, 1.0), values(2, m * n, 1.0));
        let (mut plain, mut products) = (vec![0.5; n], vec![-0.5; n]);
        product_sums(n, &a, None, &mut plain);
        product_sums(n, &a, Some(&b), &mut products);
        let column = |j: usize| (0..m).map(move |i| i * n + j);
        let sums = |start: f64, term: &dyn Fn(usize) -> f64| -> Vec<f64> {
            (0..n).map(|j| start + column(j).map(term).sum::<f64>()).collect()
        };
        assert_close("sums", &plain, &sums(0.5, &|i| f64::from(a[i])), 3e-6);
        assert_close("product sums", &products, &sums(-0.5, &|i| f64::from(a[i]) * f64::from(b[i])), 3e-6);
    }
}
