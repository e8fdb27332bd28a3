//! The seeds of one experiment, stage by stage.

use std::path::PathBuf;

use super::backbone::{Backbone, Located};
use super::devices::{Computing, Purpose};
use super::footprint::Footprint;
use super::job::{ranking_key, retrieval_key};
use super::ranking::{self, Material};
use super::{Ending, Error, Options, Prepared, cell, preflight, stored_bytes};
use crate::events::Event;
use crate::experiment::{DeviceChoice, Experiment, RankerSpec};
use crate::rank::engine::not_uploaded;
use crate::run::{
    self, Cell, CellCheckpoints, CellKey, Claims, Expected, Holder, RankingCell, Stage, Store, Turn, Work,
    atomic,
};
use crate::seed::Seed;
use crate::{cuda, rank};

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
    pub rankings: &'a Store<RankingCell>,
    pub claims: &'a Claims,
    pub options: Options<'a>,
}

/// How far the seeds of an experiment are.
pub(super) struct Progress {
    slots: Vec<Slot>,
    failure: Option<(u64, Error)>,
    /// A failure after which nothing else is begun.
    stopped: bool,
    interrupted: bool,
}

struct Slot {
    seed: Seed,
    state: State,
    /// Its first stage, while the second is still to come: it is read once.
    retrieval: Option<Cell>,
    /// Whether a stage of it was computed here.
    is_new: bool,
}

enum State {
    Open,
    Held(Holder),
    Failed,
    Done(Box<Finished>),
}

impl Progress {
    pub fn new(seeds: &[Seed]) -> Self {
        let open = |&seed| Slot { seed, state: State::Open, retrieval: None, is_new: false };
        let slots = seeds.iter().map(open).collect();
        Self { slots, failure: None, stopped: false, interrupted: false }
    }

    /// The seeds that are neither done nor failed.
    pub fn left(&self) -> Vec<u64> {
        let open = |slot: &&Slot| matches!(slot.state, State::Open | State::Held(_));
        self.slots.iter().filter(open).map(|slot| slot.seed.get()).collect()
    }

    /// Whether there is nothing else to do for them here.
    pub fn is_over(&self) -> bool {
        self.stopped || self.interrupted || self.left().is_empty()
    }

    /// How they ended.
    pub fn ending(self) -> Ending {
        let left = self.left();
        let (mut cells, mut computed) = (Vec::new(), 0);
        for Slot { state, is_new, .. } in self.slots {
            if let State::Done(finished) = state {
                cells.push(*finished);
                computed += usize::from(is_new);
            }
        }
        match self.failure {
            _ if self.interrupted => Ending::Interrupted { cells, computed },
            Some((seed, error)) => Ending::Failed { cells, computed, seed: Some(seed), error },
            None if left.is_empty() => Ending::Finished { cells, computed },
            None => Ending::Unfinished { cells, computed, left },
        }
    }
}

/// A cell of a stage, and the files that go with it.
type Computed<C> = (C, Vec<(String, Vec<u8>)>);

impl Seeds<'_> {
    /// Go through the seeds that are open. One that another process is at is put off. Whether anything was done.
    pub fn pass(&self, progress: &mut Progress) -> bool {
        let (options, total) = (self.options, progress.slots.len());
        let name = &self.experiment.name;
        // Read once, when a seed needs it.
        let mut backbone = None;
        let mut moved = false;
        for (at, slot) in progress.slots.iter_mut().enumerate() {
            let told = match &slot.state {
                State::Open => None,
                State::Held(holder) => Some(holder.clone()),
                State::Failed | State::Done(_) => continue,
            };
            if options.interrupt.requested() {
                progress.interrupted = true;
                break;
            }
            let of = if total == 1 { String::new() } else { format!(" ({} of {total})", at + 1) };
            let seed = slot.seed;
            match self.seed(slot, &of, &mut backbone) {
                Ok(Turn::Ours(finished)) => {
                    slot.state = State::Done(Box::new(finished));
                    moved = true;
                }
                Ok(Turn::Theirs(holder)) => {
                    if told.as_ref() != Some(&holder) {
                        let text = format!("{name}, seed {seed}{of}: put off, for it is with {holder}");
                        options.reporter.emit(Event::Note(&text));
                    }
                    slot.state = State::Held(holder);
                }
                Err(error) if error.is_interrupt() => {
                    progress.interrupted = true;
                    break;
                }
                Err(error) => {
                    moved = true;
                    slot.state = State::Failed;
                    progress.stopped = error.is_output() || !options.keep_going;
                    if !progress.stopped {
                        options.reporter.emit(Event::Warning(&format!("{name}, seed {seed}: {error}")));
                    }
                    progress.failure.get_or_insert((seed.get(), error));
                    if progress.stopped {
                        break;
                    }
                }
            }
        }
        moved
    }

    /// Take what other processes stored meanwhile of the seeds that failed here, so that a report does not depend on who failed.
    pub fn gather(&self, progress: &mut Progress) {
        for slot in progress.slots.iter_mut().filter(|slot| matches!(slot.state, State::Failed)) {
            // Why it failed is told already; what cannot be read now is left out.
            if let Ok(Some(finished)) = self.stored_by_others(slot.seed) {
                slot.state = State::Done(Box::new(finished));
            }
        }
    }

    fn stored_by_others(&self, seed: Seed) -> Result<Option<Finished>, Error> {
        let Self { experiment, data, options, .. } = *self;
        let expected = expected(experiment, data, seed);
        let key = retrieval_key(experiment, data, seed);
        let ranking_key = match self.backbone {
            Some(located) => Some(ranking_key(experiment, &key, located.identity(options.interrupt)?)),
            None => None,
        };
        let Some(retrieval) = self.store.stored(&key, Some(&expected), options.reporter)? else {
            return Ok(None);
        };
        let Some(key) = ranking_key else { return Ok(Some(Finished { retrieval, ranking: None })) };
        let ranking = self.rankings.stored(&key, Some(&expected), options.reporter)?;
        Ok(ranking.map(|ranking| Finished { retrieval, ranking: Some(ranking) }))
    }

    /// The cells of a seed, or which process is at one of them.
    fn seed(
        &self,
        slot: &mut Slot,
        of: &str,
        backbone: &mut Option<Backbone>,
    ) -> Result<Turn<Finished>, Error> {
        let Self { experiment, data, options, .. } = *self;
        let Slot { seed, is_new, .. } = slot;
        let seed = *seed;
        let key = retrieval_key(experiment, data, seed);
        let compute = |checkpoints: &CellCheckpoints<'_>| {
            let (cell, weights) = cell::compute((experiment, data), seed, options, checkpoints)?;
            Ok((cell, cell::files(weights)))
        };
        let needed = stored_bytes(experiment, &data.split);
        let retrieval = match slot.retrieval.take() {
            Some(cell) => cell,
            None => match self.stage(self.store, (&key, seed), needed, of, is_new, compute)? {
                Turn::Ours(cell) => cell,
                Turn::Theirs(holder) => return Ok(Turn::Theirs(holder)),
            },
        };
        let (Some(located), Some(spec)) = (self.backbone, &experiment.ranker) else {
            return Ok(Turn::Ours(Finished { retrieval, ranking: None }));
        };
        Ok(match self.ranking(seed, of, (&retrieval, &key), (located, spec), backbone, is_new)? {
            Turn::Ours(ranking) => Turn::Ours(Finished { retrieval, ranking: Some(ranking) }),
            Turn::Theirs(holder) => {
                slot.retrieval = Some(retrieval);
                Turn::Theirs(holder)
            }
        })
    }

    fn ranking(
        &self,
        seed: Seed,
        of: &str,
        (retrieval, retrieval_key): (&Cell, &CellKey),
        (located, spec): (&Located, &RankerSpec),
        loaded: &mut Option<Backbone>,
        is_new: &mut bool,
    ) -> Result<Turn<RankingCell>, Error> {
        let Self { experiment, data, options, .. } = *self;
        let identity = located.identity(options.interrupt)?;
        let key = ranking_key(experiment, retrieval_key, identity);
        let runs = &options.folders.runs;
        let (reporter, interrupt) = (options.reporter, options.interrupt);
        if !self.rankings.is_complete(&key) {
            preflight::check_reach(spec, &retrieval.retrieval)?;
            // Before the ranking is claimed: who waits for a backbone must not keep others from what they can do.
            let made = located.make((experiment, data), (runs, self.claims), reporter, interrupt)?;
            if let Turn::Theirs(holder) = made {
                return Ok(Turn::Theirs(holder));
            }
        }
        let compute = |checkpoints: &CellCheckpoints<'_>| {
            preflight::check_reach(spec, &retrieval.retrieval)?;
            let (shared, told) = ((experiment, data), (reporter, interrupt));
            let load = |device| located.load(shared, runs, device, told);
            let rank = |backbone: &Backbone| {
                let material = Material { experiment, spec, data, retrieval, backbone };
                ranking::compute(material, seed, options, checkpoints)
            };
            let is_auto = experiment.device == DeviceChoice::Auto;
            let on_processor = |error: cuda::Error, loaded: &mut Option<Backbone>| {
                if !is_auto {
                    return Err(Error::Device { source: error, kept: checkpoints.any() });
                }
                // Nobody asked for this device, and the processor goes on from what it reached.
                reporter.emit(Event::Warning(&format!("{error}; going on without it")));
                // Its memory is given back first.
                *loaded = None;
                rank(loaded.insert(load(None)?))
            };
            let backbone = match loaded.take() {
                Some(backbone) => backbone,
                None => match load(self.device_of_ranker(located)?) {
                    Err(error) => {
                        let error = on_device(error)?;
                        return on_processor(error, loaded);
                    }
                    backbone => backbone?,
                },
            };
            match rank(loaded.insert(backbone)) {
                Err(Error::Rank(rank::Error::Device(error))) => on_processor(error, loaded),
                done => done,
            }
        };
        // Lists and scores of at most all users, in up to four readings, and an adapter.
        let users = data.split.test.len() as u64;
        let lists = 2 * users * (4 + 4 * 5 * u64::from(experiment.evaluation.candidates + 1));
        let adapter = super::ranking_cost::adapter_bytes(&located.config, spec);
        let (needed, place) = (lists + adapter + (64 << 10), format!("{of}, ranking"));
        self.stage(self.rankings, (&key, seed), needed, &place, is_new, compute)
    }

    /// The device on which the ranker is to compute, if there is one.
    fn device_of_ranker(&self, located: &Located) -> Result<Option<Computing>, Error> {
        let Self { experiment, options, .. } = *self;
        let needed = Footprint::of(experiment, located).map_or(0, |footprint| footprint.least());
        let opened = options.devices.open(experiment.device, (Purpose::Ranker, needed), options.reporter);
        let computing = opened.map_err(|source| Error::Device { source, kept: false })?;
        if let Some(Computing { facts, .. }) = &computing {
            options.reporter.emit(Event::Note(&format!("the ranker computes on {facts}")));
        }
        Ok(computing)
    }

    /// The cell of a stage, stored or computed now, or which process is at it. `is_new` is set where it is computed.
    fn stage<C: Stage>(
        &self,
        store: &Store<C>,
        (key, seed): (&CellKey, Seed),
        needed: u64,
        of: &str,
        is_new: &mut bool,
        compute: impl FnOnce(&CellCheckpoints<'_>) -> Result<Computed<C>, Error>,
    ) -> Result<Turn<C>, Error> {
        let (name, reporter) = (&self.experiment.name, self.options.reporter);
        let expected = expected(self.experiment, self.data, seed);
        let what = format!("{name}, seed {seed}{of}");
        let claim = match store.turn((key, &expected), self.claims, (&what, reporter))? {
            Turn::Ours(Work::Stored(cell)) => return Ok(Turn::Ours(cell)),
            Turn::Ours(Work::ToDo(claim)) => claim,
            Turn::Theirs(holder) => return Ok(Turn::Theirs(holder)),
        };
        // Before the hours of work is the time to know whether there is room for what comes of them.
        atomic::check_room(store.root(), &store.cell_dir(key), needed)?;
        reporter.emit(Event::Note(&what));
        let checkpoints = store.checkpoints(key, reporter);
        let (cell, files) = compute(&checkpoints)?;
        if let Err(source) = store.save_with(key, &cell, &files) {
            let rescue = self.options.folders.rescue.join(format!("bench-rescued-{key}"));
            return Err(keep(key, (&cell, &files), (store, rescue), source));
        }
        checkpoints.done();
        *is_new = true;
        // From here on others read it.
        drop(claim);
        // Read back: with the hashes of its files, as every later run sees it.
        Ok(Turn::Ours(store.stored(key, Some(&expected), reporter)?.unwrap_or(cell)))
    }
}

/// The failure of a device, if that is why weights could not be brought to it.
fn on_device(error: Error) -> Result<cuda::Error, Error> {
    match error {
        Error::Backbone(error) => not_uploaded(error).map_err(Error::Backbone),
        other => Err(other),
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
