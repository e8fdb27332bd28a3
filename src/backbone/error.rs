//! What can go wrong between a model's files and a model. Every message says what, where, what was found and what to do.

use std::path::PathBuf;

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
}
