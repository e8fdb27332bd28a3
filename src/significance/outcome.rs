//! What a test and an interval say, as plain data.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a p-value or an interval was computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// All sign patterns of the users' differences.
    ExactRandomization,
    /// Random sign patterns, p = (b + 1) / (m + 1).
    MonteCarloRandomization,
    /// The binomial test on the users that one method hits and the other does not.
    ExactMcNemar,
    /// All sign patterns of the users' differences in hits over several seeds; McNemar's test for one seed.
    ExactHits,
    /// Wilcoxon's signed ranks, all sign patterns.
    ExactWilcoxon,
    /// Wilcoxon's signed ranks, normal approximation.
    Wilcoxon,
    /// Student's t over users.
    PairedT,
    /// t of the two-way crossed random model, users by seeds.
    CrossedT,
    /// Hierarchical bootstrap, percentiles.
    BootstrapPercentile,
    /// Hierarchical bootstrap, percentiles moved as far as t is wider than normal.
    BootstrapExpanded,
    /// Hierarchical bootstrap, corrected for bias and skewness.
    BootstrapBca,
}

impl Method {
    /// The name in tables and captions.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ExactRandomization => "paired randomization (exact)",
            Self::MonteCarloRandomization => "paired randomization (Monte Carlo)",
            Self::ExactMcNemar => "McNemar (exact)",
            Self::ExactHits => "paired randomization of hits (exact)",
            Self::ExactWilcoxon => "Wilcoxon signed-rank (exact)",
            Self::Wilcoxon => "Wilcoxon signed-rank (normal approximation)",
            Self::PairedT => "paired t",
            Self::CrossedT => "crossed t (users and seeds)",
            Self::BootstrapPercentile => "hierarchical bootstrap (percentile)",
            Self::BootstrapExpanded => "hierarchical bootstrap (expanded percentile)",
            Self::BootstrapBca => "hierarchical bootstrap (BCa)",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a two-sided test says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// How it was computed.
    pub method: Method,
    /// The test's statistic, as the function that made it defines it.
    pub statistic: f64,
    /// The two-sided p-value, from 0 to 1.
    pub p: f64,
    /// p with half the probability of what was observed, for exact tests on few different values; less cautious than `p`.
    pub mid_p: Option<f64>,
    /// Units that decide: users whose difference is not 0, or degrees of freedom + 1 for t over users.
    pub n: usize,
    /// Random draws, where there are any.
    pub draws: Option<u32>,
    /// What a reader must know.
    pub notes: Vec<String>,
}

impl Outcome {
    /// Of a test without random draws, and without a mid-p.
    pub(super) fn new(method: Method, statistic: f64, p: f64, n: usize, notes: Vec<String>) -> Self {
        Self { method, statistic, p, mid_p: None, n, draws: None, notes }
    }
}

/// An interval for the mean difference A - B.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// How it was computed.
    pub method: Method,
    /// The share of repetitions that it is to cover, such as 0.95.
    pub level: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Random draws, where there are any.
    pub draws: Option<u32>,
    /// What a reader must know.
    pub notes: Vec<String>,
}
