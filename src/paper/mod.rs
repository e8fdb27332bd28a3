//! Several experiments as the papers print them: Tables I to IV of the seed paper from stored runs and published numbers, with
//! the uncertainty that the paper leaves out. Pure: an [`Input`] goes in, a [`Document`](crate::document::Document) comes out; no
//! model and no data are needed.
//!
//! A [`Study`] is what is stored of one experiment. Studies of one split make a [`Block`]: its methods are its [`Line`]s, each
//! once, however many experiments share it. Every pair of lines of a block is tested in every metric over all users, and Holm's
//! correction is over the whole report ([`Verdicts`]).
//!
//! Sources: the seed paper (Choi and Kim, 2025) for the shape of the tables; ranx (Bassani, ECIR 2022) for letters of significance
//! as superscripts.

mod block;
mod by_method;
mod comparisons;
mod datasets;
mod document;
mod error;
mod figures;
mod in_full;
mod labels;
mod model;
mod provenance;
mod published;
mod values;
mod verdicts;
mod versus;
mod warnings;
mod words;

pub use block::{Block, Coming, Line, LineKind, blocks, may_refer};
pub use document::{Paper, paper};
pub use error::Error;
pub use model::{Absent, Input, Study};
pub use published::{PublishedMethod, published};
pub use values::{Means, mean_gain, percent_gain};
pub use verdicts::Verdicts;
