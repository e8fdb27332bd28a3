//! The whole model beside the reference's form of it: padded batches, plain tensor operations in f64, and candle's automatic
//! differentiation.

use std::collections::BTreeMap;

use bench::data::ItemId;
use bench::experiment::LruSpec;
use bench::nn::dropout::Dropout;
use bench::nn::params::Params;
use bench::retrieve::LruRec;
use bench::retrieve::lru::forward::Masks;
use bench::retrieve::lru::packed::Packed;
use bench::retrieve::lru::train::Trainer;
use candle_core::{D, Device, Tensor, Var};

use super::tiny::{model, sequences, spec, still};
use crate::nn::norm::layer_norm;
use crate::nn::tools::{assert_close, elements, var};

/// A padded batch as the reference makes it: labels are one longer than inputs, both cut to their last `length`.
struct Padded {
    b: usize,
    length: usize,
    inputs: Vec<u32>,
    labels: Vec<u32>,
    /// For each place of the batch, its row among the packed positions.
    rows: Vec<Option<usize>>,
}

fn pad(windows: &[Vec<ItemId>], length: usize, first_item_label: bool) -> Padded {
    let mut p = Padded { b: windows.len(), length, inputs: vec![], labels: vec![], rows: vec![] };
    let last = |items: &[u32]| {
        let mut padded = vec![0; length];
        padded.extend(items);
        padded.split_off(items.len())
    };
    let mut rows = 0;
    for window in windows {
        let raw: Vec<u32> = window.iter().map(|item| item.get()).collect();
        let inputs = last(&raw[..raw.len() - 1]);
        let mut labels = last(&raw);
        if !first_item_label {
            labels
                .iter_mut()
                .zip(&inputs)
                .filter(|(_, input)| **input == 0)
                .for_each(|(label, _)| *label = 0);
        }
        p.rows.extend(labels.iter().map(|label| {
            rows += usize::from(*label != 0);
            (*label != 0).then(|| rows - 1)
        }));
        p.inputs.extend(inputs);
        p.labels.extend(labels);
    }
    p
}

struct Twin {
    spec: LruSpec,
    weights: BTreeMap<String, Var>,
    padded: Padded,
    masks: Masks,
}

impl Twin {
    fn weight(&self, name: &str) -> &Tensor {
        self.weights[name].as_tensor()
    }

    fn linear(&self, x: &Tensor, name: &str, part: &str) -> Tensor {
        let weight = self.weight(&format!("{name}.weight{part}"));
        let bias = self.weight(&format!("{name}.bias{part}"));
        x.broadcast_matmul(&weight.t().unwrap()).unwrap().broadcast_add(bias).unwrap()
    }

    fn norm(&self, x: &Tensor, name: &str) -> Tensor {
        layer_norm(x, self.weight(&format!("{name}.weight")), self.weight(&format!("{name}.bias")))
    }

    /// The mask of the packed model at each place of the padded batch; rows of it begin `line` positions apart.
    fn mask(&self, dropout: Dropout, width: usize, line: usize) -> Tensor {
        let factor = |row: &Option<usize>, at: usize| {
            let Some(row) = row else { return 1.0 };
            let place = row * line + at;
            f64::from(dropout.factors(place / 16 * 16)[place % 16])
        };
        let all: Vec<f64> =
            self.padded.rows.iter().flat_map(|row| (0..width).map(move |at| factor(row, at))).collect();
        Tensor::from_vec(all, (self.padded.b, self.padded.length, width), &Device::Cpu).unwrap()
    }

    /// `# Shapes: x (b, l, d) to (b, l, d)`
    fn recurrence(&self, x: &Tensor, name: &str) -> Tensor {
        let logs = self.weight(&format!("{name}.params_log"));
        let row = |i: usize| logs.get(i).unwrap().exp().unwrap();
        let (nu, theta, gamma) = (row(0), row(1), row(2));
        let radius = nu.neg().unwrap().exp().unwrap();
        let (lr, li) = ((&radius * theta.cos().unwrap()).unwrap(), (&radius * theta.sin().unwrap()).unwrap());
        let into = format!("{name}.in_proj");
        let drive = |part: &str| self.linear(x, &into, part).broadcast_mul(&gamma).unwrap();
        let (ur, ui) = (drive(".real"), drive(".imag"));
        let (mut hr, mut hi) = (Vec::new(), Vec::new());
        for t in 0..self.padded.length {
            let at = |u: &Tensor| u.narrow(1, t, 1).unwrap().squeeze(1).unwrap();
            let (mut re, mut im) = (at(&ur), at(&ui));
            if t > 0 {
                // The state of a padded position is not carried on.
                let carried: Vec<f64> = (0..self.padded.b)
                    .map(|b| f64::from(u8::from(self.padded.inputs[b * self.padded.length + t - 1] != 0)))
                    .collect();
                let carried = Tensor::from_vec(carried, (self.padded.b, 1), &Device::Cpu).unwrap();
                let (pr, pi): (&Tensor, &Tensor) = (&hr[t - 1], &hi[t - 1]);
                let (pr, pi) = (pr.broadcast_mul(&carried).unwrap(), pi.broadcast_mul(&carried).unwrap());
                let times = |a: &Tensor, b: &Tensor| a.broadcast_mul(b).unwrap();
                re = ((re + times(&pr, &lr)).unwrap() - times(&pi, &li)).unwrap();
                im = ((im + times(&pi, &lr)).unwrap() + times(&pr, &li)).unwrap();
            }
            hr.push(re);
            hi.push(im);
        }
        let (hr, hi) = (Tensor::stack(&hr, 1).unwrap(), Tensor::stack(&hi, 1).unwrap());
        let out = |h: &Tensor, part: &str| {
            let weight = self.weight(&format!("{name}.out_proj.weight{part}"));
            h.broadcast_matmul(&weight.t().unwrap()).unwrap()
        };
        let bias = self.weight(&format!("{name}.out_proj.bias.real"));
        (out(&hr, ".real") - out(&hi, ".imag")).unwrap().broadcast_add(bias).unwrap()
    }

    fn loss(&self) -> Tensor {
        let (b, l, d, f) =
            (self.padded.b, self.padded.length, self.spec.hidden_dim, self.spec.feed_forward_dim);
        let line = d.next_multiple_of(16);
        let table = self.weight("embedding.token.weight");
        let inputs = Tensor::from_vec(self.padded.inputs.clone(), b * l, &Device::Cpu).unwrap();
        let x = table.index_select(&inputs, 0).unwrap().reshape((b, l, d)).unwrap();
        let x = (x * self.mask(self.masks.embedding(), d, line)).unwrap();
        let mut x = self.norm(&x, "embedding.layer_norm");
        for block in 0..self.spec.blocks {
            let lru = format!("model.lru_blocks.{block}.lru_layer");
            let feed = format!("model.lru_blocks.{block}.feed_forward");
            let mixed = (self.recurrence(&x, &lru) * self.mask(self.masks.mixed(block), d, line)).unwrap();
            let y = self.norm(&(mixed + &x).unwrap(), &format!("{lru}.layer_norm"));
            let inner = self.linear(&y, &format!("{feed}.w_1"), "");
            let cdf = ((&inner / 2f64.sqrt()).unwrap().erf().unwrap() + 1.0).unwrap();
            let inner = ((inner * cdf).unwrap() * 0.5).unwrap();
            let inner = (inner * self.mask(self.masks.inner(block), f, f)).unwrap();
            let outer = self.linear(&inner, &format!("{feed}.w_2"), "");
            let outer = (outer * self.mask(self.masks.outer(block), d, line)).unwrap();
            x = self.norm(&(outer + y).unwrap(), &format!("{feed}.layer_norm"));
        }
        let scores = x.broadcast_matmul(&table.t().unwrap()).unwrap();
        let scores = scores.broadcast_add(self.weight("model.bias")).unwrap();
        let v = scores.dim(2).unwrap();
        let labelled: Vec<u32> =
            (0..b * l).map(|i| i as u32).filter(|i| self.padded.labels[*i as usize] != 0).collect();
        let labels: Vec<u32> = self.padded.labels.iter().copied().filter(|label| *label != 0).collect();
        let n = labels.len();
        let places = Tensor::from_vec(labelled, n, &Device::Cpu).unwrap();
        let scores = scores.reshape((b * l, v)).unwrap().index_select(&places, 0).unwrap();
        let shifted = scores.broadcast_sub(&scores.max_keepdim(D::Minus1).unwrap().detach()).unwrap();
        let normaliser = shifted.exp().unwrap().sum_keepdim(D::Minus1).unwrap().log().unwrap();
        let labels = Tensor::from_vec(labels, (n, 1), &Device::Cpu).unwrap();
        (normaliser - shifted.gather(&labels, 1).unwrap()).unwrap().mean_all().unwrap()
    }
}

/// Fails unless loss and every gradient of the packed batch equal the twin's.
fn compare(what: &str, spec: &LruSpec, model: LruRec, windows: &[Vec<ItemId>], masks: Masks) {
    let weights = model.params.named().unwrap();
    let weights = weights
        .into_iter()
        .map(|(name, tensor)| {
            let values: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
            (name, var(&values, tensor.dims()))
        })
        .collect();
    let padded = pad(windows, spec.max_len, spec.first_item_label);
    let twin = Twin { spec: spec.clone(), weights, padded, masks };
    let expected = twin.loss();
    let gradients = expected.backward().unwrap();

    let mut packed = Packed::default();
    packed.clear();
    windows.iter().for_each(|window| packed.push_window(window, spec.max_len, spec.first_item_label));
    assert_eq!(packed.tokens.len(), twin.padded.rows.iter().flatten().count(), "one position for each label");
    let plan = model.params.plan.clone();
    let mut trainer = Trainer::new(model, spec).unwrap();
    let loss = trainer.gradients(&packed, masks).unwrap();
    assert_close(&format!("{what}: loss"), &[loss as f32], &[expected.to_scalar().unwrap()], 1e-6);
    let found = Params { plan: plan.clone(), flat: trainer.gradient().unwrap() }.named().unwrap();
    for slot in &plan.slots {
        let found: Vec<f32> = found[&slot.name].flatten_all().unwrap().to_vec1().unwrap();
        match gradients.get(&twin.weights[&slot.name]) {
            Some(expected) => {
                assert_close(&format!("{what}: {}", slot.name), &found, &elements(expected), 2e-5)
            }
            None => assert!(found.iter().all(|x| *x == 0.0), "{what}: {} has a gradient", slot.name),
        }
    }
    assert!(
        plan.slots.iter().filter(|slot| gradients.get(&twin.weights[&slot.name]).is_none()).count()
            == spec.blocks
    );
}

/// Windows shorter and longer than the model sees, of one item, and with repeats.
const LENGTHS: [usize; 9] = [5, 1, 7, 8, 13, 2, 6, 1, 9];

#[test]
fn loss_and_every_gradient_equal_those_of_the_padded_model() {
    for (seed, blocks) in [(1, 1), (2, 2), (3, 3)] {
        let mut spec = spec();
        spec.blocks = blocks;
        let windows = sequences(&LENGTHS, 25, seed * 100);
        compare(&format!("{blocks} blocks"), &spec, model(&spec, 25, seed), &windows, still());
    }
}

#[test]
fn with_dropout_forward_and_backward_drop_the_same() {
    for seed in [4, 5] {
        let spec = spec();
        let windows = sequences(&LENGTHS, 25, seed * 100);
        compare("with dropout", &spec, model(&spec, 25, seed), &windows, Masks::new(seed * 77, 0.3, 0.2));
    }
}

#[test]
fn without_the_first_label_loss_and_gradients_equal_those_of_the_padded_model() {
    let mut spec = spec();
    spec.first_item_label = false;
    let windows: Vec<_> = sequences(&LENGTHS, 25, 600).into_iter().filter(|w| w.len() > 1).collect();
    compare("no first label", &spec, model(&spec, 25, 6), &windows, still());
}

#[test]
fn widths_that_are_multiples_of_a_vector_and_of_one_equal_the_padded_model_too() {
    for (d, c, f) in [(16, 32, 64), (3, 1, 1), (17, 15, 33)] {
        let mut spec = spec();
        (spec.hidden_dim, spec.state_dim, spec.feed_forward_dim) = (d, c, f);
        let windows = sequences(&LENGTHS, 25, 700);
        compare(&format!("{d}, {c}, {f}"), &spec, model(&spec, 25, 7), &windows, still());
    }
}
