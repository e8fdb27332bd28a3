//! The scripts that `sbatch` takes, and its arguments: pure functions of a submission.

use super::quote::{line, quote};
use super::{After, Batch, LOGS, Minutes, REPORT, Resources, SUBMISSION, Submission, Task};

/// Names of tokens of the hub: a cell downloads nothing, so no job needs them.
const TOKENS: &str = "HF_TOKEN HUGGING_FACE_HUB_TOKEN";

/// The job that makes the reports reads what is stored, and knows no model.
const REPORTING: Resources = Resources { cpus: 1, memory_mib: 2048, minutes: 60, gpus: 0 };

/// The script of an array.
#[must_use]
pub fn script(submission: &Submission, batch: &Batch) -> String {
    let wishes = &submission.wishes;
    let limit = wishes.array_limit.map_or_else(String::new, |limit| format!("%{limit}"));
    let mut options = vec![
        format!("--job-name=bench-{}-{}", submission.name, batch.step),
        format!("--array={}{limit}", indices(&batch.tasks)),
        format!("--output={LOGS}/{}.%a.log", batch.name),
    ];
    if !batch.after.is_empty() {
        // A cell whose candidates could not be made is cancelled, and does not wait for ever.
        options.push("--kill-on-invalid-dep=yes".to_owned());
    }
    options.extend(resources(&batch.resources, wishes.gres.as_deref()));
    let threads = batch.resources.cpus.to_string();
    let manifest = submission.folder().join(SUBMISSION).to_string_lossy().into_owned();
    let mut command = vec![submission.program.as_str(), "cell"];
    command.extend(folders(submission));
    command.extend(["--threads", &threads, &manifest, &batch.name]);
    let index = "\"$SLURM_ARRAY_TASK_ID\"";
    let ended = quote(&submission.ended(&batch.name, None).to_string_lossy());
    let what = format!("{} of the stage {}", tasks(batch.tasks.len()), batch.step);
    text(submission, &what, &options, &format!("{} {index}", line(&command)), &format!("{ended}.{index}"))
}

/// The script of the job that makes the reports when all others have ended.
#[must_use]
pub fn report_script(submission: &Submission) -> String {
    let mut options = vec![
        format!("--job-name=bench-{}-{REPORT}", submission.name),
        format!("--output={LOGS}/{REPORT}.log"),
    ];
    options.extend(resources(&REPORTING, None));
    let mut command = vec![submission.program.as_str(), REPORT];
    command.extend(folders(submission));
    for change in &submission.overrides {
        command.extend(["-S", change.as_str()]);
    }
    command.push("--");
    command.extend(submission.files.iter().map(String::as_str));
    let ended = quote(&submission.ended(REPORT, None).to_string_lossy());
    text(submission, "the reports", &options, &line(&command), &ended)
}

/// The arguments of `sbatch` for the script of a batch. `jobs` are those of the batches before it.
#[must_use]
pub fn arguments(submission: &Submission, batch: &Batch, jobs: &[String]) -> Vec<String> {
    let job = |at: usize| jobs.get(at).map_or("?", String::as_str);
    let after = |after: &After| match after {
        After::Same(batch) => format!("aftercorr:{}", job(*batch)),
        After::Task(batch, index) => format!("afterok:{}_{index}", job(*batch)),
        After::Job(job) => format!("afterok:{job}"),
    };
    let after: Vec<String> = batch.after.iter().map(after).collect();
    sbatch(submission, &after.join(","), &batch.name)
}

/// The arguments of `sbatch` for the script of the reports, which waits for all `jobs` whatever becomes of them.
#[must_use]
pub fn report_arguments(submission: &Submission, jobs: &[String]) -> Vec<String> {
    let after = if jobs.is_empty() { String::new() } else { format!("afterany:{}", jobs.join(":")) };
    sbatch(submission, &after, REPORT)
}

fn sbatch(submission: &Submission, after: &str, name: &str) -> Vec<String> {
    let mut arguments = vec!["--parsable".to_owned()];
    if !after.is_empty() {
        arguments.push(format!("--dependency={after}"));
    }
    arguments.extend(submission.wishes.sbatch.iter().cloned());
    arguments.push(format!("{name}.sh"));
    arguments
}

/// What goes into every script. The exit code of the program is kept beside the log, for clusters without accounting. The shell
/// outlives the signal that Slurm sends before it kills, so that the program can stop at a safe point.
fn text(submission: &Submission, what: &str, options: &[String], command: &str, ended: &str) -> String {
    let Submission { name, bench, wishes, directory, .. } = submission;
    let mut all = options.to_vec();
    for (option, value) in
        [("partition", &wishes.partition), ("account", &wishes.account), ("qos", &wishes.qos)]
    {
        all.extend(value.as_ref().map(|value| format!("--{option}={value}")));
    }
    all.push("--open-mode=append".to_owned());
    all.push(if wishes.requeue { "--requeue" } else { "--no-requeue" }.to_owned());
    let options: String = all.iter().map(|option| format!("#SBATCH {option}\n")).collect();
    format!(
        "#!/bin/bash\n\
         # {what}; submission {name}, bench {bench}. To be submitted from the folder of this script, where its log goes.\n\
         {options}\
         ended={ended}\n\
         cd -- {} || exit 96\n\
         unset {TOKENS}\n\
         rm -f -- \"$ended\"\n\
         trap : TERM\n\
         {command}\n\
         code=$?\n\
         printf '%s %s\\n' \"$code\" \"${{SLURMD_NODENAME:-?}}\" > \"$ended\"\n\
         exit \"$code\"\n",
        quote(directory)
    )
}

fn resources(asked: &Resources, gres: Option<&str>) -> Vec<String> {
    let mut options = vec![
        "--nodes=1".to_owned(),
        "--ntasks=1".to_owned(),
        format!("--cpus-per-task={}", asked.cpus),
        format!("--mem={}M", asked.memory_mib),
        format!("--time={}", Minutes(asked.minutes)),
    ];
    match gres {
        Some(gres) => options.push(format!("--gres={gres}")),
        None if asked.gpus > 0 => options.push(format!("--gres=gpu:{}", asked.gpus)),
        None => {}
    }
    options
}

fn folders(submission: &Submission) -> Vec<&str> {
    let places = &submission.folders;
    let mut words =
        vec!["--data-dir", &places.data, "--runs-dir", &places.runs, "--reports-dir", &places.reports];
    if let Some(folder) = &places.baselines {
        words.extend(["--baselines-dir", folder.as_str()]);
    }
    words
}

fn tasks(n: usize) -> String {
    format!("{n} cell{}", if n == 1 { "" } else { "s" })
}

/// The indices of tasks as Slurm writes them: `0-2,5`.
fn indices(tasks: &[Task]) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for task in tasks {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == task.index => *last = task.index,
            _ => ranges.push((task.index, task.index)),
        }
    }
    let range = |&(first, last): &(u32, u32)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    ranges.iter().map(range).collect::<Vec<_>>().join(",")
}
