//! `bench replay`.

use std::path::Path;

use super::args::{Common, ReplayArgs, with_device};
use super::exit::{Exit, Failure};
use super::format::count;
use super::output::Output;
use super::table::table;
use super::{interrupt, progress, run};
use crate::pipeline::{self, Change, Devices, Difference, Folders, Options, Replay};
use crate::run::Error;

/// Rows of differences that are shown; a result that differs does so in many places.
const MOST_ROWS: usize = 30;

/// Compute a stored result again, and say what differs.
pub fn replay(args: &ReplayArgs, common: &Common, out: &mut Output) -> Result<Exit, Failure> {
    let reporter = progress::reporter(common);
    let interrupt = interrupt::listen(&reporter);
    let folders = run::folders(common);
    let overrides = with_device(&args.overrides, args.device);
    let replay = Replay::open(&args.folder, (args.all, &overrides), &folders, reporter.as_ref())?;
    out.say(&format!("{}: {}", args.folder.display(), replay.what()))?;
    out.say(&changes(replay.changes(), out))?;
    let temporary = match &args.keep {
        Some(_) => None,
        None => Some(temporary().map_err(pipeline::Error::from)?),
    };
    let place: &Path = match (&args.keep, &temporary) {
        (Some(place), _) => place,
        (None, Some(folder)) => folder.path(),
        (None, None) => Path::new("."),
    };
    pipeline::check_empty(place)?;
    let folders = Folders { runs: place.join("runs"), reports: place.join("reports"), ..folders };
    let devices = Devices::default();
    let options = Options {
        folders: &folders,
        keep_going: false,
        devices: &devices,
        reporter: reporter.as_ref(),
        interrupt: &interrupt,
    };
    let replayed = replay.run(options)?;
    for line in &replayed.same {
        out.say(&format!("same: {line}"))?;
    }
    for line in &replayed.absent {
        out.say(&format!("not compared: {line}"))?;
    }
    if replayed.differences.is_empty() {
        out.print(match replayed.absent.is_empty() {
            true => "identical",
            false => "identical in all that was compared",
        })?;
        return Ok(Exit::Ok);
    }
    let mut rows = table(out.style(), &["differs", "stored", "replayed", "how much"]);
    for Difference { what, stored, replayed, extent } in replayed.differences.iter().take(MOST_ROWS) {
        rows.add_row([what, stored, replayed, extent]);
    }
    out.print(&rows.trim_fmt())?;
    let more = replayed.differences.len().saturating_sub(MOST_ROWS);
    if more > 0 {
        out.print(&format!("and {more} more"))?;
    }
    out.print(&format!("not identical: {}", count(replayed.differences.len(), "difference")))?;
    Ok(Exit::Differs)
}

/// What is not as it was, before anything is computed.
fn changes(changes: &[Change], out: &Output) -> String {
    if changes.is_empty() {
        return "the same version, stage, data and machine as then".to_owned();
    }
    let mut rows = table(out.style(), &["not as it was", "then", "now"]);
    for Change { what, stored, here } in changes {
        rows.add_row([what, stored, here]);
    }
    rows.trim_fmt()
}

fn temporary() -> Result<tempfile::TempDir, Error> {
    let folder = std::env::temp_dir();
    tempfile::Builder::new().prefix("bench-replay-").tempdir().map_err(|source| Error::write(&folder, source))
}
