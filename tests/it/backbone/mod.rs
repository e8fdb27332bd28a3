//! The files of language models: descriptions, folders, the hub.

mod bad_weights;
mod checkpoint;
mod decoder;
mod lora;
mod peft;
mod reference;
mod stories;
mod twin;
mod config;
mod weights;
pub(crate) mod hub;
