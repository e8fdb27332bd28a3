//! The data of all experiments, each dataset read once, before any work begins.

use std::path::Path;
use std::sync::Arc;

use super::needs::backbone_need;
use super::record::dataset_record;
use super::{Error, Job, Located, Need, State};
use crate::backbone;
use crate::data::{self, Dataset, Split};
use crate::events::Reporter;
use crate::experiment::{BackboneSpec, DatasetSource, DatasetSpec, Experiment, WeightsFrom};
use crate::run::DatasetRecord;
use crate::{pretrain, retrieve};

/// A dataset, split.
pub struct Prepared {
    /// What is trained on and held out.
    pub split: Split,
    /// Title of each item; index i is the item of id i + 1.
    pub titles: Vec<String>,
    /// Raw id of each user, in the order of the split.
    pub users: Vec<String>,
    /// Raw id of each item; index i is the item of id i + 1.
    pub items: Vec<String>,
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
        let record = dataset_record(&dataset, &split);
        let (items, titles) = dataset.items.into_iter().map(|item| (item.raw_id, item.title)).unzip();
        Ok(Self { split, titles, users: dataset.users, items, record })
    }
}

/// What several experiments may share.
type Read = Result<Arc<Prepared>, Arc<data::Error>>;

/// The same for backbones that come from files.
type Found = Result<Arc<Located>, Arc<backbone::Error>>;

/// Read the data of every experiment, look for its backbone, and say which ones can run.
pub fn prepare(experiments: Vec<Experiment>, data_dir: &Path, reporter: &dyn Reporter) -> Vec<Job> {
    let mut read: Vec<(DatasetSpec, Read)> = Vec::new();
    let mut found: Vec<(BackboneSpec, Found)> = Vec::new();
    let mut jobs = Vec::with_capacity(experiments.len());
    for experiment in experiments {
        let at = read.iter().position(|(spec, _)| *spec == experiment.dataset).unwrap_or_else(|| {
            let result = Prepared::load(&experiment.dataset, data_dir, reporter);
            read.push((experiment.dataset.clone(), result.map(Arc::new).map_err(Arc::new)));
            read.len() - 1
        });
        let with_files = |wanted: &&BackboneSpec| {
            wanted.weights == WeightsFrom::Files && !pretrain::is_built_in(&wanted.name)
        };
        let from_files = experiment.backbone.as_ref().filter(with_files);
        let backbone = from_files.map(|wanted| {
            let same = |spec: &BackboneSpec| spec.name == wanted.name && spec.revision == wanted.revision;
            let at = found.iter().position(|(spec, _)| same(spec)).unwrap_or_else(|| {
                let result = Located::find(wanted);
                found.push((wanted.clone(), result.map(Arc::new).map_err(Arc::new)));
                found.len() - 1
            });
            &found[at].1
        });
        jobs.push(job(experiment, &read[at].1, backbone));
    }
    jobs
}

fn job(experiment: Experiment, data: &Read, found: Option<&Found>) -> Job {
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
    let data = data.as_ref().ok().cloned();
    let random = experiment.backbone.as_ref().filter(|spec| spec.weights == WeightsFrom::Random);
    let backbone = match found {
        None if let Some(spec) = random => match Located::random(&experiment, spec, data.as_ref()) {
            Ok(located) => located.map(Arc::new),
            Err(error) => {
                broken.get_or_insert(Error::BackboneFiles(Arc::new(error)));
                None
            }
        },
        // Without its data nobody knows which built-in one is meant.
        None => data.as_deref().and_then(|data| match Located::built_in(&experiment, data) {
            Ok(located) => located.map(Arc::new),
            Err(error) => {
                broken.get_or_insert(Error::from(error));
                None
            }
        }),
        Some(Ok(located)) => Some(Arc::clone(located)),
        Some(Err(error)) if is_missing(error) => {
            needs.push(backbone_need(&experiment, data.as_deref(), error));
            None
        }
        Some(Err(error)) => {
            broken.get_or_insert(Error::BackboneFiles(Arc::clone(error)));
            None
        }
    };
    let state = match (broken, &data) {
        (Some(error), _) => State::Broken(error),
        (None, Some(data)) if needs.is_empty() => State::Ready(Arc::clone(data)),
        _ => State::Waiting(needs),
    };
    Job { experiment, data, backbone, state }
}

/// Whether a backbone is only not here yet.
fn is_missing(error: &backbone::Error) -> bool {
    matches!(error, backbone::Error::Missing { .. } | backbone::Error::NotFetched { .. })
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
