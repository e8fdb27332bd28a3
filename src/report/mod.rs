//! From stored cells and published numbers to what the user reads. No model is needed: every figure is a function of
//! the stored ranks.
//!
//! [`Report::build`] is pure; [`document`] lays out what it holds, and [`write_report`] writes that in every format.

mod build;
mod compare;
mod error;
mod figure_data;
mod format;
mod methods;
mod model;
mod names;
mod ranker;
mod sections;
mod significance;
mod strata;
mod terminal;
mod warnings;
mod write;

pub use build::Input;
pub use compare::RULE;
pub use error::Error;
pub use figure_data::{FigureData, Interval, MethodData};
pub use format::thousands;
pub use model::{
    Comparison, DatasetSection, PublishedDataset, Report, SCHEMA, SeedResult, Source, Summary, Verdict,
};
pub use ranker::{Ladder, RankerOnly, RankerSection, RankerSeed, RungResult, RungValues};
pub use sections::document;
pub use significance::Significance;
pub use strata::{BinData, BinMethod, Breakdown, Grouping, Strata};
pub use terminal::terminal;
pub use write::{RESULTS, WRITTEN, read_results, write_again, write_report};
