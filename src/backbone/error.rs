//! What can go wrong between a model's files and a model. Every message says what, where, what was found and what to do.

use std::io;
use std::path::{Path, PathBuf};

use super::weights::WeightsError;

/// A failure to find, read or understand a model. No message shows a token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `config.json` describes a model that cannot be run here, or none.
    #[error("{}: {}", path.display(), problems.join("; "))]
    Config {
        /// The file.
        path: PathBuf,
        /// Every problem found.
        problems: Vec<String>,
    },
    /// The list of weights cannot be understood.
    #[error("{}: {problem}; fetch the model again, or name another folder as backbone.name", path.display())]
    Index {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Files of a model are not there.
    #[error("{}: no {}; {advice}", path.display(), files.join(", "))]
    Missing {
        /// The folder.
        path: PathBuf,
        /// The files that are missing.
        files: Vec<String>,
        /// The next step.
        advice: String,
    },
    /// A file could not be read.
    #[error("read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Files of weights are damaged, or are not of the model that is described.
    #[error(transparent)]
    Weights(Box<WeightsError>),
    /// Somebody asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// Whether this is the answer to an interrupt (exit status 130) and not a failure.
    #[must_use]
    pub fn is_interrupt(&self) -> bool {
        matches!(self, Self::Interrupted)
    }

    /// A failure to read `path`.
    pub(super) fn read(path: &Path, source: io::Error) -> Self {
        Self::Read { path: path.to_owned(), source }
    }

    /// A failure to write `path`.
    pub(super) fn write(path: &Path, source: io::Error) -> Self {
        Self::Write { path: path.to_owned(), source }
    }

    /// Files that `folder` lacks, with what to do about what it has instead.
    pub(super) fn missing(folder: &Path, files: Vec<String>) -> Self {
        let advice = "a backbone's folder has config.json, tokenizer.json and model.safetensors (or \
             model.safetensors.index.json and its shards)";
        Self::Missing { path: folder.to_owned(), files, advice: advice.to_owned() }
    }
}
