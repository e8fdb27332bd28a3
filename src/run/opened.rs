//! A cell by its folder, wherever that lies.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::stage::{Files, Flaw, Stage};
use super::store::{Broken, read_manifest, read_verified};
use super::{Error, Manifest};

/// A cell's folder with its manifest, which agrees with its own hash. Nothing is set aside, and files that are only there for other
/// programs (weights) may be missing, as in a bundle.
#[derive(Debug, Clone, PartialEq)]
pub struct Opened {
    folder: PathBuf,
    manifest: Manifest,
}

impl Opened {
    /// Open the cell in `folder`.
    ///
    /// # Errors
    /// If there is no manifest, it is of a later version, or it is not what was written.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let manifest = read_manifest(folder).map_err(Broken::into_error)?;
        Ok(Self { folder: folder.to_owned(), manifest })
    }

    /// Where it lies.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it says about itself.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The root of the store that it lies in, if its folder has the name of its stage.
    #[must_use]
    pub fn root(&self) -> Option<PathBuf> {
        let stage = std::path::absolute(&self.folder).ok()?.parent()?.to_owned();
        let named = stage.file_name().is_some_and(|name| name == self.manifest.stage.as_str());
        if named { stage.parent().map(Path::to_owned) } else { None }
    }

    /// The SHA-256 that the manifest has of a file, also of one that a bundle was packed without.
    #[must_use]
    pub fn sha256(&self, name: &str) -> Option<&str> {
        let Manifest { files, left_out, .. } = &self.manifest;
        files.get(name).or_else(|| left_out.get(name)).map(|record| record.sha256.as_str())
    }

    /// One file, verified; `None` if the manifest names none of that name or it is not there.
    ///
    /// # Errors
    /// If it cannot be read or differs from the manifest.
    pub fn file(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let Some(record) = self.manifest.files.get(name) else { return Ok(None) };
        let path = self.folder.join(name);
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::read(&path, error)),
            Ok(_) => read_verified(&path, record).map(Some).map_err(Broken::into_error),
        }
    }

    /// The cell, from the files that are there.
    ///
    /// # Errors
    /// If a file that it needs is missing or differs from the manifest, or it is a cell of another stage.
    pub fn decode<C: Stage>(&self) -> Result<C, Error> {
        let broken = |Flaw { file, what }: Flaw| {
            let invalid = io::Error::new(io::ErrorKind::InvalidData, what);
            Error::read(&self.folder.join(file), invalid)
        };
        if self.manifest.stage != C::NAME {
            let what = format!("a cell of {}; expected one of {}", self.manifest.stage, C::NAME);
            return Err(broken(Flaw::new(super::stage::MANIFEST, what)));
        }
        let mut contents = std::collections::BTreeMap::new();
        for name in self.manifest.files.keys() {
            if let Some(bytes) = self.file(name)? {
                contents.insert(name.clone(), bytes);
            }
        }
        C::decode(self.manifest.clone(), &Files::new(contents)).map_err(broken)
    }
}
