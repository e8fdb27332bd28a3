//! Experiments as single cells, each of which can be computed by itself: what a cluster is given.

use super::estimate::{estimate, matrix_speed};
use super::plan::{is_alike, measured};
use super::prepare::prepare;
use super::pretraining;
use super::ranking_cost::{pretraining_cost, ranking_cost};
use super::seeds::expected;
use super::sweep::Sweep;
use super::{
    BackboneSource, Cost, Ending, Error, Folders, Job, Located, Made, Need, Options, Prepared, State,
    ranking_key, retrieval_key,
};
use crate::events::{Interrupt, Reporter};
use crate::experiment::{DeviceChoice, Experiment, RetrieverSpec};
use crate::run::{CellKey, Glance, Manifest, RankingCell, Stage, Step, Store, atomic};
use crate::seed::Seed;

/// One stage of one seed.
#[derive(Debug, Clone)]
pub struct StageCell {
    /// The stage.
    pub step: Step,
    /// The seed; of a built-in backbone, the experiment's first.
    pub seed: Seed,
    /// Its key.
    pub key: CellKey,
    /// Whether it is stored.
    pub stored: bool,
    /// The cells that it is computed from.
    pub on: Vec<(Step, CellKey)>,
    /// What it costs to compute; of a stored one, nothing.
    pub cost: Option<Cost>,
    /// The threads that the time of `cost` is meant for.
    pub threads: usize,
}

/// An experiment as cells.
pub struct Staged {
    /// The experiment.
    pub experiment: Experiment,
    /// Its cells, each after those that it is computed from; none if it cannot run here.
    pub cells: Vec<StageCell>,
    /// What it waits for.
    pub needs: Vec<Need>,
    /// Why it can never run.
    pub broken: Option<Error>,
}

/// The cells of experiments, with what is stored of them and what the others cost. Only the data are read.
///
/// # Errors
/// If the run store cannot be read.
pub fn stages(
    experiments: Vec<Experiment>,
    folders: &Folders,
    reporter: &dyn Reporter,
) -> Result<Vec<Staged>, Error> {
    let mut stages = Stages {
        store: Store::new(&folders.runs),
        rankings: Store::rankings(&folders.runs),
        folders,
        speed: None,
    };
    // A store that cannot be read is told before the data are read.
    stages.store.list()?;
    let jobs = prepare(experiments, &folders.data, reporter).into_iter().map(Job::examined);
    Ok(jobs.map(|job| stages.job(job)).collect())
}

/// The cells that one is computed from.
type Inputs = Vec<(Step, CellKey)>;

/// What stored seeds cost, and with how many threads.
type Known = (Cost, usize);

struct Stages<'a> {
    store: Store,
    rankings: Store<RankingCell>,
    folders: &'a Folders,
    /// Measured when it is needed.
    speed: Option<f64>,
}

impl Stages<'_> {
    fn job(&mut self, Job { experiment, backbone, state, .. }: Job) -> Staged {
        let (mut cells, mut needs, mut broken) = (Vec::new(), Vec::new(), None);
        match state {
            State::Ready(data) => match self.cells(&experiment, &data, backbone.as_deref()) {
                Ok(found) => cells = found,
                Err(error) => broken = Some(error),
            },
            State::Waiting(waits) => needs = waits,
            State::Broken(error) => broken = Some(error),
        }
        Staged { experiment, cells, needs, broken }
    }

    fn cells(
        &mut self,
        experiment: &Experiment,
        data: &Prepared,
        located: Option<&Located>,
    ) -> Result<Vec<StageCell>, Error> {
        let mut cells = Vec::new();
        let mut backbone = None;
        let embedded = located.filter(|located| located.source == BackboneSource::Embedded);
        if let (Some(located), Some(&seed)) = (embedded, experiment.seeds.first()) {
            let identity = located.identity(&Interrupt::default())?;
            if let Some(key) = CellKey::from_hex(identity) {
                let to_be_made = located.is_to_be_made(&self.folders.runs);
                let cost = to_be_made
                    .then(|| pretraining_cost(&located.config, located.pretraining_tokens, self.speed()));
                backbone = Some((Step::Pretraining, key.clone()));
                let stored = !to_be_made;
                cells.push(StageCell {
                    step: Step::Pretraining,
                    seed,
                    key,
                    stored,
                    on: Vec::new(),
                    cost,
                    threads: rayon::current_num_threads(),
                });
            }
        }
        let key_of = |&seed: &Seed| (seed, retrieval_key(experiment, data, seed));
        let keys: Vec<(Seed, CellKey)> = experiment.seeds.iter().map(key_of).collect();
        let first = looks(&self.store, (experiment, data), &keys)?;
        // Cells of the same place: a device's times say nothing of a node without one.
        let on_device = matches!(experiment.device, DeviceChoice::Cuda(_));
        let alike = |cell: &Manifest| is_alike(cell, on_device);
        let known: Vec<_> = first.iter().map(|cell| cell.clone().filter(alike)).collect();
        let known = measured_of(&known);
        for ((seed, key), manifest) in keys.iter().zip(&first) {
            let none = Vec::new();
            let cost = |stages: &mut Self| estimate(experiment, &data.split, stages.speed());
            cells.push(self.cell((Step::Retrieval, *seed, key), manifest, (none, known), cost));
        }
        let (Some(located), true) = (located, experiment.needs_backbone()) else { return Ok(cells) };
        let identity = located.identity(&Interrupt::default())?;
        let ranked: Vec<(Seed, CellKey)> =
            keys.iter().map(|(seed, key)| (*seed, ranking_key(experiment, key, identity))).collect();
        let second = looks(&self.rankings, (experiment, data), &ranked)?;
        let known: Vec<_> = second.iter().map(|cell| cell.clone().filter(alike)).collect();
        let known = measured_of(&known);
        for (((seed, key), manifest), (_, retrieval)) in ranked.iter().zip(&second).zip(&keys) {
            let on = [(Step::Retrieval, retrieval.clone())].into_iter().chain(backbone.clone()).collect();
            let cost = |stages: &mut Self| ranking_cost(experiment, data, located, stages.speed());
            cells.push(self.cell((Step::Ranking, *seed, key), manifest, (on, known), cost));
        }
        Ok(cells)
    }

    fn cell(
        &mut self,
        (step, seed, key): (Step, Seed, &CellKey),
        manifest: &Option<Manifest>,
        (on, known): (Inputs, Option<Known>),
        estimate: impl FnOnce(&mut Self) -> Cost,
    ) -> StageCell {
        let stored = manifest.is_some();
        let (cost, threads) = match known {
            _ if stored => (None, 1),
            Some((cost, threads)) => (Some(cost), threads),
            None => (Some(estimate(self)), rayon::current_num_threads()),
        };
        StageCell { step, seed, key: key.clone(), stored, on, cost, threads }
    }

    fn speed(&mut self) -> f64 {
        *self.speed.get_or_insert_with(matrix_speed)
    }
}

/// The manifests of stored cells, `None` for those that have to be computed.
fn looks<C: Stage>(
    store: &Store<C>,
    (experiment, data): (&Experiment, &Prepared),
    keys: &[(Seed, CellKey)],
) -> Result<Vec<Option<Manifest>>, Error> {
    let look = |(seed, key): &(Seed, CellKey)| match store.glance(key, &expected(experiment, data, *seed)) {
        Glance::Whole(manifest) => Ok(Some(*manifest)),
        Glance::Missing | Glance::Damaged => Ok(None),
        Glance::Refused(error) => Err(error.into()),
    };
    keys.iter().map(look).collect()
}

/// The cost of the seeds that are stored, and the threads that they had.
fn measured_of(manifests: &[Option<Manifest>]) -> Option<Known> {
    let stored: Vec<Manifest> = manifests.iter().flatten().cloned().collect();
    let threads = stored.iter().map(|manifest| manifest.machine.threads).max()?;
    Some((measured(&stored)?, threads))
}

/// GPUs that a stage of an experiment asks for: one, if its setting `device` names one and the stage computes there.
#[must_use]
pub fn gpus(experiment: &Experiment, step: Step) -> u32 {
    let computes = match step {
        Step::Retrieval => matches!(experiment.retriever, RetrieverSpec::Lru(_)),
        Step::Ranking => true,
        Step::Pretraining => false,
    };
    u32::from(computes && matches!(experiment.device, DeviceChoice::Cuda(_)))
}

/// How one cell ended.
pub enum CellEnding {
    /// It is stored.
    Stored {
        /// Whether it was computed now.
        is_new: bool,
    },
    /// Somebody asked to stop.
    Interrupted,
    /// Something that it needs is not on this machine.
    Waiting(Vec<Need>),
}

/// Compute one stage of one seed and store it; no report is written. `key` is that of the plan.
///
/// # Errors
/// [`Error::Changed`] if the cell has another key now; whatever goes wrong in computing it.
pub fn compute_cell(
    experiment: Experiment,
    (step, seed, key): (Step, Seed, &CellKey),
    options: Options<'_>,
) -> Result<CellEnding, Error> {
    let folders = options.folders;
    atomic::check_writable(&folders.runs)?;
    let file = experiment.path.clone();
    let experiment = Experiment { seeds: vec![seed], ..experiment };
    let Some(job) = prepare(vec![experiment], &folders.data, options.reporter).pop() else {
        return Ok(CellEnding::Waiting(Vec::new()));
    };
    let job = match step {
        Step::Ranking => job.examined().with_device(options.devices, &folders.runs, Some(step)),
        Step::Retrieval => job.with_device(options.devices, &folders.runs, Some(step)),
        Step::Pretraining => job,
    };
    if let State::Waiting(needs) = &job.state
        && needs.iter().any(|need| matches!(need, Need::Device { .. }))
    {
        return Ok(CellEnding::Waiting(needs.clone()));
    }
    let data = match (&job.state, &job.data) {
        (State::Broken(_), _) | (_, None) => None,
        // A retriever needs no backbone.
        (State::Waiting(_), Some(_)) if step != Step::Retrieval => None,
        (_, Some(data)) => Some(data.clone()),
    };
    let Some(data) = data else {
        return match job.state {
            State::Broken(error) => Err(error),
            State::Waiting(needs) => Ok(CellEnding::Waiting(needs)),
            State::Ready(_) => Ok(CellEnding::Waiting(Vec::new())),
        };
    };
    let (experiment, located) = (&job.experiment, job.backbone.as_deref());
    let retrieval = retrieval_key(experiment, &data, seed);
    let identity = located.map(|located| located.identity(options.interrupt)).transpose()?;
    let found = match (step, identity) {
        (Step::Retrieval, _) => Some(retrieval),
        (Step::Ranking, Some(identity)) => Some(ranking_key(experiment, &retrieval, identity)),
        (Step::Pretraining, Some(identity)) => CellKey::from_hex(identity),
        (_, None) => None,
    };
    if found.as_ref() != Some(key) {
        let found = found.map_or_else(|| "none".to_owned(), |found| found.to_string());
        return Err(Error::Changed { file, step, seed: seed.get(), found, expected: key.to_string() });
    }
    if step == Step::Pretraining {
        return Ok(match pretraining::one(job, options)? {
            Made::Stored { is_new, .. } => CellEnding::Stored { is_new },
            Made::Waiting(needs) => CellEnding::Waiting(needs),
            Made::NotBuiltIn => CellEnding::Waiting(Vec::new()),
        });
    }
    // Without its backbone an experiment ends with its candidates.
    let backbone = located.filter(|_| step == Step::Ranking);
    match Sweep::new(options, Vec::new()).cells(experiment, &data, backbone) {
        Ending::Finished { computed, .. } => Ok(CellEnding::Stored { is_new: computed > 0 }),
        Ending::Failed { error, .. } | Ending::Broken(error) => Err(error),
        Ending::Interrupted { .. } | Ending::Unfinished { .. } | Ending::NotStarted => {
            Ok(CellEnding::Interrupted)
        }
        Ending::Waiting { needs, .. } => Ok(CellEnding::Waiting(needs)),
    }
}
