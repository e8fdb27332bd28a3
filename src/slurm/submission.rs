//! What was submitted: the manifest of a submission and its folder.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Error, Resources};
use crate::run::{SUBMISSIONS, Step, atomic};

/// Version of `submission.json`.
pub const SUBMISSION_VERSION: u32 = 1;
/// The manifest in the folder of a submission.
pub const SUBMISSION: &str = "submission.json";
/// Logs of jobs, in that folder.
pub const LOGS: &str = "logs";
/// Exit codes of tasks, in that folder.
pub const ENDED: &str = "ended";
/// The job that makes the reports.
pub const REPORT: &str = "report";

/// Cells that were given to Slurm together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Submission {
    /// [`SUBMISSION_VERSION`].
    pub version: u32,
    /// Its name and that of its folder.
    pub name: String,
    /// UTC, RFC 3339.
    pub created: String,
    /// Version of the program that made it.
    pub bench: String,
    /// The program that its jobs start, from the root.
    pub program: String,
    /// The folder that the jobs work in; paths of experiment files start here.
    pub directory: String,
    /// Where things are and go.
    pub folders: Places,
    /// The experiment files, as they were named.
    pub files: Vec<String>,
    /// `-S` of the command, each as it was typed.
    pub overrides: Vec<String>,
    /// What was asked of Slurm.
    pub wishes: Wishes,
    /// The submission whose failures this one tries again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<String>,
    /// The arrays, each after those that it depends on.
    pub batches: Vec<Batch>,
    /// The Slurm job of the reports, once it is submitted.
    pub report: Option<String>,
}

/// The folders of a submission, from the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Places {
    /// Upstream files.
    pub data: String,
    /// The run store.
    pub runs: String,
    /// Reports.
    pub reports: String,
    /// Published numbers, where a folder was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baselines: Option<String>,
}

/// What was asked of Slurm beside the work.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wishes {
    /// `--partition`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
    /// `--account`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// `--qos`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qos: Option<String>,
    /// `--gres` of every cell, in place of a GPU for those that ask for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gres: Option<String>,
    /// The minutes that every cell gets, in place of the estimate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minutes: Option<u64>,
    /// The memory that every cell gets, in place of the estimate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u64>,
    /// The most tasks of an array that run at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub array_limit: Option<u32>,
    /// Whether a task whose node is lost is tried again.
    pub requeue: bool,
    /// Processors of a task.
    pub cpus: u16,
    /// Arguments of `sbatch`, passed as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sbatch: Vec<String>,
}

/// One job array: cells of one stage with the same resources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Names its script and its logs, such as `retrieval-0`.
    pub name: String,
    /// The stage.
    pub step: Step,
    /// What each task gets.
    pub resources: Resources,
    /// What has to be done before.
    pub after: Vec<After>,
    /// The Slurm job of the array, once it is submitted.
    pub job: Option<String>,
    /// The cells, by ascending index.
    pub tasks: Vec<Task>,
}

/// What an array waits for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum After {
    /// Each task for the task of the same index in this batch (`aftercorr`).
    Same(usize),
    /// All for one task of a batch (`afterok`).
    Task(usize, u32),
    /// All for a task of an earlier submission, such as `123_4` (`afterok`).
    Job(String),
}

/// One cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Its index in the array.
    pub index: u32,
    /// The experiment that it was planned for; others may share it.
    pub experiment: String,
    /// The file of that experiment, as it was named.
    pub file: String,
    /// The seed; of a built-in backbone, the first seed that needs it.
    pub seed: u64,
    /// The key of the cell, all 64 digits.
    pub key: String,
}

impl Submission {
    /// The folder of a submission.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        folder_of(Path::new(&self.folders.runs), &self.name)
    }

    /// Write the manifest.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save(&self) -> Result<(), Error> {
        Ok(atomic::write_json(&self.folder().join(SUBMISSION), self)?)
    }

    /// Read a manifest.
    ///
    /// # Errors
    /// If it cannot be read, is something else, or is of a later version.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let fail = |what: String| Error::Manifest { path: path.to_owned(), what };
        let bytes = fs::read(path).map_err(|error| fail(error.to_string()))?;
        let value: serde_json::Value = serde_json::from_slice(&bytes)
            .map_err(|error| fail(format!("not what it should be: {error}")))?;
        match value.get("version").and_then(serde_json::Value::as_u64) {
            Some(found) if found > u64::from(SUBMISSION_VERSION) => {
                return Err(fail(format!(
                    "format version {found}, this program knows up to {SUBMISSION_VERSION}; update bench"
                )));
            }
            Some(_) => {}
            None => return Err(fail("no version".to_owned())),
        }
        let mut read: Self =
            serde_json::from_value(value).map_err(|error| fail(format!("not what it should be: {error}")))?;
        read.check().map_err(fail)?;
        // A store that was moved, or that another machine sees elsewhere, is where it lies.
        let folder = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let mut above = folder.ancestors().skip(2);
        if let (Some(submissions), Some(runs)) = (above.next(), above.next())
            && submissions.file_name().is_some_and(|name| name == SUBMISSIONS)
            && let Some(runs) = runs.to_str()
        {
            runs.clone_into(&mut read.folders.runs);
        }
        Ok(read)
    }

    /// Dependencies point at batches before, and names are names: what scripts and paths are made of.
    fn check(&self) -> Result<(), String> {
        if !is_name(&self.name) {
            return Err(format!("the name {:?} is none", self.name));
        }
        for (at, batch) in self.batches.iter().enumerate() {
            let earlier = |after: &After| match after {
                After::Same(before) | After::Task(before, _) => *before < at,
                After::Job(_) => true,
            };
            if !is_name(&batch.name) || !batch.after.iter().all(earlier) || batch.tasks.is_empty() {
                return Err(format!("the batch {:?} contradicts the others", batch.name));
            }
        }
        Ok(())
    }

    /// The task of an index in a batch.
    ///
    /// # Errors
    /// If there is none.
    pub fn task(&self, batch: &str, index: u32) -> Result<(&Batch, &Task), Error> {
        let found = self.batches.iter().find(|one| one.name == batch);
        let task =
            found.and_then(|batch| Some((batch, batch.tasks.iter().find(|task| task.index == index)?)));
        task.ok_or_else(|| Error::NoTask { submission: self.name.clone(), batch: batch.to_owned(), index })
    }

    /// The file with the exit code of a task.
    #[must_use]
    pub fn ended(&self, batch: &str, index: Option<u32>) -> PathBuf {
        self.folder().join(ENDED).join(of_task(batch, index))
    }

    /// The file with what a task printed.
    #[must_use]
    pub fn log(&self, batch: &str, index: Option<u32>) -> PathBuf {
        self.folder().join(LOGS).join(format!("{}.log", of_task(batch, index)))
    }
}

fn of_task(batch: &str, index: Option<u32>) -> String {
    index.map_or_else(|| batch.to_owned(), |index| format!("{batch}.{index}"))
}

/// The folder of a submission below the folder of runs.
#[must_use]
pub fn folder_of(runs: &Path, name: &str) -> PathBuf {
    runs.join(SUBMISSIONS).join(name)
}

/// Whether a text can be the name of a submission: letters, digits, `.`, `_` and `-`, no point or dash in front, at most 60.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let sound = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (1..=60).contains(&text.len())
        && !text.starts_with(['.', '-'])
        && !text.ends_with('.')
        && text.chars().all(sound)
}

/// The submissions in a store, by the time when they were made. Folders without a manifest that can be read are left out.
///
/// # Errors
/// If the folder is there and cannot be read.
pub fn submissions(runs: &Path) -> Result<Vec<Submission>, Error> {
    let folder = runs.join(SUBMISSIONS);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound) => return Ok(Vec::new()),
        Err(error) => return Err(crate::run::Error::read(&folder, error).into()),
    };
    let mut found: Vec<Submission> =
        entries.flatten().filter_map(|entry| Submission::load(&entry.path().join(SUBMISSION)).ok()).collect();
    found.sort_by(|a, b| (&a.created, &a.name).cmp(&(&b.created, &b.name)));
    Ok(found)
}

/// The submission of a name in a store, or of a path to its manifest or folder; without one, the latest.
///
/// # Errors
/// If there is none, or it cannot be read.
pub fn find(runs: &Path, named: Option<&str>) -> Result<Submission, Error> {
    let Some(named) = named else {
        return submissions(runs)?.pop().ok_or_else(|| Error::NoSubmission { runs: runs.to_owned() });
    };
    let inside = folder_of(runs, named).join(SUBMISSION);
    let path = Path::new(named);
    if is_name(named) && (inside.is_file() || !path.exists()) {
        return Submission::load(&inside);
    }
    Submission::load(&if path.is_dir() { path.join(SUBMISSION) } else { path.to_owned() })
}
