//! What the store has to know of a stage: the name of its folder, and its cells as files.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::DeserializeOwned;

use super::Manifest;

/// The file of a cell that names the others.
pub(super) const MANIFEST: &str = "manifest.json";

/// A kind of cell.
pub trait Stage: Sized + Clone + fmt::Debug {
    /// The folder of its cells below the root of the store, and `stage` in their manifests.
    const NAME: &'static str;

    /// What the cell says about itself.
    fn manifest(&self) -> &Manifest;

    /// Its files but the manifest, by name; a name may have folders in it.
    ///
    /// # Errors
    /// If the cell contradicts itself.
    fn encode(&self) -> Result<Vec<(String, Vec<u8>)>, Flaw>;

    /// Read it back; the files have the hashes that the manifest names.
    ///
    /// # Errors
    /// What is missing or does not fit.
    fn decode(manifest: Manifest, files: &Files) -> Result<Self, Flaw>;
}

/// What is wrong with a file of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// Its name.
    pub file: String,
    /// What.
    pub what: String,
}

impl Flaw {
    /// Something wrong with `file`.
    #[must_use]
    pub fn new(file: &str, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), what: what.into() }
    }
}

/// The contents of a cell's files.
#[derive(Debug, Clone, Default)]
pub struct Files(BTreeMap<String, Vec<u8>>);

impl Files {
    pub(super) fn new(contents: BTreeMap<String, Vec<u8>>) -> Self {
        Self(contents)
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// If the manifest names none.
    pub fn bytes(&self, name: &str) -> Result<&[u8], Flaw> {
        let missing = || Flaw::new(MANIFEST, format!("names no file {name}"));
        self.0.get(name).map(Vec::as_slice).ok_or_else(missing)
    }

    /// A JSON file.
    ///
    /// # Errors
    /// If there is none or it is something else.
    pub fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T, Flaw> {
        parse(self.bytes(name)?).map_err(|what| Flaw::new(name, what))
    }
}

/// A value from JSON, or what is wrong with it.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| format!("not what it should be: {error}"))
}

/// Indented JSON with a final newline, as the file `name` of a cell.
pub(super) fn json<T: serde::Serialize + ?Sized>(name: &str, value: &T) -> Result<(String, Vec<u8>), Flaw> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|error| Flaw::new(name, error.to_string()))?;
    bytes.push(b'\n');
    Ok((name.to_owned(), bytes))
}
