//! `bench report`.

use super::args::{Common, Selection};
use super::exit::{Exit, Failure};
use super::output::{self, Output};
use super::{progress, run, select};
use crate::{pipeline, report};

/// Make reports again from what is stored.
pub fn report(selection: &Selection, common: &Common, out: &mut Output) -> Result<Exit, Failure> {
    let experiments = select::select_some(selection)?;
    let reporter = progress::reporter(common);
    let rebuilt = pipeline::rebuild(experiments, &run::folders(common), reporter.as_ref())?;
    let (mut written, mut exit) = (0, Exit::Ok);
    for (experiment, result) in rebuilt {
        match result {
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
    }
    Ok(if written == 0 && exit == Exit::Ok { Exit::NothingSelected } else { exit })
}
