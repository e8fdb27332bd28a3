//! What a cell says about itself.
//!
//! Unknown fields are ignored on reading, and fields added later have defaults: a later version of this program
//! may add facts without making old runs unreadable or old programs refuse new runs. A change that alters the
//! meaning of a field raises [`MANIFEST_VERSION`], and a manifest of a later version is refused and left alone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::machine::executable_sha256;
use super::{Machine, ProcessRecord, RankerRecord};

/// Version of `manifest.json`.
pub const MANIFEST_VERSION: u32 = 1;

/// `manifest.json` of a cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`MANIFEST_VERSION`].
    pub version: u32,
    /// The stage, such as `retrieval`.
    pub stage: String,
    /// All 64 hex digits of the content key.
    pub key: String,
    /// Names of the experiments that asked for this cell when it was written. Not part of the key.
    pub experiments: Vec<String>,
    /// `lru`, `popularity` or `random`.
    pub retriever: String,
    /// The seed.
    pub seed: u64,
    /// What was learnt from and tested on.
    pub dataset: DatasetRecord,
    /// What computed it.
    pub code: CodeRecord,
    /// Where.
    pub machine: Machine,
    /// When, and for how long.
    pub times: Times,
    /// By which process.
    #[serde(default, skip_serializing_if = "ProcessRecord::is_unknown")]
    pub process: ProcessRecord,
    /// The most memory that the process held until the cell was complete, in bytes, where the system tells.
    #[serde(default)]
    pub peak_memory_bytes: Option<u64>,
    /// How training went; `None` for a retriever that does not train.
    #[serde(default)]
    pub training: Option<TrainingRecord>,
    /// What only the ranking stage has to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranker: Option<RankerRecord>,
    /// If the run is not for reporting, why: it used only a part of the data, or random weights.
    #[serde(default)]
    pub limit: Option<String>,
    /// The other files of the cell by name. Filled in by the store.
    #[serde(default)]
    pub files: BTreeMap<String, FileRecord>,
    /// Files that a bundle of this cell was packed without.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub left_out: BTreeMap<String, FileRecord>,
}

/// The dataset of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatasetRecord {
    /// Its name, such as `beauty`.
    pub name: String,
    /// Users after preprocessing.
    pub users: u64,
    /// Items after preprocessing.
    pub items: u64,
    /// Interactions after preprocessing.
    pub interactions: u64,
    /// Interactions / users.
    pub mean_length: f64,
    /// Interactions / (users x items).
    pub density: f64,
    /// SHA-256 over (user, history, target) of every user in order.
    pub split_fingerprint: String,
    /// Upstream files that were read.
    #[serde(default)]
    pub sources: Vec<SourceRecord>,
    /// Counts and named rules of the preprocessing, in order, for the reader: `("rows read", "100,836")`.
    #[serde(default)]
    pub preparation: Vec<(String, String)>,
    /// What a reader should know about the data, such as ties in time or repeated pairs.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// One upstream file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRecord {
    /// File name (not the whole path, which is private to a machine).
    pub name: String,
    /// Size.
    pub bytes: u64,
    /// SHA-256 in hex.
    pub sha256: String,
}

/// The code that computed a cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeRecord {
    /// Version of the package.
    pub version: String,
    /// Version of the stage, part of the key.
    pub stage_version: u32,
    /// SHA-256 of the program's file. Not in early cells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable_sha256: Option<String>,
}

impl CodeRecord {
    /// This program at a stage version.
    #[must_use]
    pub fn here(stage_version: u32) -> Self {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Self { version, stage_version, executable_sha256: executable_sha256() }
    }
}

/// When a cell was computed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// UTC, RFC 3339.
    pub started: String,
    /// UTC, RFC 3339.
    pub finished: String,
    /// Wall time of each part of the work, in seconds, such as `train` and `evaluate`.
    pub wall_seconds: BTreeMap<String, f64>,
}

/// How training went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingRecord {
    /// The metric on validation that chose the weights, such as `Recall@10`.
    pub selected_by: String,
    /// Optimizer step of the chosen weights.
    pub best_step: u32,
    /// That metric there.
    pub best_metric: f64,
    /// Optimizer steps in all.
    pub steps: u32,
    /// Epochs begun.
    pub epochs: u32,
    /// Why it stopped, such as `no better validation in 20 evaluations`.
    pub stop_reason: String,
    /// Mean training loss at the last point of the curve, in nats.
    #[serde(default)]
    pub last_loss: Option<f64>,
    /// Number of trained parameters.
    #[serde(default)]
    pub parameters: Option<u64>,
}

/// One file of a cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Size.
    pub bytes: u64,
    /// SHA-256 in hex.
    pub sha256: String,
}

/// One point of `curve.json`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Optimizer steps done.
    pub step: u32,
    /// Epochs done or begun.
    pub epoch: u32,
    /// Mean training loss since the last point, in nats; `None` before the first step.
    pub train_loss: Option<f64>,
    /// The validation metric that selects.
    pub metric: f64,
    /// Seconds since training began.
    pub wall_seconds: f64,
}

/// One resolved setting of `config.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SettingRecord {
    /// Dotted key, such as `retriever.max_len`.
    pub key: String,
    /// Its value.
    pub value: serde_json::Value,
    /// Where it came from, such as `default` or `experiments/beauty.toml:12`.
    pub origin: String,
    /// Whether the value equals the default.
    #[serde(default)]
    pub is_default: bool,
    /// Whether the setting decides a quirk of the protocol.
    #[serde(default)]
    pub is_quirk: bool,
}
