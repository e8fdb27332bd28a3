//! The report over several experiments, from what is stored of each.

use std::fs;
use std::path::{Path, PathBuf};

use super::compare::{imported, methods_of_seeds};
use super::record::setting_records;
use super::tables::{published, turn};
use super::{Error, Finished, Folders};
use crate::baseline::Baseline;
use crate::document::{self, Checked, File};
use crate::experiment::Experiment;
use crate::paper::{self, Absent, Input, Paper, Study};
use crate::run::{Store, atomic};

/// What is wanted of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summarize {
    /// The folder below that of reports, and the name of the files without their ends.
    pub name: String,
    /// What percent improvements are of; see [`Input::reference`].
    pub reference: Option<String>,
    /// Names of imported runs that are shown too.
    pub imported: Vec<String>,
}

/// What the report takes of an experiment: what is stored, or why nothing is shown.
pub type Part = Result<Study, Absent>;

/// What the report over several experiments takes of an experiment whose finished seeds these are. Its ranks are copied, its
/// candidates and scores are not.
///
/// # Errors
/// Why nothing is shown: there is no finished seed, or they do not belong together.
pub fn part(experiment: &Experiment, finished: &[Finished]) -> Part {
    let absent = |why: String| Absent { experiment: experiment.name.clone(), why };
    let Some(first) = finished.first() else {
        return Err(absent(format!("nothing stored; bench {} computes it", experiment.path.display())));
    };
    let split = |seed: &Finished| seed.retrieval.manifest.dataset.split_fingerprint.clone();
    if let Some(other) = finished.iter().find(|seed| split(seed) != split(first)) {
        let (one, two) = (first.retrieval.manifest.seed, other.retrieval.manifest.seed);
        return Err(absent(format!(
            "left out, for its seeds {one} and {two} are of different splits ({} and {}); run both again on the same files",
            split(first).get(..12).unwrap_or_default(),
            split(other).get(..12).unwrap_or_default()
        )));
    }
    let ranker = first.ranking.as_ref().and_then(|cell| cell.manifest.ranker.as_ref());
    if ranker.is_some_and(|ranker| ranker.backbone.is_random()) {
        let why = "left out, for the weights of its backbone are random: it is not for reporting, and its own report has its times and memory";
        return Err(absent(why.to_owned()));
    }
    let methods =
        methods_of_seeds(experiment, finished).map_err(|error| absent(format!("left out: {error}")))?;
    let rankings = finished.iter().filter_map(|seed| seed.ranking.as_ref());
    Ok(Study {
        experiment: experiment.name.clone(),
        file: experiment.path.display().to_string(),
        cutoffs: experiment.evaluation.cutoffs.clone(),
        seeds: experiment.seeds.iter().map(|seed| seed.get()).collect(),
        settings: setting_records(experiment),
        retrievals: finished.iter().map(|seed| seed.retrieval.manifest.clone()).collect(),
        reads_what_is_trained: rankings.clone().all(|cell| cell.audit.reads_what_is_trained()),
        rankings: rankings.map(|cell| cell.manifest.clone()).collect(),
        methods,
    })
}

/// Make the report and write it in every format below `folders.reports`. The paths come in the order of
/// [`files`](document::files).
///
/// # Errors
/// As [`paper()`](paper::paper); if an imported run is not there; if a file cannot be written, and then the earlier ones stay.
pub fn summarize(
    parts: Vec<Part>,
    wanted: &Summarize,
    folders: &Folders,
) -> Result<(Paper, Vec<PathBuf>), Error> {
    let baselines = published(folders.baselines.as_deref())?;
    let made = make(parts, wanted, folders, &baselines)?;
    let _turn = turn(&folders.reports, &wanted.name)?;
    let paths = write(&folders.reports.join(&wanted.name), &made.document, &wanted.name)?;
    Ok((made, paths))
}

fn make(
    parts: Vec<Part>,
    wanted: &Summarize,
    folders: &Folders,
    baselines: &[Baseline],
) -> Result<Paper, Error> {
    let (mut studies, mut absent) = (Vec::new(), Vec::new());
    let count = parts.len();
    for part in parts {
        match part {
            Ok(study) => studies.push(study),
            Err(left) => absent.push(left),
        }
    }
    let store = Store::imported(&folders.runs);
    let imported = wanted.imported.iter().map(|name| imported(name, &store));
    let imported: Vec<_> = imported.collect::<Result<_, Error>>()?;
    let title = format!("Results of {count} experiment{}", if count == 1 { "" } else { "s" });
    Ok(paper::paper(&Input {
        title: &title,
        studies: &studies,
        absent: &absent,
        imported: &imported,
        baselines,
        reference: wanted.reference.as_deref(),
    })?)
}

/// Write it. Tables and figures of the report that was there before go, where this one has none of their names.
fn write(folder: &Path, document: &Checked, name: &str) -> Result<Vec<PathBuf>, Error> {
    let before = earlier(&folder.join(format!("{name}.json")));
    let files = document::files(document, name).into_iter();
    let files: Vec<_> = files.map(|File { path, bytes }| (folder.join(path), bytes)).collect();
    atomic::replace_all(&files, before.into_iter().map(|path| folder.join(path)))?;
    Ok(files.into_iter().map(|(path, _)| path).collect())
}

/// The tables and figures of a report that was written, below its folder; none if there is no report, or something else in its place.
fn earlier(json: &Path) -> Vec<String> {
    let text = fs::read_to_string(json).unwrap_or_default();
    let checked = document::read_json(&text).ok().and_then(|read| read.check().ok());
    let Some(document) = checked else { return Vec::new() };
    let (tables, figures) = (document.tables(), document.figures());
    document::parts(tables.map(|table| table.id.as_str()), figures.map(|figure| figure.id.as_str())).collect()
}
