//! An experiment with what it needs, and whether that is there.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use super::footprint::Footprint;
use super::{Devices, Error, Located, Prepared};
use crate::cuda;
use crate::data::Split;
use crate::events::Interrupt;
use crate::experiment::{Averaging, DeviceChoice, Experiment, RetrieverSpec};
use crate::retrieve::lru;
use crate::run::{CellKey, RANKING_STAGE_VERSION, RETRIEVAL_STAGE_VERSION, Step, Store};
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
    /// A device that it names.
    Device {
        /// Bytes of its memory that are needed.
        bytes: u64,
        /// Why it cannot be used.
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
            Self::Device { bytes, what } => {
                write!(f, "a device with {} MiB of free memory: {what}", bytes.div_ceil(1 << 20))
            }
        }
    }
}

impl Job {
    /// The same job, waiting if it has something to compute on a device that cannot do it; `step` is the one that it is about, if not all.
    #[must_use]
    pub fn with_device(mut self, devices: &Devices, runs: &Path, step: Option<Step>) -> Self {
        let State::Ready(data) = &self.state else { return self };
        if !matches!(self.experiment.device, DeviceChoice::Cuda(_)) {
            return self;
        }
        let store: Store = Store::new(runs);
        let left = |seed: &Seed| !store.is_complete(&retrieval_key(&self.experiment, data, *seed));
        let fails = |needed: u64| {
            let error = devices.look(self.experiment.device, needed).err()?;
            Some(Need::Device { bytes: needed, what: error.to_string() })
        };
        let retriever = device_bytes(&self.experiment, &data.split).and_then(fails);
        let retriever = retriever.filter(|_| self.experiment.seeds.iter().any(left));
        let ranker = self.backbone.as_deref().filter(|_| step.is_none_or(|step| step == Step::Ranking));
        let ranker = ranker
            .and_then(|located| Footprint::of(&self.experiment, located))
            .and_then(|found| fails(found.least()));
        // Asked last: for the answer the backbone's files are hashed.
        let need = retriever.or_else(|| ranker.filter(|_| self.is_ranking_left(data, runs)));
        if let Some(need) = need {
            self.state = State::Waiting(vec![need]);
        }
        self
    }

    /// Whether a seed has still to be ranked. A backbone whose files cannot be read is told of elsewhere.
    fn is_ranking_left(&self, data: &Prepared, runs: &Path) -> bool {
        let Some(located) = &self.backbone else { return false };
        let Ok(identity) = located.identity(&Interrupt::default()) else { return false };
        let rankings = Store::rankings(runs);
        self.experiment.seeds.iter().any(|seed| {
            let retrieval = retrieval_key(&self.experiment, data, *seed);
            !rankings.is_complete(&ranking_key(&self.experiment, &retrieval, identity))
        })
    }
}

/// Bytes that an experiment needs of a device; `None` if it computes nothing on one.
#[must_use]
pub fn device_bytes(experiment: &Experiment, split: &Split) -> Option<u64> {
    let RetrieverSpec::Lru(spec) = &experiment.retriever else { return None };
    let k = experiment.evaluation.candidates as usize;
    Some(lru::device_bytes::<cuda::Ops>(spec, split, k))
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
