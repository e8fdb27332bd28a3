//! `bench run`.

use super::args::{Common, RunArgs};
use super::exit::{Exit, Failure};
use super::format::list;
use super::output::{self, Output};
use super::{interrupt, progress, select, summary};
use crate::pipeline::{self, Devices, Ending, Folders, Need, Options, Outcome, Summary};
use crate::report;
use crate::run::Store;

/// Run the experiments and print their tables.
pub fn run(args: &RunArgs, common: &Common, out: &mut Output) -> Result<Exit, Failure> {
    let experiments = select::select_some(&args.selection)?;
    let several = experiments.len() > 1;
    let wanted = summary::wanted(&args.summary, &experiments)?;
    wanted.iter().try_for_each(|wanted| summary::check_reference(wanted, &experiments))?;
    let reporter = progress::reporter(common);
    let interrupt = interrupt::listen(&reporter);
    let folders = folders(common);
    let devices = Devices::default();
    let options = Options {
        folders: &folders,
        devices: &devices,
        keep_going: args.keep_going || several && !args.fail_fast,
        reporter: reporter.as_ref(),
        interrupt: &interrupt,
    };
    let mut summary = pipeline::run(experiments, options)?;
    for outcome in &summary.outcomes {
        tell(outcome, out)?;
    }
    let exit = exit(&summary, args.strict);
    not_run(&summary, exit, common, out)?;
    if let Some(message) = kept(&summary, common) {
        output::error(&Failure::new(Exit::Interrupted, message));
    }
    let Some(wanted) = wanted else { return Ok(exit) };
    let parts = summary.outcomes.drain(..).map(|outcome| outcome.part).collect();
    let failed = summary::summary(parts, &wanted, common, out)?;
    Ok(if exit == Exit::Ok { failed.unwrap_or(exit) } else { exit })
}

/// Where things are and go.
pub fn folders(common: &Common) -> Folders {
    Folders {
        data: common.data_dir.clone(),
        runs: common.runs_dir.clone(),
        reports: common.reports_dir.clone(),
        baselines: common.baselines_dir.clone(),
        rescue: std::env::temp_dir(),
    }
}

/// The table of an experiment and its files, and what failed.
fn tell(outcome: &Outcome, out: &mut Output) -> Result<(), Failure> {
    if let Some((report, paths)) = &outcome.report {
        out.say(&format!("\n{}", report::terminal(report, out.style())))?;
        for path in paths {
            out.print(&path.display().to_string())?;
        }
    }
    let name = &outcome.experiment;
    let failure = match &outcome.ending {
        Ending::Failed { seed: Some(seed), error, .. } => format!("{name}, seed {seed}: {error}"),
        Ending::Failed { error, .. } | Ending::Broken(error) => format!("{name}: {error}"),
        _ => return Ok(()),
    };
    output::error(&Failure::new(Exit::RunFailed, failure));
    Ok(())
}

/// What could not run here, and what it needs.
fn not_run(summary: &Summary, exit: Exit, common: &Common, out: &mut Output) -> Result<(), Failure> {
    let store = Store::new(&common.runs_dir);
    let (mut waiting, mut lines) = (Vec::new(), Vec::new());
    for Outcome { experiment, ending, .. } in &summary.outcomes {
        match ending {
            Ending::Waiting { needs, keys } => {
                waiting.push((experiment.as_str(), needs.as_slice()));
                let stored = |keys: &Vec<_>| keys.iter().filter(|key| store.is_complete(key)).count();
                lines.extend(keys.as_ref().map(|keys| {
                    format!(
                        "  {experiment}: its candidates are stored for {} of {} seeds",
                        stored(keys),
                        keys.len()
                    )
                }));
            }
            Ending::NotStarted => {
                lines.push(format!("  {experiment}: not started, because the run stopped before"));
            }
            Ending::Unfinished { left, .. } => lines.push(format!(
                "  {experiment}: seed{} {} left to other processes, because the run stopped before",
                if left.len() == 1 { "" } else { "s" },
                verb(left),
            )),
            _ => {}
        }
    }
    let lines: Vec<String> = needs(&waiting).into_iter().chain(lines).collect();
    if lines.is_empty() { Ok(()) } else { out.say_if(&format!("\nNot run:\n{}", lines.join("\n")), exit) }
}

/// `2 is`, `2 and 3 are`.
fn verb(seeds: &[u64]) -> String {
    format!("{} {}", list(seeds), if seeds.len() == 1 { "is" } else { "are" })
}

/// What experiments wait for, a line for each need.
pub fn needs(waiting: &[(&str, &[Need])]) -> Vec<String> {
    let mut grouped: Vec<(String, Vec<&str>)> = Vec::new();
    for (name, needs) in waiting {
        for need in needs.iter().map(ToString::to_string) {
            match grouped.iter_mut().find(|(known, _)| *known == need) {
                Some((_, names)) => names.push(name),
                None => grouped.push((need, vec![name])),
            }
        }
    }
    let line = |(need, names): &(String, Vec<&str>)| {
        let verb = if names.len() == 1 { "needs" } else { "need" };
        format!("  {} {verb} {need}", list(names))
    };
    grouped.iter().map(line).collect()
}

/// What an interrupted run leaves.
fn kept(summary: &Summary, common: &Common) -> Option<String> {
    let interrupted = |outcome: &Outcome| matches!(outcome.ending, Ending::Interrupted { .. });
    if !summary.outcomes.iter().any(interrupted) {
        return None;
    }
    let computed: usize = summary.outcomes.iter().map(|outcome| outcome.ending.computed()).sum();
    let seeds = if computed == 1 { "seed is" } else { "seeds are" };
    Some(format!(
        "interrupted: {computed} finished {seeds} kept in {}, and the state of the work that was stopped; run the same command again to go \
         on from there",
        common.runs_dir.display()
    ))
}

fn exit(summary: &Summary, strict: bool) -> Exit {
    let any = |test: &dyn Fn(&Ending) -> bool| summary.outcomes.iter().any(|outcome| test(&outcome.ending));
    let failed = |ending: &Ending, output: bool| matches!(ending, Ending::Failed { error, .. } if error.is_output() == output);
    let waiting = any(&|ending| matches!(ending, Ending::Waiting { .. }));
    if any(&|ending| matches!(ending, Ending::Interrupted { .. })) {
        Exit::Interrupted
    } else if any(&|ending| failed(ending, true)) {
        Exit::Output
    } else if any(&|ending| failed(ending, false)) {
        Exit::RunFailed
    } else if any(&|ending| matches!(ending, Ending::Broken(_)))
        || !any(&|ending| matches!(ending, Ending::Finished { .. }))
    {
        Exit::Invalid
    } else if waiting && strict {
        Exit::Incomplete
    } else {
        Exit::Ok
    }
}
