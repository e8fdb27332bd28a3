//! What of the run store nobody needs.

mod needs;
mod places;

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{Error, Folders};
use crate::events::Reporter;
use crate::experiment::Experiment;
use crate::pretrain::{PRETRAIN_STAGE_VERSION, PretrainedCell};
use crate::run::{
    self, Cell, IMPORTED_STAGE_VERSION, ImportedCell, Opened, RANKING_STAGE_VERSION, RETRIEVAL_STAGE_VERSION,
    RankingCell, Stage,
};

use needs::Needs;
use places::{Kind, Place, is_at_work, size};

/// Stages with the version that this program computes. Nothing else below the folder of runs is looked at.
const STAGES: [(&str, u32); 4] = [
    (PretrainedCell::NAME, PRETRAIN_STAGE_VERSION),
    (Cell::NAME, RETRIEVAL_STAGE_VERSION),
    (RankingCell::NAME, RANKING_STAGE_VERSION),
    (ImportedCell::NAME, IMPORTED_STAGE_VERSION),
];

/// Why something can go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// A cell that was set aside.
    SetAside,
    /// A cell that would be set aside by the next run that needs it.
    Damaged,
    /// A temporary folder or file of a run that was killed.
    Temporary,
    /// A cell of an earlier version of its stage, which no run of this program finds.
    Older {
        /// Its version.
        found: u32,
        /// The one of this program.
        current: u32,
    },
    /// A checkpoint or a file of a claim whose cell is complete.
    Done,
    /// No experiment that was named needs it.
    NotNeeded,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetAside => f.write_str("damaged, set aside"),
            Self::Damaged => f.write_str("damaged"),
            Self::Temporary => f.write_str("left over by a run that was killed"),
            Self::Older { found, current } => {
                write!(f, "version {found} of its stage; this bench has {current}")
            }
            Self::Done => f.write_str("its cell is complete"),
            Self::NotNeeded => f.write_str("not needed by the experiments named"),
        }
    }
}

/// Something that can be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removable {
    /// Where it lies.
    pub path: PathBuf,
    /// Why nobody needs it.
    pub why: Why,
    /// Its size.
    pub bytes: u64,
    /// The claim that would say that it is in work.
    claim: Option<PathBuf>,
    /// The store that it lies in.
    runs: PathBuf,
}

/// What a cleaning would do.
#[derive(Debug, Default)]
pub struct Cleaning {
    /// What can go, by path.
    pub removable: Vec<Removable>,
    /// What is being computed by somebody, or was less than an hour ago; it stays.
    pub live: Vec<PathBuf>,
    /// Claims that were not renewed for an hour, of cells that are not complete: whoever made them is probably dead. They stay, for the next
    /// run that needs the cell takes it over.
    pub stale: Vec<PathBuf>,
    /// What stays although it might not be needed, and why.
    pub notes: Vec<String>,
    /// What none of the experiments needs but stays because somebody is computing in this store.
    pub spared: Amount,
    /// Cells of an older version of their stage that stay.
    pub older: Amount,
    /// Cells that stay.
    pub kept: Amount,
}

/// How many, and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many.
    pub count: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl Amount {
    fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }
}

/// What to look for.
pub struct Clean<'a> {
    /// The experiments whose cells stay. `None`: only what nothing can use goes.
    pub experiments: Option<Vec<Experiment>>,
    /// Whether cells of an older version of their stage may go.
    pub older: bool,
    /// Whether imported runs may go too.
    pub imported: bool,
    /// Where things are.
    pub folders: &'a Folders,
}

/// Look for what nobody needs. Nothing is removed.
///
/// # Errors
/// If the store cannot be read.
pub fn clean(wanted: Clean<'_>, reporter: &dyn Reporter) -> Result<Cleaning, Error> {
    let Clean { experiments, imported, older, folders } = wanted;
    let mut cleaning = Cleaning::default();
    let now = places::now(&folders.runs);
    // Without experiments nothing goes that anybody could need.
    let busy = experiments.is_some() && is_busy(&folders.runs, now)?;
    let needs = experiments.map(|experiments| Needs::of(experiments, folders, reporter));
    cleaning.notes.extend(needs.iter().flat_map(|needs| needs.notes.iter().cloned()));
    for (stage, version) in STAGES {
        if stage == ImportedCell::NAME && !imported {
            continue;
        }
        for place in places::list(&folders.runs.join(stage))? {
            let why = if is_at_work(place.claim().as_deref(), now) || place.is_young(now) {
                if place.kind != Kind::Cell {
                    cleaning.live.push(place.path.clone());
                    continue;
                }
                // A finished cell may be used while a claim is still there.
                None
            } else {
                judge(&place, (stage, version), needs.as_ref(), &mut cleaning.notes)
            };
            let bytes = size(&place.path);
            match why {
                Some(Why::NotNeeded) if busy => {
                    cleaning.spared.add(bytes);
                    if place.kind == Kind::Cell {
                        cleaning.kept.add(bytes);
                    }
                }
                Some(Why::Older { .. }) if !older => {
                    cleaning.older.add(bytes);
                    cleaning.kept.add(bytes);
                }
                Some(why) => {
                    let (claim, runs) = (place.claim(), folders.runs.clone());
                    cleaning.removable.push(Removable { path: place.path, why, bytes, claim, runs });
                }
                None if place.kind == Kind::Cell => cleaning.kept.add(bytes),
                None if place.kind == Kind::Claim && !is_at_work(Some(&place.path), now) => {
                    cleaning.stale.push(place.path);
                }
                None => {}
            }
        }
    }
    cleaning.removable.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(cleaning)
}

/// Whether somebody computes anything in the store.
fn is_busy(runs: &Path, now: SystemTime) -> Result<bool, Error> {
    places::is_busy(runs, &STAGES.map(|(stage, _)| stage), now)
}

/// Why something may go; `None` if it stays.
fn judge(
    place: &Place,
    (stage, version): (&str, u32),
    needs: Option<&Needs>,
    notes: &mut Vec<String>,
) -> Option<Why> {
    let unneeded = |needs: &Needs| !needs.may_need(stage, place.key.as_deref().unwrap_or_default());
    match place.kind {
        Kind::SetAside => Some(Why::SetAside),
        Kind::Temporary => Some(Why::Temporary),
        Kind::Claim | Kind::Link | Kind::Checkpoint => {
            let cell = place.cell()?;
            let complete = Opened::open(&cell).is_ok_and(|cell| is_whole(&cell));
            // Nothing leads to a link without the first file.
            let leads_nowhere =
                || place.kind == Kind::Link && place.claim().is_some_and(|first| !first.is_file());
            if !complete && leads_nowhere() {
                return Some(Why::Temporary);
            }
            if complete {
                return Some(Why::Done);
            }
            needs.filter(|needs| unneeded(needs)).map(|_| Why::NotNeeded)
        }
        Kind::Cell => {
            let cell = match Opened::open(&place.path) {
                Ok(cell) => cell,
                Err(run::Error::Read { source, .. }) if source.kind() == io::ErrorKind::InvalidData => {
                    return Some(Why::Damaged);
                }
                Err(error) => {
                    notes.push(format!("{} stays: {error}", place.path.display()));
                    return None;
                }
            };
            let found = cell.manifest().code.stage_version;
            if !is_whole(&cell) {
                return Some(Why::Damaged);
            }
            if found < version {
                return Some(Why::Older { found, current: version });
            }
            // One of a later bench is none of our business.
            needs.filter(|needs| found == version && !needs.need(stage, &cell)).map(|_| Why::NotNeeded)
        }
    }
}

/// Whether all files are there with their sizes.
fn is_whole(cell: &Opened) -> bool {
    let sized = |(name, record): (&String, &run::FileRecord)| {
        fs::metadata(cell.folder().join(name)).is_ok_and(|file| file.len() == record.bytes)
    };
    let folder = cell.folder().file_name().map(|name| name.to_string_lossy().into_owned());
    let named = folder.is_some_and(|name| cell.manifest().key.starts_with(&name));
    named && cell.manifest().files.iter().all(sized)
}

impl Removable {
    /// Remove it, unless somebody has begun to work on it or it is gone. Returns whether it was removed. A folder is renamed first, so that
    /// whatever stops us leaves no half cell.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn remove(&self) -> Result<bool, Error> {
        let now = places::now(&self.runs);
        if is_at_work(self.claim.as_deref(), now) || self.why == Why::NotNeeded && is_busy(&self.runs, now)? {
            return Ok(false);
        }
        let fail = |source| Error::Run(run::Error::write(&self.path, source));
        let gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        let is_folder = match fs::symlink_metadata(&self.path) {
            Ok(found) => found.is_dir(),
            Err(error) if gone(&error) => return Ok(false),
            Err(error) => return Err(fail(error)),
        };
        if !is_folder {
            return match fs::remove_file(&self.path) {
                Err(error) if gone(&error) => Ok(false),
                result => result.map(|()| true).map_err(fail),
            };
        }
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let doomed = if name.starts_with('.') {
            self.path.clone()
        } else {
            self.path.with_file_name(format!(".{name}.clean-{}.tmp", std::process::id()))
        };
        if doomed != self.path {
            match fs::rename(&self.path, &doomed) {
                Err(error) if gone(&error) => return Ok(false),
                result => result.map_err(fail)?,
            }
        }
        fs::remove_dir_all(&doomed).map(|()| true).map_err(fail)
    }

    /// Where it lies, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}
