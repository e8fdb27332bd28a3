//! How experiments ended.

use std::path::PathBuf;

use super::{Error, Finished, Need, Part};
use crate::report::Report;
use crate::run::CellKey;

/// How one experiment ended.
pub struct Outcome {
    /// Its name.
    pub experiment: String,
    /// How.
    pub ending: Ending,
    /// Its report and the files that were written, if there is any finished seed.
    pub report: Option<(Report, [PathBuf; 4])>,
    /// What a report over several experiments takes of it.
    pub part: Part,
}

/// How an experiment ended. `cells` are the finished seeds in order; `computed` of them are new.
#[allow(missing_docs, reason = "the fields are the same throughout and explained above")]
pub enum Ending {
    /// All seeds are there.
    Finished { cells: Vec<Finished>, computed: usize },
    /// A seed, or the report, failed; `error` is the first failure.
    Failed { cells: Vec<Finished>, computed: usize, seed: Option<u64>, error: Error },
    /// Somebody asked to stop.
    Interrupted { cells: Vec<Finished>, computed: usize },
    /// The run stopped before the seeds `left` could be awaited, which other processes compute.
    Unfinished { cells: Vec<Finished>, computed: usize, left: Vec<u64> },
    /// The data contradict the settings.
    Broken(Error),
    /// Something is not there yet. `keys` are those of its retrieval stage, one for each seed, where the data are there.
    Waiting { needs: Vec<Need>, keys: Option<Vec<CellKey>> },
    /// Something before it stopped the run.
    NotStarted,
}

impl Ending {
    /// The finished seeds.
    #[must_use]
    pub fn cells(&self) -> Option<&[Finished]> {
        match self {
            Self::Finished { cells, .. }
            | Self::Failed { cells, .. }
            | Self::Interrupted { cells, .. }
            | Self::Unfinished { cells, .. } => Some(cells),
            Self::Broken(_) | Self::Waiting { .. } | Self::NotStarted => None,
        }
    }

    /// Why there are no finished seeds, in a clause.
    pub(super) fn why_nothing(&self) -> String {
        match self {
            // What it needs names folders of this machine, which are nobody's business in a report.
            Self::Waiting { .. } => {
                "nothing stored, and it could not run here; `bench plan` says what it needs".to_owned()
            }
            Self::Broken(error) => format!("it could not run: {error}"),
            Self::NotStarted => {
                "nothing stored: it was not started, because the run stopped before".to_owned()
            }
            Self::Failed { error, .. } => format!("nothing stored: {error}"),
            Self::Finished { .. } | Self::Interrupted { .. } | Self::Unfinished { .. } => {
                "nothing stored".to_owned()
            }
        }
    }

    /// How many of the seeds are new.
    #[must_use]
    pub const fn computed(&self) -> usize {
        match self {
            Self::Finished { computed, .. }
            | Self::Failed { computed, .. }
            | Self::Interrupted { computed, .. }
            | Self::Unfinished { computed, .. } => *computed,
            Self::Broken(_) | Self::Waiting { .. } | Self::NotStarted => 0,
        }
    }

    /// The seeds are done, but their report is not.
    pub(super) fn fail(&mut self, error: Error) {
        let (cells, computed) = match std::mem::replace(self, Self::NotStarted) {
            Self::Finished { cells, computed }
            | Self::Interrupted { cells, computed }
            | Self::Unfinished { cells, computed, .. } => (cells, computed),
            earlier => {
                *self = earlier;
                return;
            }
        };
        *self = Self::Failed { cells, computed, seed: None, error };
    }
}

/// How all experiments ended, in their order.
#[derive(Default)]
pub struct Summary {
    /// One for each.
    pub outcomes: Vec<Outcome>,
}
