//! What a run would do, without doing it.

mod costs;

use std::collections::BTreeSet;

use self::costs::{Costs, ToDo};
pub(super) use self::costs::{is_alike, measured};
use super::estimate::Cost;
use super::paces::Paces;
use super::preflight::check_reach;
use super::prepare::prepare;
use super::record::setting_records;
use super::seeds::expected;
use super::why::{Miss, Shelf, Wanted};
use super::{
    Devices, Error, Folders, Job, Located, Need, Place, Prepared, State, ranking_key, retrieval_key,
};
use crate::events::{Interrupt, Reporter};
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
    /// Whether a part of it is neither measured nor timed.
    pub estimated: bool,
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
        let reach = match &experiment.ranker {
            Some(_) => looks.iter().find_map(|(_, look)| self.reach(look.as_ref()?)),
            None => None,
        };
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
        let computing = seeds.iter().filter(|(_, fate)| fate.computes()).count();
        let costs = match ready.filter(|_| computing > 0) {
            Some(data) => self.costs(ToDo {
                experiment: &experiment,
                data: &data,
                ranks: backbone.as_deref().filter(|_| ranks).zip(experiment.ranker.as_ref()),
                retrieves,
                seeds: computing,
                stored: [retrieved, ranked],
                reach,
            }),
            None => Costs::default(),
        };
        let Costs {
            place,
            ranker,
            ranker_memory,
            timed,
            cost,
            is_measured: measured,
            is_estimated: estimated,
        } = costs;
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
            estimated,
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
}
