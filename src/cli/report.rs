//! `bench report`.

use super::args::{Common, ReportArgs};
use super::exit::{Exit, Failure};
use super::output::{self, Output};
use super::{progress, run, select, summary};
use crate::pipeline::{self, Rebuilt};
use crate::report;

/// Make reports again from what is stored.
pub fn report(args: &ReportArgs, common: &Common, out: &mut Output) -> Result<Exit, Failure> {
    let experiments = select::select_some(&args.selection)?;
    let wanted = summary::wanted(&args.summary, &experiments)?;
    let reporter = progress::reporter(common);
    let rebuilt = pipeline::rebuild(experiments, &run::folders(common), reporter.as_ref())?;
    let (mut written, mut exit, mut parts) = (0, Exit::Ok, Vec::with_capacity(rebuilt.len()));
    for Rebuilt { experiment, report, part } in rebuilt {
        match report {
            Ok(Some((report, paths))) => {
                written += 1;
                out.say(&format!("\n{}", report::terminal(&report, out.style())))?;
                for path in paths {
                    out.print(&path.display().to_string())?;
                }
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
