//! The memory of the passes, kept from batch to batch.

use super::view::SITES;
use crate::backbone::{ModelConfig, RopeConfig};
use crate::nn::aligned::Buffer;
use crate::nn::rope::Rope;
use crate::nn::{attention, cross_entropy, matmul};

/// What a forward pass keeps for a backward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Nothing: the memory of one layer serves all.
    Nothing,
    /// Each layer's input; the backward pass computes the layer again (gradient checkpointing, Chen et al. 2016).
    Inputs,
    /// What the backward pass needs of each layer.
    Everything,
}

/// What the backward pass needs of a layer beside its input.
#[derive(Default)]
pub struct State {
    pub inverse_input: Buffer,
    /// Queries and keys before their norm; only where there is one.
    pub q_raw: Buffer,
    pub k_raw: Buffer,
    pub q_inverse: Buffer,
    pub k_inverse: Buffer,
    pub q: Buffer,
    pub k: Buffer,
    pub v: Buffer,
    pub attended: Buffer,
    pub log_sums: Buffer,
    pub middle: Buffer,
    pub inverse_middle: Buffer,
    pub gate: Buffer,
    pub up: Buffer,
    /// `scale A dropout(x)` of each adapted projection.
    pub low: [Buffer; SITES],
}

/// Memory of one layer's work, shared by all layers.
#[derive(Default)]
pub struct Scratch {
    pub normed: Buffer,
    pub picked: Buffer,
    pub inner: Buffer,
    pub dropped: Buffer,
    pub products: matmul::Scratch,
}

/// Memory of one layer's backward pass.
#[derive(Default)]
pub struct BackScratch {
    pub inner: Buffer,
    pub gate: Buffer,
    pub up: Buffer,
    pub normed: Buffer,
    pub attended: Buffer,
    pub q: Buffer,
    pub k: Buffer,
    pub v: Buffer,
    pub raw: Buffer,
    pub low: Buffer,
    pub flow: Buffer,
    pub attention: attention::Scratch,
}

/// All memory of the passes, reused from batch to batch; it grows with the largest one.
#[derive(Default)]
pub struct Workspace {
    /// Each layer's input (two in turns, where nothing is kept), and the last layer's output.
    pub(super) inputs: Vec<Buffer>,
    pub(super) states: Vec<State>,
    pub(super) out: Buffer,
    pub(super) inverse: Buffer,
    /// After the last norm: (wanted, d).
    pub(super) hidden: Buffer,
    pub(super) scratch: Scratch,
    pub(super) back: BackScratch,
    /// Gradient of the residual stream.
    pub(super) flow: Buffer,
    pub(super) d_hidden: Buffer,
    pub(super) logits: Buffer,
    pub(super) letters: Buffer,
    pub(super) fused: cross_entropy::Workspace,
    pub(super) labelled: Buffer,
    pub(super) d_labelled: Buffer,
    pub(super) no_bias: Buffer,
    pub(super) d_no_bias: Buffer,
    pub(super) rope: Rotation,
}

/// Tables of the rotary embedding, as long as the longest prompt so far.
#[derive(Default)]
pub struct Rotation {
    made: Option<(RopeConfig, usize, usize)>,
    table: Option<Rope>,
}

impl Rotation {
    /// The tables for positions `0..longest` at least.
    pub fn table(&mut self, config: &ModelConfig, longest: usize) -> &Rope {
        let fits = |(rope, head_dim, positions): (RopeConfig, usize, usize)| {
            rope == config.rope && head_dim == config.head_dim && positions >= longest
        };
        if !self.made.is_some_and(fits) {
            let positions = longest.next_power_of_two().max(256);
            self.table = None;
            self.made = Some((config.rope, config.head_dim, positions));
        }
        let positions = self.made.map_or(longest, |(.., positions)| positions);
        self.table.get_or_insert_with(|| {
            let frequencies = config.rope.inverse_frequencies(config.head_dim);
            Rope::new(&frequencies, config.rope.attention_factor(), positions)
        })
    }
}

impl Workspace {
    /// Bytes of the buffers in use, [`expected_bytes`] before the fact.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let len = |buffers: &[&Buffer]| buffers.iter().map(|buffer| buffer.len()).sum::<usize>();
        let state = |s: &State| {
            let heads = [&s.q_raw, &s.k_raw, &s.q_inverse, &s.k_inverse, &s.q, &s.k, &s.v];
            let rest =
                [&s.inverse_input, &s.attended, &s.log_sums, &s.middle, &s.inverse_middle, &s.gate, &s.up];
            len(&heads) + len(&rest) + len(&s.low.each_ref())
        };
        let Scratch { normed, picked, inner, dropped, .. } = &self.scratch;
        let back = &self.back;
        let backward = [
            &back.inner,
            &back.gate,
            &back.up,
            &back.normed,
            &back.attended,
            &back.q,
            &back.k,
            &back.v,
            &back.raw,
            &back.low,
            &back.flow,
            &self.flow,
        ];
        let head = [
            &self.out,
            &self.inverse,
            &self.hidden,
            &self.d_hidden,
            &self.logits,
            &self.letters,
            &self.labelled,
            &self.d_labelled,
            &self.no_bias,
            &self.d_no_bias,
        ];
        let floats = self.inputs.iter().map(|input| input.len()).sum::<usize>()
            + self.states.iter().map(state).sum::<usize>()
            + len(&[normed, picked, inner, dropped])
            + len(&backward)
            + len(&head);
        floats * size_of::<f32>()
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
            let states = if keep == Keep::Inputs {
                state(rows, rows)
            } else {
                (layers - 1) * state(rows, rows) + state(wanted, rows)
            };
            let backward = rows * (3 * f + 3 * d + 2 * q + 2 * kv);
            states + layers * rows * d + work + backward + wanted.min(64) * vocab
        }
    };
    floats * size_of::<f32>()
}
