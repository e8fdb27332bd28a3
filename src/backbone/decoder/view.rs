//! A model as the passes see it: borrowed matrices, with adapters and places of gradients where there are any.

use std::ops::Range;

use super::Masks;
use crate::backbone::adapter::AdapterView;
use crate::backbone::{Architecture, Layer, ModelConfig, Projection, Weights};
use crate::experiment::LoraTarget;
use crate::nn::attention::Shape;
use crate::nn::ops::decoder::{DecoderOps, LowRank};

/// Projections of a layer.
pub const SITES: usize = 7;

/// Where a projection sits in the order of a layer's projections.
pub fn site(target: LoraTarget) -> usize {
    target as usize
}

/// The low-rank part of a projection, and where the gradients of A and B lie.
pub struct Low<'a, O: DecoderOps> {
    pub adapter: LowRank<'a, O>,
    pub places: (Range<usize>, Range<usize>),
}

/// A linear layer.
pub struct Linear<'a, O: DecoderOps> {
    pub weight: O::Matrix<'a>,
    pub bias: Option<O::Part<'a>>,
    pub low: Option<Low<'a, O>>,
    /// Where the gradients of weight and bias lie, when they are wanted.
    pub place: Option<(Range<usize>, Option<Range<usize>>)>,
    pub site: usize,
}

/// The weight of a norm, and where its gradient lies when it is wanted.
pub struct Norm<'a, O: DecoderOps> {
    pub weight: O::Part<'a>,
    pub place: Option<Range<usize>>,
}

/// One layer.
pub struct LayerView<'a, O: DecoderOps> {
    pub input_norm: Norm<'a, O>,
    pub q: Linear<'a, O>,
    pub k: Linear<'a, O>,
    pub v: Linear<'a, O>,
    pub o: Linear<'a, O>,
    pub q_norm: Option<Norm<'a, O>>,
    pub k_norm: Option<Norm<'a, O>>,
    pub post_norm: Norm<'a, O>,
    pub gate: Linear<'a, O>,
    pub up: Linear<'a, O>,
    pub down: Linear<'a, O>,
}

/// All of a model but its output layer.
pub struct View<'a, O: DecoderOps> {
    pub config: &'a ModelConfig,
    pub embed: O::Matrix<'a>,
    /// Where the embedding's gradient lies, when it is wanted.
    pub embed_place: Option<Range<usize>>,
    pub layers: Vec<LayerView<'a, O>>,
    pub norm: Norm<'a, O>,
}

/// How far down a layer's backward pass has to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// The adapter of `down_proj` is all that learns.
    Down,
    /// `gate_proj` and `up_proj` too.
    Feed,
    /// `o_proj` too.
    Output,
    /// Queries, keys and values too.
    Attention,
    /// Down to the layer's input.
    Input,
}

/// Whether all layers see a sliding window alike. Qwen's models slide in some layers only: there a prompt has to fit the window.
pub fn slides(config: &ModelConfig) -> bool {
    config.architecture == Architecture::Mistral
}

impl<O: DecoderOps> View<'_, O> {
    /// The sizes of attention.
    pub fn shape(&self) -> Shape {
        let ModelConfig { heads, kv_heads, head_dim, .. } = *self.config;
        let window = if slides(self.config) { self.config.sliding_window } else { None };
        Shape { heads, kv_heads, head_dim, window }
    }

    /// How far the first layer's backward pass has to go; all others go to their input.
    pub fn depth(&self) -> Depth {
        let layer = &self.layers[0];
        let adapted = |linear: &Linear<'_, O>| linear.low.is_some();
        if self.embed_place.is_some() {
            Depth::Input
        } else if [&layer.q, &layer.k, &layer.v].into_iter().any(adapted) {
            Depth::Attention
        } else if adapted(&layer.o) {
            Depth::Output
        } else if adapted(&layer.gate) || adapted(&layer.up) {
            Depth::Feed
        } else {
            Depth::Down
        }
    }
}

/// A model whose weights are frozen, with an adapter; without `masks` nothing is dropped.
pub fn frozen<'a, O: DecoderOps>(
    weights: &'a Weights<O::Frozen, O::Vector>,
    adapter: Option<AdapterView<'a, O>>,
    masks: Option<Masks>,
) -> View<'a, O> {
    let norm = |weight: &'a O::Vector| Norm { weight: O::part(weight), place: None };
    let layers = weights.layers.iter().enumerate().map(|(index, layer)| {
        let Layer { q, k, v, o, gate, up, down, .. } = layer;
        let linear = |projection: &'a Projection<O::Frozen, O::Vector>, target: LoraTarget| Linear {
            weight: O::matrix(&projection.weight),
            bias: projection.bias.as_ref().map(O::part),
            low: adapter.and_then(|adapter| adapter.low(index, target, masks)),
            place: None,
            site: site(target),
        };
        LayerView {
            input_norm: norm(&layer.input_norm),
            q: linear(q, LoraTarget::QProj),
            k: linear(k, LoraTarget::KProj),
            v: linear(v, LoraTarget::VProj),
            o: linear(o, LoraTarget::OProj),
            q_norm: layer.q_norm.as_ref().map(norm),
            k_norm: layer.k_norm.as_ref().map(norm),
            post_norm: norm(&layer.post_norm),
            gate: linear(gate, LoraTarget::GateProj),
            up: linear(up, LoraTarget::UpProj),
            down: linear(down, LoraTarget::DownProj),
        }
    });
    View {
        config: &weights.config,
        embed: O::matrix(&weights.embed),
        embed_place: None,
        layers: layers.collect(),
        norm: norm(&weights.norm),
    }
}
