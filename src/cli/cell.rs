//! `bench cell`: one cell of a submission. Its jobs call it; a person has no need to.

use std::path::{Path, PathBuf};

use super::args::{CellArgs, Common, Selection};
use super::exit::{Exit, Failure};
use super::output::Output;
use super::{interrupt, progress, run, select};
use crate::events::Event;
use crate::experiment::{DeviceChoice, Override};
use crate::pipeline::{self, CellEnding, Devices, Options};
use crate::run::CellKey;
use crate::seed::Seed;
use crate::slurm::{Submission, Task};

/// Compute the cell and store it.
pub fn cell(args: &CellArgs, common: &Common, out: &mut Output) -> Result<Exit, Failure> {
    let submission = Submission::load(&args.submission).map_err(Failure::from)?;
    let (batch, task) = submission.task(&args.batch, args.index).map_err(Failure::from)?;
    let Task { experiment: name, file, seed, key, .. } = task;
    let damaged = || Failure::new(Exit::Invalid, format!("{}: {key:?} is no key", args.submission.display()));
    let key = CellKey::from_hex(key).ok_or_else(damaged)?;
    let selection = Selection {
        files: vec![PathBuf::from(file)],
        overrides: overrides(&submission)?,
        ..Selection::default()
    };
    let reporter = progress::reporter(common);
    let interrupt = interrupt::listen(&reporter);
    let folders = run::folders(common);
    let devices = Devices::default();
    let options = Options {
        folders: &folders,
        keep_going: false,
        devices: &devices,
        reporter: reporter.as_ref(),
        interrupt: &interrupt,
    };
    let what = format!("{name}, seed {seed}, {}", batch.step);
    reporter
        .emit(Event::Note(&format!("{what}: task {} of {} in {}", args.index, args.batch, submission.name)));
    let named = select::select_some(&selection)?.into_iter().find(|found| found.path == Path::new(file));
    let Some(mut experiment) = named else {
        return Err(Failure::new(Exit::NothingSelected, format!("{file}: no experiment file")));
    };
    if let DeviceChoice::Cuda(_) = experiment.device {
        // Slurm gives a task one, which is the first that it sees.
        experiment.device = DeviceChoice::Cuda(0);
    }
    let told = |error| {
        let Failure { exit, message } = Failure::from(error);
        Failure::new(exit, format!("{what}: {message}"))
    };
    let wanted = (batch.step, Seed::new(*seed), &key);
    match pipeline::compute_cell(experiment, wanted, options).map_err(told)? {
        CellEnding::Stored { is_new } => {
            let how = if is_new { "stored" } else { "stored already" };
            out.say(&format!("{what}: {how} as {key}"))?;
            Ok(Exit::Ok)
        }
        CellEnding::Interrupted => Err(Failure::new(Exit::Interrupted, format!("{what}: interrupted"))),
        CellEnding::Waiting(needs) => {
            let missing = run::needs(&[(name.as_str(), needs.as_slice())]);
            Err(Failure::new(Exit::Invalid, format!("{what}: not on this node:\n{}", missing.join("\n"))))
        }
    }
}

/// The `-S` of a submission.
pub fn overrides(submission: &Submission) -> Result<Vec<Override>, Failure> {
    let parsed = submission.overrides.iter().map(|text| {
        text.parse()
            .map_err(|problem: crate::experiment::Problem| Failure::new(Exit::Invalid, problem.message))
    });
    parsed.collect()
}
