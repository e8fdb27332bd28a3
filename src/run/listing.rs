//! What lies in a store.

use std::fs;
use std::io;
use std::path::PathBuf;

use super::stage::Stage;
use super::{Error, Manifest, Store};

/// One folder of a store.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// The folder.
    pub path: PathBuf,
    /// What its manifest says, or why it cannot be read.
    pub manifest: Result<Manifest, String>,
}

impl<C: Stage> Store<C> {
    /// The folder of the cells.
    #[must_use]
    pub fn cells_dir(&self) -> PathBuf {
        self.root().join(C::NAME)
    }

    /// The cells by their folders' names, with their manifests; the other files are not looked at. Temporary folders and
    /// cells that were set aside are not among them. Empty where there is no store.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn list(&self) -> Result<Vec<Listed>, Error> {
        let stage = self.cells_dir();
        let entries = match fs::read_dir(&stage) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                // One of the two is a file. A run would be stopped by the same words.
                let file = if self.root().is_dir() { &stage } else { self.root() };
                return Err(Error::write(file, error));
            }
            Err(error) => return Err(Error::read(&stage, error)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| Error::read(&stage, error))?;
            // The name of a cell is 16 hex digits; `.KEY.x.tmp` and `KEY.damaged-1` are none.
            if entry.file_name().as_encoded_bytes().contains(&b'.') {
                continue;
            }
            let path = entry.path();
            let read = |path: PathBuf| -> Result<Manifest, String> {
                let bytes = fs::read(path).map_err(|error| error.to_string())?;
                serde_json::from_slice(&bytes).map_err(|error| error.to_string())
            };
            found.push(Listed { manifest: read(path.join("manifest.json")), path });
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }
}
