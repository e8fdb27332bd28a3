//! Files packed for somebody who checks a paper: one zip with a hash of everything in it. The same content gives the same bytes.
//!
//! What a bundle is made of is decided elsewhere (`pipeline::bundle`); here is how it is packed, what may not be in it
//! ([`Privacy`]), and how it is checked ([`check`]).

mod check;
mod error;
mod privacy;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

pub use check::{Checked, check};
pub use error::Error;
pub use privacy::Privacy;

use crate::run::{atomic, sha256_hex};

/// The file with the SHA-256 of every other one, as `sha256sum -c` reads it.
pub const SUMS: &str = "SHA256SUMS";
/// The file that says what was packed, and by what.
pub const INDEX: &str = "bundle.json";
/// The file that a reader begins with.
pub const README: &str = "README.txt";

/// The files of a bundle by name. Names are relative, with `/` between folders.
pub type Contents = BTreeMap<String, Vec<u8>>;

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// How many files it has, [`SUMS`] among them.
    pub files: usize,
    /// Size of the archive.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: String,
}

/// Write `contents` and their [`SUMS`] to `path`: in the order of names, all with the same time and permissions.
///
/// # Errors
/// If something in it is private, or the archive cannot be written.
pub fn pack(path: &Path, contents: &Contents, privacy: &Privacy) -> Result<Packed, Error> {
    let mut sums = String::new();
    for (name, bytes) in contents {
        privacy.refuse(name, bytes)?;
        sums.push_str(&format!("{}  {name}\n", sha256_hex(bytes)));
    }
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644);
    let mut writer = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let broken = |what: String| Error::Archive { path: path.to_owned(), what };
    let files = contents.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
    let all: BTreeMap<&str, &[u8]> = files.chain([(SUMS, sums.as_bytes())]).collect();
    for (name, bytes) in &all {
        let options = options.large_file(bytes.len() as u64 >= u64::from(u32::MAX));
        writer.start_file(*name, options).map_err(|error| broken(error.to_string()))?;
        writer.write_all(bytes).map_err(|error| broken(error.to_string()))?;
    }
    let bytes = writer.finish().map_err(|error| broken(error.to_string()))?.into_inner();
    atomic::write(path, &bytes)?;
    Ok(Packed { files: all.len(), bytes: bytes.len() as u64, sha256: sha256_hex(&bytes) })
}
