//! An experiment with what it needs, and whether that is there.

use std::fmt;
use std::sync::Arc;

use serde_json::json;

use super::{Error, Located, Prepared};
use crate::experiment::{Averaging, Experiment, RetrieverSpec};
use crate::run::{CellKey, RANKING_STAGE_VERSION, RETRIEVAL_STAGE_VERSION};
use crate::seed::Seed;

/// An experiment and its data.
pub struct Job {
    /// The experiment.
    pub experiment: Experiment,
    /// The data, if they could be read.
    pub data: Option<Arc<Prepared>>,
    /// The backbone, if the experiment names one and its files are there.
    pub backbone: Option<Arc<Located>>,
    /// Whether it can run.
    pub state: State,
}

/// Whether an experiment can run.
pub enum State {
    /// It can, with these data.
    Ready(Arc<Prepared>),
    /// It cannot on this machine as it is.
    Waiting(Vec<Need>),
    /// It never can: the data contradict the settings.
    Broken(Error),
}

/// What an experiment waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// Files of its dataset.
    Data {
        /// The dataset, where `bench fetch` knows it.
        fetch: Option<&'static str>,
        /// Which file is missing, and what to do.
        what: String,
    },
    /// The files of a backbone.
    Backbone {
        /// Its name.
        backbone: String,
        /// What is missing and how to get it, and what a run with it takes.
        what: String,
    },
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data { what, .. } | Self::Backbone { what, .. } => f.write_str(what),
        }
    }
}

/// The key of an experiment's retrieval stage: everything that its result depends on, and nothing else.
#[must_use]
pub fn retrieval_key(experiment: &Experiment, data: &Prepared, seed: Seed) -> CellKey {
    let record = &data.record;
    let sources: Vec<&str> = record.sources.iter().map(|source| source.sha256.as_str()).collect();
    let mut inputs = json!({
        "stage": "retrieval",
        "version": RETRIEVAL_STAGE_VERSION,
        "settings": experiment.retrieval_key_material(),
        "split": record.split_fingerprint,
        "sources": sources,
        "seed": seed.get(),
    });
    // The metric that selects is averaged like those of the report.
    if let (RetrieverSpec::Lru(_), Averaging::Batches) =
        (&experiment.retriever, experiment.evaluation.averaging)
    {
        inputs["averaging"] = json!(experiment.evaluation.averaging);
    }
    CellKey::of(&inputs)
}

/// The key of an experiment's ranking stage on the candidates of `retrieval`, by the backbone that `identity` names.
#[must_use]
pub fn ranking_key(experiment: &Experiment, retrieval: &CellKey, identity: &str) -> CellKey {
    CellKey::of(&json!({
        "stage": "ranking",
        "version": RANKING_STAGE_VERSION,
        "retrieval": retrieval.as_str(),
        "backbone": identity,
        "settings": experiment.ranking_key_material(),
    }))
}
