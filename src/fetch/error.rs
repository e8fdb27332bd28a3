//! What can go wrong while upstream files are fetched. Every message says what happened, where, and what to
//! do next. No message shows the user part or the query of an address: they may hold a secret.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A failed fetch. What had arrived is kept unless the message says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name is not in the catalogue.
    #[error("{name} is not a dataset that can be fetched{hint}; known: {known}")]
    UnknownDataset {
        /// What was asked for.
        name: String,
        /// `; did you mean beauty?`, or nothing.
        hint: String,
        /// Every name in the catalogue.
        known: String,
    },
    /// The mirror's address cannot be used. It is not repeated here, for it may hold a password.
    #[error(
        "the mirror address {problem}; expected https://HOST/FOLDER, or http:// with a loopback host such as 127.0.0.1"
    )]
    Mirror {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// What a server should know the caller by cannot be sent. It is not repeated here.
    #[error("{url}: the token holds characters that no header may have; set another one")]
    Authorization {
        /// The address that would have been asked.
        url: String,
    },
    /// Somebody asked to stop.
    #[error("interrupted; {kept}")]
    Interrupted {
        /// What is kept, as a clause.
        kept: String,
    },
    /// A folder could not be made.
    #[error("create the folder {}: {source}; name another one with --data-dir", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file could not be read or written.
    #[error("{action} {}: {source}; check who may write there, or name another folder with --data-dir", path.display())]
    File {
        /// `read`, `write` and the like.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The disk (or the quota) is full.
    #[error(
        "write {}: no space is left on the disk; free some, or name a folder on another disk with --data-dir (what has arrived is kept)",
        path.display()
    )]
    DiskFull {
        /// The file that was being written.
        path: PathBuf,
    },
    /// The server answered with a status that no second try will change.
    #[error("{url}: the server answers {status}; {advice}")]
    Status {
        /// The address asked.
        url: String,
        /// Such as `404 Not Found`.
        status: String,
        /// The next step.
        advice: String,
    },
    /// Every try failed.
    #[error("{url}: {problem} (tries: {tries}); {kept}, or {by_hand}")]
    GaveUp {
        /// The address asked.
        url: String,
        /// The last try's problem.
        problem: String,
        /// How many tries were made.
        tries: u32,
        /// What is kept and how to go on.
        kept: String,
        /// How to do without this program.
        by_hand: String,
    },
    /// The server did something that is refused, whatever the number of tries.
    #[error("{url}: {problem}; {by_hand}")]
    Refused {
        /// The address asked.
        url: String,
        /// What was refused.
        problem: String,
        /// How to do without this program.
        by_hand: String,
    },
    /// The bytes that arrived are not the expected ones.
    #[error("{url}: sha256 is {found}, expected {expected} ({origin}); {next}")]
    WrongHash {
        /// Where the bytes came from.
        url: String,
        /// Their hash.
        found: String,
        /// The pinned or recorded hash.
        expected: String,
        /// Who expects it.
        origin: String,
        /// Where the bytes are now and what to do.
        next: String,
    },
    /// A file that is already there is not the expected one. It is not touched.
    #[error(
        "{}: sha256 is {found}, expected {expected} ({origin}); the file is left as it is: move it away, or fetch with --force to replace it",
        path.display()
    )]
    Differs {
        /// The file.
        path: PathBuf,
        /// Its hash.
        found: String,
        /// The pinned or recorded hash.
        expected: String,
        /// Who expects it.
        origin: String,
    },
    /// A record of this program cannot be understood.
    #[error("{}: {problem}; delete it to record anew", path.display())]
    Record {
        /// The record.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// What arrived in full is not what such a file looks like.
    #[error("{url}: {problem}; what arrived is set aside as {}; {by_hand}", aside.display())]
    Content {
        /// Where the bytes came from.
        url: String,
        /// What is wrong with them.
        problem: String,
        /// Where the bytes are now.
        aside: PathBuf,
        /// How to do without this program.
        by_hand: String,
    },
    /// The archive is damaged or hostile. Nothing of it was unpacked.
    #[error("{}: {problem}; nothing was unpacked", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

impl Error {
    /// Whether this is the answer to an interrupt (exit status 130) and not a failure.
    #[must_use]
    pub fn is_interrupt(&self) -> bool {
        matches!(self, Self::Interrupted { .. })
    }

    /// An interrupt that left nothing half done.
    pub(super) fn interrupted() -> Self {
        Self::Interrupted { kept: "finished files are kept".to_owned() }
    }

    /// A read or write failure, with a full disk told apart.
    pub(super) fn file(action: &'static str, path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { path: path.to_path_buf() }
            }
            _ => Self::File { action, path: path.to_path_buf(), source },
        }
    }
}

/// `30 s`, `0.3 s`: a duration as a person writes it.
pub(super) fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}
