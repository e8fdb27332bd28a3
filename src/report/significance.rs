//! Whether what a ranker adds is more than chance.

use serde::{Deserialize, Serialize};

use super::Error;
use super::methods::MethodRanks;
use crate::compare::Contrast;
use crate::eval::{Metric, MetricKind, Rung};
use crate::significance::{Entry, Paired, SeedPairing, Settings, family};

/// Every method of the second stage against the retriever, and tuned against zero-shot, over all users, corrected together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Significance {
    /// Error rate of the verdicts.
    pub alpha: f64,
    /// What intervals are to cover.
    pub level: f64,
    /// The probability with which a difference of the size of `minimum` would be found.
    pub power: f64,
    /// By pair (zero-shot against retriever, tuned against retriever, tuned against zero-shot), then by metric.
    pub contrasts: Vec<Contrast>,
}

/// The pairs that are compared.
const PAIRS: [(Rung, Rung); 3] =
    [(Rung::ZeroShot, Rung::Retriever), (Rung::Tuned, Rung::Retriever), (Rung::Tuned, Rung::ZeroShot)];

/// How the tests of a report are made: the defaults, without the bootstrap.
pub(super) fn settings() -> Settings {
    Settings { resamples: 0, ..Settings::default() }
}

/// `None` without a model that ranked all of R, and where R is empty. Seeds are compared one by one, for all methods begin with the
/// same candidates. Recall at the number of candidates, which no order changes, is left out: it would only weigh on the correction.
pub(super) fn significance(
    methods: &[MethodRanks],
    metrics: &[Metric],
    candidates: u32,
) -> Result<Option<Significance>, Error> {
    let some = methods.iter().any(|method| method.lists.iter().any(|list| list.hits(candidates) > 0));
    let find = |rung: Rung| methods.iter().find(|method| method.rung == rung);
    let metrics: Vec<Metric> =
        metrics.iter().copied().filter(|m| m.kind != MetricKind::Recall || m.k < candidates).collect();
    let names: Vec<String> = metrics.iter().map(ToString::to_string).collect();
    let mut tables = Vec::new();
    for (one, other) in PAIRS {
        let (Some(a), Some(b)) = (find(one), find(other)) else { continue };
        for (metric, name) in metrics.iter().zip(&names) {
            let paired = Paired::of_ranks(&a.lists, &b.lists, *metric, SeedPairing::Shared)?;
            tables.push((one, other, name, *metric, paired));
        }
    }
    if tables.is_empty() || !some {
        return Ok(None);
    }
    let entries: Vec<Entry<'_>> = tables
        .iter()
        .map(|(one, other, metric, _, paired)| Entry {
            dataset: "",
            metric,
            a: one.name(),
            b: other.name(),
            paired,
        })
        .collect();
    let mut settings = settings();
    if methods.iter().any(|method| method.lists.len() > 1) {
        // The crossed t decides then, and the random sign patterns, which no reader sees, would cost most of the time.
        settings.sign_flips = 99;
    }
    let rows = family(&entries, &settings)?.rows;
    Ok(Some(Significance {
        alpha: settings.design.alpha,
        level: settings.level,
        power: settings.design.power,
        contrasts: rows.iter().zip(&tables).map(|(row, table)| Contrast::new(table.3, row)).collect(),
    }))
}

impl Significance {
    /// The contrast of two rungs in a metric.
    #[must_use]
    pub fn contrast(&self, method: Rung, reference: Rung, metric: Metric) -> Option<&Contrast> {
        self.contrasts.iter().find(|contrast| {
            contrast.method == method.name()
                && contrast.reference == reference.name()
                && contrast.metric == metric
        })
    }

    /// The pairs, each with its number of contrasts, in order.
    #[must_use]
    pub fn pairs(&self) -> Vec<(String, usize)> {
        let same = |a: &Contrast, b: &Contrast| (&a.method, &a.reference) == (&b.method, &b.reference);
        let pair = |of: &[Contrast]| (format!("{} against {}", of[0].method, of[0].reference), of.len());
        self.contrasts.chunk_by(same).map(pair).collect()
    }

    /// Whether one method is significantly better than another.
    #[must_use]
    pub fn is_better(&self, method: Rung, reference: Rung, metric: Metric) -> bool {
        let better = |contrast: &Contrast| contrast.is_significant(self.alpha) && contrast.difference > 0.0;
        let worse = |contrast: &Contrast| contrast.is_significant(self.alpha) && contrast.difference < 0.0;
        self.contrast(method, reference, metric).is_some_and(better)
            || self.contrast(reference, method, metric).is_some_and(worse)
    }
}
