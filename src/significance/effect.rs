//! How large a difference is, whatever its p-value.

use serde::{Deserialize, Serialize};

use super::paired::Paired;
use super::student::{mean, variance};

/// Sizes of the difference A - B over users, each user's metric averaged over seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// Mean of A.
    pub mean_a: f64,
    /// Mean of B.
    pub mean_b: f64,
    /// Mean of A - B.
    pub difference: f64,
    /// (mean of A - mean of B) / mean of B; `None` where B is 0.
    pub relative: Option<f64>,
    /// Cohen's d for pairs, mean(d) / sd(d); `None` without spread. Source: Cohen, "Statistical Power Analysis for the Behavioral
    /// Sciences" (1988), section 2.3.5 (d_z).
    pub d_z: Option<f64>,
    /// Matched-pairs rank-biserial correlation, (W+ - W-) / (W+ + W-) of Wilcoxon's ranks without zeros: from -1 (B always ahead) to 1;
    /// 0 without any difference. Source: Kerby, "The simple difference formula" (Comprehensive Psychology, 2014).
    pub rank_biserial: f64,
    /// Users for whom A is ahead.
    pub wins: usize,
    /// Users without a difference.
    pub ties: usize,
    /// Users for whom B is ahead.
    pub losses: usize,
}

impl Effect {
    /// All of them.
    #[must_use]
    pub fn of(paired: &Paired) -> Self {
        let differences = paired.differences();
        let (mean_a, mean_b) = paired.means();
        let (wins, losses) = (
            differences.iter().filter(|d| **d > 0.0).count(),
            differences.iter().filter(|d| **d < 0.0).count(),
        );
        let sd = variance(&differences).sqrt();
        Self {
            mean_a,
            mean_b,
            difference: mean_a - mean_b,
            relative: (mean_b != 0.0).then(|| (mean_a - mean_b) / mean_b),
            d_z: (sd > 0.0).then(|| mean(&differences) / sd),
            rank_biserial: rank_biserial(paired),
            wins,
            ties: differences.len() - wins - losses,
            losses,
        }
    }
}

fn rank_biserial(paired: &Paired) -> f64 {
    let mut steps: Vec<i64> = paired.steps().0.iter().copied().filter(|step| *step != 0).collect();
    steps.sort_unstable_by_key(|step| step.abs());
    let (mut signed, mut ranked) = (0.0, 0);
    for equal in steps.chunk_by(|x, y| x.abs() == y.abs()) {
        let rank = ranked as f64 + 0.5 * (equal.len() as f64 + 1.0);
        signed += rank * equal.iter().map(|step| step.signum()).sum::<i64>() as f64;
        ranked += equal.len();
    }
    let all = (steps.len() * (steps.len() + 1) / 2) as f64;
    if all > 0.0 { signed / all } else { 0.0 }
}
