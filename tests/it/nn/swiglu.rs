//! SwiGLU beside candle's automatic differentiation.

use bench::nn::swiglu::{backward, forward};

use super::tools::{
    assert_close, assert_same_for_any_number_of_threads, bits, constant, elements, poison, values, var,
};

#[test]
fn forward_and_both_gradients_equal_automatic_differentiation() {
    for (case, n) in [1, 15, 16, 17, 100, 16_383, 16_384, 16_385, 3 * 16_384 + 5].into_iter().enumerate() {
        let seed = 10 * case as u64;
        let (gate, up, d_out) = (values(seed, n, 12.0), values(seed + 1, n, 2.0), values(seed + 2, n, 1.0));
        let (mut out, mut d_gate, mut d_up) = (poison(n), poison(n), poison(n));
        forward(&gate, &up, &mut out);
        backward(&gate, &up, &d_out, &mut d_gate, &mut d_up);
        let (vg, vu) = (var(&gate, &[n]), var(&up, &[n]));
        let expected = (vg.silu().unwrap() * vu.as_tensor()).unwrap();
        let gradients = (&expected * constant(&d_out, &[n])).unwrap().sum_all().unwrap().backward().unwrap();
        assert_close(&format!("out of {n}"), &out, &elements(&expected), 1e-6);
        assert_close(&format!("d_gate of {n}"), &d_gate, &elements(gradients.get(&vg).unwrap()), 1e-6);
        assert_close(&format!("d_up of {n}"), &d_up, &elements(gradients.get(&vu).unwrap()), 1e-6);
    }
    forward(&[], &[], &mut []);
    backward(&[], &[], &[], &mut [], &mut []);
}

#[test]
fn far_out_the_gate_is_zero_or_the_identity_and_finite() {
    let gate = [-1e30, -1e9, -1e3, 1e3, 1e9, 1e30];
    let (mut out, mut d_gate, mut d_up) = (poison(6), poison(6), poison(6));
    forward(&gate, &[1.0; 6], &mut out);
    backward(&gate, &[1.0; 6], &[1.0; 6], &mut d_gate, &mut d_up);
    // e^88 bounds the denominator, so -1e30 leaves 1e30 / e^88.
    assert!(out[..3].iter().all(|x| x.abs() < 1e-7), "{out:?}");
    assert_eq!(out[3..], gate[3..]);
    assert_eq!(bits(&out), bits(&d_up));
    for (found, expected) in d_gate.iter().zip([0.0, 0.0, 0.0, 1.0, 1.0, 1.0]) {
        assert!((found - expected).abs() < 1e-7, "{d_gate:?}");
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let n = 100_001;
    let (gate, up, d_out) = (values(1, n, 4.0), values(2, n, 1.0), values(3, n, 1.0));
    assert_same_for_any_number_of_threads("SwiGLU", || {
        let (mut out, mut d_gate, mut d_up) = (poison(n), poison(n), poison(n));
        forward(&gate, &up, &mut out);
        backward(&gate, &up, &d_out, &mut d_gate, &mut d_up);
        [bits(&out), bits(&d_gate), bits(&d_up)]
    });
}
