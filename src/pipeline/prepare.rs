//! The data of all experiments, each dataset read once, before any work begins.

use std::path::Path;
use std::sync::Arc;

use super::record::dataset_record;
use super::{Error, Job, Need, State};
use crate::data::{self, Dataset, Split};
use crate::events::Reporter;
use crate::experiment::{DatasetSource, DatasetSpec, Experiment};
use crate::retrieve;
use crate::run::DatasetRecord;

/// A dataset, split.
pub struct Prepared {
    /// What is trained on and held out.
    pub split: Split,
    /// What manifests say of it.
    pub record: DatasetRecord,
}

impl Prepared {
    /// Read, preprocess and split.
    ///
    /// # Errors
    /// As [`Dataset::load`] and [`Split::leave_one_out`].
    pub fn load(spec: &DatasetSpec, data_dir: &Path, reporter: &dyn Reporter) -> Result<Self, data::Error> {
        let dataset = Dataset::load(spec, data_dir, reporter)?;
        let split = Split::leave_one_out(&dataset)?;
        Ok(Self { record: dataset_record(&dataset, &split), split })
    }
}

/// What several experiments may share.
type Read = Result<Arc<Prepared>, Arc<data::Error>>;

/// Read the data of every experiment and say which ones can run.
pub fn prepare(experiments: Vec<Experiment>, data_dir: &Path, reporter: &dyn Reporter) -> Vec<Job> {
    let mut read: Vec<(DatasetSpec, Read)> = Vec::new();
    let mut jobs = Vec::with_capacity(experiments.len());
    for experiment in experiments {
        let at = read.iter().position(|(spec, _)| *spec == experiment.dataset).unwrap_or_else(|| {
            let result = Prepared::load(&experiment.dataset, data_dir, reporter);
            read.push((experiment.dataset.clone(), result.map(Arc::new).map_err(Arc::new)));
            read.len() - 1
        });
        jobs.push(job(experiment, &read[at].1));
    }
    jobs
}

fn job(experiment: Experiment, data: &Read) -> Job {
    let mut needs = Vec::new();
    let mut broken = None;
    match data {
        Ok(prepared) => {
            let (k, items) = (experiment.evaluation.candidates as usize, prepared.split.n_items);
            if k > items {
                broken = Some(Error::from(retrieve::Error::TooFewItems { k, items }));
            }
        }
        Err(error) if matches!(**error, data::Error::Missing { .. }) => {
            let fetch = fetchable(&experiment.dataset.source);
            needs.push(Need::Data { fetch, what: error.to_string() });
        }
        Err(error) => broken = Some(Error::Data(Arc::clone(error))),
    }
    if let Some(backbone) = &experiment.backbone {
        needs.push(Need::Ranker { backbone: backbone.name.clone() });
    }
    let data = data.as_ref().ok().cloned();
    let state = match (broken, &data) {
        (Some(error), _) => State::Broken(error),
        (None, Some(data)) if needs.is_empty() => State::Ready(Arc::clone(data)),
        _ => State::Waiting(needs),
    };
    Job { experiment, data, state }
}

/// The name under which `bench fetch` knows a dataset.
const fn fetchable(source: &DatasetSource) -> Option<&'static str> {
    match source {
        DatasetSource::Ml100k => Some("ml-100k"),
        DatasetSource::Beauty => Some("beauty"),
        DatasetSource::Games => Some("games"),
        DatasetSource::Synthetic(_) | DatasetSource::Csv(_) | DatasetSource::RecBole(_) => None,
    }
}
