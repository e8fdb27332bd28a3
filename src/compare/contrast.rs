//! What a reader needs of one comparison, as plain data.

use serde::{Deserialize, Serialize};

use crate::eval::Metric;
use crate::significance::Row;

/// A method beside a reference in one metric, over all users. All finite, so that it survives JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contrast {
    /// The metric.
    pub metric: Metric,
    /// The method.
    pub method: String,
    /// What it is held against.
    pub reference: String,
    /// Number of users.
    pub users: usize,
    /// The method's mean over users and seeds.
    pub mean: f64,
    /// The reference's.
    pub reference_mean: f64,
    /// `mean - reference_mean`.
    pub difference: f64,
    /// `difference / reference_mean`; `None` where that is 0.
    pub relative: Option<f64>,
    /// Lower end of the interval of the difference; `None` where there is none.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// Two-sided p-value, not corrected.
    pub p: f64,
    /// The same by Holm, over all comparisons that stand together.
    pub p_holm: f64,
    /// Mean over standard deviation of the users' differences; `None` without spread.
    pub d_z: Option<f64>,
    /// Users for whom the method is ahead.
    pub wins: usize,
    /// Users without a difference.
    pub ties: usize,
    /// Users for whom the reference is ahead.
    pub losses: usize,
    /// The smallest difference that would be found; `None` where nothing is known of the error.
    pub minimum: Option<f64>,
    /// Whether the observed difference is smaller than that.
    pub underpowered: bool,
    /// The test of `p`.
    pub test: String,
    /// How the interval was made.
    pub interval: String,
    /// What a reader must know of test and interval.
    pub notes: Vec<String>,
}

impl Contrast {
    /// What `row` says, whose metric is `metric`.
    #[must_use]
    pub fn new(metric: Metric, row: &Row) -> Self {
        let comparison = &row.comparison;
        let (effect, ends, power) = (&comparison.effect, comparison.interval(), comparison.power());
        let finite = |value: f64| value.is_finite().then_some(value);
        // What is told of power has fields of its own.
        let told = comparison.notes.iter().filter(|note| !note.starts_with("underpowered"));
        let mut notes: Vec<String> = Vec::new();
        for note in told.chain(&ends.notes) {
            if !notes.contains(note) {
                notes.push(note.clone());
            }
        }
        Self {
            metric,
            method: row.a.clone(),
            reference: row.b.clone(),
            users: comparison.users,
            // Not -0.
            mean: finite(effect.mean_a).unwrap_or(0.0),
            reference_mean: finite(effect.mean_b).unwrap_or(0.0),
            difference: finite(effect.difference).unwrap_or(0.0) + 0.0,
            relative: effect.relative.and_then(finite).map(|share| share + 0.0),
            low: finite(ends.low),
            high: finite(ends.high),
            p: row.p,
            p_holm: row.p_holm,
            d_z: effect.d_z.and_then(finite),
            wins: effect.wins,
            ties: effect.ties,
            losses: effect.losses,
            minimum: power.minimum.and_then(finite),
            underpowered: power.underpowered,
            test: comparison.primary().method.name().to_owned(),
            interval: ends.method.name().to_owned(),
            notes,
        }
    }

    /// Whether p by Holm is below the error rate `alpha`.
    #[must_use]
    pub fn is_significant(&self, alpha: f64) -> bool {
        self.p_holm < alpha && self.wins + self.losses > 0
    }

    /// [`Contrast::verdict`], and whether the comparison was too small for what it saw.
    #[must_use]
    pub fn told(&self, alpha: f64) -> String {
        let weak = if self.underpowered { ", underpowered" } else { "" };
        format!("{}{weak}", self.verdict(alpha))
    }

    /// `the same`, `undecided`, `better` or `worse`, at the error rate `alpha`.
    #[must_use]
    pub fn verdict(&self, alpha: f64) -> &'static str {
        if self.wins == 0 && self.losses == 0 {
            "the same"
        } else if self.p_holm >= alpha {
            "undecided"
        } else if self.difference > 0.0 {
            "better"
        } else {
            "worse"
        }
    }
}
