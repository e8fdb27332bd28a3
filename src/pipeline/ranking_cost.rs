//! What the second stage would cost, from the size of the backbone and this machine's measured matrix speed.

use super::estimate::Cost;
use super::{Footprint, Located, Prepared};
use crate::backbone::ModelConfig;
use crate::cuda::Facts;
use crate::experiment::{ComputeType, Experiment, LoraTarget, Quantization, RankerSpec};
use crate::rank;

/// Share of the measured matrix speed that a forward pass reaches.
const EFFICIENCY: f64 = 0.75;
/// Share of a device's speed by its data sheet that is hoped for, until a cell of the same place was measured.
const OF_DATA_SHEET: f64 = 0.35;
/// Bytes of a title for each of its tokens, about.
const BYTES_OF_A_TOKEN: f64 = 3.5;
/// Tokens of a prompt beside its titles, about, and of a title's number or letter and line.
const FRAME_TOKENS: f64 = 60.0;
const LINE_TOKENS: f64 = 5.0;
/// Users whose held-out item is retrieved, about: what is not known before the first stage is done.
const RETRIEVED: f64 = 0.2;

/// What decides the cost of a backbone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Size {
    /// Weights in the layers.
    pub layers: f64,
    /// Weights of the embedding and the output layer, which are never quantized.
    pub embeddings: f64,
}

impl Size {
    pub fn of(config: &ModelConfig) -> Self {
        let tables = if config.tied { 1.0 } else { 2.0 };
        let embeddings = tables * (config.vocab * config.hidden) as f64;
        Self { layers: config.parameters() as f64 - embeddings, embeddings }
    }

    /// Memory of the weights as they are stored, in bytes.
    pub fn bytes(&self, quantization: Quantization) -> f64 {
        let (of_layers, of_embeddings) = match quantization {
            Quantization::Nf4 => (0.52, 2.0),
            Quantization::Int8 => (1.02, 2.0),
            Quantization::Bf16 => (2.0, 2.0),
            Quantization::F32 => (4.0, 4.0),
        };
        self.layers * of_layers + self.embeddings * of_embeddings
    }
}

/// The cost of the ranking stage of one seed on a processor that multiplies matrices at `flops` operations a second; without the retrieval
/// stage.
#[must_use]
pub fn ranking_cost(experiment: &Experiment, data: &Prepared, located: &Located, flops: f64) -> Cost {
    let found = cost(experiment, data, Size::of(&located.config), flops, None);
    let memory = Footprint::of(experiment, located).zip(experiment.ranker.as_ref());
    let memory = memory.map(|(footprint, spec)| {
        footprint.on_processor(footprint.largest(prompt_tokens(experiment, data, spec) as usize))
    });
    Cost { memory_bytes: memory.unwrap_or(found.memory_bytes), ..found }
}

/// What a device would have to be measured at on [`ranking_cost`]'s scale.
pub(super) fn device_speed(facts: &Facts, compute: ComputeType) -> Option<f64> {
    let rate = match compute {
        ComputeType::Bf16 => facts.bf16_rate(),
        ComputeType::F32 => facts.f32_rate(),
    };
    Some(rate? * OF_DATA_SHEET / EFFICIENCY)
}

/// As [`ranking_cost`] but for what prompts take; `reach` are the users of validation and test whose held-out item is retrieved, where that is known.
pub(super) fn cost(
    experiment: &Experiment,
    data: &Prepared,
    size: Size,
    flops: f64,
    reach: Option<[usize; 2]>,
) -> Cost {
    let Some(spec) = &experiment.ranker else { return Cost::NONE };
    // A product of (m, k) and (k, n) is 2mkn; the weights are frozen, so the backward pass is one product for each.
    let tokens = prompt_tokens(experiment, data, spec);
    let forward = 2.0 * size.layers * tokens / (flops * EFFICIENCY);
    cost_at(experiment, data, size, (2.0 * forward, forward), reach)
}

/// The same where a prompt takes so many seconds in training, and so many where it is scored.
pub(super) fn cost_at(
    experiment: &Experiment,
    data: &Prepared,
    size: Size,
    paces: (f64, f64),
    reach: Option<[usize; 2]>,
) -> Cost {
    let (Some(spec), Some(backbone)) = (&experiment.ranker, &experiment.backbone) else { return Cost::NONE };
    let samples: usize = data.split.train.iter().map(|items| items.len().saturating_sub(1)).sum();
    let most_steps = if spec.tune { rank::steps(spec, samples).1 } else { 0 };
    let patience = spec.patience.saturating_mul(spec.validate_every_steps);
    let steps = most_steps.min(patience.saturating_mul(2));
    let seconds = |steps| parts(spec, data, steps, reach, paces).iter().sum();
    let weights = size.bytes(backbone.quantization);
    Cost {
        steps,
        most_steps,
        seconds: seconds(steps),
        most_seconds: seconds(most_steps),
        // Activations of a micro-batch are left to the settings: about a quarter of a gibibyte and what was read.
        memory_bytes: weights as u64 + (320 << 20),
    }
}

/// Seconds of a seed's training, validation and test, if training has so many steps.
pub(super) fn parts(
    spec: &RankerSpec,
    data: &Prepared,
    steps: u32,
    reach: Option<[usize; 2]>,
    (learned, scored): (f64, f64),
) -> [f64; 3] {
    let guess = (data.split.test.len() as f64 * RETRIEVED) as usize;
    let [validation, test] = reach.unwrap_or([guess; 2]).map(|users| users as f64);
    let validated =
        if spec.validation_users == 0 { validation } else { validation.min(spec.validation_users.into()) };
    // Before the first step, every so many, and after the last one; the test users before and after training.
    let whole = f64::from(steps / spec.validate_every_steps);
    let rest = f64::from(u8::from(!steps.is_multiple_of(spec.validate_every_steps)));
    let (validations, tests) = if spec.tune { (whole + rest + 1.0, 2.0) } else { (1.0, 1.0) };
    let taught = f64::from(steps) * f64::from(spec.batch_size);
    [taught * learned, validations * validated * scored, tests * test * scored]
}

/// The cost of pre-training a backbone of this shape on `tokens` tokens: small products, and gradients of all weights.
pub(super) fn pretraining_cost(config: &ModelConfig, tokens: u64, flops: f64) -> Cost {
    /// Share of the measured matrix speed that such small products reach.
    const SMALL: f64 = 0.4;
    let seconds = 6.0 * config.parameters() as f64 * tokens as f64 / (flops * SMALL);
    Cost { steps: 0, most_steps: 0, seconds, most_seconds: seconds, memory_bytes: 320 << 20 }
}

/// Tokens of a prompt, about: nobody has tokenized a title yet.
pub(super) fn prompt_tokens(experiment: &Experiment, data: &Prepared, spec: &RankerSpec) -> f64 {
    let titles = data.titles.len().max(1) as f64;
    let of = |title: &String| (title.len() as f64 / BYTES_OF_A_TOKEN).min(spec.title_tokens.into());
    let title = data.titles.iter().map(of).sum::<f64>() / titles;
    let users = data.split.train.len().max(1) as f64;
    let history = data.split.train.iter().map(|items| (items.len() as f64).min(spec.history_items.into()));
    let shown = history.sum::<f64>() / users + f64::from(experiment.evaluation.candidates);
    (FRAME_TOKENS + shown * (title + LINE_TOKENS)).min(spec.max_prompt_tokens.into())
}

/// Bytes of an adapter's file.
pub(super) fn adapter_bytes(config: &ModelConfig, spec: &RankerSpec) -> u64 {
    if !spec.tune {
        return 0;
    }
    let (d, f) = (config.hidden, config.intermediate);
    let (q, kv) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
    let sides = |target: &LoraTarget| match target {
        LoraTarget::QProj | LoraTarget::OProj => d + q,
        LoraTarget::KProj | LoraTarget::VProj => d + kv,
        LoraTarget::GateProj | LoraTarget::UpProj | LoraTarget::DownProj => d + f,
    };
    4 * u64::from(spec.lora_r) * (config.layers * spec.lora_targets.iter().map(sides).sum::<usize>()) as u64
}
