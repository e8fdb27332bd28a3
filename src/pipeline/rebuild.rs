//! Reports from what is stored, without a model and, if need be, without the data.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use rayon::prelude::*;
use serde_json::Value;

use super::paper::{Part, part};
use super::prepare::prepare;
use super::record::setting_records;
use super::seeds::{Finished, expected};
use super::tables::{Folders, published, turn, write};
use super::{Error, Job, Located, Prepared, ranking_key, retrieval_key};
use crate::events::{Event, Interrupt, Reporter};
use crate::experiment::{Experiment, WITHOUT_INFLUENCE};
use crate::paper::Absent;
use crate::report::Report;
use crate::run::{
    CONFIG, Cell, CellKey, Damage, Expected, Found, Manifest, RANKING_STAGE_VERSION, RETRIEVAL_STAGE_VERSION,
    RankingCell, SettingRecord, Stage, Store, atomic,
};
use crate::seed::Seed;

/// What was made again of an experiment.
pub struct Rebuilt {
    /// Its name.
    pub experiment: String,
    /// Its report with its files, or `None` if nothing is stored for it.
    pub report: Result<Option<(Report, [PathBuf; 4])>, Error>,
    /// What a report over several experiments takes of it.
    pub part: Part,
}

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
    let shelves = Shelves::new(folders, reporter)?;
    let mut rebuilt = Vec::new();
    for job in prepare(experiments, &folders.data, reporter) {
        let turn = turn(&folders.reports, &job.experiment.name);
        let (report, part) = match turn.and_then(|turn| Ok((turn, shelves.finished(&job)?))) {
            Ok((_turn, cells)) => {
                let report = match cells.as_slice() {
                    [] => Ok(None),
                    cells => write(&job.experiment, cells, &baselines, job.data.as_deref(), &folders.reports)
                        .map(Some),
                };
                (report, part(&job.experiment, &cells))
            }
            Err(error) => {
                let why = format!("left out: {error}");
                (Err(error), Err(Absent { experiment: job.experiment.name.clone(), why }))
            }
        };
        rebuilt.push(Rebuilt { experiment: job.experiment.name, report, part });
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
    let shelves = Shelves::new(folders, reporter)?;
    let jobs = prepare(experiments, &folders.data, reporter).into_iter();
    Ok(jobs
        .map(|job| {
            let finished = shelves.finished(&job);
            (job, finished)
        })
        .collect())
}

/// The stored seeds of one experiment, found as [`rebuild`] finds them.
pub(super) fn stored_of(
    job: &Job,
    folders: &Folders,
    reporter: &dyn Reporter,
) -> Result<Vec<Finished>, Error> {
    Shelves::new(folders, reporter)?.finished(job)
}

/// Seeds of an experiment that are not among those that were found.
pub(super) fn absent(seeds: &[Seed], found: &[Finished]) -> Vec<String> {
    let there = |seed: &&Seed| found.iter().any(|one| one.retrieval.manifest.seed == seed.get());
    seeds.iter().filter(|seed| !there(seed)).map(Seed::to_string).collect()
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

impl<'a> Shelves<'a> {
    fn new(folders: &Folders, reporter: &'a dyn Reporter) -> Result<Self, Error> {
        Ok(Self {
            retrievals: Shelf::new(Store::new(&folders.runs))?,
            rankings: Shelf::new(Store::rankings(&folders.runs))?,
            reporter,
        })
    }

    /// The seeds of an experiment of which every stage is stored.
    fn finished(&self, job: &Job) -> Result<Vec<Finished>, Error> {
        let experiment = &job.experiment;
        let second = experiment.needs_backbone();
        let (data, located) = (job.data.as_deref(), job.backbone.as_deref());
        let of_seed = |&seed: &Seed| match (data, located) {
            (Some(data), None) if !second => self.of_data(experiment, data, None, seed),
            (Some(data), Some(located)) => self.of_data(experiment, data, Some(located), seed),
            _ if second => self.ranking_of_settings(experiment, data, located, seed),
            _ => self.retrieval_of_settings(experiment, seed),
        };
        // Reading is hashing and checking.
        let read: Vec<Result<Option<Finished>, Error>> = experiment.seeds.par_iter().map(of_seed).collect();
        // Of several errors always that of the first seed.
        let found: Vec<Option<Finished>> = read.into_iter().collect::<Result<_, Error>>()?;
        let found: Vec<Finished> = found.into_iter().flatten().collect();
        self.tell(job, &found);
        Ok(found)
    }

    /// What a reader of the report has to know of how its seeds were found, and of those that were not.
    fn tell(&self, job: &Job, found: &[Finished]) {
        let Experiment { name, seeds, .. } = &job.experiment;
        let missing = match (&job.data, &job.backbone) {
            (None, _) => Some("the data are"),
            (_, None) if job.experiment.needs_backbone() => Some("the backbone is"),
            _ => None,
        };
        if found.is_empty() {
            return;
        }
        if let Some(missing) = missing {
            self.reporter.emit(Event::Note(&format!(
                "{name}: {missing} not here; the stored seeds with its settings are taken"
            )));
        }
        let absent = absent(seeds, found);
        if !absent.is_empty() {
            self.reporter.emit(Event::Warning(&format!(
                "{name}: incomplete, for seed{} {} {} not stored; `bench {}` computes what is missing",
                if absent.len() == 1 { "" } else { "s" },
                absent.join(", "),
                if absent.len() == 1 { "is" } else { "are" },
                job.experiment.path.display()
            )));
        }
    }

    /// The whole cell of a key. A damaged one is set aside; nothing is computed here, and the warning says what does.
    fn stored<C: Stage>(
        &self,
        store: &Store<C>,
        key: &CellKey,
        expected: Option<&Expected<'_>>,
    ) -> Result<Option<C>, Error> {
        Ok(match store.load_as(key, expected)? {
            Found::Complete(cell) => Some(*cell),
            Found::Missing => None,
            Found::Damaged(Damage { path, what, set_aside }) => {
                self.reporter.emit(Event::Warning(&format!(
                    "read {}: {what}; the cell was set aside as {}; a report computes nothing: the next run that needs the cell \
                     computes it again",
                    path.display(),
                    set_aside.display()
                )));
                None
            }
        })
    }

    fn of_data(
        &self,
        experiment: &Experiment,
        data: &Prepared,
        located: Option<&Located>,
        seed: Seed,
    ) -> Result<Option<Finished>, Error> {
        let expected = expected(experiment, data, seed);
        let key = retrieval_key(experiment, data, seed);
        let Some(retrieval) = self.stored(&self.retrievals.store, &key, Some(&expected))? else {
            return Ok(None);
        };
        let Some(located) = located else { return Ok(Some(Finished { retrieval, ranking: None })) };
        let key = ranking_key(experiment, &key, located.identity(&Interrupt::default())?);
        let ranking = self.stored(&self.rankings.store, &key, Some(&expected))?;
        Ok(ranking.map(|ranking| Finished { retrieval, ranking: Some(ranking) }))
    }

    /// The cell whose settings are those of the experiment.
    fn retrieval_of_settings(&self, experiment: &Experiment, seed: Seed) -> Result<Option<Finished>, Error> {
        let records = setting_records(experiment);
        let wanted = deciding(&records, false);
        let found =
            self.of_settings(&self.retrievals, RETRIEVAL_STAGE_VERSION, seed, (&wanted, false), |_| true)?;
        Ok(found.map(|retrieval| Finished { retrieval, ranking: None }))
    }

    /// The same of the second stage, with the candidates that were ranked. Of what is here (the data or the backbone) the
    /// content decides, not only the settings.
    fn ranking_of_settings(
        &self,
        experiment: &Experiment,
        data: Option<&Prepared>,
        located: Option<&Located>,
        seed: Seed,
    ) -> Result<Option<Finished>, Error> {
        let records = setting_records(experiment);
        let wanted = deciding(&records, true);
        let candidates = data.map(|data| retrieval_key(experiment, data, seed));
        let identity = located.map(|located| located.identity(&Interrupt::default())).transpose()?;
        let same = |manifest: &Manifest| {
            let Some(ranker) = &manifest.ranker else { return false };
            candidates.as_ref().is_none_or(|key| key.as_str() == ranker.retrieval_key)
                && identity.is_none_or(|identity| identity == ranker.backbone.identity)
        };
        let found = self.of_settings(&self.rankings, RANKING_STAGE_VERSION, seed, (&wanted, true), same)?;
        let Some(ranking) = found else { return Ok(None) };
        let key =
            ranking.manifest.ranker.as_ref().and_then(|ranker| CellKey::from_hex(&ranker.retrieval_key));
        let Some(key) = key else { return Ok(None) };
        let retrieval = self.stored(&self.retrievals.store, &key, None)?;
        Ok(retrieval.map(|retrieval| Finished { retrieval, ranking: Some(ranking) }))
    }

    /// The only cell of a seed and stage with the settings that are wanted.
    fn of_settings<C: Stage>(
        &self,
        shelf: &Shelf<C>,
        version: u32,
        seed: Seed,
        (wanted, second): (&BTreeMap<&str, Value>, bool),
        same: impl Fn(&Manifest) -> bool,
    ) -> Result<Option<C>, Error> {
        let mut found: Vec<C> = Vec::new();
        for manifest in &shelf.manifests {
            let may_be =
                manifest.seed == seed.get() && manifest.code.stage_version == version && same(manifest);
            let Some(key) = CellKey::from_hex(&manifest.key).filter(|_| may_be) else { continue };
            // The settings are a small file and the ranks are not: a whole store of other cells is not read. A cell whose settings
            // cannot be read is left to `stored`, which sets it aside.
            let settings = shelf.store.file(&key, CONFIG).ok().flatten();
            let settings: Option<Vec<SettingRecord>> =
                settings.and_then(|bytes| serde_json::from_slice(&bytes).ok());
            if settings.is_none_or(|settings| deciding(&settings, second) == *wanted) {
                found.extend(self.stored(&shelf.store, &key, None)?);
            }
        }
        let several = |of: fn(&Manifest) -> Option<&str>| {
            found.iter().filter_map(|cell| of(cell.manifest())).collect::<BTreeSet<&str>>().len()
        };
        let splits = several(|manifest| Some(&manifest.dataset.split_fingerprint));
        if splits > 1 {
            return Err(Error::Ambiguous { seed: seed.get(), splits });
        }
        let backbones = several(|manifest| Some(&manifest.ranker.as_ref()?.backbone.identity));
        if backbones > 1 {
            return Err(Error::AmbiguousBackbone { seed: seed.get(), backbones });
        }
        Ok(found.into_iter().next())
    }
}

/// The settings that decide the retrieval stage, and the ranking stage with its backbone too if there is one, with their values.
pub(super) fn deciding(settings: &[SettingRecord], ranking: bool) -> BTreeMap<&str, Value> {
    const OTHERS: [&str; 3] = ["evaluation.averaging", "evaluation.candidates", "evaluation.mask_history"];
    const SECOND: [&str; 3] = ["backbone.", "pretrain.", "ranker."];
    settings
        .iter()
        .filter(|SettingRecord { key, .. }| {
            let without_influence =
                |key: &str| key.strip_prefix("ranker.").is_some_and(|name| WITHOUT_INFLUENCE.contains(&name));
            let first = key.starts_with("dataset.") || key.starts_with("retriever.");
            let second = SECOND.iter().any(|section| key.starts_with(section));
            first || OTHERS.contains(&key.as_str()) || ranking && second && !without_influence(key)
        })
        // Cells that are older than this setting have their weights from files.
        .filter(|SettingRecord { key, value, .. }| key != "backbone.weights" || value != "files")
        .map(|SettingRecord { key, value, .. }| {
            let mut value = value.clone();
            // A set, whose order decides nothing.
            if let Some(targets) = value.as_array_mut().filter(|_| key == "ranker.lora_targets") {
                targets.sort_by_key(Value::to_string);
                targets.dedup();
            }
            (key.as_str(), value)
        })
        .collect()
}
