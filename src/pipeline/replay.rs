//! Stored results computed again, and compared with what is stored.

mod cells;
mod origin;
mod tree;

use std::path::{Path, PathBuf};

use super::prepare::prepare;
use super::{Ending, Error, Folders, Job, Need, Options, State, ranking_key, retrieval_key, run as run_all};
use crate::events::{Interrupt, Reporter};
use crate::experiment::{DeviceChoice, Experiment, Override, SecondStage};
use crate::pretrain::PretrainedCell;
use crate::report::{RESULTS, Report, read_results};
use crate::run::{CONFIG, Cell, CellKey, Manifest, Opened, RankingCell, SettingRecord, Stage, Store, atomic};

pub use cells::Difference;
pub use origin::Change;

/// That every file of a cell that is there is what was written: told before hours of work.
fn verify(cell: &Opened) -> Result<(), Error> {
    for name in cell.manifest().files.keys() {
        if let Err(error) = cell.file(name) {
            let what = format!("damaged: {error}; a run that needs it computes it again");
            return Err(Error::Replay { path: cell.folder().to_owned(), what });
        }
    }
    Ok(())
}

/// What is replayed: a cell of the store, or a report.
enum Original {
    Cell(Box<Opened>),
    Report(Box<Report>),
}

impl Original {
    /// Its circumstances.
    fn facts(&self) -> origin::Facts {
        match self {
            Self::Cell(cell) => origin::of_cell(cell.manifest()),
            Self::Report(report) => origin::of_report(report),
        }
    }
}

/// A stored result that can be computed again here.
pub struct Replay {
    folder: PathBuf,
    original: Original,
    experiment: Experiment,
    /// Where the cells are that it was computed from.
    store: PathBuf,
    /// Whether all stages are computed again, not the last one only.
    all: bool,
    changes: Vec<Change>,
}

/// What came of it.
pub struct Replayed {
    /// What is the same, one line each.
    pub same: Vec<String>,
    /// What could not be compared, for it is not there any more.
    pub absent: Vec<String>,
    /// What differs; nothing, if the replay gave the stored result.
    pub differences: Vec<Difference>,
}

impl Replay {
    /// Read what is stored in `folder` (of a cell, or of a report), make its experiment again from the stored settings, and look
    /// for what it needs. `all`: compute the candidates and a built-in backbone of a ranking again too, instead of taking them from
    /// the store.
    ///
    /// # Errors
    /// If there is nothing to replay, or its data or backbone are not here or not those of the stored result.
    pub fn open(
        folder: &Path,
        (all, overrides): (bool, &[Override]),
        folders: &Folders,
        reporter: &dyn Reporter,
    ) -> Result<Self, Error> {
        let (original, settings, store) = read(folder, folders)?;
        if let Original::Cell(cell) = &original {
            verify(cell)?;
        }
        let second = match &original {
            Original::Cell(cell) if cell.manifest().stage == Cell::NAME => SecondStage::Drop,
            _ => SecondStage::Keep,
        };
        let path = folder.join(if matches!(original, Original::Report(_)) { RESULTS } else { CONFIG });
        // Those that are stored; an experiment may have more.
        let seeds: Vec<u64> = match &original {
            Original::Cell(cell) => vec![cell.manifest().seed],
            Original::Report(report) => report.seeds.iter().map(|seed| seed.seed).collect(),
        };
        if let Some(given) = overrides.iter().find(|given| given.key() == "seeds") {
            let seeds: Vec<String> = seeds.iter().map(u64::to_string).collect();
            let what = format!(
                "-S {given}: a replay computes the seeds that are stored ({}); name the cell of a seed to replay that one alone",
                seeds.join(", ")
            );
            return Err(Error::Replay { path: folder.to_owned(), what });
        }
        let values = settings.into_iter().map(|SettingRecord { key, value, .. }| match key.as_str() {
            "seeds" => (key, seeds.clone().into()),
            _ => (key, value),
        });
        let experiment =
            Experiment::restore(&path, values, second, overrides).map_err(|problems| Error::Replay {
                path: path.clone(),
                what: format!("the stored settings are not those of this version: {problems}"),
            })?;
        let mut experiment = experiment;
        if experiment.device == DeviceChoice::Auto && !original.facts().was_on_device() {
            // A ranking that a processor computed differs on a device by rounding.
            experiment.device = DeviceChoice::Cpu;
        }
        let mut replay =
            Self { folder: folder.to_owned(), original, experiment, store, all, changes: Vec::new() };
        let job = prepare(vec![replay.experiment.clone()], &folders.data, reporter).into_iter().next();
        let job = job.ok_or_else(|| replay.refused("no experiment"))?;
        replay.changes = replay.look(&job, overrides)?;
        Ok(replay)
    }

    /// What is computed again, in words.
    #[must_use]
    pub fn what(&self) -> String {
        match &self.original {
            Original::Cell(cell) => {
                let Manifest { stage, seed, experiments, .. } = cell.manifest();
                format!("{stage} of {}, seed {seed}", experiments.join(", "))
            }
            Original::Report(report) => {
                let seeds: Vec<String> = report.seeds.iter().map(|seed| seed.seed.to_string()).collect();
                let s = if seeds.len() == 1 { "" } else { "s" };
                format!("{}, seed{s} {}", report.experiment, seeds.join(", "))
            }
        }
    }

    /// What differs already before anything is computed. A result may be the same all the same.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    fn refused(&self, what: impl Into<String>) -> Error {
        Error::Replay { path: self.folder.clone(), what: what.into() }
    }

    /// Hold data and backbone against the stored ones, and see that what was changed on purpose decides nothing.
    fn look(&self, job: &Job, overrides: &[Override]) -> Result<Vec<Change>, Error> {
        match &job.state {
            State::Ready(_) => {}
            State::Waiting(needs) => return Err(self.refused(needing(needs))),
            State::Broken(error) => return Err(self.refused(error.to_string())),
        }
        let Some(data) = &job.data else { return Err(self.refused("its data are not here")) };
        let facts = self.original.facts();
        facts.same_data(&data.record).map_err(|what| self.refused(what))?;
        if let (Some(stored), Some(located)) = (&facts.backbone, &job.backbone) {
            let identity = located.identity(&Interrupt::default())?;
            if identity != stored.identity && stored.source == super::BackboneSource::Embedded.name() {
                return Err(self.refused(format!(
                    "this bench makes another {} ({identity:.16}) than the one that was used ({:.16}); replay it with the bench \
                     that computed it",
                    stored.name, stored.identity
                )));
            }
            if identity != stored.identity && stored.is_random() {
                return Err(self.refused(format!(
                    "the random weights of {} are drawn for something else here ({identity:.16}) than they were ({:.16}): its config.json, \
                     its tokenizer.json or this bench is another one; {}",
                    stored.name,
                    stored.identity,
                    stored.random.as_ref().map_or_else(
                        || "bring those that were used".to_owned(),
                        |random| format!("then the shape was from {} and the tokenizer from {}", random.shape, random.tokenizer)
                    ),
                )));
            }
            if identity != stored.identity {
                return Err(self.refused(format!(
                    "the backbone {} has the hash {identity}; the stored one has {}; bring the files of {} that were used, or \
                     name their folder with -S backbone.name=FOLDER",
                    stored.name,
                    stored.identity,
                    stored.revision.as_deref().map_or_else(
                        || "the revision".to_owned(),
                        |revision| format!("revision {revision}")
                    ),
                )));
            }
        }
        let mut changes = facts.changes(&data.record);
        // The key is a hash of everything that the result depends on.
        for (seed, stage, stored) in &facts.keys {
            let Some(seed) = self.experiment.seeds.iter().find(|known| known.get() == *seed) else {
                return Err(
                    self.refused(format!("the stored settings do not have the seed {seed} of a stored run"))
                );
            };
            let first = retrieval_key(&self.experiment, data, *seed);
            let here = match (&job.backbone, *stage == RankingCell::NAME) {
                (Some(located), true) => {
                    ranking_key(&self.experiment, &first, located.identity(&Interrupt::default())?)
                }
                _ => first,
            };
            if here.as_str() != stored {
                let what = format!("key of the {stage}, seed {seed}");
                let (stored, here) = (stored.get(..16).unwrap_or(stored).to_owned(), here.short().to_owned());
                if let Some(given) = overrides.first() {
                    return Err(self.refused(format!(
                        "{what} is {here} with -S {given}, and {stored} is stored: a replay computes what is stored, and -S may only change \
                         what decides nothing, such as where a backbone lies"
                    )));
                }
                changes.push(Change { what, stored, here });
            }
        }
        Ok(changes)
    }

    /// Compute it again in the store at `options.folders.runs`, which should be empty, and compare.
    ///
    /// # Errors
    /// If it cannot be computed or stored, or what is stored cannot be read.
    pub fn run(&self, options: Options<'_>) -> Result<Replayed, Error> {
        if !self.all {
            self.give(&options.folders.runs)?;
        }
        let options = Options { keep_going: false, ..options };
        let mut summary = run_all(vec![self.experiment.clone()], options)?;
        let Some(outcome) = summary.outcomes.pop() else { return Err(self.refused("nothing was computed")) };
        let report = outcome.report;
        let finished = match outcome.ending {
            Ending::Finished { cells, .. } => cells,
            Ending::Failed { error, .. } | Ending::Broken(error) => return Err(error),
            Ending::Interrupted { .. } => return Err(Error::Retrieve(crate::retrieve::Error::Interrupted)),
            Ending::Waiting { needs, .. } => return Err(self.refused(needing(&needs))),
            Ending::NotStarted | Ending::Unfinished { .. } => {
                return Err(self.refused("what it needs went away meanwhile"));
            }
        };
        let replayed = &options.folders.runs;
        let mut compared = cells::Compared::default();
        match &self.original {
            Original::Cell(cell) => {
                let new = finished.first().ok_or_else(|| self.refused("nothing was computed"))?;
                if cell.manifest().stage == RankingCell::NAME {
                    let ranking = new.ranking.as_ref().ok_or_else(|| self.refused("nothing was ranked"))?;
                    compared.ranking(cell, ranking)?;
                    if self.all {
                        self.earlier_stages(cell.manifest(), &new.retrieval, replayed, &mut compared)?;
                    }
                } else {
                    compared.retrieval(cell, &new.retrieval)?;
                }
                compared.metrics(cell, (&self.experiment, new))?;
            }
            Original::Report(stored) => {
                let Some((new, _)) = report else { return Err(self.refused("no report was made")) };
                compared.reports(stored, &new)?;
                for new in &finished {
                    let seed = new.retrieval.manifest.seed;
                    let key = stored.seeds.iter().find(|known| known.seed == seed).map(|known| &known.key);
                    match self.stored(Cell::NAME, key) {
                        Some(cell) => compared.retrieval(&cell, &new.retrieval)?,
                        None => compared.absent("weights and candidates", seed),
                    }
                    let Some(ranking) = &new.ranking else { continue };
                    let of = |report: &Report| {
                        let section = report.ranker.as_ref()?;
                        Some(section.seeds.iter().find(|known| known.seed == seed)?.key.clone())
                    };
                    match self.stored(RankingCell::NAME, of(stored).as_ref()) {
                        Some(cell) => compared.ranking(&cell, ranking)?,
                        None => compared.absent("adapter and scores", seed),
                    }
                }
            }
        }
        Ok(compared.finish())
    }

    /// The cell of a key where it is said to be.
    fn stored(&self, stage: &str, key: Option<&String>) -> Option<Opened> {
        let key = CellKey::from_hex(key?)?;
        Opened::open(&self.store.join(stage).join(key.short())).ok()
    }

    /// Put into the new store what a ranking is made of: its candidates, and the built-in backbone.
    fn give(&self, runs: &Path) -> Result<(), Error> {
        let Original::Cell(cell) = &self.original else { return Ok(()) };
        let Some(ranker) = &cell.manifest().ranker else { return Ok(()) };
        if let Some(retrieval) = self.stored(Cell::NAME, Some(&ranker.retrieval_key))
            && let Some(key) = CellKey::from_hex(&ranker.retrieval_key)
        {
            let stored: Cell = retrieval.decode()?;
            Store::new(runs).save(&key, &stored, None)?;
        }
        if ranker.backbone.source == super::BackboneSource::Embedded.name()
            && let Some(made) = self.stored(PretrainedCell::NAME, Some(&ranker.backbone.identity))
            && let Some(key) = CellKey::from_hex(&ranker.backbone.identity)
            // Without its weights, as in a bundle, it is made again.
            && let Ok(made) = made.decode::<PretrainedCell>()
        {
            Store::<PretrainedCell>::at(runs.to_owned()).save_with(&key, &made, &[])?;
        }
        Ok(())
    }

    /// The stages before a ranking, where they were computed again too.
    fn earlier_stages(
        &self,
        ranking: &Manifest,
        retrieval: &Cell,
        runs: &Path,
        compared: &mut cells::Compared,
    ) -> Result<(), Error> {
        let Some(ranker) = &ranking.ranker else { return Ok(()) };
        match self.stored(Cell::NAME, Some(&ranker.retrieval_key)) {
            Some(cell) => compared.retrieval(&cell, retrieval)?,
            None => compared.absent("the candidates that were ranked", ranking.seed),
        }
        let made = Store::<PretrainedCell>::at(runs.to_owned());
        if let (Some(old), Some(key)) = (
            self.stored(PretrainedCell::NAME, Some(&ranker.backbone.identity)),
            CellKey::from_hex(&ranker.backbone.identity),
        ) && let Ok(new) = Opened::open(&made.cell_dir(&key))
        {
            compared.files(&old, new.manifest(), &ranker.backbone.name);
        }
        Ok(())
    }
}

fn needing(needs: &[Need]) -> String {
    let needs: Vec<String> = needs.iter().map(ToString::to_string).collect();
    format!("it needs {}", needs.join("; and "))
}

/// What lies in a folder, its settings, and the store that it belongs to.
fn read(folder: &Path, folders: &Folders) -> Result<(Original, Vec<SettingRecord>, PathBuf), Error> {
    let refused = |what: String| Error::Replay { path: folder.to_owned(), what };
    let results = folder.join(RESULTS);
    if results.is_file() {
        let report = read_results(&results)?;
        let settings = report.settings.clone();
        return Ok((Original::Report(Box::new(report)), settings, folders.runs.clone()));
    }
    if !folder.join("manifest.json").is_file() {
        return Err(refused(
            "neither a cell of a run store (manifest.json) nor a report (results.json); name such a folder, for example one that \
             `bench ls` lists"
                .to_owned(),
        ));
    }
    let cell = Opened::open(folder)?;
    let store = cell.root().unwrap_or_else(|| folders.runs.clone());
    match cell.manifest().stage.as_str() {
        stage if stage == Cell::NAME || stage == RankingCell::NAME => {}
        stage if stage == PretrainedCell::NAME => {
            return Err(refused(
                "a built-in backbone; it is made again with a ranking that uses it: bench replay --all CELL-OF-A-RANKING"
                    .to_owned(),
            ));
        }
        other => return Err(refused(format!("a cell of {other}, which was not computed by bench"))),
    }
    let bytes = cell
        .file(CONFIG)?
        .ok_or_else(|| refused(format!("it has no {CONFIG}, so its settings are not known")))?;
    let settings = serde_json::from_slice(&bytes)
        .map_err(|error| refused(format!("its {CONFIG} is not what it should be: {error}")))?;
    Ok((Original::Cell(Box::new(cell)), settings, store))
}

/// Prove that the new store is no other one: a replay that finds stored cells computes nothing.
///
/// # Errors
/// If there is something in it, or it cannot be written.
pub fn check_empty(runs: &Path) -> Result<(), Error> {
    let is_empty = std::fs::read_dir(runs).map_or(true, |mut entries| entries.next().is_none());
    if is_empty {
        return Ok(atomic::check_writable(runs)?);
    }
    let what = "not empty; a replay computes everything anew and needs a folder of its own".to_owned();
    Err(Error::Replay { path: runs.to_owned(), what })
}
