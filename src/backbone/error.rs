//! What can go wrong between a model's files and a model. Every message says what, where, what was found and what to do.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::weights::WeightsError;
use crate::{fetch, run};

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
    /// A tensor cannot be brought to where it is computed with.
    #[error(transparent)]
    Place(Arc<dyn std::error::Error + Send + Sync>),
    /// Weights are to be drawn for a model whose shape nobody knows.
    #[error(
        "backbone.weights is \"random\", but the shape of {name} is not known: {} has no config.json of it, and the models that are known \
         without one are {known}; name one of them, or a folder with config.json (and tokenizer.json, so that prompts have the \
         model's own tokens)",
        looked.display()
    )]
    NoShape {
        /// `backbone.name`.
        name: String,
        /// Where a description could have been: its folder, or the hub's cache.
        looked: PathBuf,
        /// The models of the table.
        known: String,
    },
    /// An embedding that is too small for a tokenizer that is made from titles.
    #[error(
        "the embedding of {name} has {vocab} rows (vocab_size in config.json), but a tokenizer for any titles has {least} tokens or more; put \
         the model's tokenizer.json beside its config.json"
    )]
    FewTokens {
        /// `backbone.name`.
        name: String,
        /// Rows of its embedding.
        vocab: usize,
        /// The fewest that will do.
        least: usize,
    },
    /// No model can have such a shape.
    #[error("no model can have this shape: {}", problems.join("; "))]
    Shape {
        /// Every problem found.
        problems: Vec<String>,
    },
    /// Files of weights are damaged, or are not of the model that is described.
    #[error(transparent)]
    Weights(Box<WeightsError>),
    /// A repository that was not fetched, or not in full.
    #[error(
        "{name}{revision} is no folder here and not {} in {}; `bench fetch {name}{revision}` brings it",
        if files.is_empty() { "there".to_owned() } else { format!("complete ({} missing)", files.join(", ")) },
        cache.display()
    )]
    NotFetched {
        /// The repository.
        name: String,
        /// `@REVISION`, or nothing.
        revision: String,
        /// The folder of the cache.
        cache: PathBuf,
        /// The files that are missing, where some are there.
        files: Vec<String>,
    },
    /// A repository that is not in the cache while nobody may be asked.
    #[error(
        "{name} is not complete in the cache and HF_HUB_OFFLINE forbids to ask the hub; unset it, or fetch the model elsewhere"
    )]
    Offline {
        /// The repository.
        name: String,
    },
    /// A local folder has no revisions.
    #[error(
        "backbone.revision is {revision:?}, but {} is a local folder, which has none; leave one of the two out",
        path.display()
    )]
    RevisionOfFolder {
        /// The folder.
        path: PathBuf,
        /// The revision asked for.
        revision: String,
    },
    /// A revision that no repository can have.
    #[error("backbone.revision {revision:?} cannot be a branch, a tag or a commit")]
    Revision {
        /// The revision asked for.
        revision: String,
    },
    /// The address of the hub cannot be used. It is not repeated here, for it may hold a password.
    #[error(
        "the address in HF_ENDPOINT {problem}; expected https://HOST, or http:// with a loopback host such as 127.0.0.1"
    )]
    Endpoint {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The hub's answer is not one.
    #[error(
        "the hub's description of {name} cannot be understood: {problem}; check HF_ENDPOINT, or try again later"
    )]
    Listing {
        /// The repository.
        name: String,
        /// What is wrong with the answer.
        problem: String,
    },
    /// A repository without files that are needed.
    #[error("{name} at {revision} has no {}; {advice}", files.join(", "))]
    Lacks {
        /// The repository.
        name: String,
        /// The branch, tag or commit.
        revision: String,
        /// The files.
        files: Vec<String>,
        /// The next step.
        advice: String,
    },
    /// Less room than a model needs, found before its weights are downloaded.
    #[error(
        "{name}: {needed} bytes are still to be downloaded into {}, but only {free} are free there; free some space, or set \
         HF_HUB_CACHE to a folder on another disk",
        cache.display()
    )]
    NoRoom {
        /// The repository.
        name: String,
        /// The folder of the cache.
        cache: PathBuf,
        /// What is to be downloaded, in bytes.
        needed: u64,
        /// What is free, in bytes.
        free: u64,
    },
    /// The disk of the cache is full.
    #[error(
        "write {}: no space is left on the disk; free some, or set HF_HUB_CACHE to a folder on another disk (what has arrived is \
         kept)",
        path.display()
    )]
    CacheFull {
        /// The file that was being written.
        path: PathBuf,
    },
    /// A file of the cache could not be read or written.
    #[error("{action} {}: {source}; check who may write there, or set HF_HUB_CACHE to another folder", path.display())]
    CacheFile {
        /// `read`, `write` and the like.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A folder or a note of the cache could not be written.
    #[error("{source} (HF_HUB_CACHE names the folder of models)")]
    Cache {
        /// What could not be written.
        #[from]
        source: run::Error,
    },
    /// A file could not be downloaded.
    #[error(transparent)]
    Fetch(fetch::Error),
    /// Somebody asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// Whether this is the answer to an interrupt (exit status 130) and not a failure.
    #[must_use]
    pub fn is_interrupt(&self) -> bool {
        match self {
            Self::Interrupted => true,
            Self::Fetch(error) => error.is_interrupt(),
            _ => false,
        }
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
        let there: Vec<String> = std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        let advice = super::files::advice(&files, there.iter().map(String::as_str)).unwrap_or_else(|| {
            "a backbone's folder has config.json, tokenizer.json and model.safetensors (or model.safetensors.index.json and its \
             shards)"
                .to_owned()
        });
        Self::Missing { path: folder.to_owned(), files, advice }
    }
}

/// The folder of models is named by other means than that of data.
impl From<fetch::Error> for Error {
    fn from(error: fetch::Error) -> Self {
        match error {
            fetch::Error::DiskFull { path } => Self::CacheFull { path },
            fetch::Error::File { action, path, source } => Self::CacheFile { action, path, source },
            fetch::Error::Folder { path, source } => Self::CacheFile { action: "create", path, source },
            other => Self::Fetch(other),
        }
    }
}
