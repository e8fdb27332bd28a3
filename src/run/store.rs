//! Cells on disk.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use super::checkpoint::{self, CellCheckpoints};
use super::key::canonical_sha256;
use super::listing::CLAIM;
use super::machine::sha256_hex;
use super::stage::{Files, Flaw, MANIFEST, Stage};
use super::{Cell, CellKey, DatasetRecord, Error, FileRecord, MANIFEST_VERSION, Manifest, atomic};
use crate::events::Reporter;

/// The field of a manifest that holds the hash of the others.
const SEAL: &str = "sha256";

/// What lies under a key.
#[derive(Debug, Clone, PartialEq)]
pub enum Found<C = Cell> {
    /// A whole cell whose files have the recorded hashes.
    Complete(Box<C>),
    /// Nothing.
    Missing,
    /// A cell that cannot be trusted. It has been moved out of the way and nothing lies under the key now.
    Damaged(Damage),
}

/// What is known of a cell without it.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The seed.
    pub seed: u64,
    /// `lru`, `popularity` or `random`.
    pub retriever: &'a str,
    /// The data as they were read now.
    pub dataset: &'a DatasetRecord,
}

/// What a look at a cell shows, without its hashes.
#[derive(Debug)]
pub enum Glance {
    /// Nothing lies there.
    Missing,
    /// All files are there with their sizes.
    Whole(Box<Manifest>),
    /// It would be set aside and computed again.
    Damaged,
    /// It cannot be read: it is of a later version of this program, or the system refuses.
    Refused(Error),
}

/// A cell that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file that shows the damage.
    pub path: PathBuf,
    /// What is wrong with it.
    pub what: String,
    /// Where the cell lies now.
    pub set_aside: PathBuf,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "read {}: {}; the cell was set aside as {} and is computed again",
            self.path.display(),
            self.what,
            self.set_aside.display()
        )
    }
}

/// The folder of runs, as one stage sees it.
#[derive(Debug, Clone)]
pub struct Store<C = Cell> {
    root: PathBuf,
    stage: PhantomData<fn() -> C>,
}

/// Why a cell could not be read.
pub(super) enum Broken {
    Damage { path: PathBuf, what: String },
    Fatal(Error),
}

impl Broken {
    /// The same where nothing is set aside.
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Fatal(error) => error,
            Self::Damage { path, what } => {
                Error::read(&path, io::Error::new(io::ErrorKind::InvalidData, what))
            }
        }
    }
}

impl<C: Stage> Store<C> {
    /// The stage `C` of the store at `root`. Nothing is touched yet; see [`atomic::check_writable`].
    #[must_use]
    pub fn at(root: PathBuf) -> Self {
        Self { root, stage: PhantomData }
    }

    /// The same stage of a store at another place.
    #[must_use]
    pub fn elsewhere(&self, root: impl Into<PathBuf>) -> Self {
        Self::at(root.into())
    }

    /// The folder of runs.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the cell of `key` lies or would lie.
    #[must_use]
    pub fn cell_dir(&self, key: &CellKey) -> PathBuf {
        self.cells_dir().join(key.short())
    }

    /// Checkpoints of the work on the cell of `key`.
    #[must_use]
    pub fn checkpoints<'a>(&self, key: &CellKey, reporter: &'a dyn Reporter) -> CellCheckpoints<'a> {
        CellCheckpoints::at(checkpoint::folder(&self.cell_dir(key)), key.clone(), reporter)
    }

    /// The first file of the claim on the cell of `key`; see [`claim`](super::claim).
    #[must_use]
    pub fn claim_path(&self, key: &CellKey) -> PathBuf {
        self.cells_dir().join(format!("{}{CLAIM}", key.short()))
    }

    /// Whether a cell looks complete, without reading it: quick, for plans.
    #[must_use]
    pub fn is_complete(&self, key: &CellKey) -> bool {
        self.cell_dir(key).join(MANIFEST).is_file()
    }

    /// Read the cell of `key` and verify every file of it. A damaged one is set aside as `<cell>.damaged-N`.
    ///
    /// # Errors
    /// If the system does not let us read or set aside, or the cell is of a later version of this program.
    pub fn load(&self, key: &CellKey) -> Result<Found<C>, Error> {
        self.load_as(key, None)
    }

    /// The same, where a cell whose manifest says other than what is known is damaged too.
    ///
    /// # Errors
    /// As [`Store::load`].
    pub fn load_as(&self, key: &CellKey, expected: Option<&Expected<'_>>) -> Result<Found<C>, Error> {
        let folder = self.cell_dir(key);
        match fs::symlink_metadata(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Missing),
            Err(error) => return Err(Error::read(&folder, error)),
            Ok(_) => {}
        }
        let read = read_cell(&folder, key).and_then(|cell: C| match expected {
            Some(expected) => agrees(&folder, cell.manifest(), expected).map(|()| cell),
            None => Ok(cell),
        });
        match read {
            Ok(cell) => Ok(Found::Complete(Box::new(cell))),
            Err(Broken::Fatal(error)) => Err(error),
            Err(Broken::Damage { path, what }) => match set_aside(&folder)? {
                Some(set_aside) => Ok(Found::Damaged(Damage { path, what, set_aside })),
                None => Ok(Found::Missing),
            },
        }
    }

    /// What [`Store::load_as`] would find, from the manifest and the sizes of files alone. Nothing is set aside.
    #[must_use]
    pub fn glance(&self, key: &CellKey, expected: &Expected<'_>) -> Glance {
        let folder = self.cell_dir(key);
        if fs::symlink_metadata(&folder).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return Glance::Missing;
        }
        let whole = || -> Result<Option<Manifest>, Broken> {
            let manifest = read_manifest(&folder)?;
            same_key(&folder, &manifest, key)?;
            agrees(&folder, &manifest, expected)?;
            let size = |name: &String| fs::metadata(folder.join(name)).ok().map(|file| file.len());
            let same = |(name, record): (&String, &FileRecord)| size(name) == Some(record.bytes);
            let all = manifest.files.iter().all(same);
            Ok(all.then_some(manifest))
        };
        match whole() {
            Ok(Some(manifest)) => Glance::Whole(Box::new(manifest)),
            Ok(None) | Err(Broken::Damage { .. }) => Glance::Damaged,
            Err(Broken::Fatal(error)) => Glance::Refused(error),
        }
    }

    /// One file of a complete cell, verified; `None` if it has none of that name.
    ///
    /// # Errors
    /// If it cannot be read or differs from the manifest.
    pub fn file(&self, key: &CellKey, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let folder = self.cell_dir(key);
        let manifest = read_manifest(&folder).map_err(Broken::into_error)?;
        match manifest.files.get(name) {
            Some(record) => read_verified(&folder.join(name), record).map(Some).map_err(Broken::into_error),
            None => Ok(None),
        }
    }

    /// Store a cell with the files `extra`, which are not read back with it: all files are written into a temporary folder,
    /// the manifest last, and the folder is renamed into place, so that a reader sees all of it or nothing. The manifest's
    /// version, stage, key and files are filled in here. If another process stored the same key first, its cell stays.
    /// Returns the cell's folder.
    ///
    /// # Errors
    /// If the cell contradicts itself or cannot be written; nothing is left behind then.
    pub fn save_with(&self, key: &CellKey, cell: &C, extra: &[(String, Vec<u8>)]) -> Result<PathBuf, Error> {
        let folder = self.cell_dir(key);
        let stage = self.cells_dir();
        atomic::create_dir_all(&stage)?;
        let encode = |Flaw { file, what }: Flaw| Error::Encode { path: folder.join(file), what };
        let mut files = cell.encode().map_err(encode)?;
        files.extend_from_slice(extra);
        let records: BTreeMap<String, FileRecord> =
            files.iter().map(|(name, bytes)| (name.clone(), record(bytes))).collect();
        let manifest = Manifest {
            version: MANIFEST_VERSION,
            stage: C::NAME.to_owned(),
            key: key.as_str().to_owned(),
            files: records,
            ..cell.manifest().clone()
        };
        let bytes = atomic::to_json(&folder.join(MANIFEST), &sealed(&folder, &manifest)?)?;
        files.push((MANIFEST.to_owned(), bytes));

        let temporary = temporary_folder(&stage, key).map_err(|source| Error::write(&folder, source))?;
        for (name, bytes) in &files {
            atomic::write(&temporary.path().join(name), bytes)
                .map_err(|error| error.at(&folder.join(name)))?;
        }
        self.put(key, &folder, temporary.path())?;
        // Renamed or superseded: in the first case there is nothing left for the guard to remove.
        drop(temporary);
        atomic::sync_dir(&stage).map_err(|source| Error::write(&folder, source))?;
        Ok(folder)
    }

    fn put(&self, key: &CellKey, folder: &Path, temporary: &Path) -> Result<(), Error> {
        for _ in 0..8 {
            match fs::rename(temporary, folder) {
                Ok(()) => return Ok(()),
                // Something is there: a whole cell stays, anything else is set aside by `load` and we try again.
                Err(_) if fs::symlink_metadata(folder).is_ok() => {
                    if let Found::Complete(_) = self.load(key)? {
                        return Ok(());
                    }
                }
                Err(source) => return Err(Error::write(folder, source)),
            }
        }
        Err(Error::InTheWay { path: folder.to_owned(), what: "other processes keep writing this cell" })
    }
}

fn temporary_folder(stage: &Path, key: &CellKey) -> io::Result<tempfile::TempDir> {
    let prefix = format!(".{key}.");
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(".tmp");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o777));
    }
    builder.tempdir_in(stage)
}

fn record(bytes: &[u8]) -> FileRecord {
    FileRecord { bytes: bytes.len() as u64, sha256: sha256_hex(bytes) }
}

/// A manifest as it is written: with the hash of its other fields.
#[derive(Serialize)]
struct Sealed<'a> {
    #[serde(flatten)]
    manifest: &'a Manifest,
    sha256: String,
}

fn sealed<'a>(folder: &Path, manifest: &'a Manifest) -> Result<Sealed<'a>, Error> {
    let path = folder.join(MANIFEST);
    // Numbers are hashed as they are read back.
    let bytes = atomic::to_json(&path, manifest)?;
    let value: Value =
        serde_json::from_slice(&bytes).map_err(|error| Error::Encode { path, what: error.to_string() })?;
    Ok(Sealed { manifest, sha256: canonical_sha256(&value) })
}

fn same_key(folder: &Path, manifest: &Manifest, key: &CellKey) -> Result<(), Broken> {
    if manifest.key == key.as_str() {
        return Ok(());
    }
    let what = format!("its key is {}; expected {}", manifest.key, key.as_str());
    Err(Broken::Damage { path: folder.join(MANIFEST), what })
}

/// Whether a manifest says what is known. Names and texts are not compared: they may change while the content stays.
fn agrees(folder: &Path, manifest: &Manifest, expected: &Expected<'_>) -> Result<(), Broken> {
    let facts = |seed: u64, retriever: &str, data: &DatasetRecord| {
        let sources: Vec<String> =
            data.sources.iter().map(|file| format!("{} ({} bytes)", file.sha256, file.bytes)).collect();
        [
            ("seed", seed.to_string()),
            ("retriever", retriever.to_owned()),
            ("dataset.users", data.users.to_string()),
            ("dataset.items", data.items.to_string()),
            ("dataset.interactions", data.interactions.to_string()),
            ("dataset.mean_length", data.mean_length.to_string()),
            ("dataset.density", data.density.to_string()),
            ("dataset.split_fingerprint", data.split_fingerprint.clone()),
            ("dataset.sources", sources.join(", ")),
        ]
    };
    let found = facts(manifest.seed, &manifest.retriever, &manifest.dataset);
    let wanted = facts(expected.seed, expected.retriever, expected.dataset);
    for ((name, found), (_, wanted)) in found.into_iter().zip(wanted) {
        if found != wanted {
            let what = format!("its {name} is {found}; expected {wanted}");
            return Err(Broken::Damage { path: folder.join(MANIFEST), what });
        }
    }
    Ok(())
}

fn read_cell<C: Stage>(folder: &Path, key: &CellKey) -> Result<C, Broken> {
    let manifest = read_manifest(folder)?;
    same_key(folder, &manifest, key)?;
    let mut contents = BTreeMap::new();
    for (name, record) in &manifest.files {
        contents.insert(name.clone(), read_verified(&folder.join(name), record)?);
    }
    C::decode(manifest, &Files::new(contents))
        .map_err(|Flaw { file, what }| Broken::Damage { path: folder.join(file), what })
}

pub(super) fn read_manifest(folder: &Path) -> Result<Manifest, Broken> {
    let path = folder.join(MANIFEST);
    let bytes = read(&path, "missing: the run that wrote this cell did not finish")?;
    manifest_of(path, &bytes)
}

/// The manifest in `bytes`, which were read from `name`.
///
/// # Errors
/// A text that says what is wrong: another format, a later version, other fields than were written.
pub fn parse_manifest(name: &str, bytes: &[u8]) -> Result<Manifest, String> {
    manifest_of(PathBuf::from(name), bytes).map_err(|broken| match broken {
        Broken::Damage { what, .. } => what,
        Broken::Fatal(error) => error.to_string(),
    })
}

/// The same manifest for a cell of which some files were changed on purpose, or left out: with the new sizes and hashes, and its own.
///
/// # Errors
/// A text that says why it cannot be read.
pub fn reseal(
    bytes: &[u8],
    changed: &BTreeMap<String, Vec<u8>>,
    left_out: &[String],
) -> Result<Vec<u8>, String> {
    let mut value: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let fields = value.as_object_mut().ok_or("not a manifest")?;
    for (name, bytes) in changed {
        let file =
            fields.get_mut("files").and_then(|files| files.get_mut(name)).ok_or("names no such file")?;
        *file = serde_json::to_value(record(bytes)).map_err(|error| error.to_string())?;
    }
    for name in left_out {
        let file = fields.get_mut("files").and_then(|files| files.as_object_mut()?.remove(name));
        let file = file.ok_or("names no such file")?;
        let gone = fields.entry("left_out").or_insert_with(|| Value::Object(serde_json::Map::new()));
        gone.as_object_mut().ok_or("its left_out is no object")?.insert(name.clone(), file);
    }
    fields.remove(SEAL);
    let seal = canonical_sha256(&value);
    if let Some(fields) = value.as_object_mut() {
        fields.insert(SEAL.to_owned(), seal.into());
    }
    let mut bytes = serde_json::to_vec_pretty(&value).map_err(|error| error.to_string())?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Whether a file of a cell holds weights: large, and needed by no table.
#[must_use]
pub fn is_weights(name: &str) -> bool {
    name == super::WEIGHTS || name.ends_with("model.safetensors")
}

fn manifest_of(path: PathBuf, bytes: &[u8]) -> Result<Manifest, Broken> {
    let mut value: Value = parse(&path, bytes)?;
    // The seal is the same in all versions, so that a damaged version is not taken for a later one. Cells from before there was one are
    // taken without.
    if let Some(seal) = value.as_object_mut().and_then(|fields| fields.remove(SEAL)) {
        let found = canonical_sha256(&value);
        if seal.as_str() != Some(found.as_str()) {
            let what = format!("SHA-256 {found} of its other fields; it says {seal}");
            return Err(Broken::Damage { path, what });
        }
    }
    // The version comes before the fields: a later format need not have those that are known here.
    match value.get("version").and_then(Value::as_u64) {
        Some(found) if found > u64::from(MANIFEST_VERSION) => {
            Err(Broken::Fatal(Error::Newer { path, found, known: MANIFEST_VERSION }))
        }
        Some(_) => parse(&path, bytes),
        None => Err(Broken::Damage { path, what: "no version".to_owned() }),
    }
}

pub(super) fn read_verified(path: &Path, expected: &FileRecord) -> Result<Vec<u8>, Broken> {
    let bytes = read(path, "missing, though the manifest names it")?;
    let damage = |what| Err(Broken::Damage { path: path.to_owned(), what });
    if bytes.len() as u64 != expected.bytes {
        return damage(format!("{} bytes; expected {}", bytes.len(), expected.bytes));
    }
    let found = sha256_hex(&bytes);
    if found != expected.sha256 {
        return damage(format!("SHA-256 {found}; expected {}", expected.sha256));
    }
    Ok(bytes)
}

fn read(path: &Path, missing: &str) -> Result<Vec<u8>, Broken> {
    fs::read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => {
            Broken::Damage { path: path.to_owned(), what: missing.to_owned() }
        }
        _ => Broken::Fatal(Error::read(path, error)),
    })
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, Broken> {
    super::stage::parse(bytes).map_err(|what| Broken::Damage { path: path.to_owned(), what })
}

/// Rename a cell to the first free `<cell>.damaged-N`. `None` if another process was faster.
fn set_aside(folder: &Path) -> Result<Option<PathBuf>, Error> {
    for number in 1.. {
        let mut name = folder.as_os_str().to_owned();
        name.push(format!(".damaged-{number}"));
        let target = PathBuf::from(name);
        if fs::symlink_metadata(&target).is_ok() {
            continue;
        }
        return match fs::rename(folder, &target) {
            Ok(()) => Ok(Some(target)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::write(&target, error)),
        };
    }
    Ok(None)
}
