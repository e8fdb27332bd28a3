//! What can go wrong between an experiment and its report.

use std::path::PathBuf;
use std::sync::Arc;

use crate::{backbone, baseline, cuda, data, pretrain, prompt, rank, report, retrieve, run};

/// A failure of some stage, in that stage's own words.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The data cannot be had or are not what they should be.
    #[error(transparent)]
    Data(Arc<data::Error>),
    /// The retriever failed.
    #[error(transparent)]
    Retrieve(#[from] retrieve::Error),
    /// A device failed.
    #[error(
        "{source}{}",
        match source {
            _ if *kept => "; what was reached is kept: the same command goes on from there, with --device cpu too",
            cuda::Error::Device { .. } => "; run again, with --device cpu to compute on the processor",
            // The others say so themselves.
            _ => "",
        }
    )]
    Device {
        /// How.
        source: cuda::Error,
        /// Whether there is a checkpoint.
        kept: bool,
    },
    /// The weights could not be stored.
    #[error(transparent)]
    Params(#[from] crate::nn::params::Error),
    /// The backbone cannot be had or is not what it should be.
    #[error(transparent)]
    Backbone(#[from] backbone::Error),
    /// What describes the backbone is not what it should be.
    #[error(transparent)]
    BackboneFiles(Arc<backbone::Error>),
    /// A built-in backbone cannot be made.
    #[error(transparent)]
    Pretrain(Box<pretrain::Error>),
    /// A backbone that was made and is no longer there.
    #[error("{}: it was made and is not complete now; does something else clear the folder of runs? Make it again", folder.display())]
    Gone {
        /// Its folder.
        folder: PathBuf,
    },
    /// Prompts cannot be made.
    #[error(transparent)]
    Prompt(#[from] prompt::Error),
    /// The ranker failed.
    #[error(transparent)]
    Rank(#[from] rank::Error),
    /// Scores that give no ranks.
    #[error("the scores of the ranker are not usable: {what}")]
    Scores {
        /// Why.
        what: String,
    },
    /// Prompts for which the model was not made.
    #[error(
        "with these titles and settings a prompt can have {longest} tokens, but the backbone {backbone} was made for {positions} \
         (config.json), and what it says beyond them means nothing; set ranker.max_prompt_tokens = {positions} (what longer \
         prompts lose is counted in the report), show fewer ranker.history_items, or use another backbone"
    )]
    TooLong {
        /// `backbone.name`.
        backbone: String,
        /// Tokens of the longest prompt.
        longest: usize,
        /// Tokens that the model was made for.
        positions: usize,
    },
    /// A cell that is not the one that was planned.
    #[error(
        "{}: the {step} of seed {seed} has the key {found} now, but {expected} when it was submitted: the file, one that it inherits, \
         a variable of the environment, the data or the program has changed since; submit it again",
        file.display()
    )]
    Changed {
        /// The experiment file.
        file: PathBuf,
        /// The stage.
        step: run::Step,
        /// The seed.
        seed: u64,
        /// The key now, in short.
        found: String,
        /// The key of the plan, in short.
        expected: String,
    },
    /// A ranking was asked of an experiment without a backbone.
    #[error("the experiment names no backbone")]
    NoBackbone,
    /// The run store failed.
    #[error(transparent)]
    Run(#[from] run::Error),
    /// The report could not be made.
    #[error(transparent)]
    Report(#[from] report::Error),
    /// A run file of another program that cannot be read.
    #[error(transparent)]
    Import(#[from] crate::import::Error),
    /// Methods that cannot be compared.
    #[error(transparent)]
    Compare(#[from] crate::compare::Error),
    /// A report over several experiments that cannot be made.
    #[error(transparent)]
    Paper(#[from] crate::paper::Error),
    /// Published numbers that cannot be read.
    #[error(transparent)]
    Baseline(#[from] baseline::Error),
    /// A finished run that could not be stored, but kept elsewhere.
    #[error(
        "{source}; the finished seed {seed} is kept as {}: move that folder to {} before, and it is not computed again",
        kept.display(),
        place.display()
    )]
    Kept {
        /// The seed.
        seed: u64,
        /// Where the cell is.
        kept: PathBuf,
        /// Where it belongs.
        place: PathBuf,
        /// Why it is not there.
        source: run::Error,
    },
    /// A finished run that could be kept nowhere.
    #[error(
        "{source}; seed {seed} was finished and is lost, because it could not be kept in the folder of temporary files \
         either ({rescue}): the next run computes it again; the seeds that were stored before it are intact"
    )]
    Lost {
        /// The seed.
        seed: u64,
        /// Why it could not be stored.
        source: run::Error,
        /// Why it could not be kept elsewhere.
        rescue: run::Error,
    },
    /// Stored cells of one experiment and seed that differ.
    #[error(
        "seed {seed} is stored for {splits} different versions of the data, and the data are not here to \
         say which is meant; remove the cells that are out of date, or name the data with --data-dir"
    )]
    Ambiguous {
        /// The seed.
        seed: u64,
        /// How many.
        splits: usize,
    },
    /// Stored rankings of one experiment and seed by backbones of different content.
    #[error(
        "seed {seed} is stored for {backbones} different versions of the backbone, and its files are not here to say which is \
         meant; bring them back, or remove the cells that are out of date"
    )]
    AmbiguousBackbone {
        /// The seed.
        seed: u64,
        /// How many.
        backbones: usize,
    },
    /// Something that cannot be packed for others.
    #[error("{}: {what}", path.display())]
    Bundle {
        /// What was to be packed.
        path: PathBuf,
        /// Why not, and what to do.
        what: String,
    },
    /// A stored result that cannot be computed again here.
    #[error("{}: {what}", path.display())]
    Replay {
        /// What was to be replayed.
        path: PathBuf,
        /// Why not, and what to do.
        what: String,
    },
}

impl From<pretrain::Error> for Error {
    fn from(error: pretrain::Error) -> Self {
        Self::Pretrain(Box::new(error))
    }
}

impl Error {
    /// Whether somebody asked to stop.
    #[must_use]
    pub fn is_interrupt(&self) -> bool {
        match self {
            Self::Retrieve(retrieve::Error::Interrupted) | Self::Rank(rank::Error::Interrupted) => true,
            Self::Backbone(error) => error.is_interrupt(),
            Self::Pretrain(error) => matches!(**error, pretrain::Error::Interrupted),
            _ => false,
        }
    }

    /// Whether a file could not be written. Then nothing that follows can be kept either.
    #[must_use]
    pub fn is_output(&self) -> bool {
        use run::Error::{DiskFull, Encode, InTheWay, NoRoom, NotWritable, Write};
        if matches!(self, Self::Kept { .. } | Self::Lost { .. }) {
            return true;
        }
        let error = match self {
            Self::Run(error) | Self::Report(report::Error::Run(error)) => error,
            Self::Pretrain(error) => match &**error {
                pretrain::Error::Store(error) => error,
                _ => return false,
            },
            _ => return false,
        };
        matches!(
            error,
            DiskFull { .. }
                | NoRoom { .. }
                | NotWritable { .. }
                | InTheWay { .. }
                | Write { .. }
                | Encode { .. }
        )
    }
}
