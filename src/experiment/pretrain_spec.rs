//! What a file can ask of the stage that makes a built-in backbone.

use serde::{Deserialize, Serialize};

/// What `backbone.name` begins with for a built-in backbone.
pub const EMBEDDED_PREFIX: &str = "embedded:";

/// How a built-in backbone is pre-trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PretrainSpec {
    /// Seed of the initial weights and of the lessons. It is not the experiment's: all seeds of an experiment tune one
    /// backbone, as they do where it comes from files.
    pub seed: u64,
    /// The most tokens that the tokenizer may have.
    pub vocabulary: u32,
    /// Tokens to read in all; none means what the backbone's size has been measured to need.
    pub tokens: Option<u64>,
    /// Tokens of a step, roughly.
    pub step_tokens: u32,
    /// Peak step size of AdamW.
    pub learning_rate: f64,
    /// Steps in which the step size rises to its peak.
    pub warmup_steps: u32,
}
