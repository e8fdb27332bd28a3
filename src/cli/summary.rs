//! The report over several experiments, after `bench run` and `bench report`.

use super::args::{Common, SummaryArgs};
use super::exit::{Exit, Failure};
use super::output::{self, Output};
use super::run;
use crate::document::{TerminalStyle, terminal};
use crate::experiment::Experiment;
use crate::paper::{Coming, may_refer};
use crate::pipeline::{self, Part, Summarize};

/// Its name where none is given.
const SUMMARY: &str = "summary";

/// What was asked for; `None` if there is to be none.
pub fn wanted(args: &SummaryArgs, experiments: &[Experiment]) -> Result<Option<Summarize>, Failure> {
    let usage = |message: String| Err(Failure::new(Exit::Usage, message));
    let asked = args.reference.is_some() || !args.imported.is_empty();
    if args.no_summary || experiments.len() < 2 && args.summary.is_none() && !asked {
        return Ok(None);
    }
    let name = args.summary.as_deref().unwrap_or(SUMMARY);
    if !is_folder_name(name) {
        return usage(format!(
            "--summary {name:?}: expected a name for a folder: at most 100 letters, digits, `.`, `_` and `-`, with no point at either end"
        ));
    }
    // Some disks take names that differ in capitals for one.
    if let Some(same) = experiments.iter().find(|experiment| experiment.name.eq_ignore_ascii_case(name)) {
        return usage(format!(
            "{}: the experiment has the name {name:?}, and the report over all experiments would be written to its folder; name another \
             with --summary NAME, or leave it out with --no-summary",
            same.path.display()
        ));
    }
    let (reference, imported) = (args.reference.clone(), args.imported.clone());
    Ok(Some(Summarize { name: name.to_owned(), reference, imported }))
}

fn is_folder_name(name: &str) -> bool {
    let sound = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
    (1..=100).contains(&name.len())
        && !name.starts_with('.')
        && !name.ends_with('.')
        && name.chars().all(sound)
}

/// Prove before any work that what improvements are to be of can be in the report.
pub fn check_reference(wanted: &Summarize, experiments: &[Experiment]) -> Result<(), Failure> {
    let Some(reference) = &wanted.reference else { return Ok(()) };
    let coming = experiments.iter().map(|experiment| Coming {
        experiment: &experiment.name,
        retriever: experiment.retriever.kind(),
        backbone: experiment.backbone.as_ref().map(|spec| spec.name.as_str()),
    });
    let coming: Vec<Coming<'_>> = coming.collect();
    may_refer(reference, &coming, &wanted.imported).map_err(|error| Failure::new(Exit::Usage, error))
}

/// Make it, print its tables and the paths of its main files. The code of what went wrong, which is told here: the reports of the
/// experiments are written already.
pub fn summary(
    parts: Vec<Part>,
    wanted: &Summarize,
    common: &Common,
    out: &mut Output,
) -> Result<Option<Exit>, Failure> {
    if wanted.imported.is_empty() && parts.iter().all(Result::is_err) {
        // That nothing is stored was told already.
        for absent in parts.iter().filter_map(|part| part.as_ref().err()) {
            if absent.why.starts_with("left out") {
                out.say(&format!("{}: {}: {}", wanted.name, absent.experiment, absent.why))?;
            }
        }
        return Ok(None);
    }
    let (paper, paths) = match pipeline::summarize(parts, wanted, &run::folders(common)) {
        Ok(made) => made,
        Err(error) => {
            let Failure { exit, message } = Failure::from(error);
            output::error(&Failure::new(exit, format!("{}: {message}", wanted.name)));
            return Ok(Some(exit));
        }
    };
    let style = TerminalStyle { width: comfy_table::Table::new().width(), ..out.style() };
    out.say(&format!("\n{}", terminal(&paper.brief, style)))?;
    let folder = common.reports_dir.join(&wanted.name);
    let (main, others): (Vec<_>, Vec<_>) =
        paths.iter().partition(|path| path.parent().is_some_and(|parent| parent == folder));
    for path in main {
        out.print(&path.display().to_string())?;
    }
    out.say(&format!("and {} files of its tables and figures beside them", others.len()))?;
    Ok(None)
}
