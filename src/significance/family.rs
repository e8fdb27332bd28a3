//! Many comparisons, corrected together.

use serde::{Deserialize, Serialize};

use super::comparison::{Comparison, Settings, with_samples};
use super::correction::{benjamini_hochberg, bonferroni, holm};
use super::paired::Paired;
use super::{SignificanceError, resample};

/// One comparison of a family, before it is made.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// The dataset.
    pub dataset: &'a str,
    /// The metric.
    pub metric: &'a str,
    /// Method A.
    pub a: &'a str,
    /// Method B.
    pub b: &'a str,
    /// Their values.
    pub paired: &'a Paired,
}

/// One comparison of a family, with p-values for the whole of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The dataset.
    pub dataset: String,
    /// The metric.
    pub metric: String,
    /// Method A.
    pub a: String,
    /// Method B.
    pub b: String,
    /// p of [`Comparison::primary`], not corrected.
    pub p: f64,
    /// The same by Holm: compare with the error rate to bound the chance of any false positive.
    pub p_holm: f64,
    /// The same by Benjamini and Hochberg: compare with the error rate to bound the share of false positives.
    pub p_benjamini_hochberg: f64,
    /// The same by Bonferroni.
    pub p_bonferroni: f64,
    /// All that was computed.
    pub comparison: Comparison,
}

/// All comparisons that a reader looks at together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Family {
    /// How they were made.
    pub settings: Settings,
    /// In the order of the entries.
    pub rows: Vec<Row>,
}

/// Make all comparisons of a family and correct their p-values over all of them. Neighbours of one dataset and one pair of methods
/// share their bootstrap resamples.
///
/// # Errors
/// If a setting is out of its range, or metrics of one pair have different users or seeds.
pub fn family(entries: &[Entry<'_>], settings: &Settings) -> Result<Family, SignificanceError> {
    settings.check()?;
    let mut comparisons = Vec::with_capacity(entries.len());
    for group in entries.chunk_by(|x, y| (x.dataset, x.a, x.b) == (y.dataset, y.a, y.b)) {
        let tables: Vec<&Paired> = group.iter().map(|entry| entry.paired).collect();
        let mut samples = Vec::new();
        if settings.resamples > 0 {
            samples = resample(&tables, settings.resamples, settings.seed_draw, settings.seed)?;
        }
        for (at, table) in tables.iter().enumerate() {
            comparisons.push(with_samples(table, samples.get(at), settings)?);
        }
    }
    let p: Vec<f64> = comparisons.iter().map(|comparison| comparison.primary().p).collect();
    let (holm, fdr, bonferroni) = (holm(&p)?, benjamini_hochberg(&p)?, bonferroni(&p)?);
    let rows = entries
        .iter()
        .zip(comparisons)
        .enumerate()
        .map(|(at, (entry, comparison))| Row {
            dataset: entry.dataset.to_owned(),
            metric: entry.metric.to_owned(),
            a: entry.a.to_owned(),
            b: entry.b.to_owned(),
            p: p[at],
            p_holm: holm[at],
            p_benjamini_hochberg: fdr[at],
            p_bonferroni: bonferroni[at],
            comparison,
        })
        .collect();
    Ok(Family { settings: *settings, rows })
}
