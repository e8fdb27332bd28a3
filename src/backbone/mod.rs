//! Language models of the Llama family: what their files say and hold.
//!
//! [`ModelConfig`] is what `config.json` says about a model's shape; [`Weights`] are its matrices.

pub mod config;
mod error;
pub mod weights;

pub use config::{Architecture, ModelConfig, RopeConfig, RopeScaling};
pub use error::Error;
pub use weights::{Layer, Projection, Weights};
