//! The layers of a decoder beside their CPU twins. bf16 is held against the twin of the same numbers, rounded once at the end.

use bench::cuda::{Activation, Array, Element, SoftmaxRoom, Turns};
use bench::nn::rope::Rope;
use bench::nn::{rms_norm, rope, rows, softmax, swiglu};
use half::bf16;
use rand::RngExt;

use super::kernels::{Case, everywhere};

/// What activations are kept as.
pub trait Kept: Activation {
    /// The largest relative error of a rounding to it.
    const STEP: f64;
    fn of(x: f32) -> Self;
    fn number(self) -> f32;
}
impl Kept for f32 {
    const STEP: f64 = 0.0;
    fn of(x: f32) -> Self {
        x
    }
    fn number(self) -> f32 {
        self
    }
}
impl Kept for bf16 {
    const STEP: f64 = 1.0 / 256.0;
    fn of(x: f32) -> Self {
        Self::from_f32(x)
    }
    fn number(self) -> f32 {
        self.to_f32()
    }
}

impl Case {
    /// Numbers that are the same in both types.
    pub fn kept<E: Kept>(&mut self, n: usize) -> Vec<f32> {
        self.floats(n).iter().map(|x| E::of(*x).number()).collect()
    }

    pub fn array_of<E: Kept>(&self, values: &[f32]) -> Array<E> {
        self.array(&values.iter().map(|x| E::of(*x)).collect::<Vec<E>>())
    }

    /// Of so many elements, with poison in it.
    pub fn space<T: Element>(&self, n: usize) -> Array<T> {
        let mut array = Array::new(&self.machine);
        array.reset(n).unwrap();
        array
    }
}

/// The same bits as the rounded expectation.
#[track_caller]
pub fn same<E: Kept>(found: &Array<E>, expected: &[f32], what: &str) {
    let found = found.get().unwrap();
    assert_eq!(found.len(), expected.len(), "{what}");
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let (found, expected) = (found.number(), E::of(*expected).number());
        assert_eq!(found.to_bits(), expected.to_bits(), "{what}[{at}]: {found} is not {expected}");
    }
}

/// Within `tolerance` of the expectation, and a rounding of it.
#[track_caller]
pub fn near<E: Kept>(found: &Array<E>, expected: &[f64], tolerance: f64, what: &str) {
    let found = found.get().unwrap();
    assert_eq!(found.len(), expected.len(), "{what}");
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let found = f64::from(found.number());
        let most = tolerance + E::STEP * expected.abs();
        assert!((found - expected).abs() <= most, "{what}[{at}]: {found} is not {expected} +- {most}");
    }
}

pub fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|x| f64::from(*x)).collect()
}

const NORMS: [(usize, usize); 9] =
    [(1, 1), (5, 7), (9, 64), (3, 100), (37, 128), (2, 512), (2, 515), (3, 1032), (1, 8300)];

fn norms_forward<X: Kept, Y: Kept>(case: &mut Case) {
    for (m, d) in NORMS {
        let (x, w) = (case.kept::<X>(m * d), case.floats(d));
        let (mut y, mut inverse) = (vec![0.0; m * d], vec![0.0; m]);
        rms_norm::forward(&x, &w, 1e-5, &mut y, &mut inverse);
        let (on_x, on_w) = (case.array_of::<X>(&x), case.array(&w));
        let (mut on_y, mut on_inverse) = (case.space::<Y>(m * d), case.space(m));
        let outputs = (on_y.all_mut(), on_inverse.all_mut());
        case.kernels.rms_norm(on_x.all(), on_w.all(), 1e-5, outputs.0, outputs.1).unwrap();
        same(&on_inverse, &inverse, &format!("inverse ({m}, {d})"));
        same(&on_y, &y, &format!("y ({m}, {d})"));
    }
}

#[test]
fn rms_norms_have_the_bits_of_the_cpu() {
    everywhere(21, |case| {
        norms_forward::<f32, f32>(case);
        norms_forward::<f32, bf16>(case);
        norms_forward::<bf16, f32>(case);
        norms_forward::<bf16, bf16>(case);
    });
}

#[test]
fn the_gradient_of_a_norm_flows_into_the_residual_stream() {
    everywhere(22, |case| {
        for (m, d) in NORMS {
            let (x, w, dy) = (case.floats(m * d), case.floats(d), case.floats(m * d));
            let (mut y, mut inverse) = (vec![0.0; m * d], vec![0.0; m]);
            rms_norm::forward(&x, &w, 1e-5, &mut y, &mut inverse);
            let before = case.floats(m * d);
            let mut flow = before.clone();
            rms_norm::backward(&x, &w, &inverse, &dy, &mut flow, None);
            let (on_x, on_w) = (case.array(&x), case.array(&w));
            let (on_dy, on_inverse) = (case.array(&dy), case.array(&inverse));
            let mut on_flow = case.array(&before);
            case.kernels
                .rms_norm_backward(on_x.all(), on_w.all(), on_inverse.all(), on_dy.all(), on_flow.all_mut())
                .unwrap();
            let tolerance = 1e-5 * f64::from(inverse.iter().fold(1f32, |most, r| most.max(*r)));
            near(&on_flow, &wide(&flow), tolerance, &format!("flow ({m}, {d})"));
        }
    });
}

fn norms_backward<E: Kept>(case: &mut Case) {
    // The last has several parts.
    for (m, d) in [(1, 1), (5, 7), (37, 128), (3, 520), (20, 7001)] {
        let (x, w, dy) = (case.kept::<E>(m * d), case.floats(d), case.kept::<E>(m * d));
        let (mut y, mut inverse) = (vec![0.0; m * d], vec![0.0; m]);
        rms_norm::forward(&x, &w, 1e-5, &mut y, &mut inverse);
        let before = case.floats(d);
        let (mut dx, mut dw) = (vec![0.0; m * d], before.clone());
        rms_norm::backward(&x, &w, &inverse, &dy, &mut dx, Some(&mut dw));
        let (on_x, on_w) = (case.array_of::<E>(&x), case.array(&w));
        let (mut on_dy, on_inverse) = (case.array_of::<E>(&dy), case.array(&inverse));
        let (mut on_dw, mut partial) = (case.array(&before), Array::new(&case.machine));
        let (x, inverse_rms) = (on_x.all(), on_inverse.all());
        case.kernels.rms_norm_weight(x, inverse_rms, on_dy.all(), on_dw.all_mut(), &mut partial).unwrap();
        same(&on_dw, &dw, &format!("dw ({m}, {d})"));
        case.kernels.rms_norm_unnormalize(x, on_w.all(), inverse_rms, on_dy.all_mut()).unwrap();
        let tolerance = 1e-5 * f64::from(inverse.iter().fold(1f32, |most, r| most.max(*r)));
        near(&on_dy, &wide(&dx), tolerance, &format!("dx ({m}, {d})"));
    }
}

#[test]
fn the_gradients_of_a_norms_heads_and_weight() {
    everywhere(23, |case| {
        norms_backward::<f32>(case);
        norms_backward::<bf16>(case);
    });
}

fn rotations<E: Kept>(case: &mut Case) {
    for (m, heads, head_dim, half) in
        [(1, 1, 2, 1), (5, 3, 64, 32), (4, 2, 10, 3), (3, 1, 6, 3), (2, 5, 24, 8)]
    {
        let frequencies: Vec<f32> = (0..half).map(|i| 0.3f32.powi(i as i32)).collect();
        let table = Rope::new(&frequencies, 1.0, 40);
        let at = |position| table.at(position);
        let cos: Vec<f32> = (0..40).flat_map(|position| at(position).0.to_vec()).collect();
        let sin: Vec<f32> = (0..40).flat_map(|position| at(position).1.to_vec()).collect();
        let (on_cos, on_sin) = (case.array(&cos), case.array(&sin));
        let turns = Turns { cos: on_cos.all(), sin: on_sin.all(), half };
        let positions: Vec<u32> = (0..m).map(|_| case.rng.random_range(0..40)).collect();
        let on_positions = case.array(&positions);
        for inverse in [false, true] {
            let mut x = case.kept::<E>(m * heads * head_dim);
            let mut on_x = case.array_of::<E>(&x);
            rope::apply(&mut x, head_dim, &positions, &table, inverse);
            case.kernels.rope(on_x.all_mut(), head_dim, on_positions.all(), turns, inverse).unwrap();
            same(&on_x, &x, &format!("({m}, {heads}, {head_dim}, {half}) {inverse}"));
        }
    }
}

#[test]
fn rotations_have_the_bits_of_the_cpu() {
    everywhere(24, |case| {
        rotations::<f32>(case);
        rotations::<bf16>(case);
    });
}

fn gates<E: Kept>(case: &mut Case) {
    for n in [1, 7, 1000, 4099] {
        let gate: Vec<f32> = case.floats(n).iter().map(|x| E::of(x * 8.0).number()).collect();
        let (up, d_out) = (case.kept::<E>(n), case.kept::<E>(n));
        let (mut out, mut d_gate, mut d_up) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
        swiglu::forward(&gate, &up, &mut out);
        swiglu::backward(&gate, &up, &d_out, &mut d_gate, &mut d_up);
        let (on_gate, on_up) = (case.array_of::<E>(&gate), case.array_of::<E>(&up));
        let on_d_out = case.array_of::<E>(&d_out);
        let mut on_out = case.space::<E>(n);
        case.kernels.swiglu(on_gate.all(), on_up.all(), on_out.all_mut()).unwrap();
        same(&on_out, &out, "out");
        let (mut on_d_gate, mut on_d_up) = (case.space::<E>(n), case.space::<E>(n));
        let outputs = (on_d_gate.all_mut(), on_d_up.all_mut());
        case.kernels
            .swiglu_backward(on_gate.all(), on_up.all(), on_d_out.all(), outputs.0, outputs.1)
            .unwrap();
        same(&on_d_gate, &d_gate, "d_gate");
        same(&on_d_up, &d_up, "d_up");
        // Neither begins nor ends where sixteen bytes do.
        if n > 2 {
            let part = 1..n - 1;
            let mut on_out = case.space::<E>(n);
            let parts = (on_gate.part(part.clone()), on_up.part(part.clone()));
            case.kernels.swiglu(parts.0, parts.1, on_out.part_mut(part.clone())).unwrap();
            let found: Vec<f32> = on_out.get().unwrap()[part.clone()].iter().map(|x| x.number()).collect();
            same(&case.array_of::<E>(&found), &out[part], "a part");
        }
    }
}

#[test]
fn gates_have_the_bits_of_the_cpu() {
    everywhere(25, |case| {
        gates::<f32>(case);
        gates::<bf16>(case);
    });
}

fn picked<E: Kept>(case: &mut Case) {
    for d in [1, 7, 64, 100] {
        let (table, ids) = (case.kept::<E>(9 * d), [3u32, 0, 8, 3, 5]);
        let mut expected = vec![0.0; ids.len() * d];
        rows::gather(&table, d, &ids, &mut expected);
        let (on_table, on_ids) = (case.array_of::<E>(&table), case.array(&ids));
        let mut out = case.space::<E>(expected.len());
        case.kernels.pick_rows(on_table.all(), on_ids.all(), d, out.all_mut()).unwrap();
        same(&out, &expected, "picked");
        let mut out = case.space::<f32>(expected.len());
        case.kernels.embed(on_table.all(), on_ids.all(), d, out.all_mut()).unwrap();
        same(&out, &expected, "embedded");
    }
}

#[test]
fn rows_are_picked_added_and_given_a_bias() {
    everywhere(26, |case| {
        picked::<f32>(case);
        picked::<bf16>(case);
        for d in [1, 7, 64, 300] {
            let (from, to, ids) = (case.floats(3 * d), case.floats(9 * d), [1u32, 2, 7]);
            let (on_from, on_ids, mut on_to) = (case.array(&from), case.array(&ids), case.array(&to));
            let mut expected = to.clone();
            rows::scatter_add(&from, d, &ids, &mut expected);
            case.kernels.add_rows(on_from.all(), d, on_ids.all(), on_to.all_mut()).unwrap();
            same(&on_to, &expected, "added");
            rows::add_to_each(&from[..d], &mut expected);
            case.kernels.add_to_each(on_from.part(0..d), on_to.all_mut()).unwrap();
            same(&on_to, &expected, "with a bias");
        }
    });
}

#[test]
fn numbers_become_bf16_as_on_the_cpu() {
    everywhere(27, |case| {
        for n in [0, 1, 7, 1000] {
            let mut x = case.floats(n);
            // Ties, what rounds up to infinity, and what is none.
            let odd =
                [1.0 + 1.0 / 256.0, 1.0 + 3.0 / 256.0, f32::MAX, -0.0, f32::NEG_INFINITY, f32::NAN, 1e-40];
            x.iter_mut().skip(3).zip(odd).for_each(|(x, odd)| *x = odd);
            let (on_x, mut narrow) = (case.array(&x), case.space::<bf16>(n));
            case.kernels.convert(on_x.all(), narrow.all_mut()).unwrap();
            same(&narrow, &x, "narrow");
            let mut back = case.space::<f32>(n);
            case.kernels.convert(narrow.all(), back.all_mut()).unwrap();
            let expected: Vec<f32> = x.iter().map(|x| bf16::from_f32(*x).to_f32()).collect();
            same(&back, &expected, "wide");
            let mut copy = case.space::<bf16>(n);
            case.kernels.convert(narrow.all(), copy.all_mut()).unwrap();
            same(&copy, &expected, "a copy");
        }
    });
}

#[test]
fn the_cross_entropy_of_logits_and_its_gradient() {
    everywhere(28, |case| {
        let mut room = SoftmaxRoom::new(&case.machine);
        for (m, v) in [(1, 1), (3, 5), (2, 4096), (4, 9001)] {
            let mut logits: Vec<f32> = case.floats(m * v).iter().map(|x| x * 10.0).collect();
            logits[0] = 60.0;
            let labels: Vec<u32> = (0..m).map(|_| case.rng.random_range(0..v as u32)).collect();
            let (mut on_logits, on_labels) = (case.array(&logits), case.array(&labels));
            let share = 1.0 / m as f32;
            let loss = softmax::cross_entropy(v, &mut logits, &labels, share);
            let losses = case
                .kernels
                .softmax_cross_entropy(v, on_logits.all_mut(), on_labels.all(), share, &mut room)
                .unwrap();
            let found = losses.get().unwrap().iter().sum::<f64>() * f64::from(share);
            assert!((found - loss).abs() <= 1e-6 * (1.0 + loss.abs()), "({m}, {v}): {found} is not {loss}");
            near(&on_logits, &wide(&logits), 1e-6, &format!("({m}, {v})"));
        }
        let (mut logits, labels) = (case.array(&[1.0f32, 2.0]), case.array(&[2u32]));
        let losses = case.kernels.softmax_cross_entropy(2, logits.all_mut(), labels.all(), 1.0, &mut room);
        assert!(losses.unwrap().get().unwrap()[0].is_nan(), "a label that is no class");
    });
}
