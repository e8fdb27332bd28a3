//! A file that is still arriving: `NAME.part`, and `NAME.part.json` which says what it is a part of.
//!
//! The notes hold a checkpoint: how many bytes are safely on the disk and their hash. On resume the part is cut
//! back to the checkpoint and checked against that hash, so neither a killed process nor a lost page after a
//! power cut can put wrong bytes into a file whose hash is then trusted.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::record::{atomically, hash_reader};
use super::transfer::Resume;
use super::{Error, beside};
use crate::events::Interrupt;

/// At most this much is downloaded twice after a kill.
const CHECKPOINT_BYTES: u64 = 16 << 20;

/// What the server said about the file, and how much of it is safe.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Notes {
    pub url: String,
    /// The length of the whole file in bytes.
    pub total: Option<u64>,
    pub etag: Option<String>,
    pub last_modified: Option<String>,
    /// Bytes at the checkpoint.
    bytes: u64,
    /// The SHA-256 of those bytes.
    sha256: String,
}

/// The part file, open for more.
pub(super) struct Part {
    pub path: PathBuf,
    pub notes: Notes,
    /// Bytes of the part that came from an earlier request.
    pub resumed: bool,
    notes_path: PathBuf,
    file: File,
    hasher: Sha256,
    bytes: u64,
}

impl Part {
    /// Open or create the part of `target` that comes from `url`. A part of something else, or a damaged one,
    /// starts over.
    pub fn open(target: &Path, url: &str, interrupt: &Interrupt) -> Result<Self, Error> {
        let path = beside(target, ".part");
        let notes_path = beside(target, ".part.json");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|e| Error::file("write", &path, e))?;
        let notes = std::fs::read(&notes_path).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let mut part = Self {
            path,
            notes: Notes { url: url.to_owned(), ..Notes::default() },
            resumed: false,
            notes_path,
            file,
            hasher: Sha256::new(),
            bytes: 0,
        };
        let earlier: Option<Notes> = notes.filter(|notes: &Notes| notes.url == url && notes.bytes > 0);
        match earlier {
            Some(notes) if part.adopt(&notes, interrupt)? => part.notes = notes,
            _ => part.cut(0)?,
        }
        Ok(part)
    }

    /// Take over the bytes up to the checkpoint of `notes` if they are what the notes say.
    fn adopt(&mut self, notes: &Notes, interrupt: &Interrupt) -> Result<bool, Error> {
        let (bytes, hasher) = hash_reader((&self.file).take(notes.bytes), &self.path, interrupt)?;
        if bytes != notes.bytes || hex::encode(hasher.clone().finalize()) != notes.sha256 {
            return Ok(false);
        }
        self.cut(bytes)?;
        self.hasher = hasher;
        self.resumed = true;
        Ok(true)
    }

    /// Make the file `bytes` long and go on from there.
    fn cut(&mut self, bytes: u64) -> Result<(), Error> {
        let set = |file: &mut File| {
            if file.metadata()?.len() != bytes {
                file.set_len(bytes)?;
            }
            file.seek(SeekFrom::Start(bytes))
        };
        set(&mut self.file).map_err(|e| Error::file("write", &self.path, e))?;
        self.bytes = bytes;
        Ok(())
    }

    /// Forget what has arrived.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.cut(0)?;
        self.hasher = Sha256::new();
        self.resumed = false;
        self.notes = Notes { url: std::mem::take(&mut self.notes.url), ..Notes::default() };
        Ok(())
    }

    /// Bytes that have arrived.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether every byte is there.
    pub fn is_complete(&self) -> bool {
        self.notes.total == Some(self.bytes)
    }

    /// How to ask for the rest: only where the server gave something that tells one version from another. A
    /// weak `ETag` does not (RFC 9110, section 13.1.5).
    pub fn resume(&self) -> Option<Resume> {
        let strong = self.notes.etag.as_ref().filter(|etag| !etag.starts_with("W/"));
        let validator = strong.or(self.notes.last_modified.as_ref())?.clone();
        (self.bytes > 0).then_some(Resume { offset: self.bytes, validator })
    }

    /// Add the next bytes.
    pub fn append(&mut self, chunk: &[u8]) -> Result<(), Error> {
        self.file.write_all(chunk).map_err(|e| Error::file("write", &self.path, e))?;
        self.hasher.update(chunk);
        self.bytes += chunk.len() as u64;
        if self.bytes - self.notes.bytes >= CHECKPOINT_BYTES {
            self.checkpoint()?;
        }
        Ok(())
    }

    /// Put what has arrived safely on the disk, and note how much it is.
    pub fn checkpoint(&mut self) -> Result<(), Error> {
        self.file.sync_data().map_err(|e| Error::file("write", &self.path, e))?;
        self.notes.bytes = self.bytes;
        self.notes.sha256 = self.sha256();
        let text = serde_json::to_vec(&self.notes).expect("strings and numbers are always JSON");
        atomically(&self.notes_path, &text)
    }

    /// The SHA-256 of what has arrived, in hex.
    pub fn sha256(&self) -> String {
        hex::encode(self.hasher.clone().finalize())
    }

    /// Give the complete file its name.
    pub fn finish(self, target: &Path) -> Result<(), Error> {
        self.file.sync_all().map_err(|e| Error::file("write", &self.path, e))?;
        drop(self.file);
        std::fs::rename(&self.path, target).map_err(|e| Error::file("write", target, e))?;
        super::record::sync_folder(target);
        // Harmless where it stays behind: notes without a part count for nothing.
        let _ = std::fs::remove_file(&self.notes_path);
        Ok(())
    }
}
