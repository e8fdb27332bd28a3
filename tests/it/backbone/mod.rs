//! The files of language models: descriptions, folders, the hub.

mod bad_weights;
mod checkpoint;
mod config;
mod weights;
pub(crate) mod hub;
