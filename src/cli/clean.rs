//! `bench clean`.

use std::collections::BTreeMap;

use super::args::{CleanArgs, Common, Selection};
use super::exit::{Exit, Failure};
use super::format::{bytes, count};
use super::output::{self, Output};
use super::table::table;
use super::{progress, run, select};
use crate::pipeline::{self, Amount, Clean, Cleaning};

/// Show what nobody needs of the run store, and remove it if that is asked for.
pub fn clean(args: &CleanArgs, common: &Common, out: &mut Output) -> Result<Exit, Failure> {
    let experiments = if args.files.is_empty() {
        None
    } else {
        let selection = Selection {
            files: args.files.clone(),
            overrides: args.overrides.clone(),
            ..Selection::default()
        };
        Some(select::select_some(&selection)?)
    };
    let reporter = progress::reporter(common);
    let folders = run::folders(common);
    let wanted = Clean { experiments, imported: args.imported, older: args.older, folders: &folders };
    let cleaning = pipeline::clean(wanted, reporter.as_ref())?;
    tell(&cleaning, out)?;
    let total: u64 = cleaning.removable.iter().map(|one| one.bytes).sum();
    if cleaning.removable.is_empty() {
        return Ok(Exit::Ok);
    }
    if !args.yes {
        out.print(&format!("nothing was removed; the same with --yes removes {}", bytes(total)))?;
        return Ok(Exit::Ok);
    }
    let (mut removed, mut freed, mut exit) = (0, 0, Exit::Ok);
    for one in &cleaning.removable {
        match one.remove() {
            Ok(true) => {
                removed += 1;
                freed += one.bytes;
            }
            Ok(false) => {
                out.say(&format!("{}: gone, or in work by now; left alone", one.path().display()))?
            }
            Err(error) => {
                let failure = Failure::from(error);
                exit = failure.exit;
                output::error(&failure);
            }
        }
    }
    out.print(&format!(
        "removed {}, {}",
        count(removed, "entry").replace("entrys", "entries"),
        bytes(freed)
    ))?;
    Ok(exit)
}

fn tell(cleaning: &Cleaning, out: &mut Output) -> Result<(), Failure> {
    for note in &cleaning.notes {
        out.say(note)?;
    }
    for path in &cleaning.live {
        out.say(&format!("{}: in work, or was less than an hour ago; it stays", path.display()))?;
    }
    if cleaning.spared.count > 0 {
        out.say(&format!(
            "{} of {} that none of these experiments needs stay, for somebody is computing in this store, perhaps from them; say it again when that \
             has ended",
            count(cleaning.spared.count, "entry").replace("entrys", "entries"),
            bytes(cleaning.spared.bytes)
        ))?;
    }
    if cleaning.older.count > 0 {
        out.say(&format!(
            "{} of {} of an older version of their stage, which only the bench that made them can use; --older counts them too",
            count(cleaning.older.count, "cell"),
            bytes(cleaning.older.bytes)
        ))?;
    }
    let Amount { count: cells, bytes: size } = cleaning.kept;
    if cleaning.removable.is_empty() {
        return out.say(&format!("nothing to remove; {} of {} stay", count(cells, "cell"), bytes(size)));
    }
    let mut rows = table(out.style(), &["not needed", "why", "size"]);
    let mut by_why: BTreeMap<String, (usize, u64)> = BTreeMap::new();
    for one in &cleaning.removable {
        rows.add_row([one.path.display().to_string(), one.why.to_string(), bytes(one.bytes)]);
        let sum = by_why.entry(one.why.to_string()).or_default();
        *sum = (sum.0 + 1, sum.1 + one.bytes);
    }
    out.print(&rows.trim_fmt())?;
    for (why, (n, size)) in by_why {
        out.print(&format!("{n} {why}: {}", bytes(size)))?;
    }
    out.print(&format!("{} of {} stay", count(cells, "cell"), bytes(size)))
}
