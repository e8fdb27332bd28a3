//! `bench submit`: cells as job arrays.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::args::{Common, Selection, SubmitArgs, with_device};
use super::exit::{Exit, Failure};
use super::format::{bytes, count, duration};
use super::output::{self, Output};
use super::table::table;
use super::{cell, progress, run, select};
use crate::experiment::DeviceChoice;
use crate::pipeline::{self, Staged};
use crate::run::{Step, atomic, now};
use crate::slurm::{
    self, Active, After, ENDED, LOGS, Need, Places, Resources, SUBMISSION_VERSION, Slurm, Submission, Wanted,
    Wishes, absolute,
};

/// Where to compute, from the environment too: that of a node may be another one.
fn device(args: &SubmitArgs) -> Option<DeviceChoice> {
    let is_named = args.overrides.iter().any(|change| change.to_string().starts_with("device="));
    let of_environment = || std::env::var("BENCH_DEVICE").ok().filter(|_| !is_named)?.parse().ok();
    args.device.or_else(of_environment)
}

/// Submit what is not stored.
pub fn submit(args: &SubmitArgs, common: &Common, out: &mut Output) -> Result<Exit, Failure> {
    let earlier = match &args.resubmit {
        Some(name) => Some(slurm::find(&common.runs_dir, Some(name)).map_err(Failure::from)?),
        None => None,
    };
    let directory = working_directory()?;
    let selection = match &earlier {
        Some(earlier) => again(earlier, &directory)?,
        None => Selection {
            files: args.files.clone(),
            overrides: with_device(&args.overrides, device(args)),
            ..Selection::default()
        },
    };
    let experiments = select::select_some(&selection)?;
    let reporter = progress::reporter(common);
    let staged = pipeline::stages(experiments, &run::folders(common), reporter.as_ref())?;
    let mut exit = tell(&staged, out)?;
    let (active, raised) = known(args, common, earlier.as_ref())?;
    let wishes = wishes(args, earlier.as_ref());
    let (wanted, stored) = wanted(&staged, &wishes, &raised);
    let longest = if args.dry_run { u32::MAX } else { Slurm.longest_array() };
    let batches = slurm::arrays(&wanted, &active, longest);
    let busy = distinct(&wanted).iter().filter(|id| active.contains_key(id)).count();
    if stored > 0 {
        out.say(&format!("{} stored already", count(stored, "cell")))?;
    }
    if busy > 0 {
        out.say(&format!("{} in Slurm already", count(busy, "cell")))?;
    }
    if batches.is_empty() {
        out.say("nothing to submit")?;
        return Ok(exit);
    }
    let created = now();
    let name = match &args.name {
        Some(name) => name.clone(),
        None => free_name(&common.runs_dir, &created),
    };
    let mut submission = Submission {
        version: SUBMISSION_VERSION,
        name,
        created,
        bench: env!("CARGO_PKG_VERSION").to_owned(),
        program: program()?,
        directory,
        folders: places(common)?,
        files: files(&staged)?,
        overrides: selection.overrides.iter().map(ToString::to_string).collect(),
        wishes,
        again: earlier.map(|earlier| earlier.name),
        batches,
        report: None,
    };
    let scripts = scripts(&submission);
    guard(&submission, &scripts)?;
    if args.dry_run {
        for (name, text) in &scripts {
            out.print(&format!("==> {} <==\n{text}", submission.folder().join(name).display()))?;
        }
        show(&submission, out)?;
        out.say("nothing was submitted")?;
        return Ok(exit);
    }
    Slurm.check().map_err(Failure::from)?;
    let folder = submission.folder();
    if folder.symlink_metadata().is_ok() {
        let message =
            format!("{}: there is a submission of this name; choose another --name", folder.display());
        return Err(Failure::new(Exit::Usage, message));
    }
    let write = |error: crate::run::Error| Failure::from(pipeline::Error::from(error));
    for name in [LOGS, ENDED] {
        atomic::create_dir_all(&folder.join(name)).map_err(write)?;
    }
    for (name, text) in &scripts {
        atomic::write(&folder.join(name), text.as_bytes()).map_err(write)?;
    }
    submission.save().map_err(Failure::from)?;
    let submitted = Slurm.submit(&mut submission);
    if let (Err(error), true) = (&submitted, submission.batches.iter().all(|batch| batch.job.is_none())) {
        // Nothing is waiting that somebody would follow.
        let _ = std::fs::remove_dir_all(&folder);
        return Err(Failure::new(Exit::RunFailed, format!("{error}; nothing was submitted")));
    }
    show(&submission, out)?;
    out.print(&folder.join(slurm::SUBMISSION).display().to_string())?;
    if let Err(error) = submitted {
        let jobs = submission.batches.iter().filter(|batch| batch.job.is_some()).count();
        let message = format!(
            "{error}; {jobs} of {} were submitted; `bench submit --resubmit {}` submits the rest",
            count(submission.batches.len(), "array"),
            submission.name
        );
        output::error(&Failure::new(Exit::RunFailed, message));
        exit = Exit::RunFailed;
    }
    out.say(&format!("`bench status {}` follows it", submission.name))?;
    Ok(exit)
}

/// What cannot run here, as `bench run` and `bench plan` tell it.
fn tell(staged: &[Staged], out: &mut Output) -> Result<Exit, Failure> {
    let waiting: Vec<_> =
        staged.iter().map(|one| (one.experiment.name.as_str(), one.needs.as_slice())).collect();
    let missing = run::needs(&waiting);
    if !missing.is_empty() {
        out.say(&format!("Not submitted:\n{}", missing.join("\n")))?;
    }
    let mut exit = Exit::Ok;
    for Staged { experiment, broken, .. } in staged {
        if let Some(error) = broken {
            output::error(&Failure::new(Exit::Invalid, format!("{}: {error}", experiment.name)));
            exit = Exit::Invalid;
        }
    }
    Ok(if staged.iter().all(|one| one.cells.is_empty()) { Exit::Invalid } else { exit })
}

/// What Slurm works on already, and what the cells of an earlier submission get now.
type Known = (Active, BTreeMap<(Step, String), Resources>);

fn known(args: &SubmitArgs, common: &Common, earlier: Option<&Submission>) -> Result<Known, Failure> {
    if args.dry_run && !Slurm.is_here() {
        return Ok(Known::default());
    }
    let submissions = slurm::submissions(&common.runs_dir).map_err(Failure::from)?;
    let of = |submission: &Submission| -> Vec<String> {
        submission.batches.iter().filter_map(|batch| batch.job.clone()).collect()
    };
    let ids: Vec<String> = submissions.iter().flat_map(of).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let jobs = Slurm.jobs(&ids).map_err(Failure::from)?;
    let mut raised = BTreeMap::new();
    if let Some(earlier) = earlier {
        for slurm::Watched { batch, task, progress } in slurm::follow(earlier, Some(&jobs)).cells {
            let batch = &earlier.batches[batch];
            let id = (batch.step, batch.tasks[task].key.clone());
            raised.insert(id, slurm::raised(batch.resources, &progress));
        }
    }
    Ok((slurm::active(&submissions, &jobs), raised))
}

/// The cells that are not stored, and how many are.
fn wanted(
    staged: &[Staged],
    wishes: &Wishes,
    raised: &BTreeMap<(Step, String), Resources>,
) -> (Vec<Wanted>, usize) {
    let (mut wanted, mut stored) = (Vec::new(), std::collections::BTreeSet::new());
    for Staged { experiment, cells, .. } in staged {
        for cell in cells {
            let key = cell.key.as_str().to_owned();
            let Some(cost) = cell.cost.filter(|_| !cell.stored) else {
                stored.insert((cell.step, key));
                continue;
            };
            let need = Need {
                memory_bytes: cost.memory_bytes,
                seconds: cost.most_seconds,
                threads: cell.threads,
                gpus: pipeline::gpus(experiment, cell.step),
            };
            let mut resources = need.ask(wishes.cpus);
            if let Some(again) = raised.get(&(cell.step, key.clone())) {
                resources.memory_mib = resources.memory_mib.max(again.memory_mib);
                resources.minutes = resources.minutes.max(again.minutes);
            }
            resources.memory_mib = wishes.memory_mib.unwrap_or(resources.memory_mib);
            resources.minutes = wishes.minutes.unwrap_or(resources.minutes);
            wanted.push(Wanted {
                step: cell.step,
                resources,
                experiment: experiment.name.clone(),
                file: experiment.path.to_string_lossy().into_owned(),
                seed: cell.seed.get(),
                key,
                on: cell.on.iter().map(|(step, key)| (*step, key.as_str().to_owned())).collect(),
            });
        }
    }
    (wanted, stored.len())
}

fn distinct(wanted: &[Wanted]) -> std::collections::BTreeSet<(Step, String)> {
    wanted.iter().map(|cell| (cell.step, cell.key.clone())).collect()
}

/// What is asked of Slurm: as typed, and what is not typed as in the earlier submission. Its memory and time hold only for what did
/// not lack them, so those are asked for again as the cells had them.
fn wishes(args: &SubmitArgs, earlier: Option<&Submission>) -> Wishes {
    let before = earlier.map(|earlier| earlier.wishes.clone()).unwrap_or_default();
    let or = |new: &Option<String>, old: Option<String>| new.clone().or(old);
    let cpus = match (args.cpus, earlier) {
        (Some(cpus), _) => cpus,
        (None, Some(_)) => before.cpus,
        (None, None) => u16::try_from(rayon::current_num_threads().min(MOST_CPUS)).unwrap_or(1),
    };
    Wishes {
        partition: or(&args.partition, before.partition),
        account: or(&args.account, before.account),
        qos: or(&args.qos, before.qos),
        gres: or(&args.gres, before.gres),
        minutes: args.time.map(|time| time.0),
        memory_mib: args.mem.map(|memory| memory.0),
        array_limit: args.array_limit.or(before.array_limit),
        requeue: if args.no_requeue { false } else { args.requeue || earlier.is_none() || before.requeue },
        cpus,
        sbatch: if args.sbatch_arg.is_empty() { before.sbatch } else { args.sbatch_arg.clone() },
    }
}

/// Processors of a task where nobody says: more threads make training of these sizes hardly faster.
const MOST_CPUS: usize = 8;

/// Scripts by name, in the order of submission.
fn scripts(submission: &Submission) -> Vec<(String, String)> {
    let of_batch = |batch: &slurm::Batch| (format!("{}.sh", batch.name), slurm::script(submission, batch));
    let report = (format!("{}.sh", slurm::REPORT), slurm::report_script(submission));
    submission.batches.iter().map(of_batch).chain([report]).collect()
}

/// No secret of the environment gets into a file.
fn guard(submission: &Submission, scripts: &[(String, String)]) -> Result<(), Failure> {
    let manifest = serde_json::to_string(submission).unwrap_or_default();
    for variable in ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"] {
        let Some(secret) = std::env::var(variable).ok().filter(|secret| !secret.trim().is_empty()) else {
            continue;
        };
        let texts = scripts.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        for (what, text) in texts.chain([(slurm::SUBMISSION, manifest.as_str())]) {
            if text.contains(secret.trim()) {
                return Err(slurm::Error::Secret { what: what.to_owned(), variable }.into());
            }
        }
    }
    Ok(())
}

/// A table of the arrays.
fn show(submission: &Submission, out: &mut Output) -> Result<(), Failure> {
    let header = ["array", "job", "cells", "CPUs", "GPUs", "memory", "time", "after"];
    let mut table = table(out.style(), &header);
    let name = |at: usize| submission.batches[at].name.clone();
    for batch in &submission.batches {
        let after = batch.after.iter().map(|after| match after {
            After::Same(at) => format!("the same of {}", name(*at)),
            After::Task(at, index) => format!("{}.{index}", name(*at)),
            After::Job(job) => format!("job {job}"),
        });
        let Resources { cpus, memory_mib, minutes, gpus } = batch.resources;
        table.add_row([
            batch.name.clone(),
            batch.job.clone().unwrap_or_else(|| "-".to_owned()),
            batch.tasks.len().to_string(),
            cpus.to_string(),
            submission.wishes.gres.clone().unwrap_or_else(|| gpus.to_string()),
            bytes(memory_mib << 20),
            duration(minutes as f64 * 60.0),
            after.collect::<Vec<_>>().join(", "),
        ]);
    }
    let job = submission.report.clone().unwrap_or_else(|| "-".to_owned());
    let empty = || String::new();
    table.add_row([
        slurm::REPORT.to_owned(),
        job,
        empty(),
        "1".to_owned(),
        empty(),
        empty(),
        empty(),
        "all".to_owned(),
    ]);
    out.print(&table.trim_fmt())
}

/// The files of an earlier submission; their paths start in its folder.
fn again(earlier: &Submission, directory: &str) -> Result<Selection, Failure> {
    if directory != earlier.directory {
        let message = format!(
            "the submission {} was made in {}, where the paths of its experiments start; go there and resubmit",
            earlier.name, earlier.directory
        );
        return Err(Failure::new(Exit::Usage, message));
    }
    let files = earlier.files.iter().map(PathBuf::from).collect();
    Ok(Selection { files, overrides: cell::overrides(earlier)?, ..Selection::default() })
}

/// The experiment files that can run, as they were named.
fn files(staged: &[Staged]) -> Result<Vec<String>, Failure> {
    let can = staged.iter().filter(|one| !one.cells.is_empty());
    let text = |path: &Path| match path.to_str() {
        Some(text) if !text.contains('\n') => Ok(text.to_owned()),
        _ => Err(slurm::Error::Path { path: path.to_owned() }.into()),
    };
    can.map(|one| text(&one.experiment.path)).collect()
}

fn places(common: &Common) -> Result<Places, Failure> {
    let text = |path: &Path| absolute(path).map_err(Failure::from);
    let runs = text(&common.runs_dir)?;
    if runs.contains('%') {
        return Err(slurm::Error::Percent { runs }.into());
    }
    Ok(Places {
        data: text(&common.data_dir)?,
        runs,
        reports: text(&common.reports_dir)?,
        baselines: common.baselines_dir.as_deref().map(text).transpose()?,
    })
}

fn program() -> Result<String, Failure> {
    let fail = |error| Failure::new(Exit::Invalid, format!("where this program lies is not known: {error}"));
    absolute(&std::env::current_exe().map_err(fail)?).map_err(Failure::from)
}

fn working_directory() -> Result<String, Failure> {
    let fail = |error| Failure::new(Exit::Invalid, format!("the working folder is not known: {error}"));
    absolute(&std::env::current_dir().map_err(fail)?).map_err(Failure::from)
}

/// The time as a name, with a number where that is taken: `20261125-223000`.
fn free_name(runs: &Path, created: &str) -> String {
    let digits: String = created.chars().filter(char::is_ascii_digit).take(14).collect();
    let (day, time) = digits.split_at(digits.len().min(8));
    let base = format!("{day}-{time}");
    let taken = |name: &String| slurm::folder_of(runs, name).symlink_metadata().is_ok();
    let numbered = (2..).map(|number| format!("{base}-{number}"));
    std::iter::once(base.clone()).chain(numbered).find(|name| !taken(name)).unwrap_or(base)
}
