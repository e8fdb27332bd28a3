//! Language models: their files, the hub, and the decoder beside other implementations.

mod bad_weights;
mod checkpoint;
mod config;
mod decoder;
pub(crate) mod hub;
mod known;
mod lora;
pub(crate) mod peft;
mod python;
mod reference;
mod stand_in;
mod stories;
mod twin;
mod weights;
