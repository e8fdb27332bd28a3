//! What can go wrong while candidates are ranked.

use crate::backbone::decoder::BatchError;
use crate::cuda;
use crate::prompt;

/// A failure of the second stage.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A prompt that cannot be made.
    #[error(transparent)]
    Prompt(#[from] prompt::Error),
    /// A prompt that cannot go through the model.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// A device that fails.
    #[error(transparent)]
    Device(#[from] cuda::Error),
    /// A model that scores nothing.
    #[error(
        "the score of candidate {candidate} of prompt {prompt} (both counted from 0) is {score}; the weights of the backbone or \
         of its adapter are damaged, or ranker.learning_rate is far too high"
    )]
    ScoreNotFinite {
        /// Place of the prompt.
        prompt: usize,
        /// Place of the candidate.
        candidate: usize,
        /// What it is.
        score: f32,
    },
    /// Validation cannot choose an adapter.
    #[error(
        "no held-out item of validation is among its user's {candidates} candidates, so nothing can choose an adapter; use a \
         better retriever or more evaluation.candidates, or set ranker.tune = false"
    )]
    NothingToValidate {
        /// Candidates of a user.
        candidates: usize,
    },
    /// Somebody asked to stop.
    #[error("interrupted")]
    Interrupted,
}
