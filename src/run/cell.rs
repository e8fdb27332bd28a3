//! A cell of the first stage.

use std::io;
use std::path::PathBuf;

use super::stage::{Files, Flaw, MANIFEST, Stage, json};
use super::{CellKey, CurvePoint, Error, Manifest, SettingRecord, Store, StoredRetrieval};

const RETRIEVAL: &str = "retrieval.safetensors";
/// The file with the weights of a retriever.
pub const WEIGHTS: &str = "weights.safetensors";
pub(super) const CURVE: &str = "curve.json";
/// The file with the resolved settings of a cell.
pub const CONFIG: &str = "config.json";

/// One experiment's retriever with one seed, as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// What it says about itself.
    pub manifest: Manifest,
    /// Candidates and ranks.
    pub retrieval: StoredRetrieval,
    /// The learning curve; empty for a retriever that does not train.
    pub curve: Vec<CurvePoint>,
    /// The resolved settings with their origins at the time of writing.
    pub settings: Vec<SettingRecord>,
}

impl Stage for Cell {
    const NAME: &'static str = "retrieval";

    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn encode(&self) -> Result<Vec<(String, Vec<u8>)>, Flaw> {
        let retrieval = self.retrieval.to_bytes().map_err(|what| Flaw::new(RETRIEVAL, what))?;
        Ok(vec![(RETRIEVAL.to_owned(), retrieval), json(CURVE, &self.curve)?, json(CONFIG, &self.settings)?])
    }

    fn decode(manifest: Manifest, files: &Files) -> Result<Self, Flaw> {
        let retrieval = StoredRetrieval::from_bytes(files.bytes(RETRIEVAL)?)
            .map_err(|what| Flaw::new(RETRIEVAL, what))?;
        let users = manifest.dataset.users;
        for (part, found) in
            [("validation", retrieval.validation.n_users()), ("test", retrieval.test.n_users())]
        {
            if found as u64 != users {
                let what = format!("its dataset has {users} users, but {RETRIEVAL} has {found} in {part}");
                return Err(Flaw::new(MANIFEST, what));
            }
        }
        let (curve, settings) = (files.json(CURVE)?, files.json(CONFIG)?);
        Ok(Self { manifest, retrieval, curve, settings })
    }
}

impl Store {
    /// The retrieval stage of the store at `root`. Nothing is touched yet; see [`atomic::check_writable`](super::atomic::check_writable).
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self::at(root.into())
    }

    /// Store a cell and the bytes of its weights; see [`Store::save_with`].
    ///
    /// # Errors
    /// As [`Store::save_with`].
    pub fn save(&self, key: &CellKey, cell: &Cell, weights: Option<&[u8]>) -> Result<PathBuf, Error> {
        let weights = weights.map(|bytes| (WEIGHTS.to_owned(), bytes.to_vec()));
        self.save_with(key, cell, weights.as_slice())
    }

    /// What a complete cell retrieved, verified, without setting anything aside; `None` if it has no such file.
    ///
    /// # Errors
    /// If it cannot be read or differs from the manifest.
    pub fn retrieval(&self, key: &CellKey) -> Result<Option<StoredRetrieval>, Error> {
        let damaged = |what: String| {
            let path = self.cell_dir(key).join(RETRIEVAL);
            Error::read(&path, io::Error::new(io::ErrorKind::InvalidData, what))
        };
        let bytes = self.file(key, RETRIEVAL)?;
        bytes.map(|bytes| StoredRetrieval::from_bytes(&bytes).map_err(damaged)).transpose()
    }

    /// The weights of a complete cell, verified; `None` if it has none.
    ///
    /// # Errors
    /// If they cannot be read or differ from the manifest.
    pub fn weights(&self, key: &CellKey) -> Result<Option<Vec<u8>>, Error> {
        self.file(key, WEIGHTS)
    }
}
