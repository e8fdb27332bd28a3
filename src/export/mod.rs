//! Finished runs in formats that other programs read: ranks and candidates as Parquet or CSV, TREC runs and judgements,
//! adapters for PEFT, learning curves for TensorBoard. Everything comes from stored cells; no model and no score is computed.

mod csv;
mod frame;
mod listing;
mod parquet;
mod peft;
mod tensorboard;
mod trec;

use std::path::{Path, PathBuf};

pub use listing::Listing;
pub use tensorboard::{Point, masked_crc32c, scalar_events};

use crate::run::{self, Cell, CellKey, RankingCell, Store};

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// `ranks.parquet` and `candidates.parquet`.
    Parquet,
    /// The same tables as delimited text.
    Csv,
    /// Runs and judgements for trec_eval, ir-measures and ranx.
    Trec,
    /// The tuned adapters, as PEFT loads them.
    Peft,
    /// Event files with the learning curves.
    TensorBoard,
}

/// The names of users and items in what is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ids {
    /// The place of a user in the split, from 0, and the id of an item, from 1, as the run store has them.
    Dense,
    /// The ids of the upstream files.
    Raw {
        /// By place in the split.
        users: Vec<String>,
        /// The item of id i + 1 at place i.
        items: Vec<String>,
    },
}

impl Ids {
    /// The name of the user at a place in the split, from 0.
    #[must_use]
    pub fn user(&self, user: u32) -> String {
        match self {
            Self::Raw { users, .. } => users.get(user as usize).cloned().unwrap_or_else(|| user.to_string()),
            Self::Dense => user.to_string(),
        }
    }

    /// The name of an item by its id, from 1.
    #[must_use]
    pub fn item(&self, item: u32) -> String {
        match self {
            Self::Raw { items, .. } => {
                let at = (item as usize).checked_sub(1).and_then(|at| items.get(at));
                at.cloned().unwrap_or_else(|| item.to_string())
            }
            Self::Dense => item.to_string(),
        }
    }
}

/// One finished seed of an experiment.
#[derive(Debug, Clone, Copy)]
pub struct Seed<'a> {
    /// Its first stage.
    pub retrieval: &'a Cell,
    /// Its second stage, if it has one.
    pub ranking: Option<&'a RankingCell>,
}

impl Seed<'_> {
    /// Whether its second stage is by a backbone with random weights, which is exported in no format.
    #[must_use]
    pub fn has_random_weights(&self) -> bool {
        let ranker = self.ranking.and_then(|cell| cell.manifest.ranker.as_ref());
        ranker.is_some_and(|ranker| ranker.backbone.is_random())
    }

    /// The same without what is not for reporting.
    fn for_reporting(&self) -> Self {
        Self { ranking: self.ranking.filter(|_| !self.has_random_weights()), ..*self }
    }
}

/// The finished seeds of an experiment.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The experiment's name: the folder that is written to.
    pub experiment: &'a str,
    /// Its seeds.
    pub seeds: &'a [Seed<'a>],
    /// How users and items are named.
    pub ids: &'a Ids,
    /// Where the files of adapters lie.
    pub rankings: &'a Store<RankingCell>,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error(transparent)]
    Run(#[from] run::Error),
    /// An id that a TREC file cannot hold.
    #[error(
        "{what} {id:?} is empty or has a blank, which separates fields in a TREC file; use --ids dense, and the table in \
         docs/formats.md says how they map"
    )]
    Blank {
        /// `user` or `item`.
        what: &'static str,
        /// The id.
        id: String,
    },
    /// There is nothing of this kind.
    #[error("{what}")]
    Nothing {
        /// What is not there, and why.
        what: &'static str,
    },
    /// A key that is none.
    #[error("{experiment}, seed {seed}: its manifest names no key")]
    NoKey {
        /// The experiment.
        experiment: String,
        /// The seed.
        seed: u64,
    },
}

/// Write an experiment's seeds below `folder/<experiment>` and name the files.
///
/// # Errors
/// If a file cannot be written or read, an id does not fit the format, or there is nothing of that kind.
pub fn write(source: &Source<'_>, format: Format, folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let folder = folder.join(source.experiment);
    let seeds: Vec<Seed<'_>> = source.seeds.iter().map(Seed::for_reporting).collect();
    if format == Format::Peft && source.seeds.iter().any(Seed::has_random_weights) {
        let what = "no adapter is exported: the weights of the backbone are random, so it fits no model";
        return Err(Error::Nothing { what });
    }
    let source = &Source { seeds: &seeds, ..*source };
    match format {
        Format::Parquet => frame::write(source, &folder, ("parquet", parquet::write_all)),
        Format::Csv => frame::write(source, &folder, ("csv", csv::write_all)),
        Format::Trec => trec::write(source, &folder),
        Format::Peft => peft::write(source, &folder),
        Format::TensorBoard => tensorboard::write(source, &folder),
    }
}

/// The key of a seed's ranking.
fn key(source: &Source<'_>, cell: &RankingCell) -> Result<CellKey, Error> {
    let no_key = || Error::NoKey { experiment: source.experiment.to_owned(), seed: cell.manifest.seed };
    CellKey::from_hex(&cell.manifest.key).ok_or_else(no_key)
}
