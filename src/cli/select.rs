//! From paths to experiments: every problem of every file at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::args::Selection;
use super::exit::{Exit, Failure};
use crate::experiment::{ENV_PREFIX, Experiment, Loaded, Override};

/// What the files are.
pub struct Selected {
    /// The experiments, in the order of the files.
    pub experiments: Vec<Experiment>,
    /// Files that others inherit from.
    pub abstracts: Vec<PathBuf>,
}

/// Read all files that were named.
pub fn select(selection: &Selection) -> Result<Selected, Failure> {
    let (environment, overrides) = (environment(), selection.overrides());
    let mut selected = Selected { experiments: Vec::new(), abstracts: Vec::new() };
    let mut problems = Vec::new();
    for path in paths(&selection.files)? {
        match Experiment::check(&path, &overrides, &environment) {
            Ok(Loaded::Runnable(experiment)) => selected.experiments.push(*experiment),
            Ok(Loaded::Abstract) => selected.abstracts.push(path),
            Err(found) => problems.extend(found.0),
        }
    }
    let mut lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.extend(same_names(&selected.experiments));
    if lines.is_empty() {
        return Ok(selected);
    }
    // A wrong -S or variable is wrong in every file; once is enough.
    let mut seen = std::collections::BTreeSet::new();
    lines.retain(|line| seen.insert(line.clone()));
    Err(Failure::new(Exit::Invalid, lines.join("\n")))
}

/// The same, where there has to be something to work on.
pub fn select_some(selection: &Selection) -> Result<Vec<Experiment>, Failure> {
    let Selected { experiments, abstracts } = select(selection)?;
    if !experiments.is_empty() {
        return Ok(experiments);
    }
    let names: Vec<String> = abstracts.iter().map(|path| path.display().to_string()).collect();
    let verb = if names.len() == 1 { "is" } else { "are" };
    let message = format!(
        "{} {verb} marked abstract = true, for others to inherit from; name a file that inherits it",
        names.join(", ")
    );
    Err(Failure::new(Exit::NothingSelected, message))
}

/// The experiment of each file, where every one is meant by itself: no folders, no files that others inherit from. A file that is
/// named twice comes once, and two may have one name.
pub fn select_each(files: &[PathBuf], overrides: &[Override]) -> Result<Vec<Experiment>, Failure> {
    let environment = environment();
    let (mut experiments, mut lines): (Vec<Experiment>, Vec<String>) = (Vec::new(), Vec::new());
    let mut read = std::collections::BTreeSet::new();
    for path in files.iter().filter(|path| read.insert(*path)) {
        match Experiment::check(path, overrides, &environment) {
            Ok(Loaded::Runnable(experiment)) => experiments.push(*experiment),
            Ok(Loaded::Abstract) => lines.push(format!(
                "{}: marked abstract = true, for others to inherit from; name a file that inherits it",
                path.display()
            )),
            Err(found) => lines.extend(found.0.iter().map(ToString::to_string)),
        }
    }
    // A wrong -S or variable is wrong in every file; once is enough.
    let mut seen = std::collections::BTreeSet::new();
    lines.retain(|line| seen.insert(line.clone()));
    if lines.is_empty() { Ok(experiments) } else { Err(Failure::new(Exit::Invalid, lines.join("\n"))) }
}

/// Files as they are, folders as the `.toml` files in them; each file once.
fn paths(named: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut found: Vec<PathBuf> = Vec::new();
    let mut seen: Vec<PathBuf> = Vec::new();
    for path in named {
        let files = if path.is_dir() { folder(path)? } else { vec![path.clone()] };
        for file in files {
            let identity = file.canonicalize().unwrap_or_else(|_| file.clone());
            if !seen.contains(&identity) {
                seen.push(identity);
                found.push(file);
            }
        }
    }
    Ok(found)
}

fn folder(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let fail = |error| Failure::new(Exit::Invalid, format!("{}: cannot be read: {error}", path.display()));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(fail)? {
        let file = entry.map_err(fail)?.path();
        if file.extension().is_some_and(|extension| extension == "toml") && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() {
        let message = format!("{}: no experiment file (*.toml) in this folder", path.display());
        return Err(Failure::new(Exit::NothingSelected, message));
    }
    Ok(files)
}

/// Two experiments of one name would write one report.
fn same_names(experiments: &[Experiment]) -> Vec<String> {
    let mut first: BTreeMap<&str, &Path> = BTreeMap::new();
    let mut problems = Vec::new();
    for Experiment { name, path, .. } in experiments {
        if let Some(other) = first.insert(name, path) {
            problems.push(format!(
                "{}: the name {name:?} is that of {} too, and both would write the same report; rename one of them",
                path.display(),
                other.display()
            ));
        }
    }
    problems
}

/// Environment variables that may be settings. What is not text cannot be one.
fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with(ENV_PREFIX))
        .collect()
}
