//! Reports from what is stored, without a model and, if need be, without the data.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::Value;

use super::prepare::prepare;
use super::record::setting_records;
use super::seeds::{Finished, expected, stored};
use super::tables::{Folders, published, write};
use super::{Error, Job, Located, Prepared, ranking_key, retrieval_key};
use crate::events::{Event, Interrupt, Reporter};
use crate::experiment::Experiment;
use crate::report::Report;
use crate::run::{
    Cell, CellKey, Manifest, RANKING_STAGE_VERSION, RETRIEVAL_STAGE_VERSION, RankingCell, SettingRecord,
    Stage, Store, atomic,
};
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
    let shelves = Shelves {
        retrievals: Shelf::new(Store::new(&folders.runs))?,
        rankings: Shelf::new(Store::rankings(&folders.runs))?,
        reporter,
    };
    let mut rebuilt = Vec::new();
    for job in prepare(experiments, &folders.data, reporter) {
        let one = || {
            let cells = shelves.finished(&job)?;
            if cells.is_empty() {
                return Ok(None);
            }
            write(&job.experiment, &cells, &baselines, &folders.reports).map(Some)
        };
        let result = one();
        rebuilt.push((job.experiment.name, result));
    }
    Ok(rebuilt)
}

/// An experiment with its data, and the seeds of it of which every stage is stored.
pub type Stored = (Job, Result<Vec<Finished>, Error>);

/// The stored seeds of every experiment, found as [`rebuild`] finds them.
///
/// # Errors
/// If the store cannot be read.
pub fn stored_seeds(
    experiments: Vec<Experiment>,
    folders: &Folders,
    reporter: &dyn Reporter,
) -> Result<Vec<Stored>, Error> {
    let shelves = Shelves {
        retrievals: Shelf::new(Store::new(&folders.runs))?,
        rankings: Shelf::new(Store::rankings(&folders.runs))?,
        reporter,
    };
    let jobs = prepare(experiments, &folders.data, reporter).into_iter();
    Ok(jobs
        .map(|job| {
            let finished = shelves.finished(&job);
            (job, finished)
        })
        .collect())
}

/// A stage of the store, and what its manifests say.
struct Shelf<C> {
    store: Store<C>,
    manifests: Vec<Manifest>,
}

impl<C: Stage> Shelf<C> {
    fn new(store: Store<C>) -> Result<Self, Error> {
        let manifests = store.list()?.into_iter().filter_map(|cell| cell.manifest.ok()).collect();
        Ok(Self { store, manifests })
    }
}

struct Shelves<'a> {
    retrievals: Shelf<Cell>,
    rankings: Shelf<RankingCell>,
    reporter: &'a dyn Reporter,
}

impl Shelves<'_> {
    /// The seeds of an experiment of which every stage is stored.
    fn finished(&self, job: &Job) -> Result<Vec<Finished>, Error> {
        let experiment = &job.experiment;
        let second = experiment.needs_backbone();
        let found = match (&job.data, &job.backbone) {
            (Some(data), None) if !second => self.of_data(experiment, data, None)?,
            (Some(data), Some(located)) => self.of_data(experiment, data, Some(located))?,
            _ if second => self.rankings_of_settings(experiment)?,
            _ => self.retrievals_of_settings(experiment)?,
        };
        let missing = match (&job.data, &job.backbone) {
            (None, _) => Some("the data are"),
            (_, None) if second => Some("the backbone is"),
            _ => None,
        };
        if let Some(missing) = missing.filter(|_| !found.is_empty()) {
            self.reporter.emit(Event::Note(&format!(
                "{}: {missing} not here; the stored seeds with its settings are taken",
                experiment.name
            )));
        }
        Ok(found)
    }

    fn of_data(
        &self,
        experiment: &Experiment,
        data: &Prepared,
        located: Option<&Located>,
    ) -> Result<Vec<Finished>, Error> {
        let mut found = Vec::new();
        for &seed in &experiment.seeds {
            let expected = expected(experiment, data, seed);
            let key = retrieval_key(experiment, data, seed);
            let Some(retrieval) = stored(&self.retrievals.store, &key, Some(&expected), self.reporter)?
            else {
                continue;
            };
            let mut ranking = None;
            if let Some(located) = located {
                let key = ranking_key(experiment, &key, located.identity(&Interrupt::default())?);
                ranking = stored(&self.rankings.store, &key, Some(&expected), self.reporter)?;
            }
            if ranking.is_some() || located.is_none() {
                found.push(Finished { retrieval, ranking });
            }
        }
        Ok(found)
    }

    /// The cells whose settings are those of the experiment.
    fn retrievals_of_settings(&self, experiment: &Experiment) -> Result<Vec<Finished>, Error> {
        let records = setting_records(experiment);
        let wanted = deciding(&records, false);
        let mut cells = Vec::new();
        for &seed in &experiment.seeds {
            let settings = |cell: &Cell| deciding(&cell.settings, false) == wanted;
            let found = self.of_settings(&self.retrievals, RETRIEVAL_STAGE_VERSION, seed, settings)?;
            cells.extend(found.map(|retrieval| Finished { retrieval, ranking: None }));
        }
        Ok(cells)
    }

    /// The same of the second stage, with the candidates that were ranked.
    fn rankings_of_settings(&self, experiment: &Experiment) -> Result<Vec<Finished>, Error> {
        let records = setting_records(experiment);
        let wanted = deciding(&records, true);
        let mut cells = Vec::new();
        for &seed in &experiment.seeds {
            let settings = |cell: &RankingCell| deciding(&cell.settings, true) == wanted;
            let found = self.of_settings(&self.rankings, RANKING_STAGE_VERSION, seed, settings)?;
            let Some(ranking) = found else { continue };
            let key =
                ranking.manifest.ranker.as_ref().and_then(|ranker| CellKey::from_hex(&ranker.retrieval_key));
            let Some(key) = key else { continue };
            let retrieval = stored(&self.retrievals.store, &key, None, self.reporter)?;
            cells.extend(retrieval.map(|retrieval| Finished { retrieval, ranking: Some(ranking) }));
        }
        Ok(cells)
    }

    fn of_settings<C: Stage>(
        &self,
        shelf: &Shelf<C>,
        version: u32,
        seed: Seed,
        same_settings: impl Fn(&C) -> bool,
    ) -> Result<Option<C>, Error> {
        let mut found: Vec<C> = Vec::new();
        for manifest in &shelf.manifests {
            let same = manifest.seed == seed.get() && manifest.code.stage_version == version;
            let Some(key) = CellKey::from_hex(&manifest.key).filter(|_| same) else { continue };
            found.extend(stored(&shelf.store, &key, None, self.reporter)?.filter(&same_settings));
        }
        let splits: BTreeSet<&str> =
            found.iter().map(|cell| cell.manifest().dataset.split_fingerprint.as_str()).collect();
        if splits.len() > 1 {
            return Err(Error::Ambiguous { seed: seed.get(), splits: splits.len() });
        }
        Ok(found.into_iter().next())
    }
}

/// The settings that decide the retrieval stage, and the ranking stage too if there is one, with their values.
fn deciding(settings: &[SettingRecord], ranking: bool) -> BTreeMap<&str, &Value> {
    const OTHERS: [&str; 3] = ["evaluation.averaging", "evaluation.candidates", "evaluation.mask_history"];
    settings
        .iter()
        .filter(|SettingRecord { key, .. }| {
            let first = key.starts_with("dataset.") || key.starts_with("retriever.");
            let second = key.starts_with("backbone.") || key.starts_with("ranker.");
            first
                || OTHERS.contains(&key.as_str())
                || ranking && second && key != "ranker.gradient_checkpointing"
        })
        .map(|setting| (setting.key.as_str(), &setting.value))
        .collect()
}
