//! From raw files to splits.

mod bad_input;
mod formats;
mod golden;
mod laws;
mod synthetic;
