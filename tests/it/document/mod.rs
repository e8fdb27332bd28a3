//! Documents and their formats.

mod browser;
mod charts;
mod check;
mod devtools;
mod formats;
mod latex;
mod look;
mod marks;
mod sample;
