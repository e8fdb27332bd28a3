//! From stored cells and published numbers to what the user reads. No model is needed: every figure is a function of
//! the stored ranks.
//!
//! [`Report::build`] is pure; the writers below only lay out what it holds.

mod build;
mod compare;
mod error;
mod format;
mod markdown;
mod model;
mod ranker;
mod terminal;
mod warnings;
mod write;

pub use build::Input;
pub use compare::RULE;
pub use error::Error;
pub use format::thousands;
pub use markdown::markdown;
pub use model::{
    Comparison, DatasetSection, PublishedDataset, Report, SCHEMA, SeedResult, Source, Summary, Verdict,
};
pub use ranker::{Ladder, RankerOnly, RankerSection, RankerSeed, RungResult, RungValues};
pub use terminal::{TerminalStyle, terminal};
pub use write::{read_results, write_report};
