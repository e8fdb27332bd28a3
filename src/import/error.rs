//! What can be wrong with a run file.

use std::path::PathBuf;

/// Why a run file was not imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It cannot be read.
    #[error("read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line that is not what it should be.
    #[error("{}:{line}: {what}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// What is wrong, and what was expected.
        what: String,
    },
    /// Nothing in it.
    #[error("{}: no row; expected {expected}", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// A row.
        expected: &'static str,
    },
    /// Its ids are not those of the split.
    #[error(
        "{}: none of its {what}s is known to the split (the first is {found:?}; the split has {known:?}, ..); name them by {ids} \
         ids, or choose with --ids",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// `user` or `item`.
        what: &'static str,
        /// The first of the file.
        found: String,
        /// The first of the split.
        known: String,
        /// `raw` or `dense`.
        ids: &'static str,
    },
}
