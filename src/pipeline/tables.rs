//! From cells to report files.

use std::path::{Path, PathBuf};

use super::Error;
use super::record::setting_records;
use crate::baseline::{self, Baseline};
use crate::eval;
use crate::experiment::{Averaging, Experiment, RetrieverSpec};
use crate::report::{self, Report};
use crate::run::Cell;

/// Where things are and go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    /// Upstream files.
    pub data: PathBuf,
    /// The run store.
    pub runs: PathBuf,
    /// Reports, a folder for each experiment.
    pub reports: PathBuf,
    /// Published numbers. If the folder does not exist, those that the program comes with are used.
    pub baselines: PathBuf,
}

/// Published numbers: every `.toml` file of the folder, or the built-in ones if there is no such folder.
///
/// # Errors
/// If a file cannot be read; all problems of the first such file.
pub fn published(folder: &Path) -> Result<Vec<Baseline>, Error> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(baseline::built_in()?) };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    paths.sort();
    Ok(paths.iter().map(|path| Baseline::load(path)).collect::<Result<_, _>>()?)
}

/// The report of an experiment from its finished cells, in the order of the seeds.
///
/// # Errors
/// As [`Report::build`].
pub fn build_report(
    experiment: &Experiment,
    cells: &[Cell],
    baselines: &[Baseline],
) -> Result<Report, Error> {
    let batch_size = match &experiment.retriever {
        RetrieverSpec::Lru(spec) => Some(spec.batch_size),
        RetrieverSpec::Popularity | RetrieverSpec::Random => None,
    };
    let averaging = match (experiment.evaluation.averaging, batch_size) {
        (Averaging::Batches, Some(size)) => eval::Averaging::Batches { size },
        _ => eval::Averaging::Users,
    };
    let seeds: Vec<u64> = experiment.seeds.iter().map(|seed| seed.get()).collect();
    Ok(Report::build(&report::Input {
        experiment: &experiment.name,
        description: &experiment.description,
        settings: &setting_records(experiment),
        cutoffs: &experiment.evaluation.cutoffs,
        averaging,
        batch_size,
        seeds: &seeds,
        cells,
        baselines,
        warnings: &[],
    })?)
}

/// Make the report and write it below `reports`.
pub(super) fn write(
    experiment: &Experiment,
    cells: &[Cell],
    baselines: &[Baseline],
    reports: &Path,
) -> Result<(Report, [PathBuf; 2]), Error> {
    let report = build_report(experiment, cells, baselines)?;
    let paths = report::write_report(&reports.join(&experiment.name), &report)?;
    Ok((report, paths))
}
