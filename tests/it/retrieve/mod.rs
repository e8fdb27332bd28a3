//! The first stage.
mod baselines;
mod catalogue;
mod packing;
mod parity;
mod reproducible;
mod tiny;
mod training;
mod twin;
