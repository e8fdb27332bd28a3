//! Experiment files and what they mean. Two stages: what was typed (`raw`, all optional, with its place)
//! is checked against one table of settings, and an [`Experiment`] exists only if all of it is valid.
//!
//! Precedence, weakest first: defaults, defaults of the dataset, the preset named by `protocol`, inherited
//! files, the file, the environment, `-S` on the command line. Nothing is silently dropped or overwritten.

mod check;
mod dataset_spec;
mod device_choice;
mod evaluation_spec;
mod files;
mod layers;
mod load;
mod outside;
mod pretrain_spec;
mod problem;
mod ranker_spec;
mod raw;
mod reference;
mod resolve;
mod resolved;
mod retriever_spec;
mod rules;
mod schema;
mod settings;
mod suggest;

use std::path::PathBuf;

pub use self::dataset_spec::*;
pub use self::device_choice::DeviceChoice;
pub use self::evaluation_spec::{Averaging, EvaluationSpec, HistoryMask, SelectBy, SelectMetric};
pub use self::load::Loaded;
pub use self::outside::{ENV_PREFIX, Override, PROGRAM_VARIABLES};
pub use self::pretrain_spec::{EMBEDDED_PREFIX, PretrainSpec};
pub use self::problem::{Place, Problem, Problems};
pub use self::ranker_spec::{
    BackboneSpec, CandidateOrder, Checkpointing, ComputeType, DeviceWeights, LoraTarget, OverlongPrompts,
    Quantization, RankerSpec, ReadOut, WITHOUT_INFLUENCE, WeightsFrom,
};
pub use self::reference::{SettingDoc, settings_markdown, settings_reference};
pub use self::resolved::{Origin, Resolved, Setting, settings_toml};
pub use self::retriever_spec::{LruSpec, RetrieverSpec, WeightDecayRule, WindowRemainder};
use crate::seed::Seed;

/// A checked experiment. It exists only if every setting is valid.
#[derive(Debug, Clone, PartialEq)]
pub struct Experiment {
    /// Names the folder of its results; safe as a folder name.
    pub name: String,
    /// A sentence for the report; may be empty.
    pub description: String,
    /// One run for each; distinct, at least one.
    pub seeds: Vec<Seed>,
    /// Where it computes.
    pub device: DeviceChoice,
    /// What is learnt from.
    pub dataset: DatasetSpec,
    /// The first stage.
    pub retriever: RetrieverSpec,
    /// What is measured.
    pub evaluation: EvaluationSpec,
    /// The language model of the second stage, if there is one.
    pub backbone: Option<BackboneSpec>,
    /// How the backbone is pre-trained; present exactly where `backbone` is a built-in one.
    pub pretrain: Option<PretrainSpec>,
    /// The second stage; present exactly where `backbone` is.
    pub ranker: Option<RankerSpec>,
    /// The preset that quirk settings started from.
    pub protocol: ProtocolPreset,
    /// Every setting with its origin.
    pub resolved: Resolved,
    /// The file, as it was named.
    pub path: PathBuf,
}

/// What becomes of the second stage where settings are restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecondStage {
    /// It stays, if there is one.
    Keep,
    /// Its settings are left out: the experiment ends with the candidates.
    Drop,
}

/// The values that the protocol's quirk settings start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProtocolPreset {
    /// Correct where the reference's evaluation errs, faithful where a quirk shapes training or the task.
    Default,
    /// What the reference implementation does.
    Reference,
}

impl Experiment {
    /// Whether a language model has to be there for the whole of the experiment to run.
    #[must_use]
    pub const fn needs_backbone(&self) -> bool {
        self.backbone.is_some()
    }
}
