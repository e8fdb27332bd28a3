//! A device held against the processor before it is trusted with a backbone.

use std::sync::Arc;

use half::bf16;

use super::{Device, Engine, Processor, Upload};
use crate::backbone::decoder::{Batch, Decoder, Keep, Masks, Step, Transformer};
use crate::backbone::{
    Adapter, AdapterSpec, Architecture, Layer, ModelConfig, RopeConfig, RopeScaling, Weights,
};
use crate::cuda::{self, DecoderOps, Machine, Numbers};
use crate::experiment::LoraTarget;
use crate::nn::matmul::Precision;
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
    for case in [Case::nf4(), Case::bf16()] {
        deviates(case.distances::<f32>(machine)?, OF_F32)?;
        deviates(case.distances::<bf16>(machine)?, OF_BF16)?;
    }
    Ok(())
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

    fn of(config: &ModelConfig, storage: Storage) -> Self {
        let lora = AdapterSpec {
            r: 4,
            alpha: 8.0,
            dropout: 0.1,
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
        let failed = |error: Error| match error {
            Error::Device(error) => error,
            other => cuda::Error::Device {
                device: machine.name(),
                what: "be held against the processor".to_owned(),
                said: other.to_string(),
            },
        };
        let expected = self.outcome(&mut Processor::new(&self.decoder)).map_err(failed)?;
        let weights = Upload::new(machine).all(loud(self.decoder.config(), self.storage))?;
        let model: Transformer<DecoderOps<E>> = Transformer::new(weights);
        let found = self.outcome(&mut Device::new(&model, machine)).map_err(failed)?;
        let distance = |((what, expected), (_, found)): ((&'static str, Vec<f32>), (_, Vec<f32>))| {
            let length = |of: &mut dyn Iterator<Item = f64>| of.map(|x| x * x).sum::<f64>().sqrt();
            let whole = length(&mut expected.iter().map(|x| f64::from(*x)));
            let apart = length(&mut expected.iter().zip(&found).map(|(x, y)| f64::from(*x) - f64::from(*y)));
            (what, apart / whole)
        };
        Ok(expected.into_iter().zip(found).map(distance).collect())
    }

    fn outcome(&self, engine: &mut dyn Engine) -> Result<Outcome, Error> {
        let prompts: Vec<&[u32]> = self.prompts.iter().map(Vec::as_slice).collect();
        let letters: Vec<u32> = (0..20).collect();
        let scores = engine.scores(&Batch::new(&prompts, 1), &letters, Some(&self.adapter))?;
        let step = Step { dropout: Some(Masks::new(3)), labels: 6, keep: Keep::States(1) };
        let mut gradients = vec![0.0; self.adapter.weights.len()];
        let labels = [1, 96, 5, 2, 30, 8];
        let batch = Batch::apart(&prompts, 2);
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
    for layer in &mut weights.layers {
        let Layer { input_norm, post_norm, q, k, v, .. } = layer;
        louder(input_norm, 6.0);
        louder(post_norm, 6.0);
        for bias in [q, k, v].into_iter().filter_map(|projection| projection.bias.as_mut()) {
            louder(bias, 0.2);
        }
    }
    louder(&mut weights.norm, 3.0);
    weights
}
