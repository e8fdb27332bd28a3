//! What is remembered about a file: `FILE.sha256` (as `sha256sum -c` reads it), which later fetches check, and
//! `fetch.json`, which tells a person where each file of the folder came from.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Error, beside};
use crate::events::Interrupt;

/// Where one file came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The address that was asked, or of the archive it was unpacked from; none for a file put there by hand.
    pub url: Option<String>,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its SHA-256 in hex.
    pub sha256: String,
    /// When this was noted (UTC, RFC 3339).
    pub date: String,
    /// The server's `ETag`.
    pub etag: Option<String>,
    /// The server's `Last-Modified`.
    pub last_modified: Option<String>,
    /// For a member of an archive: the archive's SHA-256.
    pub archive_sha256: Option<String>,
}

impl Entry {
    /// What is known about a file that a person put there.
    pub(super) fn by_hand(bytes: u64, sha256: String) -> Self {
        Self { url: None, bytes, sha256, date: now(), etag: None, last_modified: None, archive_sha256: None }
    }
}

/// The content of `fetch.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// The version of this format.
    pub format: u32,
    /// The dataset's name.
    pub dataset: String,
    /// File name to where it came from.
    pub files: BTreeMap<String, Entry>,
}

/// The hash a file must have, and who says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The SHA-256 in hex.
    pub sha256: String,
    /// `pinned by this program`, or `recorded in FILE.sha256`.
    pub origin: String,
    /// What to do when another file arrives, as a clause.
    pub advice: &'static str,
}

/// Upstream may really have changed.
const NEW_VERSION: &str = "if upstream has a new version, results will not compare with those of the old one (fetch with --force takes it where the hash is only recorded)";

impl Expected {
    /// A hash from the catalogue.
    pub(super) fn pinned(sha256: &str) -> Self {
        let origin = "pinned by this program".to_owned();
        Self { sha256: sha256.to_owned(), origin, advice: NEW_VERSION }
    }
}

/// The hash that `path` must have: the pinned one, else the recorded one.
pub(super) fn expected(path: &Path, pinned: Option<&str>) -> Result<Option<Expected>, Error> {
    if let Some(sha256) = pinned {
        return Ok(Some(Expected::pinned(sha256)));
    }
    let record = beside(path, ".sha256");
    let text = match std::fs::read(&record) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file("read", &record, error)),
    };
    let text = String::from_utf8_lossy(&text);
    let sha256 = text.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
    if sha256.len() != 64 || !sha256.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Error::Record { path: record, problem: "does not begin with a sha256 (64 hex digits)" });
    }
    let origin = format!("recorded in {}", record.display());
    Ok(Some(Expected { sha256, origin, advice: NEW_VERSION }))
}

/// Remember `entry` about `path` in both records.
pub(super) fn remember(dataset: &str, path: &Path, entry: Entry) -> Result<(), Error> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    atomically(&beside(path, ".sha256"), format!("{}  {name}\n", entry.sha256).as_bytes())?;
    let log_path = path.with_file_name("fetch.json");
    let mut log = match std::fs::read(&log_path) {
        Ok(text) => serde_json::from_slice::<Log>(&text)
            .map_err(|_| Error::Record { path: log_path.clone(), problem: "is not a fetch log" })?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Log { format: 1, dataset: dataset.to_owned(), files: BTreeMap::new() }
        }
        Err(error) => return Err(Error::file("read", &log_path, error)),
    };
    log.files.insert(name, entry);
    let mut text = serde_json::to_vec_pretty(&log).expect("strings and numbers are always JSON");
    text.push(b'\n');
    atomically(&log_path, &text)
}

/// Now, to the second.
pub(super) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Length in bytes and SHA-256 in hex of a file.
pub(super) fn hash_file(path: &Path, interrupt: &Interrupt) -> Result<(u64, String), Error> {
    let file = File::open(path).map_err(|e| Error::file("read", path, e))?;
    let (bytes, hasher) = hash_reader(file, path, interrupt)?;
    Ok((bytes, hex::encode(hasher.finalize())))
}

/// The bytes of a reader counted and taken into a hash that can go on; `path` is what error messages name.
pub(super) fn hash_reader(
    mut reader: impl Read,
    path: &Path,
    interrupt: &Interrupt,
) -> Result<(u64, Sha256), Error> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0;
    loop {
        if interrupt.requested() {
            return Err(Error::interrupted());
        }
        let n = reader.read(&mut buffer).map_err(|e| Error::file("read", path, e))?;
        if n == 0 {
            return Ok((bytes, hasher));
        }
        hasher.update(&buffer[..n]);
        bytes += n as u64;
    }
}

/// A new temporary file in the folder of `path`, readable by whom the umask allows.
pub(super) fn temporary(path: &Path) -> Result<tempfile::NamedTempFile, Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".fetch-").suffix(".tmp");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder).map_err(|e| Error::file("write", path, e))
}

/// Put a written temporary file in place: all of it or nothing.
pub(super) fn persist(file: tempfile::NamedTempFile, path: &Path) -> Result<(), Error> {
    file.as_file().sync_all().map_err(|e| Error::file("write", path, e))?;
    file.persist(path).map_err(|e| Error::file("write", path, e.error))?;
    sync_folder(path);
    Ok(())
}

/// Write a small file: all of it or nothing.
pub(super) fn atomically(path: &Path, content: &[u8]) -> Result<(), Error> {
    let mut file = temporary(path)?;
    file.write_all(content).map_err(|e| Error::file("write", path, e))?;
    persist(file, path)
}

/// Make a rename in the folder of `path` durable, where the system can.
pub(super) fn sync_folder(path: &Path) {
    if let Some(Ok(folder)) = path.parent().map(File::open) {
        // Some systems cannot sync a folder; the rename itself is done.
        let _ = folder.sync_all();
    }
}
