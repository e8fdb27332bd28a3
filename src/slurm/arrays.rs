//! From cells to job arrays.
//!
//! A task of an array can wait for the task of the same index in another array (`aftercorr`), and for nothing else of its own.
//! So a ranking has the index of its retrieval, and rankings of one retrieval are in different arrays.

use std::collections::BTreeMap;

use super::{After, Batch, Resources, Task};
use crate::run::Step;

/// A cell that is to be submitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The stage.
    pub step: Step,
    /// What it gets.
    pub resources: Resources,
    /// The experiment that it is computed for.
    pub experiment: String,
    /// The file of that experiment.
    pub file: String,
    /// The seed.
    pub seed: u64,
    /// Its key, all 64 digits.
    pub key: String,
    /// Keys of the cells that it is computed from, with their stages. Those that nobody computes are taken to be stored.
    pub on: Vec<(Step, String)>,
}

/// Tasks of Slurm that are waiting or running, such as `123_4`, by the cell that they compute.
pub type Active = BTreeMap<(Step, String), String>;

/// The arrays of some cells, each at most `longest` tasks, with indices below `longest`. Of two cells with one key the first counts;
/// one that is active is left out, and what needs it waits for it.
#[must_use]
pub fn arrays(cells: &[Wanted], active: &Active, longest: u32) -> Vec<Batch> {
    let mut made = Made { batches: Vec::new(), places: BTreeMap::new(), longest: longest.max(1) };
    for step in Step::ALL {
        for cell in cells.iter().filter(|cell| cell.step == step) {
            let id = (step, cell.key.clone());
            if !active.contains_key(&id) && !made.places.contains_key(&id) {
                made.add(id, cell, active);
            }
        }
    }
    made.batches
}

struct Made {
    batches: Vec<Batch>,
    /// Batch and index of each cell.
    places: BTreeMap<(Step, String), (usize, u32)>,
    longest: u32,
}

impl Made {
    fn add(&mut self, id: (Step, String), cell: &Wanted, active: &Active) {
        let (mut after, mut same) = (Vec::new(), None);
        for on in &cell.on {
            match (active.get(on), self.places.get(on)) {
                (Some(job), _) => after.push(After::Job(job.clone())),
                (None, Some(&(batch, index))) if on.0 == Step::Retrieval => {
                    same = Some(index);
                    after.push(After::Same(batch));
                }
                (None, Some(&(batch, index))) => after.push(After::Task(batch, index)),
                (None, None) => {}
            }
        }
        after.sort();
        let next = |batch: &Batch| batch.tasks.last().map_or(0, |last| last.index + 1);
        let free = |batch: &Batch| match same {
            Some(index) => batch.tasks.iter().all(|task| task.index != index),
            None => next(batch) < self.longest,
        };
        let fits = |batch: &Batch| {
            (batch.step, batch.resources) == (cell.step, cell.resources)
                && batch.after == after
                && free(batch)
        };
        let at = self.batches.iter().position(fits).unwrap_or_else(|| {
            let number = self.batches.iter().filter(|batch| batch.step == cell.step).count();
            self.batches.push(Batch {
                name: format!("{}-{number}", cell.step),
                step: cell.step,
                resources: cell.resources,
                after,
                job: None,
                tasks: Vec::new(),
            });
            self.batches.len() - 1
        });
        let batch = &mut self.batches[at];
        let index = same.unwrap_or_else(|| next(batch));
        let task = Task {
            index,
            experiment: cell.experiment.clone(),
            file: cell.file.clone(),
            seed: cell.seed,
            key: cell.key.clone(),
        };
        let place = batch.tasks.partition_point(|other| other.index < index);
        batch.tasks.insert(place, task);
        self.places.insert(id, (at, index));
    }
}
