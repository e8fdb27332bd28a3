//! What became of a submission: the store first, then Slurm, then the exit codes that tasks left.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::queue::{Job, Jobs};
use super::{Active, REPORT, Resources, Submission};
use crate::run::CellKey;

/// Where a cell is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It is stored.
    Done,
    /// Slurm never got it.
    Unsubmitted,
    /// It waits, for what Slurm says.
    Pending {
        /// Slurm's reason, such as `Dependency`; may be empty.
        reason: String,
    },
    /// It works.
    Running {
        /// Where.
        node: String,
        /// Since when, as Slurm writes times.
        since: String,
    },
    /// It is not stored, and nobody works on it.
    Failed {
        /// Slurm's state (`OUT_OF_MEMORY`, `TIMEOUT`, `NODE_FAIL`, `FAILED`, ..), or what is known without it.
        reason: String,
        /// The exit code of the program, where it is known.
        exit: Option<i32>,
        /// The last line of its log that tells of an error, or else the last one.
        error: Option<String>,
    },
    /// It is not stored, and there is no Slurm here to ask.
    Unknown,
}

impl Progress {
    /// Whether it may still be done without anybody's help.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Pending { .. } | Self::Running { .. } | Self::Unknown)
    }

    /// Whether it will not be done without help.
    #[must_use]
    pub const fn is_failed(&self) -> bool {
        matches!(self, Self::Failed { .. } | Self::Unsubmitted)
    }
}

/// One cell of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// Its batch.
    pub batch: usize,
    /// Its place among the tasks of the batch.
    pub task: usize,
    /// Where it is.
    pub progress: Progress,
}

/// A submission at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    /// Every cell.
    pub cells: Vec<Watched>,
    /// The job of the reports.
    pub report: Progress,
}

/// Look at a submission. `jobs` are what Slurm says, or none where there is no Slurm to ask.
#[must_use]
pub fn follow(submission: &Submission, jobs: Option<&Jobs>) -> Followed {
    let runs = Path::new(&submission.folders.runs);
    let mut cells = Vec::new();
    for (at, batch) in submission.batches.iter().enumerate() {
        for (place, task) in batch.tasks.iter().enumerate() {
            let stored = CellKey::from_hex(&task.key).is_some_and(|key| batch.step.is_stored(runs, &key));
            let id = batch.job.as_deref().map(|job| (job, Some(task.index)));
            let progress = if stored {
                Progress::Done
            } else {
                unfinished(submission, (&batch.name, Some(task.index)), id, jobs)
            };
            cells.push(Watched { batch: at, task: place, progress });
        }
    }
    let id = submission.report.as_deref().map(|job| (job, None));
    let report = match unfinished(submission, (REPORT, None), id, jobs) {
        // It stores nothing: its exit code is all there is.
        Progress::Failed { exit: Some(0), .. } => Progress::Done,
        progress => progress,
    };
    Followed { cells, report }
}

/// Where a task is whose cell is not stored.
fn unfinished(
    submission: &Submission,
    (batch, index): (&str, Option<u32>),
    id: Option<(&str, Option<u32>)>,
    jobs: Option<&Jobs>,
) -> Progress {
    let Some((job, task)) = id else { return Progress::Unsubmitted };
    let left = std::fs::read_to_string(submission.ended(batch, index)).ok();
    let left = left.and_then(|text| text.split_whitespace().next()?.parse::<i32>().ok());
    let error = || last_error(&submission.log(batch, index));
    match (jobs.and_then(|jobs| jobs.get(&(job.to_owned(), task))), left) {
        (Some(job), _) if job.is_running() => {
            Progress::Running { node: job.node.clone(), since: job.since.clone() }
        }
        (Some(job), _) if job.is_pending() => Progress::Pending { reason: job.reason.clone() },
        (Some(job), left) => {
            let exit = left.or_else(|| exit_of(job));
            Progress::Failed { reason: reason(job), exit, error: error() }
        }
        (None, Some(code)) => {
            Progress::Failed { reason: "ended".to_owned(), exit: Some(code), error: error() }
        }
        (None, None) if jobs.is_none() => Progress::Unknown,
        (None, None) => {
            let reason = "gone: Slurm does not know it any more".to_owned();
            Progress::Failed { reason, exit: None, error: error() }
        }
    }
}

/// Slurm's state, with its reason where that says more.
fn reason(job: &Job) -> String {
    let more = ["", "NonZeroExitCode", "Prolog", "Resources", "Priority"];
    if more.contains(&job.reason.as_str()) || job.reason.eq_ignore_ascii_case(&job.state.replace('_', "")) {
        return job.state.clone();
    }
    format!("{} ({})", job.state, job.reason)
}

/// A signal is told as shells do.
fn exit_of(job: &Job) -> Option<i32> {
    match job.exit? {
        (0, 0) if job.state != "COMPLETED" => None,
        (code, 0) => Some(code),
        (_, signal) => Some(128 + signal),
    }
}

/// The last line of a log that tells of an error, or else its last line.
#[must_use]
pub fn last_error(log: &Path) -> Option<String> {
    /// The end of a log that is looked at.
    const END: u64 = 64 << 10;
    let mut file = File::open(log).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(END))).ok()?;
    let mut bytes = Vec::new();
    file.take(END).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let found = lines.iter().rev().find(|line| line.contains("error:")).or(lines.last())?;
    // What a log holds is anybody's; a terminal gets no control characters.
    Some(found.chars().filter(|c| !c.is_control()).take(300).collect())
}

/// What a task is given when it is tried again: twice the memory or the time, if that is what it lacked.
#[must_use]
pub fn raised(resources: Resources, progress: &Progress) -> Resources {
    /// 128 + SIGKILL: a program that was killed while its shell was not, which the system does for want of memory.
    const KILLED: i32 = 137;
    let Progress::Failed { reason, exit, error } = progress else { return resources };
    let starved = |line: &String| {
        let line = line.to_lowercase();
        ["oom-kill", "oom_kill", "out-of-memory", "memory limit"].iter().any(|words| line.contains(words))
    };
    let Resources { memory_mib, minutes, .. } = resources;
    if reason.starts_with("TIMEOUT") || reason.starts_with("DEADLINE") {
        Resources { minutes: 2 * minutes, ..resources }
    } else if reason.starts_with("OUT_OF_ME") || *exit == Some(KILLED) || error.as_ref().is_some_and(starved)
    {
        Resources { memory_mib: 2 * memory_mib, ..resources }
    } else {
        resources
    }
}

/// The tasks of submissions that wait or work, by what they compute.
#[must_use]
pub fn active(submissions: &[Submission], jobs: &Jobs) -> Active {
    let mut found = Active::new();
    for batch in submissions.iter().flat_map(|submission| &submission.batches) {
        let Some(job) = &batch.job else { continue };
        for task in &batch.tasks {
            if jobs.get(&(job.clone(), Some(task.index))).is_some_and(Job::is_active) {
                found.insert((batch.step, task.key.clone()), format!("{job}_{}", task.index));
            }
        }
    }
    found
}
