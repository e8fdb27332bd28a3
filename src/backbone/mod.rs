//! Language models of the Llama family: what their files say and hold.
//!
//! A [`Folder`] has the files; [`ModelConfig`] is what `config.json` says about the shape; [`Weights`] are the matrices.

pub mod config;
mod error;
mod files;
pub mod weights;

pub use config::{Architecture, ModelConfig, RopeConfig, RopeScaling};
pub use error::Error;
pub use files::Folder;
pub use weights::{Layer, Projection, Weights, WeightsError, load};
