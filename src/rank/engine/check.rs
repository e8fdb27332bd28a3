//! A device held against the processor before it is trusted with a backbone.

use std::sync::Arc;

use half::bf16;

use super::{Device, Engine, Processor, Upload, not_uploaded};
use crate::backbone::decoder::{Batch, Decoder, Keep, Masks, Step, Transformer};
use crate::backbone::{
    Adapter, AdapterSpec, Architecture, Layer, ModelConfig, RopeConfig, RopeScaling, Weights,
};
use crate::cuda::{self, Array, DecoderOps, Kernels, Machine, Numbers, Right, Start};
use crate::experiment::LoraTarget;
use crate::nn::gemm;
use crate::nn::matmul::{self, Dense, Precision};
use crate::nn::quant::Storage;
use crate::rank::Error;
use crate::seed::Seed;

/// The most that may differ, as the length of the difference over that of the processor's numbers: with f32, sums in another order.
pub const OF_F32: f64 = 1e-3;
/// The same with bf16, which has 8 bits: a rounding is off by up to 1 in 512, and there are a dozen one after the other on the way to a
/// gradient.
pub const OF_BF16: f64 = 4e-2;

/// How far results of a device are from the processor's: what they are, and the length of the difference over that of the processor's.
pub type Distance = (&'static str, f64);

/// Whether small models with every part that there is give on the device what they give on the processor, with f32 and with bf16.
///
/// # Errors
/// [`cuda::Error::Deviates`], or a failure of the device.
pub fn check(machine: &Arc<dyn Machine>) -> Result<(), cuda::Error> {
    let deviates = |distances: Vec<Distance>, allowed: f64| {
        let far = |(_, by): &Distance| by.is_nan() || *by > allowed;
        match distances.into_iter().find(far) {
            None => Ok(()),
            Some((what, by)) => {
                let by = format!("{by:.1e}");
                Err(cuda::Error::Deviates {
                    device: machine.name(),
                    what,
                    by,
                    allowed: format!("{allowed:.0e}"),
                })
            }
        }
    };
    for case in [Case::nf4(), Case::bf16(), Case::odd()] {
        deviates(case.distances::<f32>(machine)?, OF_F32)?;
        deviates(case.distances::<bf16>(machine)?, OF_BF16)?;
    }
    deviates(Case::int8().distances::<f32>(machine)?, OF_F32)?;
    // What differs between the two numbers was seen above: the kernels for large models have bf16 alone.
    deviates(Case::wide().distances::<bf16>(machine)?, OF_BF16)?;
    deviates(wide_products::<f32>(machine)?, OF_F32)?;
    deviates(wide_products::<bf16>(machine)?, OF_BF16)
}

/// Products with more tiles than a large device has multiprocessors, either way round, in f32 or bf16, that begin with a bias: those that the
/// program's own kernels take wherever cuBLAS is.
///
/// # Errors
/// If the device fails.
pub fn wide_products<C: Numbers>(machine: &Arc<dyn Machine>) -> Result<Vec<Distance>, cuda::Error> {
    const SIZES: (usize, usize, usize) = (1300, 1288, 40);
    let (m, n, k) = SIZES;
    let numbers = |count: usize| (0..count).map(|at| bf16::from_f32(wave(at))).collect::<Vec<_>>();
    let (a, b, kernels) = (numbers(m * k), numbers(k * n), Kernels::new(Arc::clone(machine)));
    let (on_a, on_b) = (Array::of(machine, &a)?, Array::of(machine, &b)?);
    let wide = |numbers: &[bf16]| numbers.iter().map(|x| x.to_f32()).collect::<Vec<f32>>();
    let (a, b, bias) = (wide(&a), wide(&b), (0..n).map(wave).collect::<Vec<f32>>());
    let on_bias = Array::of(machine, &bias)?;
    let mut distances = Vec::new();
    for (what, transposed) in [("products", false), ("products with a transpose", true)] {
        let right = if transposed { Right::Transposed(on_b.all()) } else { Right::Rows(on_b.all()) };
        let mut c = Array::<C>::new(machine);
        c.reset(m * n)?;
        kernels.matmul(SIZES, on_a.all(), right, c.all_mut(), Start::Columns(on_bias.all()))?;
        let mut expected = vec![0.0; m * n];
        let weight =
            Dense { data: &b, rows: if transposed { n } else { k }, cols: if transposed { k } else { n } };
        let (to, scratch) = (&mut expected, &mut matmul::Scratch::default());
        let start = gemm::Start::Columns(&bias);
        if transposed {
            matmul::forward(Precision::F32, m, &a, &weight, to, start, scratch);
        } else {
            matmul::backward(Precision::F32, m, &a, &weight, to, start, scratch);
        }
        let mut floats = Array::new(machine);
        let found = C::widened(&kernels, c.all(), &mut floats)?;
        distances.push((what, apart(&expected, &found.get()?)));
    }
    Ok(distances)
}

/// The length of the difference over that of what is expected.
fn apart(expected: &[f32], found: &[f32]) -> f64 {
    let length = |of: &mut dyn Iterator<Item = f64>| of.map(|x| x * x).sum::<f64>().sqrt();
    let whole = length(&mut expected.iter().map(|x| f64::from(*x)));
    length(&mut expected.iter().zip(found).map(|(x, y)| f64::from(*x) - f64::from(*y))) / whole
}

/// Scores, the loss and all gradients.
type Outcome = [(&'static str, Vec<f32>); 3];

/// A small model and what it is asked.
pub struct Case {
    decoder: Decoder,
    adapter: Adapter,
    storage: Storage,
    prompts: Vec<Vec<u32>>,
}

impl Case {
    /// With NF4, biases, grouped heads and rotations that are scaled.
    #[must_use]
    pub fn nf4() -> Self {
        let scaling = RopeScaling::Linear { factor: 2.0 };
        let config = ModelConfig { qkv_bias: true, ..config(Architecture::Qwen2, scaling) };
        Self::of(&config, Storage::Nf4 { double: true })
    }

    /// With bf16, norms of heads and an output layer that is the embedding.
    #[must_use]
    pub fn bf16() -> Self {
        let config =
            ModelConfig { qk_norm: true, tied: true, ..config(Architecture::Qwen3, RopeScaling::None) };
        Self::of(&config, Storage::Bf16)
    }

    /// With heads and rows that tensor cores do not take, NF4 whose scales are plain, and without dropout: what prompts begin with is computed once.
    #[must_use]
    pub fn odd() -> Self {
        let config = ModelConfig {
            hidden: 36,
            intermediate: 52,
            heads: 3,
            kv_heads: 1,
            head_dim: 12,
            ..config(Architecture::Llama, RopeScaling::None)
        };
        Self::with_rank(&config, Storage::Nf4 { double: false }, (4, 0.0))
    }

    /// With int8.
    #[must_use]
    pub fn int8() -> Self {
        Self::of(&ModelConfig { layers: 1, ..config(Architecture::Llama, RopeScaling::None) }, Storage::Int8)
    }

    /// As wide as what the kernels of large models are for: heads of 128, rows of more than a block's threads, a vocabulary in several
    /// parts, a higher rank; with int8.
    #[must_use]
    pub fn wide() -> Self {
        let config = ModelConfig {
            hidden: 520,
            intermediate: 264,
            layers: 1,
            heads: 2,
            kv_heads: 1,
            head_dim: 128,
            vocab: 4200,
            ..config(Architecture::Llama, RopeScaling::None)
        };
        Self::with_rank(&config, Storage::Int8, (12, 0.1))
    }

    fn of(config: &ModelConfig, storage: Storage) -> Self {
        Self::with_rank(config, storage, (4, 0.1))
    }

    fn with_rank(config: &ModelConfig, storage: Storage, (r, dropout): (usize, f64)) -> Self {
        let lora = AdapterSpec {
            r,
            alpha: 8.0,
            dropout,
            targets: vec![
                LoraTarget::QProj,
                LoraTarget::VProj,
                LoraTarget::OProj,
                LoraTarget::UpProj,
                LoraTarget::DownProj,
            ],
        };
        let mut adapter = Adapter::new(config, &lora, Seed::new(5));
        // B is zero in a new one.
        for (at, weight) in adapter.weights.iter_mut().enumerate() {
            *weight += 0.05 * wave(at);
        }
        // More rows than a tile of attention, a shared beginning, and one prompt that is short.
        let start = (0..20).map(|at| at * 7 % 90);
        let prompt = |from: u32, length: u32| {
            start.clone().chain((0..length).map(|at| (from + at * at) % 97)).collect::<Vec<u32>>()
        };
        let prompts = vec![prompt(3, 60), prompt(11, 4), prompt(40, 33)];
        Self { decoder: Decoder::new(loud(config, storage), Precision::F32), adapter, storage, prompts }
    }

    /// How far the results on a device with activations of `E` are from those on the processor in f32.
    ///
    /// # Errors
    /// If the device fails.
    pub fn distances<E: Numbers>(&self, machine: &Arc<dyn Machine>) -> Result<Vec<Distance>, cuda::Error> {
        let failed = |said: String| cuda::Error::Device {
            device: machine.name(),
            what: "be held against the processor".to_owned(),
            said,
        };
        let failed_to_run = |error: Error| match error {
            Error::Device(error) => error,
            other => failed(other.to_string()),
        };
        let expected = self.outcome(&mut Processor::new(&self.decoder)).map_err(failed_to_run)?;
        let weights = loud(self.decoder.config(), self.storage).to(&mut Upload::new(machine));
        let failed_to_come = |error| match not_uploaded(error) {
            Ok(error) => error,
            Err(other) => failed(other.to_string()),
        };
        let weights = weights.map_err(failed_to_come)?;
        let model: Transformer<DecoderOps<E>> = Transformer::new(weights);
        let found = self.outcome(&mut Device::new(&model, machine)).map_err(failed_to_run)?;
        let parts = expected.iter().zip(&found);
        Ok(parts.map(|((what, expected), (_, found))| (*what, apart(expected, found))).collect())
    }

    fn outcome(&self, engine: &mut dyn Engine) -> Result<Outcome, Error> {
        let prompts: Vec<&[u32]> = self.prompts.iter().map(Vec::as_slice).collect();
        let letters: Vec<u32> = (0..20).collect();
        let scores = engine.scores(&Batch::new(&prompts, 1), &letters, Some(&self.adapter))?;
        let dropout = (self.adapter.spec().dropout > 0.0).then_some(Masks::new(3));
        let step = Step { dropout, labels: 6, keep: Keep::States(1) };
        let mut gradients = vec![0.0; self.adapter.weights.len()];
        let labels = [1, 96, 5, 2, 30, 8];
        let batch = if dropout.is_some() { Batch::apart(&prompts, 2) } else { Batch::new(&prompts, 2) };
        let loss = engine.learn(&batch, &labels, &self.adapter, step, &mut gradients)?;
        Ok([("scores", scores), ("loss", vec![loss as f32]), ("gradients", gradients)])
    }
}

/// Sizes that no tile of a kernel divides, but that tensor cores can take.
fn config(architecture: Architecture, scaling: RopeScaling) -> ModelConfig {
    ModelConfig {
        architecture,
        hidden: 72,
        intermediate: 136,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        head_dim: 16,
        vocab: 97,
        rms_eps: 1e-5,
        rope: RopeConfig { theta: 10_000.0, scaling },
        tied: false,
        qkv_bias: false,
        qk_norm: false,
        sliding_window: None,
        max_positions: 512,
        bos: None,
        eos: vec![2],
    }
}

/// Numbers between -1 and 1.
fn wave(at: usize) -> f32 {
    (at as f32 * 2.399_963).sin()
}

/// Random weights with norms so large that attention prefers some positions to others.
fn loud(config: &ModelConfig, storage: Storage) -> Weights {
    let mut weights = Weights::random(config, storage, Seed::new(11));
    let louder = |vector: &mut Vec<f32>, times: f32| {
        for (at, weight) in vector.iter_mut().enumerate() {
            *weight = times * (1.0 + 0.3 * wave(at));
        }
    };
    // Of a wide model as loud as of a narrow one: else rounded queries would decide which position is seen.
    let loud = 6.0 * (72.0 / config.hidden as f32).sqrt();
    for layer in &mut weights.layers {
        let Layer { input_norm, post_norm, q, k, v, .. } = layer;
        louder(input_norm, loud);
        louder(post_norm, loud);
        for bias in [q, k, v].into_iter().filter_map(|projection| projection.bias.as_mut()) {
            louder(bias, 0.2);
        }
    }
    louder(&mut weights.norm, 3.0);
    weights
}
