//! Somebody else's run file, held against a split: the lists of its users become one rank a user, as ours are.
//!
//! Formats: TREC (`user Q0 item rank score tag`) and delimited text with a header that names `user`, `item` and `score` or
//! `rank`. What cannot be read as meant is an error with its line; what leaves the meaning clear is counted and told.

mod error;
mod order;
mod rows;

use std::io::Read;
use std::path::Path;

use crate::data::{Part, Split};
use crate::run::{ImportCounts, ImportedRanks, sha256_hex};

pub use error::Error;
pub use rows::{Format, Names};

/// A run file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Size of the file in bytes.
    pub bytes: u64,
    /// SHA-256 of the file in hex.
    pub sha256: String,
    /// `score` or `rank`.
    pub order: &'static str,
    /// One rank a user of the split.
    pub ranks: ImportedRanks,
    /// What was noticed.
    pub counts: ImportCounts,
    /// The same as sentences, with the first line of each.
    pub warnings: Vec<String>,
}

/// Read the file at `path`, plain or `.gz`, and rank the targets of `part`. By score, larger is better and equal scores go to the
/// smaller item id, as everywhere here; by rank, the rank is the one that the file gives.
///
/// # Errors
/// If it cannot be read, a line has not the fields or numbers that it should, an item comes twice in a list, a score is not
/// finite, two items of a list have one rank, or no user or no item of it is known.
pub fn read(
    path: &Path,
    format: Format,
    names: &Names,
    split: &Split,
    part: Part,
) -> Result<Imported, Error> {
    let fail = |source| Error::Read { path: path.to_owned(), source };
    let bytes = std::fs::read(path).map_err(fail)?;
    let (size, sha256) = (bytes.len() as u64, sha256_hex(&bytes));
    let text = if path.extension().is_some_and(|extension| extension == "gz") {
        let mut plain = Vec::new();
        flate2::read::MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut plain).map_err(fail)?;
        plain
    } else {
        bytes
    };
    let rows = rows::read(path, &text, format, names)?;
    order::rank(path, rows, names, split, part).map(|mut imported| {
        (imported.bytes, imported.sha256) = (size, sha256);
        imported
    })
}
