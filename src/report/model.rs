//! What a report says. This is `results.json`: the fields are documented in docs/formats.md, and a change of their
//! meaning changes [`SCHEMA`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::figure_data::FigureData;
use super::ranker::RankerSection;
use crate::baseline::{PublishedStatistics, Scope};
use crate::eval::{Averaging, Metric, MetricTable, SeedSummary, TwoLevel};
use crate::run::{
    CodeRecord, CurvePoint, DatasetRecord, Machine, ProcessRecord, SettingRecord, Times, TrainingRecord,
};

/// Name and version of the format.
pub const SCHEMA: &str = "bench.results/1";

/// Everything that a report says, in full precision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// Name of the experiment.
    pub experiment: String,
    /// What its file says about it.
    pub description: String,
    /// One sentence: what was run.
    pub what: String,
    /// Set if the numbers must not be reported, and why.
    pub not_for_reporting: Option<String>,
    /// What a reader should know before the numbers.
    pub warnings: Vec<String>,
    /// `lru`, `popularity` or `random`.
    pub retriever: String,
    /// The data.
    pub dataset: DatasetSection,
    /// Cutoffs of the metrics.
    pub cutoffs: Vec<u32>,
    /// Length of the candidate list.
    pub candidates: u32,
    /// How users were averaged in every table but `other_averaging`.
    pub averaging: Averaging,
    /// One entry a seed, in the order of the experiment file.
    pub seeds: Vec<SeedResult>,
    /// Over the seeds.
    pub summary: Summary,
    /// Ours beside the published numbers of the same method on the same dataset.
    pub comparisons: Vec<Comparison>,
    /// The second stage, if the experiment has one; left out where it has none, so that reports of the first stage alone are
    /// as they were before there was a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranker: Option<RankerSection>,
    /// What the figures are drawn from; left out where there is no NDCG.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figures: Option<FigureData>,
    /// Every setting with its origin.
    pub settings: Vec<SettingRecord>,
}

/// The data of a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatasetSection {
    /// Ours.
    pub ours: DatasetRecord,
    /// What papers print about the dataset of this name.
    pub published: Vec<PublishedDataset>,
}

/// A paper's row about a dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PublishedDataset {
    /// The paper.
    pub source: Source,
    /// Its figures, as printed.
    pub statistics: PublishedStatistics,
}

/// Where a published figure stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Short name of the paper.
    pub id: String,
    /// Its title.
    pub title: String,
    /// arXiv id or venue.
    pub source: String,
    /// Its table.
    pub table: String,
}

/// One seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeedResult {
    /// The seed.
    pub seed: u64,
    /// The last item of every user.
    pub test: MetricTable,
    /// The last but one item of every user, with the chosen weights.
    pub validation: MetricTable,
    /// Test under the averaging that the report does not use, where the batch size is known.
    pub test_other_averaging: Option<MetricTable>,
    /// Test over the users of R only, in the retriever's order; `None` if R is empty.
    pub test_retrieved_subset: Option<MetricTable>,
    /// Users of the test whose target shares its score with another item.
    pub tied_users: u64,
    /// How training went.
    pub training: Option<TrainingRecord>,
    /// Every validation during training; left out where there was none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub curve: Vec<CurvePoint>,
    /// The most memory that the process held, in bytes.
    pub peak_memory_bytes: Option<u64>,
    /// When it was computed.
    pub times: Times,
    /// Where it was computed.
    pub machine: Machine,
    /// What computed it.
    pub code: CodeRecord,
    /// By which process; left out for early cells.
    #[serde(default, skip_serializing_if = "ProcessRecord::is_unknown")]
    pub process: ProcessRecord,
    /// Key of the cell in the run store.
    pub key: String,
    /// SHA-256 of `retrieval.safetensors`: equal for runs with bit-identical candidates, scores and ranks.
    pub retrieval_sha256: Option<String>,
}

/// Over the seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Test.
    pub test: BTreeMap<Metric, TwoLevel>,
    /// Validation.
    pub validation: BTreeMap<Metric, TwoLevel>,
    /// Test under the other averaging.
    pub test_other_averaging: Option<BTreeMap<Metric, TwoLevel>>,
    /// Test over R only. R differs from seed to seed, so there is no error over users of the mean over seeds.
    pub test_retrieved_subset: BTreeMap<Metric, SeedSummary>,
    /// |R| of the test.
    pub retrieved: SeedSummary,
}

/// One of our numbers beside a published one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Metric and cutoff.
    pub metric: Metric,
    /// Over which users.
    pub scope: Scope,
    /// Our mean over the seeds.
    pub ours: f64,
    /// Standard error over users of `ours`; `None` where the users differ from seed to seed.
    pub se_users: Option<f64>,
    /// Standard error over seeds of `ours`; `None` for one seed.
    pub se_seeds: Option<f64>,
    /// The published number.
    pub published: f64,
    /// As printed; empty for a derived number.
    pub printed: String,
    /// The published method.
    pub method: String,
    /// Where it stands.
    pub source: Source,
    /// Its protocol tag.
    pub protocol: String,
    /// How it was derived, if the paper does not print it.
    pub derived: Option<String>,
    /// `ours - published`.
    pub difference: f64,
    /// `difference / published`; `None` if that is 0.
    pub relative: Option<f64>,
    /// Whether the two agree; `None` where they are means over different users.
    pub verdict: Option<Verdict>,
}

/// Whether ours agrees with a published number, by [`super::RULE`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The largest difference that still agrees.
    pub allowed: f64,
    /// `|difference| <= allowed`.
    pub within: bool,
}
