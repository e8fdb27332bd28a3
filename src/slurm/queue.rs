//! What Slurm says of jobs: its plain formats, read.

use std::collections::BTreeMap;

/// A job, or a task of an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its state as Slurm names it, such as `RUNNING`.
    pub state: String,
    /// Why it is in it, such as `Dependency`; empty where Slurm gives no reason.
    pub reason: String,
    /// The nodes that it has or had; empty where it had none yet.
    pub node: String,
    /// When it began, as Slurm writes times; empty where it did not.
    pub since: String,
    /// Exit code, and the signal that ended it; where Slurm tells.
    pub exit: Option<(i32, i32)>,
}

/// Jobs by number and index.
pub type Jobs = BTreeMap<(String, Option<u32>), Job>;

/// The format of `squeue` that [`squeue`] reads. Tasks of an array must be a line each (`--array`).
pub const SQUEUE_FORMAT: &str = "%F|%K|%T|%r|%N|%S";

/// The fields of `sacct` that [`sacct`] reads.
pub const SACCT_FIELDS: &str = "JobID,State,ExitCode,NodeList,Start,Reason";

impl Job {
    /// Whether it waits or works.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.is_running() || self.is_pending()
    }

    /// Whether it has a node.
    #[must_use]
    pub fn is_running(&self) -> bool {
        let states = [
            "RUNNING",
            "COMPLETING",
            "CONFIGURING",
            "SUSPENDED",
            "STOPPED",
            "SIGNALING",
            "STAGE_OUT",
            "RESIZING",
        ];
        states.contains(&self.state.as_str())
    }

    /// Whether it has none yet, or again. A task whose dependency can never be satisfied will not get one.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        let states = ["PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD"];
        states.contains(&self.state.as_str()) && self.reason != "DependencyNeverSatisfied"
    }
}

/// Read what `squeue --noheader --array --format` with [`SQUEUE_FORMAT`] prints. Other lines are left out.
#[must_use]
pub fn squeue(text: &str) -> Jobs {
    let mut jobs = Jobs::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.trim().split('|').collect();
        let [job, index, state, reason, node, since] = fields[..] else { continue };
        // A task that has not begun has an expected time, or none.
        let begun = state != "PENDING";
        let job_of = Job {
            state: state.to_owned(),
            reason: known(reason),
            node: known(node),
            since: if begun { known(since) } else { String::new() },
            exit: None,
        };
        for index in indices(index) {
            jobs.insert((job.to_owned(), index), job_of.clone());
        }
    }
    jobs
}

/// Read what `sacct --parsable2 --noheader --allocations --format` with [`SACCT_FIELDS`] prints. Other lines are left out.
#[must_use]
pub fn sacct(text: &str) -> Jobs {
    let mut jobs = Jobs::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.trim().split('|').collect();
        let [id, state, exit, node, since, reason] = fields[..] else { continue };
        let (job, index) = id.split_once('_').unwrap_or((id, ""));
        // A step, such as 12.batch.
        if id.contains('.') || !is_number(job) {
            continue;
        }
        // "CANCELLED by 1000".
        let state = state.split(' ').next().unwrap_or_default();
        let job_of = Job {
            state: state.to_owned(),
            reason: known(reason),
            node: known(node),
            since: known(since),
            exit: exit_code(exit),
        };
        for index in indices(index.trim_matches(['[', ']'])) {
            jobs.insert((job.to_owned(), index), job_of.clone());
        }
    }
    jobs
}

/// Read what `scontrol --oneliner show job` prints.
#[must_use]
pub fn scontrol(text: &str) -> Jobs {
    let mut jobs = Jobs::new();
    for line in text.lines() {
        let fields: BTreeMap<&str, &str> =
            line.split(' ').rev().filter_map(|field| field.split_once('=')).collect();
        let get = |name: &str| fields.get(name).copied().unwrap_or_default();
        let (Some(id), Some(state)) = (fields.get("JobId"), fields.get("JobState")) else { continue };
        let job = fields.get("ArrayJobId").unwrap_or(id);
        let begun = !["PENDING", "REQUEUED"].contains(state);
        let job_of = Job {
            state: (*state).to_owned(),
            reason: known(get("Reason")),
            node: known(get("NodeList")),
            since: if begun { known(get("StartTime")) } else { String::new() },
            exit: exit_code(get("ExitCode")),
        };
        for index in indices(get("ArrayTaskId")) {
            jobs.insert(((*job).to_owned(), index), job_of.clone());
        }
    }
    jobs
}

/// Slurm has several words for nothing.
fn known(text: &str) -> String {
    let nothing = ["None", "(null)", "N/A", "Unknown", "None assigned", "none"];
    if nothing.contains(&text) { String::new() } else { text.to_owned() }
}

/// `1:0`: the exit code and the signal.
fn exit_code(text: &str) -> Option<(i32, i32)> {
    let (code, signal) = text.split_once(':')?;
    Some((code.parse().ok()?, signal.parse().ok()?))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The tasks of `3`, `0-2,5` or `1-9:2%4`; one without an index for what names none.
fn indices(text: &str) -> Vec<Option<u32>> {
    /// No array is longer, whatever a line says.
    const MOST: u32 = 1 << 20;
    let list = text.split('%').next().unwrap_or_default();
    let mut found = Vec::new();
    for part in list.split(',') {
        let (range, step) = part.split_once(':').unwrap_or((part, "1"));
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (Ok(first), Ok(last), Ok(step)) =
            (first.parse::<u32>(), last.parse::<u32>(), step.parse::<u32>())
        else {
            return vec![None];
        };
        if last >= MOST {
            return vec![None];
        }
        found.extend((first..=last).step_by(step.max(1) as usize).map(Some));
    }
    found
}
