//! What a run would do, without doing it.

use std::collections::{BTreeMap, BTreeSet};

use super::estimate::{Cost, estimate, matrix_speed};
use super::prepare::prepare;
use super::{Error, Folders, Job, Need, State, retrieval_key};
use crate::events::Reporter;
use crate::experiment::Experiment;
use crate::run::{Manifest, Store};

/// What a run would do with one seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It is stored and would be used.
    Stored,
    /// It would be computed.
    Compute,
    /// An experiment before it in the plan computes the same.
    Shared,
    /// It cannot run here.
    Waiting,
    /// It cannot run at all.
    Broken,
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
    /// How many seeds of the retrieval stage are stored; `None` where the data are not there to say.
    pub stored: Option<usize>,
    /// The cost of a seed that would be computed.
    pub cost: Option<Cost>,
    /// Whether the cost is that of other seeds that are stored, not an estimate.
    pub measured: bool,
}

/// Plan a run of the experiments. Only the data are read.
///
/// # Errors
/// If the run store cannot be read.
pub fn plan(
    experiments: Vec<Experiment>,
    folders: &Folders,
    reporter: &dyn Reporter,
) -> Result<Vec<Planned>, Error> {
    let listed = Store::new(&folders.runs).list()?;
    let cells: BTreeMap<String, Manifest> = listed
        .into_iter()
        .filter_map(|cell| cell.manifest.ok())
        .map(|cell| (cell.key.clone(), cell))
        .collect();
    let mut plan = Plan { cells, begun: BTreeSet::new(), speed: None };
    Ok(prepare(experiments, &folders.data, reporter).into_iter().map(|job| plan.job(job)).collect())
}

struct Plan {
    /// What is stored, by key.
    cells: BTreeMap<String, Manifest>,
    /// Keys that the plan computes.
    begun: BTreeSet<String>,
    /// Measured when it is needed.
    speed: Option<f64>,
}

impl Plan {
    fn job(&mut self, job: Job) -> Planned {
        let Job { experiment, data, state } = job;
        let key = |seed| data.as_ref().map(|data| retrieval_key(&experiment, data, seed).as_str().to_owned());
        let keys: Vec<_> = experiment.seeds.iter().map(|&seed| (seed, key(seed))).collect();
        let known: Vec<&Manifest> =
            keys.iter().filter_map(|(_, key)| self.cells.get(key.as_ref()?)).collect();
        let measured = measured(&known);
        let stored = data.is_some().then_some(known.len());
        let (mut needs, mut broken, mut ready) = (Vec::new(), None, None);
        match state {
            State::Ready(data) => ready = Some(data),
            State::Waiting(waits) => needs = waits,
            State::Broken(error) => broken = Some(error),
        }
        let mut seeds = Vec::with_capacity(keys.len());
        for (seed, key) in keys {
            let fate = match key {
                _ if broken.is_some() => Fate::Broken,
                _ if ready.is_none() => Fate::Waiting,
                Some(key) if self.cells.contains_key(&key) => Fate::Stored,
                Some(key) if !self.begun.insert(key.clone()) => Fate::Shared,
                _ => Fate::Compute,
            };
            seeds.push((seed.get(), fate));
        }
        let computes = seeds.iter().any(|(_, fate)| *fate == Fate::Compute);
        let cost = ready.filter(|_| computes).map(|data| {
            measured.unwrap_or_else(|| {
                let speed = *self.speed.get_or_insert_with(matrix_speed);
                estimate(&experiment, &data.split, speed)
            })
        });
        let measured = measured.is_some() && cost.is_some();
        Planned { experiment: experiment.name, seeds, needs, broken, stored, cost, measured }
    }
}

/// The mean cost of finished seeds, if there are any.
fn measured(cells: &[&Manifest]) -> Option<Cost> {
    let n = cells.len();
    if n == 0 {
        return None;
    }
    let seconds: Vec<f64> = cells.iter().map(|cell| cell.times.wall_seconds.values().sum()).collect();
    let steps = |cell: &&Manifest| cell.training.as_ref().map_or(0, |training| training.steps);
    Some(Cost {
        steps: (cells.iter().map(|cell| u64::from(steps(cell))).sum::<u64>() / n as u64) as u32,
        most_steps: cells.iter().map(steps).max().unwrap_or(0),
        seconds: seconds.iter().sum::<f64>() / n as f64,
        most_seconds: seconds.iter().copied().fold(0.0, f64::max),
        memory_bytes: cells.iter().filter_map(|cell| cell.peak_memory_bytes).max().unwrap_or(0),
    })
}
