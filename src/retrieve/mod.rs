//! The first stage: who scores the whole catalogue for a history, and who of it becomes a candidate.

pub mod catalogue;
pub mod lru;
mod popularity;
mod random;

use std::num::NonZeroU32;

pub use lru::LruRec;
pub use lru::train::{CurvePoint, StopReason, TrainOptions, Trained, train};
pub use popularity::Popularity;
pub use random::RandomOrder;

use crate::data::ItemId;
use crate::experiment::HistoryMask;

/// What can go wrong in the first stage.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Weights that do not fit.
    #[error(transparent)]
    Params(#[from] crate::nn::params::Error),
    /// The loss stopped being a number.
    #[error(
        "the training loss is {loss} at step {step}; the best weights so far are of step {best_step}; lower retriever.learning_rate or retriever.max_grad_norm"
    )]
    LossNotFinite { step: u32, loss: f64, best_step: u32 },
    /// Nothing to train on.
    #[error("no training window has an item to predict; every user needs at least two training items")]
    NothingToTrain,
    /// More candidates than items.
    #[error("evaluation.candidates = {k}, but the catalogue has only {items} items; ask for at most {items}")]
    TooFewItems { k: usize, items: usize },
    /// A device failed.
    #[error(transparent)]
    Device(#[from] crate::cuda::Error),
    /// Somebody asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

/// Everyone's history and the item that is to be found.
#[derive(Clone, Copy)]
pub struct Query<'a> {
    /// What is known of each user, in time order.
    pub histories: &'a [Vec<ItemId>],
    /// The held-out item of each user.
    pub targets: &'a [ItemId],
    /// How many candidates each user gets.
    pub k: usize,
    /// Which items of the history cannot be retrieved.
    pub mask: HistoryMask,
}

/// What a retriever found. Users are in the order of the query.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Retrieved {
    /// Candidates a user.
    pub k: usize,
    /// (users, k) item ids, best first; equal scores by ascending id.
    pub candidates: Vec<u32>,
    /// (users, k) their scores.
    pub scores: Vec<f32>,
    /// Rank of each user's target over the whole catalogue, from 1; ties by ascending item id.
    pub ranks: Vec<NonZeroU32>,
    /// Users whose target shares its score with another item that is not masked.
    pub tied_users: u64,
}

/// Scores the catalogue for each user.
pub trait Retriever {
    /// The best `k` items of every user and the rank of every target.
    ///
    /// # Errors
    /// [`Error::TooFewItems`] when the catalogue is smaller than `k`.
    fn retrieve(&self, query: &Query<'_>) -> Result<Retrieved, Error>;
}
