//! The memory of the passes, kept from batch to batch.

use super::batch::Batch;
use super::view::SITES;
use crate::backbone::{ModelConfig, RopeConfig};
use crate::nn::aligned::Buffer;
use crate::nn::cross_entropy;
use crate::nn::ops::decoder::{Cpu, DecoderOps};

/// What a forward pass keeps for a backward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Nothing: the memory of one layer serves all.
    Nothing,
    /// Each layer's input; the backward pass computes the layer again (gradient checkpointing, Chen et al. 2016).
    Inputs,
    /// Each layer's input, and of so many of the last layers what the backward pass needs.
    States(usize),
    /// What the backward pass needs of each layer.
    Everything,
}

impl Keep {
    /// Of how many layers the states are kept.
    #[must_use]
    pub fn states(self, layers: usize) -> usize {
        match self {
            Self::Nothing | Self::Inputs => 0,
            Self::States(count) => count.min(layers),
            Self::Everything => layers,
        }
    }

    /// Which of the states in memory is that of a layer, and whether it is still there when the backward pass comes.
    pub(super) fn state(self, layer: usize, layers: usize) -> (usize, bool) {
        let first = layers - self.states(layers);
        // The last layers have one each, those before them share another.
        if layer < first { (layers - first, false) } else { (layer - first, true) }
    }
}

/// What the backward pass needs of a layer beside its input.
pub struct State<O: DecoderOps> {
    pub inverse_input: O::Floats,
    /// Queries and keys before their norm; only where there is one.
    pub q_raw: O::Activations,
    pub k_raw: O::Activations,
    pub q_inverse: O::Floats,
    pub k_inverse: O::Floats,
    pub q: O::Activations,
    pub k: O::Activations,
    pub v: O::Activations,
    pub attended: O::Activations,
    pub log_sums: O::Floats,
    pub middle: O::Floats,
    pub inverse_middle: O::Floats,
    pub gate: O::Activations,
    pub up: O::Activations,
    /// `scale A dropout(x)` of each adapted projection.
    pub low: [O::Floats; SITES],
}

impl<O: DecoderOps> Default for State<O> {
    fn default() -> Self {
        Self {
            inverse_input: O::Floats::default(),
            q_raw: O::Activations::default(),
            k_raw: O::Activations::default(),
            q_inverse: O::Floats::default(),
            k_inverse: O::Floats::default(),
            q: O::Activations::default(),
            k: O::Activations::default(),
            v: O::Activations::default(),
            attended: O::Activations::default(),
            log_sums: O::Floats::default(),
            middle: O::Floats::default(),
            inverse_middle: O::Floats::default(),
            gate: O::Activations::default(),
            up: O::Activations::default(),
            low: std::array::from_fn(|_| O::Floats::default()),
        }
    }
}

impl<O: DecoderOps> State<O> {
    fn bytes(&self) -> usize {
        let activations =
            [&self.q_raw, &self.k_raw, &self.q, &self.k, &self.v, &self.attended, &self.gate, &self.up];
        let floats = [
            &self.inverse_input,
            &self.q_inverse,
            &self.k_inverse,
            &self.log_sums,
            &self.middle,
            &self.inverse_middle,
        ];
        let floats = floats.into_iter().chain(&self.low);
        activations.into_iter().map(O::activations_bytes).sum::<usize>()
            + floats.map(O::floats_bytes).sum::<usize>()
    }
}

/// Memory of one layer's work, shared by all layers.
pub struct Scratch<O: DecoderOps> {
    pub normed: O::Activations,
    pub picked: O::Activations,
    pub inner: O::Activations,
}

impl<O: DecoderOps> Default for Scratch<O> {
    fn default() -> Self {
        let [normed, picked, inner] = std::array::from_fn(|_| O::Activations::default());
        Self { normed, picked, inner }
    }
}

/// Memory of one layer's backward pass.
pub struct BackScratch<O: DecoderOps> {
    pub inner: O::Activations,
    pub gate: O::Activations,
    pub up: O::Activations,
    pub normed: O::Floats,
    pub attended: O::Activations,
    pub q: O::Activations,
    pub k: O::Activations,
    pub v: O::Activations,
    pub flow: O::Floats,
}

impl<O: DecoderOps> Default for BackScratch<O> {
    fn default() -> Self {
        let [inner, gate, up, attended, q, k, v] = std::array::from_fn(|_| O::Activations::default());
        let [normed, flow] = std::array::from_fn(|_| O::Floats::default());
        Self { inner, gate, up, normed, attended, q, k, v, flow }
    }
}

/// A batch in the memory of the operations.
pub struct Placed<O: DecoderOps> {
    pub tokens: O::Ids,
    pub positions: O::Ids,
    pub spans: O::Spans,
    pub wanted: O::Ids,
    pub wanted_positions: O::Ids,
    pub wanted_spans: O::Spans,
}

impl<O: DecoderOps> Default for Placed<O> {
    fn default() -> Self {
        let [tokens, positions, wanted, wanted_positions] = std::array::from_fn(|_| O::Ids::default());
        let [spans, wanted_spans] = std::array::from_fn(|_| O::Spans::default());
        Self { tokens, positions, spans, wanted, wanted_positions, wanted_spans }
    }
}

impl<O: DecoderOps> Placed<O> {
    /// Bring a batch there.
    pub fn set(&mut self, ops: &mut O, batch: &Batch) -> Result<(), O::Error> {
        let (rows, wanted) = (batch.rows(), batch.wanted().len());
        ops.set_ids(&mut self.tokens, batch.tokens())?;
        ops.set_ids(&mut self.positions, batch.positions())?;
        ops.set_ids(&mut self.wanted, batch.wanted())?;
        ops.set_ids(&mut self.wanted_positions, batch.wanted_positions())?;
        ops.set_spans(&mut self.spans, batch.spans(), rows, rows)?;
        ops.set_spans(&mut self.wanted_spans, batch.wanted_spans(), wanted, rows)
    }
}

/// All memory of the passes, reused from batch to batch, with the operations that work in it; it grows with the largest batch.
pub struct Workspace<O: DecoderOps = Cpu> {
    pub(super) ops: O,
    pub(super) placed: Placed<O>,
    /// Each layer's input (two in turns, where nothing is kept), and the last layer's output.
    pub(super) inputs: Vec<O::Floats>,
    pub(super) states: Vec<State<O>>,
    pub(super) out: O::Floats,
    pub(super) inverse: O::Floats,
    /// After the last norm: (wanted, d).
    pub(super) hidden: O::Floats,
    pub(super) scratch: Scratch<O>,
    pub(super) back: BackScratch<O>,
    /// Gradient of the residual stream.
    pub(super) flow: O::Floats,
    pub(super) d_hidden: O::Floats,
    pub(super) rotation: Rotation<O>,
    pub(super) output: Output,
}

/// Memory of an output layer that learns, on the CPU.
#[derive(Default)]
pub struct Output {
    pub fused: cross_entropy::Workspace,
    pub labelled: Buffer,
    pub d_labelled: Buffer,
    pub no_bias: Buffer,
    pub d_no_bias: Buffer,
}

/// Tables of the rotary embedding, as long as the longest prompt so far.
pub struct Rotation<O: DecoderOps> {
    made: Option<(RopeConfig, usize, usize, O::Rotations)>,
}

impl<O: DecoderOps> Rotation<O> {
    /// The tables for positions `0..longest` at least.
    pub fn table(
        &mut self,
        ops: &mut O,
        config: &ModelConfig,
        longest: usize,
    ) -> Result<&O::Rotations, O::Error> {
        let fits = |(rope, head_dim, positions, _): &(RopeConfig, usize, usize, O::Rotations)| {
            *rope == config.rope && *head_dim == config.head_dim && *positions >= longest
        };
        let made = match self.made.take().filter(fits) {
            Some(made) => made,
            None => {
                let positions = longest.next_power_of_two().max(256);
                let frequencies = config.rope.inverse_frequencies(config.head_dim);
                let table = ops.rotations(&frequencies, config.rope.attention_factor(), positions)?;
                (config.rope, config.head_dim, positions, table)
            }
        };
        Ok(&self.made.insert(made).3)
    }
}

impl Default for Workspace {
    fn default() -> Self {
        Self::new(Cpu::default())
    }
}

impl<O: DecoderOps> Workspace<O> {
    /// Nothing yet, of memory in which `ops` work.
    #[must_use]
    pub fn new(ops: O) -> Self {
        let [out, inverse, hidden, flow, d_hidden] = std::array::from_fn(|_| O::Floats::default());
        Self {
            ops,
            placed: Placed::default(),
            inputs: Vec::new(),
            states: Vec::new(),
            out,
            inverse,
            hidden,
            scratch: Scratch::default(),
            back: BackScratch::default(),
            flow,
            d_hidden,
            rotation: Rotation { made: None },
            output: Output::default(),
        }
    }

    /// Bytes of the buffers in use, [`expected_bytes`] before the fact.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let (scratch, back) = (&self.scratch, &self.back);
        let activations = [
            &scratch.normed,
            &scratch.picked,
            &scratch.inner,
            &back.inner,
            &back.gate,
            &back.up,
            &back.attended,
            &back.q,
            &back.k,
            &back.v,
        ];
        let floats =
            [&back.normed, &back.flow, &self.flow, &self.out, &self.inverse, &self.hidden, &self.d_hidden];
        let output =
            [&self.output.labelled, &self.output.d_labelled, &self.output.no_bias, &self.output.d_no_bias];
        self.ops.own_bytes()
            + activations.into_iter().map(O::activations_bytes).sum::<usize>()
            + floats.into_iter().chain(&self.inputs).map(O::floats_bytes).sum::<usize>()
            + self.states.iter().map(State::bytes).sum::<usize>()
            + output.into_iter().map(|buffer| size_of_val::<[f32]>(buffer)).sum::<usize>()
    }
}

/// What a batch will need, in bytes, beside the weights: `rows` packed rows of which `wanted` go through the last layer's
/// feed-forward part.
///
/// Scratch of products and of attention, which depends on blocks and not on rows, is left out (a few MiB).
#[must_use]
pub fn expected_bytes(config: &ModelConfig, rows: usize, wanted: usize, keep: Option<Keep>) -> usize {
    let ModelConfig { hidden: d, intermediate: f, layers, heads, kv_heads, head_dim, vocab, .. } = *config;
    let (q, kv) = (heads * head_dim, kv_heads * head_dim);
    let norms = if config.qk_norm { q + kv } else { 0 };
    let state = |m: usize, all: usize| m * (2 * q + d + 2 * f + heads + norms) + all * 2 * kv;
    let work = rows * (3 * d + f) + 2 * wanted * d;
    let floats = match keep {
        None | Some(Keep::Nothing) => state(rows, rows) + work,
        Some(keep) => {
            let states = match keep.states(layers) {
                0 => state(rows, rows),
                kept => {
                    let shared = if kept < layers { state(rows, rows) } else { 0 };
                    shared + (kept - 1) * state(rows, rows) + state(wanted, rows)
                }
            };
            let backward = rows * (3 * f + 3 * d + 2 * q + 2 * kv);
            states + layers * rows * d + work + backward + wanted.min(64) * vocab
        }
    };
    floats * size_of::<f32>()
}

/// What a training step can keep in `most` bytes of a device; `None` if they are too few even for the inputs of layers. `low` are the ranks of
/// all adapters of a layer together, the rest is as in [`device_bytes`].
#[must_use]
pub fn most_kept(
    config: &ModelConfig,
    sizes: (usize, usize),
    low: usize,
    activation: usize,
    most: u64,
) -> Option<Keep> {
    let states = (1..config.layers).rev().map(Keep::States);
    let mut keeps = std::iter::once(Keep::Everything).chain(states).chain([Keep::Inputs]);
    keeps.find(|keep| device_bytes(config, sizes, Some((*keep, low)), activation) <= most)
}

/// Bytes that a batch will need on a device beside the weights, as [`expected_bytes`], activations being kept in `activation` bytes each.
/// A training step says what it keeps, and the ranks of all adapters of a layer together.
#[must_use]
pub fn device_bytes(
    config: &ModelConfig,
    (rows, wanted): (usize, usize),
    keep: Option<(Keep, usize)>,
    activation: usize,
) -> u64 {
    let ModelConfig { hidden: d, intermediate: f, layers, heads, kv_heads, head_dim, vocab, .. } = *config;
    let (q, kv, e) = (heads * head_dim, kv_heads * head_dim, activation);
    let norms = if config.qk_norm { q + kv } else { 0 };
    let (keep, low) = keep.unwrap_or((Keep::Nothing, 0));
    let state = |m: usize| e * (m * (2 * q + 2 * f + norms) + rows * 2 * kv) + 4 * m * (d + heads + 2 + low);
    let states = match keep.states(layers) {
        0 => state(rows),
        kept => {
            let shared = if kept < layers { state(rows) } else { 0 };
            shared + (kept - 1) * state(rows) + state(wanted)
        }
    };
    // A weight matrix as it is multiplied; embedding and output layer are so already.
    let dense = e * d * f.max(q);
    let inputs = if keep == Keep::Nothing { 2 } else { layers };
    let work = e * rows * (d + f) + 4 * (inputs * rows + 2 * wanted) * d + dense;
    let backward = if keep == Keep::Nothing {
        0
    } else {
        // The rounded gradient of the residual stream, or of a block of logits.
        let narrow = if e == 4 { 0 } else { e * (rows * d).max(wanted.min(64) * vocab) };
        let statistics = 2 * 4 * rows * heads;
        e * rows * (3 * f + 2 * q + 2 * kv)
            + 4 * rows * 3 * d
            + 4 * wanted.min(64) * vocab
            + narrow
            + statistics
    };
    (states + work + backward) as u64
}
