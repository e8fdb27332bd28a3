//! The second stage: a language model reads the candidates of a user with their letters, and the letters' scores order them.
//!
//! [`Questions`] are the prompts of the users whose held-out item is among the candidates; [`Questions::ask`] scores them in
//! one forward pass each; [`train()`] teaches a [`Tunable`] model and keeps what is best on validation. A [`Model`] is all that is
//! known of the language model here.

pub mod engine;
mod error;
mod lessons;
mod model;
mod schedule;
mod score;
mod train;
mod validate;

pub use engine::{Device, Engine, Processor};
pub use error::Error;
pub use lessons::Lessons;
pub use model::{Backbone, Model, TAUGHT, Tunable};
pub use schedule::Schedule;
pub use score::{Pace, Partly, batches, score};
pub use train::{CurvePoint, StopReason, TrainOptions, Trained, steps, train};
pub use validate::{Letters, Questions};
