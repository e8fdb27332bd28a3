//! What may lie in the folder of a stage, told by its name.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::super::Error;
use crate::run::claim::holder;
use crate::run::{self, Pulse};

/// What was touched within this time may be in work.
const WORK: Duration = Duration::from_secs(3600);

/// What something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `<key>`
    Cell,
    /// `<key>.damaged-N`, and `<key>.<part>.damaged-N` of a checkpoint.
    SetAside,
    /// `<key>.claim`
    Claim,
    /// `<key>.claim.<token>`, of an owner who took over from a dead one.
    Link,
    /// `<key>.checkpoint`, with whatever follows.
    Checkpoint,
    /// `.<name>.tmp`
    Temporary,
}

/// Something in the folder of a stage.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub path: PathBuf,
    pub kind: Kind,
    /// The 16 digits that the name has.
    pub key: Option<String>,
}

impl Place {
    fn of(path: PathBuf) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_owned();
        let hidden = name.strip_prefix('.');
        let rest = hidden.unwrap_or(&name);
        let key = rest.get(..16).filter(|key| {
            key.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
                && rest.as_bytes().get(16).is_none_or(|next| *next == b'.')
        });
        let tail = key.map(|_| &rest[16..]);
        let kind = match (hidden, tail) {
            (Some(_), _) if name.ends_with(".tmp") => Kind::Temporary,
            (None, Some("")) => Kind::Cell,
            (None, Some(".claim")) => Kind::Claim,
            (None, Some(tail)) if tail.starts_with(".checkpoint") => Kind::Checkpoint,
            (None, Some(tail)) if is_link(tail) => Kind::Link,
            (None, Some(tail)) => {
                let (_, number) = tail.rsplit_once(".damaged-")?;
                number.parse::<u32>().ok()?;
                Kind::SetAside
            }
            _ => return None,
        };
        let key = key.map(str::to_owned);
        Some(Self { path, kind, key })
    }

    /// The file that says that somebody computes the cell of this key.
    pub fn claim(&self) -> Option<PathBuf> {
        let key = self.key.as_ref()?;
        Some(self.path.with_file_name(format!("{key}.claim")))
    }

    /// The cell of this key.
    pub fn cell(&self) -> Option<PathBuf> {
        Some(self.path.with_file_name(self.key.as_ref()?))
    }

    /// Whether it is a temporary file or folder in which somebody may be writing now, with a claim or without.
    pub fn is_young(&self, now: SystemTime) -> bool {
        self.kind == Kind::Temporary
            && (is_recent(&self.path, now) || inside(&self.path).iter().any(|path| is_recent(path, now)))
    }
}

fn is_link(tail: &str) -> bool {
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    tail.strip_prefix(".claim.").is_some_and(|token| token.len() == 32 && token.bytes().all(digit))
}

/// Whether the owner of a claim may be alive, from the first file of it: its process is seen, or it was renewed within the hour. Whoever took
/// over renews a file of its own, and not the first. A claim that cannot be looked at counts as alive.
pub(super) fn is_at_work(claim: Option<&Path>, now: SystemTime) -> bool {
    let Some(first) = claim else { return false };
    match holder(first) {
        Ok(Some(holder)) => {
            holder.pulse() == Pulse::Alive || [first, &holder.path].iter().any(|path| is_recent(path, now))
        }
        Ok(None) => false,
        Err(_) => true,
    }
}

/// Whether somebody computes anything in a store: then what no experiment needs may be what that is computed from, or what it has finished.
pub(super) fn is_busy(runs: &Path, stages: &[&str], now: SystemTime) -> Result<bool, Error> {
    for stage in stages {
        let mut claims = list(&runs.join(stage))?.into_iter().filter(|place| place.kind == Kind::Claim);
        if claims.any(|place| is_at_work(Some(&place.path), now)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The time by the clock that stamps files in `folder`, which on a file server is that of the server; the one of this machine where nothing
/// can be written.
pub(super) fn now(folder: &Path) -> SystemTime {
    let stamped = tempfile::tempfile_in(folder).and_then(|mut file| {
        file.write_all(b"now")?;
        file.metadata()?.modified()
    });
    stamped.unwrap_or_else(|_| SystemTime::now())
}

/// A clock that went backwards makes files of the future: those are recent too.
fn is_recent(path: &Path, now: SystemTime) -> bool {
    let modified = match fs::symlink_metadata(path) {
        Ok(found) => found.modified(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return false,
        Err(error) => Err(error),
    };
    let age = modified.map(|then| now.duration_since(then).unwrap_or_default());
    age.map_or(true, |age| age < WORK)
}

/// What lies in the folder of a stage and is ours, by name; nothing where there is no such folder.
pub(super) fn list(stage: &Path) -> Result<Vec<Place>, Error> {
    let entries = match fs::read_dir(stage) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(run::Error::read(stage, error).into()),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| run::Error::read(stage, error))?;
        found.extend(Place::of(entry.path()));
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// Files and folders below a folder; links are not followed.
fn inside(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found = Vec::new();
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir()) {
            found.extend(inside(&path));
        }
        found.push(path);
    }
    found
}

/// Bytes of a file, or of all files below a folder.
pub(super) fn size(path: &Path) -> u64 {
    let of = |path: &Path| {
        fs::symlink_metadata(path).map_or(0, |found| if found.is_file() { found.len() } else { 0 })
    };
    of(path) + inside(path).iter().map(|path| of(path)).sum::<u64>()
}
