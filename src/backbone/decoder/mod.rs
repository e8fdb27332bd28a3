//! The decoder: one forward and one backward pass for every model that a [`ModelConfig`] describes.
//!
//! Both are written out on packed rows, without a graph, and call only whole operations on buffers. What a row's result
//! depends on is its own prompt: its bits are the same in every batch.

mod backward;
mod batch;
mod forward;
mod full;
mod head;
pub(super) mod view;
mod workspace;

pub use batch::Batch;
pub use full::FullModel;
pub use workspace::{Keep, Workspace, expected_bytes};

use super::{Adapter, ModelConfig, RopeScaling, Weights};
use crate::nn::matmul::Precision;
use forward::Pass;

/// A model that gives hidden states, scores of letters, and gradients of an adapter. Its weights are frozen.
pub struct Decoder {
    weights: Weights,
    precision: Precision,
}

/// How a training step is computed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// The key of the step's dropout masks; none drops nothing.
    pub dropout: Option<u64>,
    /// What the sum of losses is divided by: the labels of all micro-batches of the step.
    pub labels: usize,
    /// Whether to keep only each layer's input and compute the layer again: the same bits with less memory.
    pub checkpoint: bool,
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
    pub fn new(weights: Weights, precision: Precision) -> Self {
        Self { weights, precision }
    }

    /// The model's shape.
    #[must_use]
    pub fn config(&self) -> &ModelConfig {
        &self.weights.config
    }

    /// The weights.
    #[must_use]
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Whether `batch` can go through this model.
    ///
    /// # Errors
    /// When a token is unknown, a prompt is empty, or one is longer than the model can take.
    pub fn check(&self, batch: &Batch) -> Result<(), BatchError> {
        check(self.config(), batch)
    }

    /// Hidden states of the wanted rows after the last norm. `# Shapes: (wanted, d)`
    ///
    /// # Panics
    /// When the batch does not pass [`Decoder::check`], or the adapter is another model's.
    pub fn hidden<'w>(
        &self,
        batch: &Batch,
        adapter: Option<&Adapter>,
        workspace: &'w mut Workspace,
    ) -> &'w [f32] {
        let view = view::frozen(&self.weights, adapter, None);
        Pass::new(&view, batch, self.precision).forward(Keep::Nothing, workspace);
        &workspace.hidden
    }

    /// Scores of the tokens `ids` for each wanted row: only their rows of the output layer are read, always in f32.
    ///
    /// `# Shapes: gives (wanted, ids)`
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
        self.hidden(batch, adapter, workspace);
        let hidden = std::mem::take(&mut workspace.hidden);
        let scores = head::scores(self.weights.output(), &hidden, ids, workspace);
        workspace.hidden = hidden;
        scores
    }

    /// The sum over the wanted rows of the cross-entropy of their labels, divided by `step.labels`; its gradient is added to
    /// `gradients`, laid out as the adapter's weights. Micro-batches of a step add up.
    ///
    /// `# Shapes: labels (wanted)`
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
        assert_eq!(labels.len(), batch.wanted().len(), "labels of the wanted rows");
        assert_eq!(gradients.len(), adapter.weights.len(), "gradients of the adapter");
        let keep = if step.checkpoint { Keep::Inputs } else { Keep::Everything };
        let view = view::frozen(&self.weights, Some(adapter), step.dropout);
        let pass = Pass::new(&view, batch, self.precision);
        pass.forward(keep, workspace);
        let share = 1.0 / step.labels as f64;
        let loss = head::loss(self.weights.output(), labels, share, self.precision, workspace);
        pass.backward(keep, workspace, gradients);
        loss
    }

    /// The loss of [`Decoder::loss_and_gradients`] alone, nothing dropped.
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
        assert_eq!(labels.len(), batch.wanted().len(), "labels of the wanted rows");
        self.hidden(batch, adapter, workspace);
        let share = 1.0 / labels.len() as f64;
        head::loss(self.weights.output(), labels, share, self.precision, workspace)
    }
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
