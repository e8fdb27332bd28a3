//! Language models of the Llama family: what their files say and hold.
//!
//! A [`Folder`] has the files; [`ModelConfig`] is what `config.json` says about the shape; [`Weights`] are the matrices.

pub mod adapter;
pub mod config;
pub mod decoder;
mod error;
mod files;
pub mod hub;
mod known;
pub mod peft;
pub mod weights;

pub use adapter::{Adapter, AdapterSpec};
pub use config::{Architecture, ModelConfig, RopeConfig, RopeScaling};
pub use decoder::{Batch, BatchError, Decoder, FullModel, Keep, Masks, Step, Workspace};
pub use error::Error;
pub use files::Folder;
pub use hub::{Hub, Outline, Presence, Source, Token, fetch, find, outline, present};
pub use known::{Known, known};
pub use peft::{AdapterError, PeftFiles};
pub use weights::{Layer, Projection, Weights, WeightsError, load};
