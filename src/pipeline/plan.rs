//! What a run would do, without doing it.

use std::collections::BTreeSet;

use super::estimate::{Cost, estimate, matrix_speed};
use super::paces::{Paces, paces};
use super::preflight::check_reach;
use super::prepare::prepare;
use super::ranking_cost::{self, Size, cost_at, device_speed, parts, pretraining_cost, prompt_tokens};
use super::record::setting_records;
use super::seeds::expected;
use super::why::{Miss, Shelf, Wanted};
use super::{
    Devices, Error, Folders, Footprint, Job, Located, Need, Place, Prepared, Purpose, State, device_bytes,
    ranking_key, retrieval_key,
};
use crate::events::{Event, Interrupt, Reporter};
use crate::experiment::Experiment;
use crate::run::claim::holder;
use crate::run::{
    Cell, CellKey, Glance, Holder, Manifest, Pulse, RANKING_STAGE_VERSION, RETRIEVAL_STAGE_VERSION,
    RankingCell, SettingRecord, Stage, Store,
};
use crate::seed::Seed;

/// What a run would do with one seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It is stored and would be used.
    Stored,
    /// What is stored is damaged: it would be set aside and computed again.
    Again,
    /// It would be computed.
    Compute,
    /// Another process computes it now.
    Claimed,
    /// An experiment before it in the plan computes the same.
    Shared,
    /// What is stored cannot be read: the run would fail.
    Refused,
    /// It cannot run here.
    Waiting,
    /// It cannot run at all.
    Broken,
}

impl Fate {
    /// Whether the run computes it.
    #[must_use]
    pub const fn computes(self) -> bool {
        matches!(self, Self::Again | Self::Compute)
    }
}

/// What layers of a backbone took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timed {
    /// Seconds of a prompt.
    pub paces: Paces,
    /// Seconds of a seed's training, validation and test, if it has the usual number of steps.
    pub parts: [f64; 3],
}

/// What a run would do with one experiment.
pub struct Planned {
    /// The experiment's name.
    pub experiment: String,
    /// Every seed.
    pub seeds: Vec<(u64, Fate)>,
    /// What it waits for.
    pub needs: Vec<Need>,
    /// Why it can never run.
    pub broken: Option<Error>,
    /// Who computes seeds now.
    pub claimed: Vec<(u64, Holder)>,
    /// Why stored seeds cannot be read.
    pub refused: Vec<(u64, Error)>,
    /// Which cells the stored seeds are: seed, stage, the first 16 digits of the key.
    pub hits: Vec<(u64, &'static str, String)>,
    /// Why the others are to be computed.
    pub misses: Vec<Miss>,
    /// How many seeds of the retrieval stage are stored; `None` where the data are not there to say.
    pub stored: Option<usize>,
    /// The cost of a seed that would be computed.
    pub cost: Option<Cost>,
    /// Whether the cost is that of other seeds that are stored, not an estimate.
    pub measured: bool,
    /// What somebody should know of the backbone: that its weights are random.
    pub caution: Option<String>,
    /// Where the retriever would compute, and the bytes that a device needs for it; `None` where no retriever would be trained.
    pub place: Option<(Place, u64)>,
    /// The same of the ranker; `None` where nothing would be ranked.
    pub ranker: Option<(Place, u64)>,
    /// Bytes of the device that the ranker would use at most, with what is free there now.
    pub ranker_memory: Option<u64>,
    /// What was timed for the cost.
    pub timed: Option<Timed>,
}

/// Plan a run of the experiments. Only the data are read; with `measure` a few layers of each backbone are timed where they would compute.
///
/// # Errors
/// If the run store cannot be read.
pub fn plan(
    experiments: Vec<Experiment>,
    folders: &Folders,
    devices: &Devices,
    measure: bool,
    reporter: &dyn Reporter,
) -> Result<Vec<Planned>, Error> {
    let store = Store::new(&folders.runs);
    // A store that cannot be read is told before the data are read.
    store.list()?;
    let rankings = Store::rankings(&folders.runs);
    let shelf = Shelf::new(&folders.runs, [Cell::NAME, RankingCell::NAME]);
    let jobs = prepare(experiments, &folders.data, reporter).into_iter();
    let jobs: Vec<Job> = jobs.map(|job| job.examined().with_device(devices, &folders.runs, None)).collect();
    let mut plan =
        Plan { store, rankings, shelf, devices, begun: BTreeSet::new(), speed: None, measure, reporter };
    let jobs = jobs.into_iter();
    Ok(jobs.map(|job| plan.job(job)).collect())
}

struct Plan<'a> {
    /// What is stored of the first stage.
    store: Store,
    /// And of the second.
    rankings: Store<RankingCell>,
    /// What is stored, to say why something else is not.
    shelf: Shelf,
    /// Where there is something to compute on.
    devices: &'a Devices,
    /// Keys that the plan computes.
    begun: BTreeSet<String>,
    /// Measured when it is needed.
    speed: Option<f64>,
    /// Whether backbones are timed.
    measure: bool,
    reporter: &'a dyn Reporter,
}

/// What lies in the store for a seed.
struct Look {
    retrieval: (CellKey, Glance),
    /// Where the experiment has a second stage and its backbone is there.
    ranking: Option<(CellKey, Glance)>,
}

impl Look {
    /// The process that computes a stage of the seed now, as far as one look can tell.
    fn holder(&self, plan: &Plan<'_>) -> Option<Holder> {
        let ranking = self.ranking.as_ref().map(|(key, _)| plan.rankings.claim_path(key));
        let places = [Some(plan.store.claim_path(&self.retrieval.0)), ranking];
        // A claim that cannot be read is a matter of the run.
        let mut holders = places.into_iter().flatten().filter_map(|place| holder(&place).ok().flatten());
        holders.find(|holder| holder.pulse() != Pulse::Dead)
    }
}

fn whole((_, glance): &(CellKey, Glance)) -> Option<Manifest> {
    match glance {
        Glance::Whole(manifest) => Some((**manifest).clone()),
        _ => None,
    }
}

impl Plan<'_> {
    fn look(
        &self,
        experiment: &Experiment,
        data: &Prepared,
        located: Option<&Located>,
        seed: Seed,
    ) -> Result<Look, Error> {
        let expected = expected(experiment, data, seed);
        let key = retrieval_key(experiment, data, seed);
        let ranking = match located {
            Some(located) => {
                let key = ranking_key(experiment, &key, located.identity(&Interrupt::default())?);
                let glance = self.rankings.glance(&key, &expected);
                Some((key, glance))
            }
            None => None,
        };
        let glance = self.store.glance(&key, &expected);
        if let (Glance::Whole(_), Some(spec), Some((_, Glance::Missing | Glance::Damaged))) =
            (&glance, &experiment.ranker, &ranking)
            && let Ok(Some(retrieval)) = self.store.retrieval(&key)
        {
            // What cannot be read now is set aside by the run and computed again.
            check_reach(spec, &retrieval)?;
        }
        Ok(Look { retrieval: (key, glance), ranking })
    }

    /// Why the stages of a seed that are not stored are not.
    fn misses(
        &self,
        settings: &[SettingRecord],
        data: &Prepared,
        located: Option<&Located>,
        (seed, look): (u64, &Look),
    ) -> Vec<Miss> {
        let identity = located.and_then(|located| located.identity(&Interrupt::default()).ok());
        let (key, first) = &look.retrieval;
        let wanted = Wanted {
            stage: Cell::NAME,
            version: RETRIEVAL_STAGE_VERSION,
            seed,
            dataset: &data.record,
            settings,
            backbone: None,
            candidates: None,
        };
        let missing = |glance: &Glance| matches!(glance, Glance::Missing);
        let mut misses: Vec<Miss> = Vec::new();
        if missing(first) {
            misses.push(self.shelf.why(&wanted));
        }
        if look.ranking.as_ref().is_some_and(|(_, glance)| missing(glance)) {
            let (stage, version) = (RankingCell::NAME, RANKING_STAGE_VERSION);
            let candidates = Some(key.as_str());
            misses.push(self.shelf.why(&Wanted { stage, version, backbone: identity, candidates, ..wanted }));
        }
        misses
    }

    fn job(&mut self, job: Job) -> Planned {
        let Job { experiment, data, backbone, state } = job;
        let (mut needs, mut broken, mut ready) = (Vec::new(), None, None);
        match state {
            State::Ready(data) => ready = Some(data),
            State::Waiting(waits) => needs = waits,
            State::Broken(error) => broken = Some(error),
        }
        let mut looks: Vec<(u64, Option<Look>)> = Vec::with_capacity(experiment.seeds.len());
        for &seed in &experiment.seeds {
            let look = data.as_ref().map(|data| self.look(&experiment, data, backbone.as_deref(), seed));
            looks.push((
                seed.get(),
                look.and_then(|look| look.map_err(|error| broken.get_or_insert(error)).ok()),
            ));
        }
        let reach = looks.iter().find_map(|(_, look)| self.reach(look.as_ref()?));
        let known = |stage: fn(&Look) -> Option<&(CellKey, Glance)>| -> Vec<Manifest> {
            looks.iter().filter_map(|(_, look)| whole(stage(look.as_ref()?)?)).collect()
        };
        let retrieved = known(|look| Some(&look.retrieval));
        let ranked = known(|look| look.ranking.as_ref());
        let stored = data.is_some().then_some(retrieved.len());
        let (mut seeds, mut retrieves, mut ranks) = (Vec::with_capacity(looks.len()), false, false);
        let (mut refused, mut claimed) = (Vec::new(), Vec::new());
        let (mut hits, mut misses, settings) = (Vec::new(), Vec::new(), setting_records(&experiment));
        for (seed, look) in looks {
            let Some(look) = look else {
                seeds.push((seed, if broken.is_some() { Fate::Broken } else { Fate::Waiting }));
                continue;
            };
            let missing = whole(&look.retrieval).is_none();
            let ranks_missing = look.ranking.as_ref().is_some_and(|second| whole(second).is_none());
            let holder = (missing || ranks_missing).then(|| look.holder(self)).flatten();
            let stages = std::iter::once((Cell::NAME, &look.retrieval));
            let stages = stages.chain(look.ranking.iter().map(|second| (RankingCell::NAME, second)));
            let stored_stages = stages.filter(|(_, found)| matches!(found.1, Glance::Whole(_)));
            hits.extend(stored_stages.map(|(stage, (key, _))| (seed, stage, key.short().to_owned())));
            let why = match &data {
                Some(data) if ready.is_some() && broken.is_none() => {
                    self.misses(&settings, data, backbone.as_deref(), (seed, &look))
                }
                _ => Vec::new(),
            };
            let first = look.retrieval.0.as_str().to_owned();
            // A ranking without its candidates is none: they are computed again, and then it is used.
            let (key, glance) = match look.ranking {
                Some(second) if ranks_missing || !missing => second,
                _ => look.retrieval,
            };
            let key = key.as_str().to_owned();
            let fate = match glance {
                _ if broken.is_some() => Fate::Broken,
                _ if ready.is_none() => Fate::Waiting,
                Glance::Whole(_) => Fate::Stored,
                Glance::Refused(error) => {
                    refused.push((seed, Error::from(error)));
                    Fate::Refused
                }
                _ if self.begun.contains(&key) => Fate::Shared,
                _ if holder.is_some() => Fate::Claimed,
                Glance::Damaged => Fate::Again,
                Glance::Missing => Fate::Compute,
            };
            claimed.extend(holder.filter(|_| fate == Fate::Claimed).map(|holder| (seed, holder)));
            if fate.computes() {
                misses.extend(why);
                self.begun.insert(key.clone());
                retrieves |= missing && (first == key || self.begun.insert(first));
                ranks |= ranks_missing;
            }
            seeds.push((seed, fate));
        }
        let caution = backbone.as_deref().and_then(Located::caution);
        let computes = seeds.iter().any(|(_, fate)| fate.computes());
        let needed =
            data.as_ref().filter(|_| retrieves).and_then(|data| device_bytes(&experiment, &data.split));
        let place = needed.and_then(|needed| {
            // One that cannot be used is among the needs.
            Some((self.devices.look(experiment.device, needed).ok()?, needed))
        });
        let located = backbone.as_deref().filter(|_| ranks && ready.is_some());
        let footprint = located.and_then(|located| Footprint::of(&experiment, located));
        let needed = footprint.as_ref().map(Footprint::least);
        let ranker =
            needed.and_then(|needed| Some((self.devices.look(experiment.device, needed).ok()?, needed)));
        let alike = |place: &Option<(Place, u64)>| {
            let on_device = matches!(place, Some((Place::Device(_), _)));
            move |cell: &Manifest| cell.machine.device.is_some() == on_device
        };
        let retrieved: Vec<Manifest> = retrieved.into_iter().filter(alike(&place)).collect();
        let ranked: Vec<Manifest> = ranked.into_iter().filter(alike(&ranker)).collect();
        let on_device = match (&ranker, &experiment.backbone) {
            (Some((Place::Device(facts), _)), Some(spec)) => device_speed(facts, spec.compute_type),
            _ => None,
        };
        let (mut cost, mut is_measured) = (None, false);
        let paces = match (&ready, located, needed) {
            (Some(data), Some(located), Some(needed)) if self.measure => {
                self.paces(&experiment, data, located, needed)
            }
            _ => None,
        };
        let tokens = match (paces, &ready, &experiment.ranker) {
            (Some(paces), _, _) => paces.tokens,
            (None, Some(data), Some(spec)) => prompt_tokens(&experiment, data, spec) as usize,
            _ => 0,
        };
        let ranker_memory = match (&ranker, &footprint) {
            (Some((Place::Device(facts), _)), Some(footprint)) => {
                Some(footprint.expected(tokens, self.devices.free(facts)))
            }
            _ => None,
        };
        if let Some(data) = ready.filter(|_| computes) {
            let stages = [
                retrieves.then(|| measured(&retrieved).ok_or(None)),
                backbone.as_deref().filter(|_| ranks).map(|located| {
                    // What other seeds took is better known than what a few layers take.
                    measured(&ranked).ok_or(Some(located))
                }),
            ];
            is_measured = stages.iter().flatten().all(Result::is_ok);
            let costs = stages.into_iter().flatten().map(|stage| {
                stage.unwrap_or_else(|located| {
                    let mut speed = || *self.speed.get_or_insert_with(matrix_speed);
                    match located {
                        Some(located) => {
                            let size = Size::of(&located.config);
                            let found = match paces {
                                Some(paces) => cost_at(&experiment, &data, size, paces, reach),
                                None => {
                                    let speed = on_device.unwrap_or_else(speed);
                                    ranking_cost::cost(&experiment, &data, size, speed, reach)
                                }
                            };
                            let memory_bytes = footprint
                                .as_ref()
                                .filter(|_| on_device.is_none())
                                .map_or(found.memory_bytes, |footprint| footprint.on_processor(tokens));
                            Cost { memory_bytes, ..found }
                        }
                        None => estimate(&experiment, &data.split, speed()),
                    }
                })
            });
            cost = costs.reduce(Cost::then);
            let made = |located: &&Located| {
                let identity = located.identity(&Interrupt::default());
                located.is_to_be_made(self.store.root())
                    && identity.is_ok_and(|identity| self.begun.insert(identity.to_owned()))
            };
            if let Some(located) = backbone.as_deref().filter(|_| ranks).filter(made) {
                let speed = *self.speed.get_or_insert_with(matrix_speed);
                let made = pretraining_cost(&located.config, located.pretraining_tokens, speed);
                // It is made once, whatever the number of seeds; a cost is that of one seed.
                let computing = seeds.iter().filter(|(_, fate)| fate.computes()).count().max(1) as f64;
                let share = Cost {
                    seconds: made.seconds / computing,
                    most_seconds: made.most_seconds / computing,
                    ..made
                };
                cost = cost.map(|cost| cost.then(share));
            }
        }
        let measured = is_measured && cost.is_some();
        let timed = match (paces, &data, &experiment.ranker, cost) {
            (Some(paces), Some(data), Some(spec), Some(cost)) => {
                Some(Timed { paces, parts: parts(spec, data, cost.steps, reach, paces) })
            }
            _ => None,
        };
        let experiment = experiment.name;
        Planned {
            experiment,
            seeds,
            needs,
            broken,
            claimed,
            refused,
            hits,
            misses,
            stored,
            cost,
            measured,
            caution,
            place,
            ranker,
            ranker_memory,
            timed,
        }
    }

    /// Users of validation and test whose held-out item is retrieved, where that is stored.
    fn reach(&self, Look { retrieval: (key, glance), .. }: &Look) -> Option<[usize; 2]> {
        let stored =
            matches!(glance, Glance::Whole(_)).then(|| self.store.retrieval(key).ok().flatten())??;
        let hits = |ranks: &[u32]| ranks.iter().filter(|rank| **rank as usize <= stored.k).count();
        Some([hits(&stored.validation.ranks), hits(&stored.test.ranks)])
    }

    /// What layers of the backbone take where it would compute; a failure is told, and the cost is estimated.
    fn paces(
        &self,
        experiment: &Experiment,
        data: &Prepared,
        located: &Located,
        needed: u64,
    ) -> Option<Paces> {
        let Self { devices, reporter, .. } = *self;
        reporter.emit(Event::Note(&format!("timing layers of the backbone of {}", experiment.name)));
        let opened = devices.open(experiment.device, (Purpose::Ranker, needed), reporter);
        let found = opened
            .map_err(|source| Error::Device { source, kept: false })
            .and_then(|device| paces(experiment, data, located, device.as_ref()));
        found.unwrap_or_else(|error| {
            reporter.emit(Event::Warning(&format!("{}: nothing could be timed: {error}", experiment.name)));
            None
        })
    }
}

/// The mean cost of finished seeds, if there are any.
pub(super) fn measured(cells: &[Manifest]) -> Option<Cost> {
    let n = cells.len();
    if n == 0 {
        return None;
    }
    let seconds: Vec<f64> = cells.iter().map(|cell| cell.times.wall_seconds.values().sum()).collect();
    let steps = |cell: &Manifest| cell.training.as_ref().map_or(0, |training| training.steps);
    Some(Cost {
        steps: (cells.iter().map(|cell| u64::from(steps(cell))).sum::<u64>() / n as u64) as u32,
        most_steps: cells.iter().map(steps).max().unwrap_or(0),
        seconds: seconds.iter().sum::<f64>() / n as f64,
        most_seconds: seconds.iter().copied().fold(0.0, f64::max),
        memory_bytes: cells.iter().filter_map(|cell| cell.peak_memory_bytes).max().unwrap_or(0),
    })
}
