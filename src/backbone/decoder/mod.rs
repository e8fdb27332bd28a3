//! The decoder: one forward and one backward pass for every model that a [`ModelConfig`] describes.
//!
//! Both are written out on packed rows, without a graph, over the operations of [`DecoderOps`](crate::nn::ops::decoder::DecoderOps), which
//! the CPU and devices have. What a row's result depends on is its own prompt: its bits are the same in every batch.

mod backward;
mod batch;
mod forward;
mod full;
mod transformer;
pub(super) mod view;
mod work;
mod workspace;

pub use batch::Batch;
pub use full::FullModel;
pub use transformer::Transformer;
pub use work::Work;
pub use workspace::{Keep, Workspace, device_bytes, expected_bytes, most_kept};

use super::adapter::AdapterView;
use super::{Adapter, ModelConfig, RopeScaling, Weights};
use crate::nn::matmul::Precision;
use crate::nn::ops::decoder::Cpu;

/// A [`Transformer`] on the CPU, where nothing can fail: hidden states, scores of letters, and gradients of an adapter.
pub struct Decoder {
    model: Transformer<Cpu>,
    precision: Precision,
}

/// The dropout masks of a training step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Masks {
    /// Their key.
    pub key: u64,
    /// Of a batch that was cut, the rows before this part: those of all, and those that are wanted, which are all that the last layer's
    /// queries have.
    pub before: (usize, usize),
}

impl Masks {
    /// Those of a whole batch.
    #[must_use]
    pub const fn new(key: u64) -> Self {
        Self { key, before: (0, 0) }
    }
}

/// How a training step is computed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// The step's dropout masks; none drops nothing.
    pub dropout: Option<Masks>,
    /// What the sum of losses is divided by: the labels of all micro-batches of the step.
    pub labels: usize,
    /// What is kept for the backward pass; the rest is computed again, with the same bits.
    pub keep: Keep,
}

/// Why a batch cannot go through a model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// A token is not in the vocabulary.
    #[error(
        "prompts hold token {token}, but the model knows {vocab} tokens; is this tokenizer the model's own?"
    )]
    Token {
        /// The largest token.
        token: u32,
        /// Rows of the embedding.
        vocab: usize,
    },
    /// A prompt is longer than what the model was made for: its attention slides over a window in some layers, or its rotary
    /// embedding changes.
    #[error(
        "a prompt has {found} tokens, but this model takes {limit} at most; lower ranker.max_prompt_tokens to {limit} or less"
    )]
    Length {
        /// Tokens of the longest prompt.
        found: usize,
        /// What the model takes.
        limit: usize,
    },
    /// A prompt has no token.
    #[error("prompt {prompt} of the batch is empty")]
    Empty {
        /// Its place in the batch.
        prompt: usize,
    },
}

impl Decoder {
    /// A decoder of these weights, which computes its products in `precision`.
    #[must_use]
    pub const fn new(weights: Weights, precision: Precision) -> Self {
        Self { model: Transformer::new(weights), precision }
    }

    /// The model's shape.
    #[must_use]
    pub const fn config(&self) -> &ModelConfig {
        self.model.config()
    }

    /// The weights.
    #[must_use]
    pub const fn weights(&self) -> &Weights {
        self.model.weights()
    }

    /// Whether `batch` can go through this model.
    ///
    /// # Errors
    /// When a token is unknown, a prompt is empty, or one is longer than the model can take.
    pub fn check(&self, batch: &Batch) -> Result<(), BatchError> {
        self.model.check(batch)
    }

    fn prepare(&self, workspace: &mut Workspace) {
        workspace.ops.precision = self.precision;
    }

    /// [`Transformer::hidden`].
    ///
    /// # Panics
    /// When the batch does not pass [`Decoder::check`], or the adapter is another model's.
    pub fn hidden<'w>(
        &self,
        batch: &Batch,
        adapter: Option<&Adapter>,
        workspace: &'w mut Workspace,
    ) -> &'w [f32] {
        self.prepare(workspace);
        let Ok(hidden) = self.model.hidden(batch, adapter.map(placed), workspace);
        hidden
    }

    /// [`Transformer::letter_scores`].
    ///
    /// # Panics
    /// As [`Decoder::hidden`], and when an id is unknown.
    pub fn letter_scores(
        &self,
        batch: &Batch,
        ids: &[u32],
        adapter: Option<&Adapter>,
        workspace: &mut Workspace,
    ) -> Vec<f32> {
        self.prepare(workspace);
        let Ok(scores) = self.model.letter_scores(batch, ids, adapter.map(placed), workspace);
        scores
    }

    /// [`Transformer::loss_and_gradients`].
    ///
    /// # Panics
    /// As [`Decoder::hidden`], and when labels or gradients do not fit.
    pub fn loss_and_gradients(
        &self,
        batch: &Batch,
        labels: &[u32],
        adapter: &Adapter,
        step: Step,
        gradients: &mut [f32],
        workspace: &mut Workspace,
    ) -> f64 {
        assert_eq!(gradients.len(), adapter.weights.len(), "gradients of the adapter");
        self.prepare(workspace);
        let adapter = placed(adapter);
        let Ok(loss) = self.model.loss_and_gradients(batch, labels, adapter, step, gradients, workspace);
        loss
    }

    /// [`Transformer::loss`].
    ///
    /// # Panics
    /// As [`Decoder::loss_and_gradients`].
    pub fn loss(
        &self,
        batch: &Batch,
        labels: &[u32],
        adapter: Option<&Adapter>,
        workspace: &mut Workspace,
    ) -> f64 {
        self.prepare(workspace);
        let Ok(loss) = self.model.loss(batch, labels, adapter.map(placed), workspace);
        loss
    }
}

/// An adapter in the memory of the CPU.
fn placed(adapter: &Adapter) -> AdapterView<'_, Cpu> {
    adapter.view(adapter.weights.as_slice())
}

/// As [`Decoder::check`].
fn check(config: &ModelConfig, batch: &Batch) -> Result<(), BatchError> {
    if let Some(prompt) = batch.empty() {
        return Err(BatchError::Empty { prompt });
    }
    if let Some(&token) = batch.tokens().iter().max().filter(|&&token| token as usize >= config.vocab) {
        return Err(BatchError::Token { token, vocab: config.vocab });
    }
    // Beyond its positions a model still computes, only worse; a dynamic rotation or a partly sliding window would be wrong.
    let dynamic = matches!(config.rope.scaling, RopeScaling::Dynamic { .. });
    let window = config.sliding_window.filter(|_| !view::slides(config));
    let limit = window.unwrap_or(usize::MAX).min(if dynamic { config.max_positions } else { usize::MAX });
    let found = batch.longest();
    if found > limit { Err(BatchError::Length { found, limit }) } else { Ok(()) }
}
