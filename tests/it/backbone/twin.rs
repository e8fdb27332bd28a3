//! The decoder once more, as a graph of candle's operations in f64: slow, plain, and with automatic differentiation.

use std::collections::BTreeMap;

use bench::backbone::{Adapter, Architecture, FullModel, ModelConfig, RopeConfig, RopeScaling};
use bench::experiment::LoraTarget;
use bench::seed::Seed;
use candle_core::{D, Device, Tensor, Var};
use rand::RngExt;

/// A tiny model with everything that any architecture has: grouped heads, biases, norms of heads, `heads * head_dim` other than
/// the width.
pub fn tiny() -> ModelConfig {
    ModelConfig {
        architecture: Architecture::Qwen3,
        hidden: 24,
        intermediate: 40,
        layers: 3,
        heads: 4,
        kv_heads: 2,
        head_dim: 8,
        vocab: 60,
        rms_eps: 1e-5,
        rope: RopeConfig { theta: 10_000.0, scaling: RopeScaling::None },
        tied: false,
        qkv_bias: true,
        qk_norm: true,
        sliding_window: None,
        max_positions: 256,
        bos: Some(1),
        eos: vec![2],
    }
}

/// Weights of deviation 0.3 about 0 (matrices, biases) or 1 (norms), a function of the shape alone.
pub fn random(config: &ModelConfig) -> FullModel {
    let mut model = FullModel::zeros(config);
    for slot in model.plan().slots.clone() {
        let mut stream = Seed::new(7).stream(&slot.name);
        let centre = if slot.name.contains("norm") { 1.0 } else { 0.0 };
        for weight in &mut model.weights[slot.range()] {
            *weight = centre + stream.random_range(-0.5f32..0.5);
        }
    }
    model
}

/// `n` tokens below `vocab`, a function of `seed`.
pub fn tokens(seed: u64, n: usize, vocab: usize) -> Vec<u32> {
    let mut stream = Seed::new(seed).stream("test/tokens");
    (0..n).map(|_| stream.random_range(0..vocab as u32)).collect()
}

/// Values of the matrices of `adapter`, none zero.
pub fn fill(adapter: &mut Adapter, scale: f32) {
    let mut stream = Seed::new(11).stream("test/adapter");
    for weight in &mut adapter.weights {
        *weight = stream.random_range(-scale..scale);
    }
}

/// A model whose weights, and an adapter's, are differentiable.
pub struct Twin {
    config: ModelConfig,
    pub weights: BTreeMap<String, Var>,
    pub adapters: BTreeMap<String, Var>,
    scale: f64,
}

fn var(values: &[f32], shape: &[usize]) -> Var {
    let values: Vec<f64> = values.iter().map(|x| f64::from(*x)).collect();
    Var::from_tensor(&Tensor::from_vec(values, shape, &Device::Cpu).unwrap()).unwrap()
}

impl Twin {
    pub fn new(model: &FullModel, adapter: Option<&Adapter>) -> Self {
        let slots = |slots: &[bench::nn::params::Slot], values: &[f32]| {
            slots.iter().map(|slot| (slot.name.clone(), var(&values[slot.range()], &slot.shape))).collect()
        };
        Self {
            config: model.config().clone(),
            weights: slots(&model.plan().slots, &model.weights),
            adapters: adapter
                .map(|adapter| slots(&adapter.plan().slots, &adapter.weights))
                .unwrap_or_default(),
            scale: adapter.map_or(0.0, |adapter| adapter.spec().alpha / adapter.spec().r as f64),
        }
    }

    fn weight(&self, name: &str) -> &Tensor {
        self.weights[name].as_tensor()
    }

    fn norm(&self, x: &Tensor, name: &str) -> Tensor {
        let mean = x.sqr().unwrap().mean_keepdim(D::Minus1).unwrap();
        let root = (mean + f64::from(self.config.rms_eps as f32)).unwrap().sqrt().unwrap();
        x.broadcast_div(&root).unwrap().broadcast_mul(self.weight(name)).unwrap()
    }

    fn linear(&self, x: &Tensor, module: &str) -> Tensor {
        let mut y = x.matmul(&self.weight(&format!("{module}.weight")).t().unwrap()).unwrap();
        if let Some(bias) = self.weights.get(&format!("{module}.bias")) {
            y = y.broadcast_add(bias).unwrap();
        }
        if let Some(a) = self.adapters.get(&format!("{module}.lora_A.weight")) {
            let b = &self.adapters[&format!("{module}.lora_B.weight")];
            let low = x.matmul(&a.t().unwrap()).unwrap().matmul(&b.t().unwrap()).unwrap();
            y = (y + (low * self.scale).unwrap()).unwrap();
        }
        y
    }

    /// (l, heads * width) to (heads, l, width), turned.
    fn heads(&self, x: &Tensor, norm: Option<String>, turn: bool) -> Tensor {
        let width = self.config.head_dim;
        let (l, all) = x.dims2().unwrap();
        let mut x = x.reshape((l, all / width, width)).unwrap();
        if let Some(name) = norm.filter(|_| self.config.qk_norm) {
            x = self.norm(&x, &name);
        }
        let x = x.transpose(0, 1).unwrap().contiguous().unwrap();
        if !turn {
            return x;
        }
        let half = width / 2;
        let factor = f64::from(self.config.rope.attention_factor());
        let mut angles = Vec::with_capacity(l * half);
        for position in 0..l {
            let frequencies = self.config.rope.inverse_frequencies(width);
            angles.extend(frequencies.iter().map(|f| f64::from(position as f32 * f)));
        }
        let angles = Tensor::from_vec(angles, (1, l, half), &Device::Cpu).unwrap();
        let (cos, sin) =
            ((angles.cos().unwrap() * factor).unwrap(), (angles.sin().unwrap() * factor).unwrap());
        let (a, b) = (x.narrow(2, 0, half).unwrap(), x.narrow(2, half, half).unwrap());
        let first = (a.broadcast_mul(&cos).unwrap() - b.broadcast_mul(&sin).unwrap()).unwrap();
        let second = (b.broadcast_mul(&cos).unwrap() + a.broadcast_mul(&sin).unwrap()).unwrap();
        Tensor::cat(&[first, second], 2).unwrap()
    }

    fn attention(&self, x: &Tensor, before: &str) -> Tensor {
        let (l, group) = (x.dims()[0], self.config.heads / self.config.kv_heads);
        let project = |part: &str| self.linear(x, &format!("{before}.{part}_proj"));
        let q = self.heads(&project("q"), Some(format!("{before}.q_norm.weight")), true);
        let k = self.heads(&project("k"), Some(format!("{before}.k_norm.weight")), true);
        let v = self.heads(&project("v"), None, false);
        let window = self.config.sliding_window.unwrap_or(usize::MAX);
        let sees = |query: usize, key: usize| key <= query && query - key < window;
        let mask = (0..l * l).map(|at| if sees(at / l, at % l) { 0.0 } else { f64::NEG_INFINITY });
        let mask = Tensor::from_vec(mask.collect::<Vec<f64>>(), (l, l), &Device::Cpu).unwrap();
        let heads: Vec<Tensor> = (0..self.config.heads)
            .map(|head| {
                let (q, k) = (q.get(head).unwrap(), k.get(head / group).unwrap());
                let scores = q.matmul(&k.t().unwrap()).unwrap();
                let scores = (scores / (self.config.head_dim as f64).sqrt()).unwrap();
                let scores = (scores + &mask).unwrap();
                let weights = candle_nn::ops::softmax(&scores, 1).unwrap();
                weights.matmul(&v.get(head / group).unwrap()).unwrap()
            })
            .collect();
        self.linear(&Tensor::cat(&heads, 1).unwrap(), &format!("{before}.o_proj"))
    }

    /// Hidden states after the last norm, (l, d).
    pub fn hidden(&self, tokens: &[u32]) -> Tensor {
        let ids = Tensor::from_slice(tokens, tokens.len(), &Device::Cpu).unwrap();
        let mut x = self.weight("model.embed_tokens.weight").index_select(&ids, 0).unwrap();
        for layer in 0..self.config.layers {
            let before = format!("model.layers.{layer}");
            let normed = self.norm(&x, &format!("{before}.input_layernorm.weight"));
            x = (x + self.attention(&normed, &format!("{before}.self_attn"))).unwrap();
            let normed = self.norm(&x, &format!("{before}.post_attention_layernorm.weight"));
            let gate = self.linear(&normed, &format!("{before}.mlp.gate_proj")).silu().unwrap();
            let inner = (gate * self.linear(&normed, &format!("{before}.mlp.up_proj"))).unwrap();
            x = (x + self.linear(&inner, &format!("{before}.mlp.down_proj"))).unwrap();
        }
        self.norm(&x, "model.norm.weight")
    }

    /// (l, v)
    pub fn logits(&self, tokens: &[u32]) -> Tensor {
        let head = if self.config.tied { "model.embed_tokens.weight" } else { "lm_head.weight" };
        self.hidden(tokens).matmul(&self.weight(head).t().unwrap()).unwrap()
    }

    /// The sum of the cross-entropies of the labels: `(row, label)`.
    pub fn loss(&self, tokens: &[u32], labels: &[(usize, u32)]) -> Tensor {
        let logits = candle_nn::ops::log_softmax(&self.logits(tokens), 1).unwrap();
        let terms: Vec<Tensor> = labels
            .iter()
            .map(|(row, label)| logits.get(*row).unwrap().get(*label as usize).unwrap().neg().unwrap())
            .collect();
        Tensor::stack(&terms, 0).unwrap().sum_all().unwrap()
    }
}

/// All targets.
pub const ALL: [LoraTarget; 7] = bench::backbone::adapter::TARGETS;

/// Elements as f64.
pub fn elements(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// The largest error, relative to the largest value expected; NaN where anything is NaN.
pub fn error(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len(), "lengths");
    let scale = expected.iter().fold(0f64, |m, x| m.max(x.abs())).max(1e-12);
    found.iter().zip(expected).fold(0f64, |m, (a, b)| {
        let off = (f64::from(*a) - b).abs() / scale;
        if off.is_nan() || m.is_nan() { f64::NAN } else { m.max(off) }
    })
}

/// Fails unless [`error`] is at most `tolerance`.
pub fn assert_close(what: &str, found: &[f32], expected: &[f64], tolerance: f64) {
    let error = error(found, expected);
    assert!(error <= tolerance, "{what}: relative error {error:.2e} is not within {tolerance:.0e}");
}
