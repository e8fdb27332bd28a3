//! What can be wrong with a bundle.

use std::path::PathBuf;

use crate::run;

/// A bundle that cannot be made or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read or written.
    #[error(transparent)]
    Run(#[from] run::Error),
    /// It is no sound archive.
    #[error("{}: {what}", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Something that nobody else may see would be in it.
    #[error("{name}: {what}; no bundle was written")]
    Private {
        /// The file in the bundle.
        name: String,
        /// What, without its value, and what to do.
        what: &'static str,
    },
}
