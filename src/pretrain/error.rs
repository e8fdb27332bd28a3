//! What can go wrong while a backbone is pre-trained.

use crate::{backbone, prompt, run};

/// A failure of the pre-training stage.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// `backbone.name` begins like a built-in backbone, but is none.
    #[error("backbone.name is \"{name}\", but the built-in backbones are {known}")]
    Unknown { name: String, known: String },
    /// The first weights are damaged or of another shape.
    #[error("the first weights of a built-in backbone: {0}")]
    Start(String),
    /// The trainer of the tokenizer refused.
    #[error("train a tokenizer on the titles: {0}")]
    Tokenizer(String),
    /// The trained tokenizer cannot make prompts.
    #[error(transparent)]
    Prompt(#[from] prompt::Error),
    /// Too few items for a lesson.
    #[error("{items} items with training interactions; expected at least 2, or name a backbone of files")]
    TooFewItems { items: usize },
    /// The loss is no number.
    #[error("the loss of pre-training is {loss} at step {step}; lower pretrain.learning_rate")]
    NotFinite { step: u32, loss: f64 },
    /// The model cannot be written or read.
    #[error(transparent)]
    Backbone(#[from] backbone::Error),
    /// The files cannot be stored.
    #[error(transparent)]
    Store(#[from] run::Error),
}
