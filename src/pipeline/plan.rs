//! What a run would do, without doing it.

use std::collections::BTreeSet;

use super::estimate::{Cost, estimate, matrix_speed};
use super::prepare::prepare;
use super::{Error, Folders, Job, Need, State, expected, retrieval_key};
use crate::events::Reporter;
use crate::experiment::Experiment;
use crate::run::{Glance, Manifest, Store};
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
    /// Why stored seeds cannot be read.
    pub refused: Vec<(u64, Error)>,
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
    let store = Store::new(&folders.runs);
    // A store that cannot be read is told before the data are read.
    store.list()?;
    let mut plan = Plan { store, begun: BTreeSet::new(), speed: None };
    Ok(prepare(experiments, &folders.data, reporter).into_iter().map(|job| plan.job(job)).collect())
}

struct Plan {
    /// What is stored.
    store: Store,
    /// Keys that the plan computes.
    begun: BTreeSet<String>,
    /// Measured when it is needed.
    speed: Option<f64>,
}

impl Plan {
    fn job(&mut self, job: Job) -> Planned {
        let Job { experiment, data, state } = job;
        let look = |&seed: &Seed| {
            let found = data.as_ref().map(|data| {
                let key = retrieval_key(&experiment, data, seed);
                let glance = self.store.glance(&key, &expected(&experiment, data, seed));
                (key.as_str().to_owned(), glance)
            });
            (seed.get(), found)
        };
        let found: Vec<_> = experiment.seeds.iter().map(look).collect();
        let whole = |(_, found): &(u64, Option<(String, Glance)>)| match found {
            Some((_, Glance::Whole(manifest))) => Some((**manifest).clone()),
            _ => None,
        };
        let known: Vec<Manifest> = found.iter().filter_map(whole).collect();
        let measured = measured(&known);
        let stored = data.is_some().then_some(known.len());
        let (mut needs, mut broken, mut ready) = (Vec::new(), None, None);
        match state {
            State::Ready(data) => ready = Some(data),
            State::Waiting(waits) => needs = waits,
            State::Broken(error) => broken = Some(error),
        }
        let (mut seeds, mut refused) = (Vec::with_capacity(found.len()), Vec::new());
        for (seed, found) in found {
            let fate = match found {
                _ if broken.is_some() => Fate::Broken,
                _ if ready.is_none() => Fate::Waiting,
                Some((_, Glance::Whole(_))) => Fate::Stored,
                Some((_, Glance::Refused(error))) => {
                    refused.push((seed, Error::from(error)));
                    Fate::Refused
                }
                Some((key, _)) if !self.begun.insert(key.clone()) => Fate::Shared,
                Some((_, Glance::Damaged)) => Fate::Again,
                Some((_, Glance::Missing)) | None => Fate::Compute,
            };
            seeds.push((seed, fate));
        }
        let computes = seeds.iter().any(|(_, fate)| fate.computes());
        let cost = ready.filter(|_| computes).map(|data| {
            measured.unwrap_or_else(|| {
                let speed = *self.speed.get_or_insert_with(matrix_speed);
                estimate(&experiment, &data.split, speed)
            })
        });
        let measured = measured.is_some() && cost.is_some();
        Planned { experiment: experiment.name, seeds, needs, broken, refused, stored, cost, measured }
    }
}

/// The mean cost of finished seeds, if there are any.
fn measured(cells: &[Manifest]) -> Option<Cost> {
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
