//! The programs of Slurm.

use std::io;
use std::path::Path;
use std::process::Command;

use super::queue::{self, Jobs, SACCT_FIELDS, SQUEUE_FORMAT};
use super::quote::line;
use super::{Error, Submission, arguments, report_arguments};

/// The programs of Slurm on this machine's path.
#[derive(Debug, Clone, Copy, Default)]
pub struct Slurm;

/// Length of arrays where Slurm does not say: its own default allows indices below 1001.
const LONGEST: u32 = 1000;

impl Slurm {
    /// Whether there is a Slurm here.
    #[must_use]
    pub fn is_here(self) -> bool {
        Command::new("squeue").arg("--version").output().is_ok_and(|output| output.status.success())
    }

    /// Prove that jobs can be submitted from this machine.
    ///
    /// # Errors
    /// If `sbatch` is not there or does not start.
    pub fn check(self) -> Result<(), Error> {
        run("sbatch", &["--version"], None).map(drop)
    }

    /// The most tasks of an array: `MaxArraySize`, which is one more than the highest index.
    #[must_use]
    pub fn longest_array(self) -> u32 {
        let Ok(text) = run("scontrol", &["show", "config"], None) else { return LONGEST };
        let line = text.lines().find_map(|line| line.trim().strip_prefix("MaxArraySize"));
        let size = line.and_then(|line| line.trim().strip_prefix('=')?.trim().parse::<u32>().ok());
        size.filter(|&size| size > 1).unwrap_or(LONGEST).min(LONGEST)
    }

    /// Submit the arrays of a submission and then its report, in their order; the manifest is written after each, so that none is
    /// submitted without a trace. The scripts are in its folder already.
    ///
    /// # Errors
    /// If Slurm is not there or refuses, or the manifest cannot be written. What was submitted before stays submitted.
    pub fn submit(self, submission: &mut Submission) -> Result<(), Error> {
        let folder = submission.folder();
        let mut jobs: Vec<String> = Vec::new();
        for at in 0..submission.batches.len() {
            let job = sbatch(&folder, &arguments(submission, &submission.batches[at], &jobs))?;
            submission.batches[at].job = Some(job.clone());
            jobs.push(job);
            submission.save()?;
        }
        submission.report = Some(sbatch(&folder, &report_arguments(submission, &jobs))?);
        submission.save()
    }

    /// What is known of some jobs: waiting and running ones from `squeue`, ended ones from the accounting (`sacct`) or, where there
    /// is none, from what the controller remembers for some minutes (`scontrol`).
    ///
    /// # Errors
    /// If `squeue` is there and fails.
    pub fn jobs(self, ids: &[&str]) -> Result<Jobs, Error> {
        if ids.is_empty() {
            return Ok(Jobs::new());
        }
        let list = ids.join(",");
        let of_queue = ["--noheader", "--array", "--states=all", "--jobs", &list, "--format", SQUEUE_FORMAT];
        let queued = match run("squeue", &of_queue, None) {
            Ok(text) => queue::squeue(&text),
            // All of them have ended and are forgotten.
            Err(Error::Refused { what, .. }) if what.contains("Invalid job id") => Jobs::new(),
            Err(error) => return Err(error),
        };
        let of_accounting =
            ["--parsable2", "--noheader", "--allocations", "--jobs", &list, "--format", SACCT_FIELDS];
        let ended = match run("sacct", &of_accounting, None) {
            Ok(text) => queue::sacct(&text),
            Err(_) => {
                let mut known = Jobs::new();
                for id in ids {
                    if let Ok(text) = run("scontrol", &["--oneliner", "show", "job", id], None) {
                        known.append(&mut queue::scontrol(&text));
                    }
                }
                known
            }
        };
        Ok(merged(queued, ended))
    }
}

/// The queue knows best what waits and works, the others what has ended and how.
fn merged(queued: Jobs, ended: Jobs) -> Jobs {
    let mut jobs = ended;
    for (id, job) in queued {
        if job.is_active() || !jobs.contains_key(&id) {
            jobs.insert(id, job);
        }
    }
    jobs
}

/// The number of the job that `sbatch --parsable` prints, as `123` or `123;cluster`.
fn sbatch(folder: &Path, arguments: &[String]) -> Result<String, Error> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let text = run("sbatch", &words, Some(folder))?;
    let job = text.trim().lines().last().unwrap_or_default().split(';').next().unwrap_or_default().to_owned();
    if !job.is_empty() && job.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(job);
    }
    let program = format!("sbatch {}", line(arguments));
    Err(Error::Refused { program, what: format!("it printed {text:?}, which is not the number of a job") })
}

/// What a program prints.
fn run(program: &str, arguments: &[&str], folder: Option<&Path>) -> Result<String, Error> {
    let mut command = Command::new(program);
    // Whoever reads formats wants no others.
    for name in [
        "SQUEUE_FORMAT",
        "SQUEUE_FORMAT2",
        "SQUEUE_STATES",
        "SACCT_FORMAT",
        "SQUEUE_PARTITION",
        "SQUEUE_USERS",
    ] {
        command.env_remove(name);
    }
    command.env("SLURM_TIME_FORMAT", "standard").args(arguments).stdin(std::process::Stdio::null());
    if let Some(folder) = folder {
        command.current_dir(folder);
    }
    let output = command
        .output()
        .map_err(|source: io::Error| Error::Absent { program: program.to_owned(), source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    let what = if said.is_empty() { output.status.to_string() } else { said };
    Err(Error::Refused { program: format!("{program} {}", line(arguments)), what })
}
