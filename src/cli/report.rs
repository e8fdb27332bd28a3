//! `bench report`.

use std::path::{Path, PathBuf};

use super::args::{Common, ReportArgs, Selection};
use super::exit::{Exit, Failure};
use super::output::{self, Output};
use super::{progress, run, select, summary};
use crate::pipeline::{self, Rebuilt};
use crate::report::{self, Report};

/// Make reports again from what is stored, or from the `results.json` of an earlier report.
pub fn report(args: &ReportArgs, common: &Common, out: &mut Output) -> Result<Exit, Failure> {
    let is_results = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "json");
    let (results, files): (Vec<PathBuf>, Vec<PathBuf>) =
        args.selection.files.iter().cloned().partition(is_results);
    for path in &results {
        let failed = |error: report::Error| Failure::from(pipeline::Error::from(error));
        let report =
            report::read_results(path).map_err(|error| Failure::new(Exit::Invalid, error.to_string()))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let written = report::write_report(folder, &report).map_err(failed)?;
        shown(&report, &written, out)?;
    }
    if files.is_empty() {
        return Ok(Exit::Ok);
    }
    let selection = Selection { files, ..args.selection.clone() };
    let experiments = select::select_some(&selection)?;
    let wanted = summary::wanted(&args.summary, &experiments)?;
    let reporter = progress::reporter(common);
    let rebuilt = pipeline::rebuild(experiments, &run::folders(common), reporter.as_ref())?;
    let (mut written, mut exit, mut parts) = (0, Exit::Ok, Vec::with_capacity(rebuilt.len()));
    for Rebuilt { experiment, report, part } in rebuilt {
        match report {
            Ok(Some((report, paths))) => {
                written += 1;
                shown(&report, &paths, out)?;
            }
            Ok(None) => out.say(&format!("{experiment}: no stored run; nothing to report"))?,
            Err(error) => {
                let failure = Failure::from(error);
                exit = failure.exit;
                output::error(&Failure::new(exit, format!("{experiment}: {}", failure.message)));
            }
        }
        parts.push(part);
    }
    if let Some(wanted) = wanted {
        exit = summary::summary(parts, &wanted, common, out)?.unwrap_or(exit);
    }
    Ok(if written == 0 && exit == Exit::Ok { Exit::NothingSelected } else { exit })
}

fn shown(report: &Report, paths: &[PathBuf], out: &mut Output) -> Result<(), Failure> {
    out.say(&format!("\n{}", report::terminal(report, out.style())))?;
    for path in paths {
        out.print(&path.display().to_string())?;
    }
    Ok(())
}
