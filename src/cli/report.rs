//! `bench report`.

use std::path::PathBuf;

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
    if !results.is_empty() && !args.selection.overrides.is_empty() {
        let message = "-S changes the settings of experiments; what is in a results.json stays as it is";
        return Err(Failure::new(Exit::Usage, message));
    }
    let mut exit = Exit::Ok;
    for path in &results {
        match report::write_again(path) {
            Ok((report, written)) => shown(&report, &written, out)?,
            Err(error) => {
                let invalid = matches!(error, report::Error::Results { .. });
                let failure = Failure::from(pipeline::Error::from(error));
                exit = if invalid { Exit::Invalid } else { failure.exit };
                output::error(&Failure::new(exit, failure.message));
            }
        }
    }
    if files.is_empty() {
        return Ok(exit);
    }
    let selection = Selection { files, ..args.selection.clone() };
    let experiments = select::select_some(&selection)?;
    let wanted = summary::wanted(&args.summary, &experiments)?;
    let reporter = progress::reporter(common);
    let rebuilt = pipeline::rebuild(experiments, &run::folders(common), reporter.as_ref())?;
    let (mut written, mut parts) = (0, Vec::with_capacity(rebuilt.len()));
    for Rebuilt { experiment, report, part } in rebuilt {
        match report {
            Ok(Some((report, paths))) => {
                written += 1;
                shown(&report, &paths, out)?;
            }
            Ok(None) => {
                out.say_if(
                    &format!("{experiment}: no stored run; nothing to report"),
                    Exit::NothingSelected,
                )?;
            }
            Err(error) => {
                let failure = Failure::from(error);
                exit = failure.exit;
                output::error(&Failure::new(exit, format!("{experiment}: {}", failure.message)));
            }
        }
        parts.push(part);
    }
    if let Some(wanted) = wanted {
        let failed = summary::summary(parts, &wanted, common, out)?;
        if exit == Exit::Ok {
            exit = failed.unwrap_or(exit);
        }
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
