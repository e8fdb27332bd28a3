//! Cross-entropy over a vocabulary beside candle's automatic differentiation.

use bench::nn::softmax::cross_entropy;
use candle_core::{D, Device, Tensor};

use super::tools::{
    assert_close, assert_same_for_any_number_of_threads, bits, elements, integers, values, var,
};

#[test]
fn loss_and_gradient_equal_automatic_differentiation() {
    let mut seed = 0;
    for (rows, v) in [(1, 1), (2, 3), (3, 16), (5, 17), (4, 1000), (2, 16_384), (3, 16_385), (2, 50_000)] {
        for scale in [1.0, 30.0] {
            seed += 10;
            let (logits, labels) = (values(seed, rows * v, scale), integers(seed, rows, v as u32));
            let mut found = logits.clone();
            let loss = cross_entropy(v, &mut found, &labels, 1.0 / rows as f32);
            let logits = var(&logits, &[rows, v]);
            let log_softmax = candle_nn::ops::log_softmax(&logits, D::Minus1).unwrap();
            let labels = Tensor::from_vec(labels, (rows, 1), &Device::Cpu).unwrap();
            let expected = log_softmax.gather(&labels, 1).unwrap().mean_all().unwrap().neg().unwrap();
            let gradients = expected.backward().unwrap();
            let expected: f64 = expected.to_scalar().unwrap();
            let what = format!("{rows} x {v}, logits up to {scale}");
            assert!(
                (loss - expected).abs() <= 2e-6 * expected.abs().max(1.0),
                "{what}: {loss} is not {expected}"
            );
            // Errors relative to the largest gradient there may be.
            let mut gradient = elements(gradients.get(&logits).unwrap());
            gradient.push(1.0 / rows as f64);
            found.push(1.0 / rows as f32);
            assert_close(&what, &found, &gradient, 1e-6);
        }
    }
}

#[test]
fn equal_logits_lose_the_logarithm_of_their_number() {
    for v in [1, 2, 10, 40_000] {
        let mut logits = vec![-300.0; 2 * v];
        let loss = cross_entropy(v, &mut logits, &[0, v as u32 - 1], 0.5);
        assert!((loss - (v as f64).ln()).abs() < 1e-6, "{v}: {loss}");
        let sum: f64 = logits.iter().map(|x| f64::from(*x)).sum();
        assert!(sum.abs() < 1e-6, "{v}: gradients add up to {sum}");
    }
}

#[test]
fn the_share_scales_the_sum_over_rows_and_its_gradient() {
    let (v, labels) = (100, [3, 99]);
    let (mut one, mut quarter) = (values(1, 200, 3.0), values(1, 200, 3.0));
    let whole = cross_entropy(v, &mut one, &labels, 1.0);
    let part = cross_entropy(v, &mut quarter, &labels, 0.25);
    assert!((whole / 4.0 - part).abs() < 1e-12);
    assert_eq!(one.iter().map(|x| x / 4.0).collect::<Vec<_>>(), quarter);
    assert_eq!(cross_entropy(v, &mut [], &[], 1.0), 0.0);
}

#[test]
fn a_row_does_not_depend_on_the_others_nor_on_the_number_of_threads() {
    let v = 40_000;
    let (logits, labels) = (values(1, 3 * v, 5.0), [7, 39_999, 20_000]);
    let all = || {
        let mut found = logits.clone();
        let loss = cross_entropy(v, &mut found, &labels, 1.0);
        (loss.to_bits(), bits(&found))
    };
    let (_, found) = all();
    for row in 0..3 {
        let mut alone = logits[row * v..][..v].to_vec();
        cross_entropy(v, &mut alone, &labels[row..=row], 1.0);
        assert_eq!(bits(&alone), found[row * v..][..v], "row {row}");
    }
    assert_same_for_any_number_of_threads("cross-entropy", all);
}
