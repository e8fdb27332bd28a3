//! Files that are there in full or not at all.
//!
//! A file is written beside its place under a temporary name, flushed to the disk, renamed over its place, and the
//! folder is flushed too. A crash or a full disk leaves the old file as it was.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Serialize;
use tempfile::NamedTempFile;

use super::Error;

/// Write `bytes` to `path`, creating its folder.
///
/// # Errors
/// If the disk is full, the folder is not writable, or the system fails otherwise; the old file stays.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    write_with(path, |file| file.write_all(bytes))
}

/// Write what `fill` writes to `path`, creating its folder.
///
/// # Errors
/// As [`write()`], and if `fill` fails.
pub fn write_with(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> Result<(), Error> {
    let folder = parent(path);
    create_dir_all(&folder)?;
    place(path, fill)?;
    sync_dir(&folder).map_err(|source| Error::write(path, source))
}

/// The file in its place, whose folder is there; the folder is not flushed.
fn place(path: &Path, fill: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>) -> Result<(), Error> {
    let folder = parent(path);
    let fail = |source| Error::write(path, source);
    let temporary = temporary_in(&folder, path).map_err(fail)?;
    let mut writer = BufWriter::new(temporary.as_file());
    fill(&mut writer).and_then(|()| writer.flush()).map_err(fail)?;
    drop(writer);
    temporary.as_file().sync_all().map_err(fail)?;
    temporary.persist(path).map_err(|refused| fail(refused.error))?;
    Ok(())
}

/// Write each file as [`write()`] does, but flush each folder only once, when all are in their places. A file that has these bytes already
/// is left as it is.
///
/// # Errors
/// As [`write()`]; files before the one that failed are there.
pub fn write_all(files: &[(PathBuf, Vec<u8>)]) -> Result<(), Error> {
    let mut folders: Vec<PathBuf> = Vec::new();
    for folder in files.iter().map(|(path, _)| parent(path)) {
        if !folders.contains(&folder) {
            create_dir_all(&folder)?;
            folders.push(folder);
        }
    }
    // The disk takes its time for each file, so several wait for it together.
    files.par_iter().try_for_each(|(path, bytes)| {
        let same = fs::read(path).is_ok_and(|old| old == *bytes);
        if same { Ok(()) } else { place(path, |file| file.write_all(bytes)) }
    })?;
    folders.iter().try_for_each(|folder| sync_dir(folder).map_err(|source| Error::write(folder, source)))
}

/// The same in the place of earlier files: those that are not written again are removed.
///
/// # Errors
/// As [`write_all`] and [`remove`].
pub fn replace_all(
    files: &[(PathBuf, Vec<u8>)],
    earlier: impl Iterator<Item = PathBuf>,
) -> Result<(), Error> {
    write_all(files)?;
    let written: BTreeSet<&Path> = files.iter().map(|(path, _)| path.as_path()).collect();
    let mut gone = earlier.filter(|path| !written.contains(path.as_path()));
    gone.try_for_each(|path| remove(&path))
}

/// Remove a file, if it is there, and its folder if that is empty then.
///
/// # Errors
/// If it cannot be removed.
pub fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Ok(()) => {
            // Refused by the system where something is left in it.
            let _ = fs::remove_dir(parent(path));
            Ok(())
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(())
        }
        Err(source) => Err(Error::write(path, source)),
    }
}

/// Write `value` to `path` as indented JSON with a final newline.
///
/// # Errors
/// As [`write()`], and if the value is not representable in JSON.
pub fn write_json<T: Serialize + ?Sized>(path: &Path, value: &T) -> Result<(), Error> {
    write(path, &to_json(path, value)?)
}

/// The bytes of [`write_json`].
///
/// # Errors
/// If the value is not representable in JSON.
pub fn to_json<T: Serialize + ?Sized>(path: &Path, value: &T) -> Result<Vec<u8>, Error> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|error| Error::Encode { path: path.to_owned(), what: error.to_string() })?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Create a folder and its parents.
///
/// # Errors
/// If that is not possible.
pub fn create_dir_all(folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(|source| Error::write(folder, source))
}

/// Create `folder` if need be and prove that files can be written there. To be called before hours of work.
///
/// # Errors
/// If they cannot.
pub fn check_writable(folder: &Path) -> Result<(), Error> {
    create_dir_all(folder)?;
    let mut probe = temporary_in(folder, folder).map_err(|source| Error::write(folder, source))?;
    probe.write_all(&[0; 4096]).map_err(|source| Error::write(folder, source))
}

/// Prove that the disk of `folder` has room for `needed` bytes. Where the system does not tell, it is taken to
/// have.
///
/// # Errors
/// [`Error::NoRoom`], told of `place`, where the bytes would go.
pub fn check_room(folder: &Path, place: &Path, needed: u64) -> Result<(), Error> {
    match free_bytes(folder) {
        Some(free) if free < needed => Err(Error::NoRoom { path: place.to_owned(), needed, free }),
        _ => Ok(()),
    }
}

/// Bytes that may still be written to the disk of a folder or of the nearest folder above it that exists.
#[must_use]
pub fn free_bytes(folder: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        let absolute = std::path::absolute(folder).ok()?;
        let there = absolute.ancestors().find(|path| path.is_dir())?;
        let disk = rustix::fs::statvfs(there).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
    #[cfg(not(unix))]
    {
        let _ = folder;
        None
    }
}

/// Flush a folder's list of names to the disk, so that a rename in it survives a crash.
pub(super) fn sync_dir(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

pub(super) fn temporary_in(folder: &Path, path: &Path) -> io::Result<NamedTempFile> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut builder = tempfile::Builder::new();
    let prefix = format!(".{name}.");
    builder.prefix(&prefix).suffix(".tmp");
    // The default is readable by the owner alone; a report is for others too. The umask still applies.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}
