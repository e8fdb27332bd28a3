//! What lies in a store.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::claim::{Holder, holder};
use super::stage::{MANIFEST, Stage};
use super::{Error, Manifest, Store};

/// How the name of a claim's first file ends.
pub(super) const CLAIM: &str = ".claim";

/// The folder beside those of the stages that holds what was submitted to Slurm; there are no cells in it.
pub const SUBMISSIONS: &str = "submissions";

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
        cells(self.root(), &self.cells_dir())
    }
}

/// The cells of every stage in the store at `root`, as [`Store::list`] gives those of one.
///
/// # Errors
/// If a folder cannot be read.
pub fn list_all(root: &Path) -> Result<Vec<Listed>, Error> {
    let mut found = Vec::new();
    for stage in folders(root, root)? {
        if stage.is_dir() && stage.file_name().is_none_or(|name| name != SUBMISSIONS) {
            found.extend(cells(root, &stage)?);
        }
    }
    Ok(found)
}

/// A cell that is not there and that somebody has claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// Its stage.
    pub stage: String,
    /// The first 16 hex digits of its key.
    pub cell: String,
    /// Who, dead or alive.
    pub holder: Holder,
}

/// The claims on cells of the store at `root` that are not complete, by stage and key.
///
/// # Errors
/// If a folder or a claim cannot be read.
pub fn claims_in(root: &Path) -> Result<Vec<Claimed>, Error> {
    let mut found = Vec::new();
    for stage in folders(root, root)?.into_iter().filter(|stage| stage.is_dir()) {
        for path in entries(root, &stage, |name| name.ends_with(CLAIM))? {
            let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let cell = name(&path);
            let cell = cell.strip_suffix(CLAIM).unwrap_or_default().to_owned();
            // Temporary files begin with a point.
            if cell.contains('.') || stage.join(&cell).join(MANIFEST).is_file() {
                continue;
            }
            // It may have been given back meanwhile.
            if let Some(holder) = holder(&path)? {
                found.push(Claimed { stage: name(&stage), cell, holder });
            }
        }
    }
    Ok(found)
}

fn cells(root: &Path, stage: &Path) -> Result<Vec<Listed>, Error> {
    let read = |path: PathBuf| -> Result<Manifest, String> {
        let bytes = fs::read(path).map_err(|error| error.to_string())?;
        serde_json::from_slice(&bytes).map_err(|error| error.to_string())
    };
    let listed = |path: PathBuf| Listed { manifest: read(path.join("manifest.json")), path };
    Ok(folders(root, stage)?.into_iter().map(listed).collect())
}

/// What lies in `folder`, sorted; none where it does not exist. The name of a stage is a word and that of a cell 16 hex digits;
/// `.KEY.x.tmp` and `KEY.damaged-1` are none.
fn folders(root: &Path, folder: &Path) -> Result<Vec<PathBuf>, Error> {
    entries(root, folder, |name| !name.contains('.'))
}

/// What lies in `folder` under names that are wanted, sorted.
fn entries(root: &Path, folder: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>, Error> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            // One of the two is a file. A run would be stopped by the same words.
            return Err(Error::write(if root.is_dir() { folder } else { root }, error));
        }
        Err(error) => return Err(Error::read(folder, error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| Error::read(folder, error))?;
        if wanted(&entry.file_name().to_string_lossy()) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}
