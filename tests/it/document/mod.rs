//! Documents and their formats.

mod browser;
mod charts;
mod check;
pub mod devtools;
mod formats;
mod latex;
mod look;
mod marks;
mod sample;
