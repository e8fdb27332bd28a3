//! Reports from what is stored, without a model and, if need be, without the data.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::Value;

use super::prepare::prepare;
use super::record::setting_records;
use super::tables::{Folders, published, write};
use super::{Error, Prepared, expected, retrieval_key, stored};
use crate::events::{Event, Reporter};
use crate::experiment::Experiment;
use crate::report::Report;
use crate::run::{Cell, CellKey, Manifest, RETRIEVAL_STAGE_VERSION, SettingRecord, Store, atomic};
use crate::seed::Seed;

/// An experiment's name, and its report with the two files, or `None` if nothing is stored for it.
pub type Rebuilt = (String, Result<Option<(Report, [PathBuf; 2])>, Error>);

/// Make the report of every experiment again from its stored seeds.
///
/// Where the data are there, their content decides which cells are meant, as in a run. Where they are not, the cells that
/// were computed with the same settings are taken.
///
/// # Errors
/// If the folder of reports cannot be written, or published numbers or the store cannot be read.
pub fn rebuild(
    experiments: Vec<Experiment>,
    folders: &Folders,
    reporter: &dyn Reporter,
) -> Result<Vec<Rebuilt>, Error> {
    atomic::check_writable(&folders.reports)?;
    let baselines = published(folders.baselines.as_deref())?;
    let store = Store::new(&folders.runs);
    let manifests: Vec<Manifest> = store.list()?.into_iter().filter_map(|cell| cell.manifest.ok()).collect();
    let mut rebuilt = Vec::new();
    for job in prepare(experiments, &folders.data, reporter) {
        let experiment = job.experiment;
        let one = || {
            let cells = match &job.data {
                // Its report is that of the ranker, which nothing computes yet.
                _ if experiment.needs_backbone() => Vec::new(),
                Some(data) => of_data(&experiment, data, &store, reporter)?,
                None => of_settings(&experiment, &manifests, &store, reporter)?,
            };
            if cells.is_empty() {
                return Ok(None);
            }
            write(&experiment, &cells, &baselines, &folders.reports).map(Some)
        };
        let result = one();
        rebuilt.push((experiment.name, result));
    }
    Ok(rebuilt)
}

fn of_data(
    experiment: &Experiment,
    data: &Prepared,
    store: &Store,
    reporter: &dyn Reporter,
) -> Result<Vec<Cell>, Error> {
    let cell = |&seed: &Seed| {
        let expected = expected(experiment, data, seed);
        stored(store, &retrieval_key(experiment, data, seed), Some(&expected), reporter)
    };
    let cells: Vec<Option<Cell>> = experiment.seeds.iter().map(cell).collect::<Result<_, _>>()?;
    Ok(cells.into_iter().flatten().collect())
}

/// The cells whose settings are those of the experiment.
fn of_settings(
    experiment: &Experiment,
    manifests: &[Manifest],
    store: &Store,
    reporter: &dyn Reporter,
) -> Result<Vec<Cell>, Error> {
    let records = setting_records(experiment);
    let wanted = deciding(&records);
    let mut cells = Vec::new();
    for seed in &experiment.seeds {
        let mut found: Vec<Cell> = Vec::new();
        for manifest in manifests {
            let same = manifest.seed == seed.get() && manifest.code.stage_version == RETRIEVAL_STAGE_VERSION;
            let Some(key) = CellKey::from_hex(&manifest.key).filter(|_| same) else { continue };
            let cell = stored(store, &key, None, reporter)?;
            found.extend(cell.filter(|cell| deciding(&cell.settings) == wanted));
        }
        let splits: BTreeSet<&str> =
            found.iter().map(|cell| cell.manifest.dataset.split_fingerprint.as_str()).collect();
        if splits.len() > 1 {
            return Err(Error::Ambiguous { seed: seed.get(), splits: splits.len() });
        }
        cells.extend(found.into_iter().next());
    }
    if !cells.is_empty() {
        let name = &experiment.name;
        reporter.emit(Event::Note(&format!(
            "{name}: the data are not here; the stored seeds with its settings are taken"
        )));
    }
    Ok(cells)
}

/// The settings that decide the retrieval stage, with their values.
fn deciding(settings: &[SettingRecord]) -> BTreeMap<&str, &Value> {
    const OTHERS: [&str; 3] = ["evaluation.averaging", "evaluation.candidates", "evaluation.mask_history"];
    settings
        .iter()
        .filter(|SettingRecord { key, .. }| {
            key.starts_with("dataset.") || key.starts_with("retriever.") || OTHERS.contains(&key.as_str())
        })
        .map(|setting| (setting.key.as_str(), &setting.value))
        .collect()
}
