//! What a file can ask of the retriever.

use serde::{Deserialize, Serialize};

use super::{DatasetSource, SelectBy, SelectMetric};

/// The first stage: who scores the catalogue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum RetrieverSpec {
    /// LRURec: linear recurrent units over the history (protocol section 2).
    Lru(LruSpec),
    /// The number of times that an item occurs in the training part.
    Popularity,
    /// A seeded random order of the catalogue for every user.
    Random,
}

impl RetrieverSpec {
    /// The name of `retriever.kind` in a file.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Lru(_) => "lru",
            Self::Popularity => "popularity",
            Self::Random => "random",
        }
    }
}

/// Shape and training of LRURec. The settings that differ by dataset have the defaults of the paper's runs
/// ([`LruSpec::paper_default`]).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LruSpec {
    /// Width of item embeddings and of the layers between the blocks.
    pub hidden_dim: usize,
    /// Number of complex states of each recurrence.
    pub state_dim: usize,
    /// Number of blocks, each a recurrence and a feed-forward layer.
    pub blocks: usize,
    /// Inner width of the feed-forward layer.
    pub feed_forward_dim: usize,
    /// Inner radius of the ring on which the eigenvalues begin.
    pub r_min: f64,
    /// Outer radius of the ring on which the eigenvalues begin.
    pub r_max: f64,
    /// Items of a history that the model sees, in training windows and in evaluation.
    pub max_len: usize,
    /// Training windows in a step.
    pub batch_size: usize,
    /// Probability of dropping an activation after the embedding and in the feed-forward layers.
    pub dropout: f64,
    /// Probability of dropping an activation after a recurrence.
    pub lru_dropout: f64,
    /// Step size of AdamW.
    pub learning_rate: f64,
    /// Decoupled weight decay of AdamW; see [`WeightDecayRule`] for whether it is used as given.
    pub weight_decay: f64,
    /// AdamW's decay of the mean of gradients.
    pub adam_beta1: f64,
    /// AdamW's decay of the mean of squared gradients.
    pub adam_beta2: f64,
    /// What AdamW adds to the root of the mean squared gradient.
    pub adam_epsilon: f64,
    /// Global norm at which gradients are clipped.
    pub max_grad_norm: f64,
    /// Most passes over the training windows.
    pub max_epochs: u32,
    /// Steps between two validations; there is one before the first step too.
    pub validate_every_steps: u32,
    /// Validations in a row without a better one after which training stops.
    pub patience: u32,
    /// The validation metric that chooses the weights.
    pub select_by: SelectBy,
    /// Quirk: whether the last padding position is trained to predict the first item of a sequence.
    pub first_item_label: bool,
    /// Quirk: what happens to the leading items that do not fill a training window.
    pub window_remainder: WindowRemainder,
    /// Quirk: whether validation during training leaves out items of the history, as the test does.
    pub mask_history_in_validation: bool,
    /// Quirk: whether `weight_decay` is used as given.
    pub weight_decay_rule: WeightDecayRule,
}

impl LruSpec {
    /// The paper's settings for a dataset (protocol section 2); what is neither ml-100k, beauty nor games gets
    /// those of the latter two.
    #[must_use]
    pub fn paper_default(dataset: &DatasetSource) -> Self {
        let dense = matches!(dataset, DatasetSource::Ml100k);
        Self {
            hidden_dim: 64,
            state_dim: 128,
            blocks: 2,
            feed_forward_dim: 256,
            r_min: 0.8,
            r_max: 0.99,
            max_len: if dense { 200 } else { 50 },
            batch_size: if dense { 16 } else { 64 },
            dropout: 0.5,
            lru_dropout: 0.5,
            learning_rate: 1e-3,
            weight_decay: if dense { 0.0 } else { 0.01 },
            adam_beta1: 0.9,
            adam_beta2: 0.999,
            adam_epsilon: 1e-9,
            max_grad_norm: 5.0,
            max_epochs: 500,
            validate_every_steps: 500,
            patience: 20,
            select_by: SelectBy { metric: SelectMetric::Recall, k: 10 },
            first_item_label: true,
            window_remainder: WindowRemainder::Drop,
            mask_history_in_validation: false,
            weight_decay_rule: WeightDecayRule::Given,
        }
    }

    /// The decay that AdamW uses: what [`WeightDecayRule`] makes of `weight_decay`.
    #[must_use]
    pub const fn effective_weight_decay(&self) -> f64 {
        match self.weight_decay_rule {
            WeightDecayRule::Given => self.weight_decay,
            WeightDecayRule::Reference001 => 0.01,
        }
    }
}

/// What happens to the leading items of a sequence of at least twice `max_len` that do not fill a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WindowRemainder {
    /// They are never trained on (what the reference does).
    Drop,
    /// They make one more, shorter window.
    Keep,
}

/// Whether a given weight decay is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WeightDecayRule {
    /// As given.
    #[serde(rename = "given")]
    Given,
    /// The reference overwrites whatever is given with 0.01.
    #[serde(rename = "reference-0.01")]
    Reference001,
}
