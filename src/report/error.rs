//! Why a report cannot be made.

use std::path::PathBuf;

use crate::eval::ZeroRank;
use crate::run;
use crate::significance::SignificanceError;

/// A report that cannot be made, written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing to report.
    #[error("report {experiment}: no finished run; expected at least one seed; run the experiment first")]
    NoRuns {
        /// The experiment.
        experiment: String,
    },
    /// Runs that were not made of the same thing.
    #[error(
        "report {experiment}: seeds {one} and {other} differ in {what}: {one_value} and {other_value}; runs of one \
         report must share it; run both seeds again with one experiment file"
    )]
    Differ {
        /// The experiment.
        experiment: String,
        /// The first seed.
        one: u64,
        /// The seed that differs.
        other: u64,
        /// In what.
        what: &'static str,
        /// The first one's.
        one_value: String,
        /// The other's.
        other_value: String,
    },
    /// A seed twice.
    #[error("report {experiment}: seed {seed} is there twice; expected every seed once")]
    RepeatedSeed {
        /// The experiment.
        experiment: String,
        /// The seed.
        seed: u64,
    },
    /// A second stage that is not one of the first stages beside it.
    #[error(
        "report {experiment}: the ranking of seed {seed} is {what}: {found}; expected {expected}; run the seed again"
    )]
    Ranking {
        /// The experiment.
        experiment: String,
        /// The seed.
        seed: u64,
        /// What disagrees.
        what: &'static str,
        /// As the ranking has it.
        found: String,
        /// As it should be.
        expected: String,
    },
    /// A rank that counts from 0.
    #[error("report {experiment}: seed {seed}: {source}")]
    Rank {
        /// The experiment.
        experiment: String,
        /// The seed.
        seed: u64,
        /// Which.
        source: ZeroRank,
    },
    /// A results file that is not one.
    #[error("read {}: {what}; expected a results.json of schema {}", path.display(), super::SCHEMA)]
    Results {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Values that cannot be compared.
    #[error(transparent)]
    Significance(#[from] SignificanceError),
    /// A document that cannot be printed.
    #[error(transparent)]
    Document(#[from] crate::document::Error),
    /// The disk.
    #[error(transparent)]
    Run(#[from] run::Error),
}
