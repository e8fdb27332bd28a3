//! The built-in backbones of experiments, made before anything needs them.

use std::path::PathBuf;

use super::backbone::request;
use super::prepare::prepare;
use super::{Error, Job, Need, Options, State};
use crate::experiment::Experiment;
use crate::pretrain::{self, PretrainedCell};
use crate::run::{Expected, Glance, Manifest, Store, atomic};

/// What became of the built-in backbone of an experiment.
pub struct Pretrained {
    /// The experiment's name.
    pub experiment: String,
    /// `backbone.name`; empty for an experiment without a backbone.
    pub backbone: String,
    /// What.
    pub result: Result<Made, Error>,
}

/// A backbone, or why there is none.
pub enum Made {
    /// It is stored.
    Stored {
        /// Its folder, in Hugging Face's format.
        folder: PathBuf,
        /// What it says about itself: time, parameters, files.
        manifest: Box<Manifest>,
        /// Whether it was made now.
        is_new: bool,
    },
    /// The experiment has no backbone, or one that comes from files.
    NotBuiltIn,
    /// Something is not there yet.
    Waiting(Vec<Need>),
}

/// Make the built-in backbone of every experiment that names one; one that is stored is not made again. After an interrupt the
/// rest is left out.
///
/// # Errors
/// If the folder of runs cannot be written. What goes wrong with one experiment is in its [`Pretrained`].
pub fn pretrain(experiments: Vec<Experiment>, options: Options<'_>) -> Result<Vec<Pretrained>, Error> {
    atomic::check_writable(&options.folders.runs)?;
    let mut done = Vec::new();
    for job in prepare(experiments, &options.folders.data, options.reporter) {
        let backbone = job.experiment.backbone.as_ref().map_or_else(String::new, |spec| spec.name.clone());
        let experiment = job.experiment.name.clone();
        let result = one(job, options);
        let stop = match &result {
            Ok(_) => false,
            Err(error) => error.is_interrupt() || error.is_output() || !options.keep_going,
        };
        done.push(Pretrained { experiment, backbone, result });
        if stop {
            break;
        }
    }
    Ok(done)
}

/// Make the built-in backbone of one experiment.
pub(super) fn one(Job { experiment, state, .. }: Job, options: Options<'_>) -> Result<Made, Error> {
    let built_in = experiment.backbone.as_ref().is_some_and(|spec| pretrain::is_built_in(&spec.name));
    if !built_in {
        return Ok(Made::NotBuiltIn);
    }
    let data = match state {
        State::Ready(data) => data,
        State::Waiting(needs) => return Ok(Made::Waiting(needs)),
        State::Broken(error) => return Err(error),
    };
    let Some(request) = request(&experiment, &data)? else { return Ok(Made::NotBuiltIn) };
    let (runs, key) = (&options.folders.runs, request.key());
    let store: Store<PretrainedCell> = Store::at(runs.clone());
    let (seed, retriever) = (request.spec.seed, request.geometry.name());
    let expected = Expected { seed, retriever, dataset: request.dataset };
    let is_new = !matches!(store.glance(&key, &expected), Glance::Whole(_));
    let folder = pretrain::ensure(&request, runs, &experiment.name, options.reporter, options.interrupt)?;
    match store.glance(&key, &expected) {
        Glance::Whole(manifest) => Ok(Made::Stored { folder, manifest, is_new }),
        Glance::Refused(error) => Err(error.into()),
        Glance::Missing | Glance::Damaged => Err(Error::Gone { folder }),
    }
}
