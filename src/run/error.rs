//! What can go wrong between memory and disk.

use std::io;
use std::path::{Path, PathBuf};

/// A failure of the store or of an output file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No room left.
    #[error(
        "write {}: the disk is full; earlier files are intact; free some space or choose a folder on another \
         disk, then run again",
        path.display()
    )]
    DiskFull {
        /// The file that should have been written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Less room than a cell needs, found before the work.
    #[error(
        "write {}: {needed} bytes are needed, but only {free} are free there; nothing was computed; free some space or \
         choose a folder on another disk, then run again",
        path.display()
    )]
    NoRoom {
        /// Where the cell would go.
        path: PathBuf,
        /// What it needs, in bytes.
        needed: u64,
        /// What is free, in bytes.
        free: u64,
    },
    /// The folder or file may not be written.
    #[error(
        "write {}: not writable ({source}); earlier files are intact; change the permissions of the \
         folder or choose another, then run again",
        path.display()
    )]
    NotWritable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file stands where a folder is needed, or the other way round.
    #[error("write {}: {what}; move it away or choose another folder, then run again", path.display())]
    InTheWay {
        /// The file or folder.
        path: PathBuf,
        /// Which way round.
        what: &'static str,
    },
    /// Any other failure to write.
    #[error("write {}: {source}; earlier files are intact", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A failure to read that does not mean damage.
    #[error("read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A value that does not fit the format.
    #[error("write {}: {what}", path.display())]
    Encode {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
    /// A file of a later version of this program. It is left alone.
    #[error(
        "read {}: format version {found}, this program knows up to {known}; update bench, or use another runs folder",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u64,
        /// The latest that is known here.
        known: u32,
    },
}

impl Error {
    /// Sort a failure to write `path` by what its reader can do about it.
    #[must_use]
    pub fn write(path: &Path, source: io::Error) -> Self {
        let (path, source) = (path.to_owned(), bare(source));
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path, source },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::NotWritable { path, source }
            }
            io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                Self::InTheWay { path, what: "a file stands where a folder is needed" }
            }
            io::ErrorKind::IsADirectory => {
                Self::InTheWay { path, what: "a folder stands where a file is needed" }
            }
            _ => Self::Write { path, source },
        }
    }

    /// What happened, without what to do about it before another run: for a run that goes on all the same.
    #[must_use]
    pub fn event(&self) -> String {
        let write = |path: &Path, what: &str| format!("write {}: {what}", path.display());
        match self {
            Self::DiskFull { path, .. } => write(path, "the disk is full"),
            Self::NotWritable { path, source } => write(path, &format!("not writable ({source})")),
            Self::InTheWay { path, what } => write(path, what),
            Self::Write { path, source } => write(path, &source.to_string()),
            Self::NoRoom { .. } | Self::Read { .. } | Self::Encode { .. } | Self::Newer { .. } => {
                self.to_string()
            }
        }
    }

    /// A failure to read `path`.
    #[must_use]
    pub fn read(path: &Path, source: io::Error) -> Self {
        Self::Read { path: path.to_owned(), source }
    }

    /// The same failure told of another path: that of the file in its place rather than of a temporary one.
    #[must_use]
    pub(super) fn at(mut self, place: &Path) -> Self {
        match &mut self {
            Self::DiskFull { path, .. }
            | Self::NoRoom { path, .. }
            | Self::NotWritable { path, .. }
            | Self::InTheWay { path, .. }
            | Self::Write { path, .. }
            | Self::Read { path, .. }
            | Self::Encode { path, .. }
            | Self::Newer { path, .. } => place.clone_into(path),
        }
        self
    }
}

/// The system's error without the name of a temporary file: the crate that makes them wraps what the system said as
/// `Permission denied (os error 13) at path "..."` and keeps the number in the text alone.
fn bare(error: io::Error) -> io::Error {
    let number = |error: &io::Error| -> Option<i32> {
        error.raw_os_error().is_none().then_some(())?;
        let text = error.to_string();
        let (before, _) = text.split_once(") at path \"")?;
        before.rsplit_once("(os error ")?.1.parse().ok()
    };
    match number(&error) {
        Some(number) => io::Error::from_raw_os_error(number),
        None => error,
    }
}
