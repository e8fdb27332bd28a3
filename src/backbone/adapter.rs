//! Low-rank adapters (Hu et al. 2021, LoRA): `y = W x + (alpha / r) B A dropout(x)` with W frozen.

use rand::RngExt;

use super::ModelConfig;
use super::decoder::Masks;
use super::decoder::view::{Low, site};
use crate::experiment::LoraTarget;
use crate::nn::dropout::Dropout;
use crate::nn::ops::decoder::{DecoderOps, LowRank};
use crate::nn::params::Plan;
use crate::seed::Seed;

/// All projections that can have an adapter, in the order of a layer.
pub const TARGETS: [LoraTarget; 7] = [
    LoraTarget::QProj,
    LoraTarget::KProj,
    LoraTarget::VProj,
    LoraTarget::OProj,
    LoraTarget::GateProj,
    LoraTarget::UpProj,
    LoraTarget::DownProj,
];

/// A projection's name in files of Hugging Face.
#[must_use]
pub fn name(target: LoraTarget) -> &'static str {
    match target {
        LoraTarget::QProj => "q_proj",
        LoraTarget::KProj => "k_proj",
        LoraTarget::VProj => "v_proj",
        LoraTarget::OProj => "o_proj",
        LoraTarget::GateProj => "gate_proj",
        LoraTarget::UpProj => "up_proj",
        LoraTarget::DownProj => "down_proj",
    }
}

/// The module of a layer that a projection belongs to.
pub(super) fn module(target: LoraTarget) -> &'static str {
    match target {
        LoraTarget::QProj | LoraTarget::KProj | LoraTarget::VProj | LoraTarget::OProj => "self_attn",
        LoraTarget::GateProj | LoraTarget::UpProj | LoraTarget::DownProj => "mlp",
    }
}

/// `(outputs, inputs)` of a projection.
pub(super) fn sizes(target: LoraTarget, config: &ModelConfig) -> (usize, usize) {
    let (d, f) = (config.hidden, config.intermediate);
    let (wide, narrow) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
    match target {
        LoraTarget::QProj => (wide, d),
        LoraTarget::KProj | LoraTarget::VProj => (narrow, d),
        LoraTarget::OProj => (d, wide),
        LoraTarget::GateProj | LoraTarget::UpProj => (f, d),
        LoraTarget::DownProj => (d, f),
    }
}

/// What an adapter is, beside its weights.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterSpec {
    /// Rank.
    pub r: usize,
    /// Scale, divided by the rank.
    pub alpha: f64,
    /// Probability of dropping an input of an adapter in training, in `[0, 1)`.
    pub dropout: f64,
    /// The adapted projections, of every layer.
    pub targets: Vec<LoraTarget>,
}

/// The adapters of one backbone: matrices A (r, inputs) and B (outputs, r) of each adapted projection of each layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Adapter {
    spec: AdapterSpec,
    plan: Plan,
    layers: usize,
    /// All weights, laid out by [`Adapter::plan`].
    pub weights: Vec<f32>,
}

impl Adapter {
    /// A new adapter as PEFT makes it: A uniform on `+-1/sqrt(inputs)` (Kaiming's with `a = sqrt 5`), B zero, so that the
    /// adapted model is the backbone. Each matrix has a stream of random numbers of its own.
    #[must_use]
    pub fn new(config: &ModelConfig, spec: &AdapterSpec, seed: Seed) -> Self {
        let mut adapter = Self::zeros(config, spec);
        for slot in &adapter.plan.slots {
            if slot.name.ends_with("lora_A.weight") {
                let bound = 1.0 / (slot.shape[1] as f32).sqrt();
                let mut stream = seed.stream(&format!("ranker/adapter/{}", slot.name));
                for weight in &mut adapter.weights[slot.range()] {
                    *weight = stream.random_range(-bound..bound);
                }
            }
        }
        adapter
    }

    /// All matrices zero. Targets are put in the order of a layer, each once.
    #[must_use]
    pub fn zeros(config: &ModelConfig, spec: &AdapterSpec) -> Self {
        let mut spec = spec.clone();
        spec.targets.sort_unstable();
        spec.targets.dedup();
        let mut plan = Plan::default();
        for layer in 0..config.layers {
            for target in &spec.targets {
                let (outputs, inputs) = sizes(*target, config);
                let module = format!("model.layers.{layer}.{}.{}", module(*target), name(*target));
                plan.push(format!("{module}.lora_A.weight"), &[spec.r, inputs], true);
                plan.push(format!("{module}.lora_B.weight"), &[outputs, spec.r], true);
            }
        }
        let weights = vec![0.0; plan.len];
        Self { spec, plan, layers: config.layers, weights }
    }

    /// Rank, scale, dropout and targets.
    #[must_use]
    pub fn spec(&self) -> &AdapterSpec {
        &self.spec
    }

    /// Names, shapes and places of the matrices; gradients have the same places. Weight decay applies to all of them.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Layers of the backbone.
    #[must_use]
    pub fn layers(&self) -> usize {
        self.layers
    }

    /// The adapter as operations see it, its weights in their memory.
    ///
    /// `# Shapes: weights as those of the adapter`
    pub fn view<'a, O: DecoderOps>(&'a self, weights: O::Part<'a>) -> AdapterView<'a, O> {
        AdapterView { adapter: self, weights }
    }
}

/// An adapter whose weights lie in the memory of some operations.
pub struct AdapterView<'a, O: DecoderOps> {
    adapter: &'a Adapter,
    weights: O::Part<'a>,
}

impl<O: DecoderOps> Clone for AdapterView<'_, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<O: DecoderOps> Copy for AdapterView<'_, O> {}

impl<'a, O: DecoderOps> AdapterView<'a, O> {
    /// The adapter of one projection.
    pub(super) fn low(self, layer: usize, target: LoraTarget, masks: Option<Masks>) -> Option<Low<'a, O>> {
        let Adapter { spec, plan, layers, .. } = self.adapter;
        let at = spec.targets.iter().position(|found| *found == target)?;
        let at = 2 * (layer * spec.targets.len() + at);
        let (a, b) = (plan.slots[at].range(), plan.slots[at + 1].range());
        let mask = match masks {
            Some(Masks { key, before }) if spec.dropout > 0.0 => {
                let has_all_rows =
                    layer + 1 < *layers || matches!(target, LoraTarget::KProj | LoraTarget::VProj);
                let rows = if has_all_rows { before.0 } else { before.1 };
                let mask = Dropout::new(key, (layer * TARGETS.len() + site(target)) as u64, spec.dropout);
                mask.behind(rows * plan.slots[at].shape[1])
            }
            _ => Dropout::off(),
        };
        let adapter = LowRank {
            a: O::within(self.weights, a.clone()),
            b: O::within(self.weights, b.clone()),
            r: spec.r,
            scale: (spec.alpha / spec.r as f64) as f32,
            mask,
        };
        Some(Low { adapter, places: (a, b) })
    }
}
