//! The fused linear layer and softmax cross-entropy beside candle's automatic differentiation of the plain one.

use bench::nn::cross_entropy::{BLOCK, Gradients, Inputs, Workspace, logit, loss_and_gradients};
use candle_core::{D, Device, Tensor};

use super::tools::{
    assert_close, assert_same_for_any_number_of_threads, bits, elements, integers, poison, values, var,
};

struct Problem {
    d: usize,
    hidden: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    labels: Vec<u32>,
}

struct Found {
    loss: f64,
    hidden: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Problem {
    fn new((m, v, d): (usize, usize, usize), scale: f32, seed: u64) -> Self {
        let mut labels = integers(seed + 3, m, v as u32);
        labels[0] = v as u32 - 1;
        labels[m - 1] = 0;
        Self {
            d,
            hidden: values(seed, m * d, scale),
            weight: values(seed + 1, v * d, 1.0),
            bias: values(seed + 2, v, scale),
            labels,
        }
    }

    fn run(&self, workspace: &mut Workspace) -> Found {
        self.run_onto(0.0, workspace)
    }

    /// With weight and bias gradients that hold `held` before.
    fn run_onto(&self, held: f32, workspace: &mut Workspace) -> Found {
        let mut found = Found {
            loss: 0.0,
            hidden: poison(self.hidden.len()),
            weight: vec![held; self.weight.len()],
            bias: vec![held; self.bias.len()],
        };
        let inputs = Inputs {
            width: self.d,
            hidden: &self.hidden,
            weight: &self.weight,
            bias: &self.bias,
            labels: &self.labels,
        };
        let gradients =
            Gradients { hidden: &mut found.hidden, weight: &mut found.weight, bias: &mut found.bias };
        found.loss = loss_and_gradients(inputs, gradients, workspace);
        found
    }

    /// Loss and gradients by candle, in f64.
    fn twin(&self) -> (f64, [Vec<f64>; 3]) {
        let (m, v, d) = (self.labels.len(), self.bias.len(), self.d);
        let (hidden, weight, bias) =
            (var(&self.hidden, &[m, d]), var(&self.weight, &[v, d]), var(&self.bias, &[v]));
        let logits = hidden.matmul(&weight.t().unwrap()).unwrap().broadcast_add(&bias).unwrap();
        let maximum = logits.max_keepdim(D::Minus1).unwrap().detach();
        let shifted = logits.broadcast_sub(&maximum).unwrap();
        let normaliser = shifted.exp().unwrap().sum_keepdim(D::Minus1).unwrap().log().unwrap();
        let labels = Tensor::from_vec(self.labels.clone(), (m, 1), &Device::Cpu).unwrap();
        let chosen = shifted.gather(&labels, 1).unwrap();
        let loss = (normaliser - chosen).unwrap().mean_all().unwrap();
        let gradients = loss.backward().unwrap();
        let get = |v: &Tensor| elements(gradients.get(v).unwrap());
        (loss.to_scalar().unwrap(), [get(&hidden), get(&weight), get(&bias)])
    }

    /// Fails when loss or a gradient is further than `tolerance` from the twin's.
    fn compare(&self, found: &Found, tolerance: f64) {
        let what = |name: &str| format!("{name} of {} x {} x {}", self.labels.len(), self.bias.len(), self.d);
        let (loss, [hidden, weight, bias]) = self.twin();
        let off = (found.loss - loss).abs() / loss.abs().max(1e-3);
        assert!(off <= tolerance, "{}: {}, expected {loss}", what("loss"), found.loss);
        assert_close(&what("dhidden"), &found.hidden, &hidden, tolerance);
        assert_close(&what("dweight"), &found.weight, &weight, tolerance);
        assert_close(&what("dbias"), &found.bias, &bias, tolerance);
    }
}

#[test]
fn loss_and_gradients_equal_automatic_differentiation_around_every_border() {
    let mut workspace = Workspace::default(); // one for all: what it held must not matter
    let mut seed = 0;
    for m in [130, 1, 63, 64, 65] {
        for v in [1600, 2, 17, 769] {
            for d in [1, 13, 64] {
                seed += 10;
                let p = Problem::new((m, v, d), 1.0, seed);
                p.compare(&p.run(&mut workspace), 5e-6);
            }
        }
    }
}

#[test]
fn gradients_are_added_to_what_weight_and_bias_hold() {
    let p = Problem::new((130, 50, 7), 1.0, 8);
    let (alone, onto) = (p.run(&mut Workspace::default()), p.run_onto(0.25, &mut Workspace::default()));
    let plus = |x: &[f32]| x.iter().map(|x| f64::from(*x) + 0.25).collect::<Vec<_>>();
    // Every one of 130 positions may round once at the size of what is held.
    assert_close("dweight", &onto.weight, &plus(&alone.weight), 130.0 * 6e-8);
    assert_close("dbias", &onto.bias, &plus(&alone.bias), 130.0 * 6e-8);
    assert_eq!(bits(&onto.hidden), bits(&alone.hidden));
}

#[test]
fn a_catalogue_of_more_than_sixteen_chunks_is_right() {
    for v in [16 * 768 - 1, 16 * 768 + 1, 13_000] {
        let p = Problem::new((BLOCK + 1, v, 5), 1.0, v as u64);
        p.compare(&p.run(&mut Workspace::default()), 5e-6);
    }
}

#[test]
fn large_logits_do_not_overflow() {
    for scale in [30.0, 1e3, 1e5] {
        let p = Problem::new((70, 300, 9), scale, 4);
        let found = p.run(&mut Workspace::default());
        assert!(found.loss.is_finite());
        // A logit of size s is known to s * 6e-8, and so is its exponential's relative size.
        p.compare(&found, 1e-5 + f64::from(scale) * 1e-6);
    }
}

#[test]
fn a_certain_answer_costs_nothing_and_a_wrong_one_what_the_logits_say() {
    let mut p = Problem::new((2, 3, 1), 1.0, 1);
    (p.hidden, p.weight, p.bias) = (vec![1.0, 1.0], vec![0.0; 3], vec![500.0, 0.0, 0.0]);
    p.labels = vec![0, 2];
    let found = p.run(&mut Workspace::default());
    assert!((found.loss - 250.0).abs() < 1e-6, "{}", found.loss);
    // exp is clamped at -87, so what is impossible has a probability of 2e-38.
    let expected = [0.5, 0.0, -0.5];
    assert!(found.bias.iter().zip(expected).all(|(x, y)| (x - y).abs() < 1e-30), "{:?}", found.bias);
}

#[test]
fn equal_logits_cost_the_logarithm_of_their_number() {
    let mut p = Problem::new((65, 100, 3), 1.0, 1);
    p.hidden.fill(0.0);
    p.bias.fill(1.0);
    assert!((p.run(&mut Workspace::default()).loss - 100f64.ln()).abs() < 1e-6);
}

#[test]
fn a_nan_in_a_position_is_seen_in_the_loss() {
    for position in [0, 5, 64] {
        let mut p = Problem::new((65, 40, 3), 1.0, 2);
        p.hidden[position * 3 + 1] = f32::NAN;
        assert!(p.run(&mut Workspace::default()).loss.is_nan());
    }
}

#[test]
fn a_logit_is_one_chain_of_fused_multiply_adds_from_the_bias() {
    let p = Problem::new((1, 7, 19), 1.0, 3);
    for item in 0..7 {
        let mut expected = p.bias[item];
        for k in 0..19 {
            expected = p.weight[item * 19 + k].mul_add(p.hidden[k], expected);
        }
        assert_eq!(logit(&p.hidden, &p.weight, &p.bias, item).to_bits(), expected.to_bits());
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let p = Problem::new((130, 900, 33), 1.0, 9);
    assert_same_for_any_number_of_threads("cross-entropy", || {
        let found = p.run(&mut Workspace::default());
        (found.loss.to_bits(), bits(&found.hidden), bits(&found.weight), bits(&found.bias))
    });
}

#[test]
#[should_panic(expected = "a label is not below 5")]
fn a_label_outside_the_vocabulary_is_refused() {
    let mut p = Problem::new((2, 5, 3), 1.0, 1);
    p.labels[1] = 5;
    p.run(&mut Workspace::default());
}
