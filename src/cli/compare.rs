//! `bench compare`.

use std::path::{Path, PathBuf};

use super::args::{Common, CompareArgs, CompareFormat};
use super::exit::{Exit, Failure};
use super::output::{self, Output};
use super::{progress, run, select};
use crate::compare::{self, Compared, Method, Verdict};
use crate::document::{Checked, TerminalStyle, csv, html, json, markdown, terminal};
use crate::eval::{Metric, MetricKind, Rung};
use crate::experiment::Experiment;
use crate::pipeline::{self, Compare};
use crate::run::atomic;

/// Before the name of an imported run.
const IMPORTED: &str = "imported:";

/// Compare stored runs, print or write the table, and tell of gates.
pub fn compare(args: &CompareArgs, common: &Common, out: &mut Output) -> Result<Exit, Failure> {
    let format = format(args)?;
    let wanted = wanted(args)?;
    let metrics = metrics(&wanted);
    for gate in &args.gates {
        Compared::check_gate(&metrics, gate).map_err(|error| Failure::new(Exit::Usage, error))?;
    }
    let reporter = progress::reporter(common);
    let asked: Vec<Option<(String, usize)>> = wanted.iter().map(seeds).collect();
    let methods = pipeline::methods(wanted, &run::folders(common), reporter.as_ref())?;
    let reference = match &args.reference {
        None => 0,
        Some(name) => Compared::index(&methods, name).map_err(|error| Failure::new(Exit::Usage, error))?,
    };
    let compared = compare::compare(&methods, reference, &metrics).map_err(failure)?;
    let verdicts: Vec<Verdict> =
        args.gates.iter().flat_map(|gate| compared.judge(gate, args.gate_interval)).collect();
    let document = compared.document(&verdicts).map_err(failure)?;
    match &args.output {
        None => out.print(&text(&document, format, style(out)))?,
        Some(path) => {
            let text = text(&document, format, TerminalStyle::default());
            atomic::write(path, text.as_bytes()).map_err(|error| Failure::new(Exit::Output, error))?;
            out.print(&path.display().to_string())?;
        }
    }
    let missing = |(asked, method): (Option<(String, usize)>, &Method)| {
        let (file, seeds) = asked.filter(|(_, seeds)| method.runs.len() < *seeds)?;
        let there = method.runs.len();
        Some(format!(
            "{file}: {there} of {seeds} seeds are stored, so no gate can be judged; `bench {file}` computes the others"
        ))
    };
    let missing: Vec<String> = asked.into_iter().zip(&methods).filter_map(missing).collect();
    if !args.gates.is_empty() && !missing.is_empty() {
        return Err(Failure::new(Exit::Incomplete, missing.join("\n")));
    }
    let failed: Vec<String> =
        verdicts.iter().filter(|verdict| !verdict.passed).map(ToString::to_string).collect();
    if failed.is_empty() {
        return Ok(Exit::Ok);
    }
    output::error(&Failure::new(Exit::GateFailed, failed.join("\n")));
    Ok(Exit::GateFailed)
}

/// The file of an experiment, and how many seeds it has.
fn seeds(one: &Compare) -> Option<(String, usize)> {
    match one {
        Compare::Experiment(experiment, _) => {
            Some((experiment.path.display().to_string(), experiment.seeds.len()))
        }
        Compare::Imported(_) => None,
    }
}

fn failure(error: compare::Error) -> Failure {
    pipeline::Error::from(error).into()
}

/// The format that was asked for, by name or by the file's ending.
fn format(args: &CompareArgs) -> Result<Option<CompareFormat>, Failure> {
    let (None, Some(path)) = (args.format, &args.output) else { return Ok(args.format) };
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    match ending.as_str() {
        "md" => Ok(Some(CompareFormat::Md)),
        "json" => Ok(Some(CompareFormat::Json)),
        "csv" => Ok(Some(CompareFormat::Csv)),
        "html" => Ok(Some(CompareFormat::Html)),
        "txt" => Ok(None),
        _ => {
            let message = format!(
                "{}: its ending names no format; expected .md, .json, .csv, .html or .txt, or say --format",
                path.display()
            );
            Err(Failure::new(Exit::Usage, message))
        }
    }
}

/// As other tables, and not wider than the terminal.
fn style(out: &Output) -> TerminalStyle {
    TerminalStyle { width: comfy_table::Table::new().width(), ..out.style() }
}

fn text(document: &Checked, format: Option<CompareFormat>, style: TerminalStyle) -> String {
    match format {
        None => terminal(document, style),
        Some(CompareFormat::Md) => markdown(document, "figures"),
        Some(CompareFormat::Json) => json(document),
        Some(CompareFormat::Html) => html(document),
        Some(CompareFormat::Csv) => csv(document).into_iter().map(|(_, text)| text).collect(),
    }
}

/// What was named. Every problem of every file at once.
fn wanted(args: &CompareArgs) -> Result<Vec<Compare>, Failure> {
    let (mut found, mut files) = (Vec::new(), Vec::new());
    for text in &args.methods {
        match text.strip_prefix(IMPORTED) {
            Some(name) => found.push(Err(name.to_owned())),
            None => {
                let (path, rung) = split(text);
                files.push(path.clone());
                found.push(Ok((path, rung)));
            }
        }
    }
    let experiments = select::select_each(&files, &args.overrides)?;
    let of = |path: &Path| experiments.iter().find(|one| one.path == path).cloned();
    found
        .into_iter()
        .map(|one| match one {
            Err(name) => Ok(Compare::Imported(name)),
            Ok((path, rung)) => match of(&path) {
                Some(experiment) => Ok(Compare::Experiment(Box::new(experiment), rung)),
                None => Err(Failure::new(Exit::Usage, format!("{}: no experiment file", path.display()))),
            },
        })
        .collect()
}

/// A file and the stage behind its last colon. What lies there under the whole name is a file, whatever it is called.
fn split(text: &str) -> (PathBuf, Option<Rung>) {
    const RUNGS: [Rung; 3] = [Rung::Retriever, Rung::ZeroShot, Rung::Tuned];
    let stage = text.rsplit_once(':').filter(|_| !Path::new(text).exists());
    let rung =
        stage.and_then(|(path, name)| Some((path, RUNGS.into_iter().find(|rung| rung.name() == name)?)));
    match rung {
        Some((path, rung)) => (PathBuf::from(path), Some(rung)),
        None => (PathBuf::from(text), None),
    }
}

/// M, N and R at the cutoffs of the first experiment, or at 5 and 10 where only imported runs are compared.
fn metrics(wanted: &[Compare]) -> Vec<Metric> {
    let cutoffs = |experiment: &Experiment| experiment.evaluation.cutoffs.clone();
    let first = wanted.iter().find_map(|one| match one {
        Compare::Experiment(experiment, _) => Some(cutoffs(experiment)),
        Compare::Imported(_) => None,
    });
    let cutoffs = first.unwrap_or_else(|| vec![5, 10]);
    cutoffs.iter().flat_map(|k| MetricKind::ALL.map(|kind| Metric::new(kind, *k))).collect()
}
