//! The first stage.
mod parity;
