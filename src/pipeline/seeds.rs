//! The seeds of one experiment, stage by stage.

use std::path::PathBuf;

use super::backbone::{Backbone, Located};
use super::cell;
use super::job::{ranking_key, retrieval_key};
use super::ranking::{self, Material};
use super::{Ending, Error, Options, Prepared, preflight, stored_bytes};
use crate::events::{Event, Reporter};
use crate::experiment::{Experiment, RankerSpec};
use crate::run::{self, Cell, CellCheckpoints, CellKey, Expected, Found, RankingCell, Stage, Store, atomic};
use crate::seed::Seed;

/// A seed that is done.
#[derive(Debug, Clone)]
pub struct Finished {
    /// Its first stage.
    pub retrieval: Cell,
    /// Its second stage, where the experiment has one.
    pub ranking: Option<RankingCell>,
}

/// An experiment whose data are there, and whose backbone too if it names one.
pub(super) struct Seeds<'a> {
    pub experiment: &'a Experiment,
    pub data: &'a Prepared,
    pub backbone: Option<&'a Located>,
    pub store: &'a Store,
    pub rankings: Store<RankingCell>,
    pub options: Options<'a>,
}

/// A cell of a stage, and the files that go with it.
type Computed<C> = (C, Vec<(String, Vec<u8>)>);

impl Seeds<'_> {
    /// Run all seeds.
    pub fn run(&self) -> Ending {
        let (experiment, options) = (self.experiment, self.options);
        let (name, total) = (&experiment.name, experiment.seeds.len());
        let (mut cells, mut computed) = (Vec::new(), 0);
        let mut failure: Option<(u64, Error)> = None;
        // Read once, when a seed needs it.
        let mut backbone = None;
        for (at, &seed) in experiment.seeds.iter().enumerate() {
            if options.interrupt.requested() {
                return Ending::Interrupted { cells, computed };
            }
            let of = if total == 1 { String::new() } else { format!(" ({} of {total})", at + 1) };
            match self.seed(seed, &of, &mut backbone) {
                Ok((finished, is_new)) => {
                    cells.push(finished);
                    computed += usize::from(is_new);
                }
                Err(error) if error.is_interrupt() => return Ending::Interrupted { cells, computed },
                Err(error) => {
                    let stop = error.is_output() || !options.keep_going;
                    if !stop {
                        options.reporter.emit(Event::Warning(&format!("{name}, seed {seed}: {error}")));
                    }
                    failure.get_or_insert((seed.get(), error));
                    if stop {
                        break;
                    }
                }
            }
        }
        match failure {
            None => Ending::Finished { cells, computed },
            Some((seed, error)) => Ending::Failed { cells, computed, seed: Some(seed), error },
        }
    }

    /// The cells of a seed, and whether one of them is new.
    fn seed(&self, seed: Seed, of: &str, backbone: &mut Option<Backbone>) -> Result<(Finished, bool), Error> {
        let Self { experiment, data, options, .. } = *self;
        let key = retrieval_key(experiment, data, seed);
        let compute = |checkpoints: &CellCheckpoints<'_>| {
            let (cell, weights) = cell::compute((experiment, data), seed, options, checkpoints)?;
            Ok((cell, cell::files(weights)))
        };
        let needed = stored_bytes(experiment, &data.split);
        let (retrieval, is_new) = self.stage(self.store, (&key, seed), needed, of, compute)?;
        let (Some(located), Some(spec)) = (self.backbone, &experiment.ranker) else {
            return Ok((Finished { retrieval, ranking: None }, is_new));
        };
        let (ranking, ranked) = self.ranking(seed, of, (&retrieval, &key), (located, spec), backbone)?;
        Ok((Finished { retrieval, ranking: Some(ranking) }, is_new || ranked))
    }

    fn ranking(
        &self,
        seed: Seed,
        of: &str,
        (retrieval, retrieval_key): (&Cell, &CellKey),
        (located, spec): (&Located, &RankerSpec),
        loaded: &mut Option<Backbone>,
    ) -> Result<(RankingCell, bool), Error> {
        let Self { experiment, data, options, .. } = *self;
        let identity = located.identity(options.interrupt)?;
        let key = ranking_key(experiment, retrieval_key, identity);
        let compute = |checkpoints: &CellCheckpoints<'_>| {
            preflight::check_reach(spec, &retrieval.retrieval)?;
            let runs = &options.folders.runs;
            let backbone = match loaded.take() {
                None => located.load((experiment, data), runs, options.reporter, options.interrupt)?,
                Some(backbone) => backbone,
            };
            let backbone = loaded.insert(backbone);
            let material = Material { experiment, spec, data, retrieval, backbone };
            ranking::compute(material, seed, options, checkpoints)
        };
        // Lists and scores of at most all users, in up to four readings, and an adapter.
        let users = data.split.test.len() as u64;
        let lists = 2 * users * (4 + 4 * 5 * u64::from(experiment.evaluation.candidates + 1));
        let adapter = super::ranking_cost::adapter_bytes(&located.config, spec);
        let place = format!("{of}, ranking");
        self.stage(&self.rankings, (&key, seed), lists + adapter + (64 << 10), &place, compute)
    }

    /// The cell of a stage, and whether it is new.
    fn stage<C: Stage>(
        &self,
        store: &Store<C>,
        (key, seed): (&CellKey, Seed),
        needed: u64,
        of: &str,
        compute: impl FnOnce(&CellCheckpoints<'_>) -> Result<Computed<C>, Error>,
    ) -> Result<(C, bool), Error> {
        let (name, reporter) = (&self.experiment.name, self.options.reporter);
        let expected = expected(self.experiment, self.data, seed);
        if let Some(cell) = stored(store, key, Some(&expected), reporter)? {
            reporter.emit(Event::Note(&format!("{name}, seed {seed}{of}: stored already as {key}")));
            return Ok((cell, false));
        }
        // Before the hours of work is the time to know whether there is room for what comes of them.
        atomic::check_room(store.root(), &store.cell_dir(key), needed)?;
        reporter.emit(Event::Note(&format!("{name}, seed {seed}{of}")));
        let checkpoints = store.checkpoints(key, reporter);
        let (cell, files) = compute(&checkpoints)?;
        if let Err(source) = store.save_with(key, &cell, &files) {
            let rescue = self.options.folders.rescue.join(format!("bench-rescued-{key}"));
            return Err(keep(key, (&cell, &files), (store, rescue), source));
        }
        checkpoints.done();
        // Read back: with the hashes of its files, as every later run sees it.
        Ok((stored(store, key, Some(&expected), reporter)?.unwrap_or(cell), true))
    }
}

/// What is known of a cell without it.
pub(super) fn expected<'a>(experiment: &'a Experiment, data: &'a Prepared, seed: Seed) -> Expected<'a> {
    let retriever = experiment.retriever.kind();
    Expected { seed: seed.get(), retriever, dataset: &data.record }
}

/// Keep a finished cell that the store did not take in the folder of temporary files, and say how that went.
fn keep<C: Stage>(
    key: &CellKey,
    (cell, files): (&C, &[(String, Vec<u8>)]),
    (store, rescue): (&Store<C>, PathBuf),
    source: run::Error,
) -> Error {
    let seed = cell.manifest().seed;
    match store.elsewhere(rescue).save_with(key, cell, files) {
        Ok(kept) => Error::Kept { seed, kept, place: store.cell_dir(key), source },
        Err(rescue) => Error::Lost { seed, source, rescue },
    }
}

/// The whole cell of a key; a damaged one is set aside with a warning that it is computed again.
pub(super) fn stored<C: Stage>(
    store: &Store<C>,
    key: &CellKey,
    expected: Option<&Expected<'_>>,
    reporter: &dyn Reporter,
) -> Result<Option<C>, Error> {
    Ok(match store.load_as(key, expected)? {
        Found::Complete(cell) => Some(*cell),
        Found::Missing => None,
        Found::Damaged(damage) => {
            reporter.emit(Event::Warning(&damage.to_string()));
            None
        }
    })
}
