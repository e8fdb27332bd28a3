//! The second stage: what is scored, how it is taught, and what a report makes of it.

mod asking;
mod ladder;
mod teaching;
pub mod tiny;
