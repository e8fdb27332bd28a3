//! `bench status`: a submission, followed.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::args::{Common, StatusArgs};
use super::exit::{Exit, Failure};
use super::format::count;
use super::output::{self, Output};
use super::table::table;
use crate::slurm::{self, Followed, Progress, REPORT, Slurm, Submission, Watched};

/// Show where the cells of a submission are.
pub fn status(args: &StatusArgs, common: &Common, out: &mut Output) -> Result<Exit, Failure> {
    let mut shown = None;
    loop {
        // It may be submitted still, and then the manifest grows.
        let submission = slurm::find(&common.runs_dir, args.submission.as_deref()).map_err(Failure::from)?;
        let followed = follow(&submission)?;
        if shown.as_ref() != Some(&followed) {
            show(&submission, &followed, out)?;
        }
        let open = followed.cells.iter().any(|cell| cell.progress.is_open()) || followed.report.is_open();
        match args.watch {
            Some(seconds) if open => std::thread::sleep(Duration::from_secs(seconds)),
            _ => return Ok(exit(&followed)),
        }
        shown = Some(followed);
    }
}

/// What the store, Slurm and the exit codes say. A Slurm that does not answer is told, and the rest is shown.
fn follow(submission: &Submission) -> Result<Followed, Failure> {
    let mut ids: Vec<&str> = submission.batches.iter().filter_map(|batch| batch.job.as_deref()).collect();
    ids.extend(submission.report.as_deref());
    if !Slurm.is_here() {
        return Ok(slurm::follow(submission, None));
    }
    match Slurm.jobs(&ids) {
        Ok(jobs) => Ok(slurm::follow(submission, Some(&jobs))),
        Err(error) => {
            output::error(&Failure::from(error));
            Ok(slurm::follow(submission, None))
        }
    }
}

fn exit(followed: &Followed) -> Exit {
    let states = || followed.cells.iter().map(|cell| &cell.progress).chain([&followed.report]);
    if states().any(Progress::is_failed) {
        Exit::RunFailed
    } else if states().any(Progress::is_open) {
        Exit::Incomplete
    } else {
        Exit::Ok
    }
}

fn show(submission: &Submission, followed: &Followed, out: &mut Output) -> Result<(), Failure> {
    // Cells in the same state are one row with their seeds; what runs or failed has its own.
    type Row = (String, String, String, String);
    let mut rows: Vec<(Row, Vec<u64>)> = Vec::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for Watched { batch, task, progress } in &followed.cells {
        let (batch, task) = (&submission.batches[*batch], &submission.batches[*batch].tasks[*task]);
        *counts.entry(word(progress)).or_default() += 1;
        let row = (
            batch.step.to_string(),
            task.experiment.clone(),
            word(progress).to_owned(),
            detail(progress, &submission.log(&batch.name, Some(task.index))),
        );
        match rows.iter_mut().find(|(known, _)| *known == row) {
            Some((_, seeds)) => seeds.push(task.seed),
            None => rows.push((row, vec![task.seed])),
        }
    }
    let mut table = table(out.style(), &["stage", "experiment", "seeds", "state", ""]);
    for ((step, experiment, state, detail), seeds) in &rows {
        table.add_row([step, experiment, &ranges(seeds), state, detail]);
    }
    let report = detail(&followed.report, &submission.log(REPORT, None));
    table.add_row([REPORT, "", "", word(&followed.report), &report]);
    out.print(&table.trim_fmt())?;
    let total = count(followed.cells.len(), "cell");
    let states: Vec<String> = counts.iter().map(|(word, n)| format!("{n} {word}")).collect();
    out.print(&format!("{}: {total}, {}", submission.name, states.join(", ")))?;
    if followed.cells.iter().any(|cell| cell.progress.is_failed()) {
        out.say(&format!("`bench submit --resubmit {}` submits again what failed", submission.name))?;
    }
    Ok(())
}

/// `1-5, 8`: a sweep may have a thousand seeds.
fn ranges(seeds: &[u64]) -> String {
    let mut found: Vec<(u64, u64)> = Vec::new();
    for &seed in seeds {
        match found.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(seed) => *last = seed,
            _ => found.push((seed, seed)),
        }
    }
    let text = |&(first, last): &(u64, u64)| match last - first {
        0 => first.to_string(),
        1 => format!("{first}, {last}"),
        _ => format!("{first}-{last}"),
    };
    found.iter().map(text).collect::<Vec<_>>().join(", ")
}

const fn word(progress: &Progress) -> &'static str {
    match progress {
        Progress::Done => "done",
        Progress::Unsubmitted => "not submitted",
        Progress::Pending { .. } => "pending",
        Progress::Running { .. } => "running",
        Progress::Failed { .. } => "failed",
        Progress::Unknown => "unknown",
    }
}

fn detail(progress: &Progress, log: &Path) -> String {
    match progress {
        Progress::Done | Progress::Unsubmitted => String::new(),
        Progress::Pending { reason } => reason.clone(),
        Progress::Running { node, since } => match (node.as_str(), since.as_str()) {
            (node, "") => node.to_owned(),
            (node, since) => format!("on {node} since {since}"),
        },
        Progress::Failed { reason, exit, error } => {
            let exit = exit.map_or_else(String::new, |code| format!(", exit code {code}"));
            let error = error.as_ref().map_or_else(String::new, |line| format!("\n{line}"));
            let log = if log.is_file() { format!("\n{}", log.display()) } else { String::new() };
            format!("{reason}{exit}{error}{log}")
        }
        Progress::Unknown => "not stored; there is no Slurm here to ask".to_owned(),
    }
}
