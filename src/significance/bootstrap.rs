//! The hierarchical bootstrap: users resampled, and seeds resampled.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::SignificanceError;
use super::crossed::Crossed;
use super::draws::Draws;
use super::error::share;
use super::outcome::{Interval, Method};
use super::paired::{Paired, SeedPairing};
use super::quantile::{normal_cdf, normal_quantile, of_sorted, student_quantile};
use super::rows::Rows;
use super::student::mean;
use crate::seed::Seed;

/// Resamples of a task.
const TASK: u32 = 50;

/// What is done to seeds in a resample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeedDraw {
    /// Nothing: the intervals are about users given these runs.
    Fixed,
    /// S of the S seeds, with repetition: the textbook's form. Its variance over seeds is too small by (S - 1) / S.
    All,
    /// S - 1 of the S seeds, with repetition, whose variance is right. Source: Rao and Wu, "Resampling inference with complex survey
    /// data" (JASA, 1988), section 2.2 with m = n - 1.
    OneLess,
}

/// How resampled values become an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BootstrapInterval {
    /// Their quantiles (1 -+ level) / 2. Source: Efron, "Nonparametric standard errors and confidence intervals" (1981).
    Percentile,
    /// Quantiles moved outwards to the normal probability of t's quantile, with the degrees of freedom of [`Crossed`], or of the
    /// users alone. Source: Hesterberg, "What teachers should know about the bootstrap" (The American Statistician, 2015), section 5.2.
    Expanded,
    /// Quantiles corrected for bias and for skewness of users and of seeds. Source: Efron, "Better bootstrap confidence intervals"
    /// (JASA, 1987), equations 2.3 and 6.6, the acceleration summed over both kinds of units.
    Bca,
}

/// The resampled mean differences of one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Bootstrap {
    /// The mean difference of the values as they are.
    pub estimate: f64,
    /// The resampled mean differences, ascending.
    pub sorted: Vec<f64>,
    /// Efron's a: sum of L^3 / (6 (sum of L^2)^1.5) over the influences L of users and of drawn seeds.
    pub acceleration: f64,
    /// t's quantile is `factor` times that of `degrees`.
    degrees: Option<f64>,
    factor: f64,
    notes: Vec<String>,
}

/// Resample users and seeds of several metrics of one pair of methods at once: the same draws for all.
///
/// In each resample U users are drawn with repetition, and seeds as `seeds` says (for shared seeds once for both methods, else for each
/// apart); every drawn user counts in every drawn run. With one seed for a method, users are resampled alone, and the intervals say so.
///
/// Users without a difference in any run and metric are not drawn one by one: how many of the U draws fall on the others is
/// binomial, and is drawn first. So the time goes with the users that matter.
///
/// Sources: Davison and Hinkley, "Bootstrap Methods and their Application" (1997), section 3.8; Owen, "The pigeonhole bootstrap"
/// (Annals of Applied Statistics, 2007), who shows that resampling both factors counts the variance of the rest about three times.
///
/// # Errors
/// If the tables have not all the same users and seeds, or `draws` is less than 2.
pub fn resample(
    tables: &[&Paired],
    draws: u32,
    seeds: SeedDraw,
    seed: Seed,
) -> Result<Vec<Bootstrap>, SignificanceError> {
    if draws < 2 {
        return Err(SignificanceError::TooFew { name: "resamples", value: draws, least: 2 });
    }
    let Some(first) = tables.first() else { return Ok(Vec::new()) };
    let shape = (first.users(), first.seeds(), first.pairing());
    if let Some(table) = tables.iter().position(|t| (t.users(), t.seeds(), t.pairing()) != shape) {
        return Err(SignificanceError::Shapes { table });
    }
    let (seeds_a, seeds_b) = first.seeds();
    let drawn = if seeds_a < 2 || seeds_b < 2 { SeedDraw::Fixed } else { seeds };
    let rows = Rows::of(tables);
    let tasks = draws.div_ceil(TASK) as usize;
    let values: Vec<Vec<f64>> = (0..tasks)
        .into_par_iter()
        .map(|task| {
            let count = TASK.min(draws - task as u32 * TASK);
            rows.resampled(count, drawn, &mut Draws::new(seed, "bootstrap", task))
        })
        .collect();
    Ok(tables
        .iter()
        .enumerate()
        .map(|(at, table)| {
            let of_table = values.iter().flat_map(|task| task.iter().skip(at).step_by(tables.len()));
            let mut sorted: Vec<f64> = of_table.copied().collect();
            sorted.sort_unstable_by(f64::total_cmp);
            Bootstrap::new(table, sorted, drawn, seeds != drawn)
        })
        .collect())
}

impl Bootstrap {
    fn new(paired: &Paired, sorted: Vec<f64>, drawn: SeedDraw, alone: bool) -> Self {
        let differences = paired.differences();
        let (mean_a, mean_b) = paired.means();
        let users = differences.len().max(1) as f64;
        let centre = mean(&differences);
        let mut influences: Vec<f64> = differences.iter().map(|d| (d - centre) / users).collect();
        let mut notes = Vec::new();
        if alone {
            notes.push("one seed: users only".to_owned());
        }
        let mut degrees = (users > 1.0).then_some(users - 1.0);
        let mut factor = (users / (users - 1.0).max(1.0)).sqrt();
        if drawn != SeedDraw::Fixed {
            let means = |runs: &[Vec<f64>]| -> Vec<f64> {
                runs.iter().map(|run| run.iter().sum::<f64>() / users).collect()
            };
            let (a, b) = (means(&paired.a), means(&paired.b));
            match paired.pairing() {
                SeedPairing::Shared => influences
                    .extend(a.iter().zip(&b).map(|(x, y)| (x - y - (mean_a - mean_b)) / a.len() as f64)),
                SeedPairing::Independent => {
                    influences.extend(a.iter().map(|x| (x - mean_a) / a.len() as f64));
                    influences.extend(b.iter().map(|y| (mean_b - y) / b.len() as f64));
                }
            }
            degrees = Crossed::of(paired).and_then(|crossed| crossed.degrees);
            factor = 1.0;
        }
        let squares: f64 = influences.iter().map(|l| l * l).sum();
        let cubes: f64 = influences.iter().map(|l| l * l * l).sum();
        let acceleration = if squares > 0.0 { cubes / (6.0 * squares.powf(1.5)) } else { 0.0 };
        Self { estimate: mean_a - mean_b, sorted, acceleration, degrees, factor, notes }
    }

    /// An interval for the mean difference.
    ///
    /// # Errors
    /// If `level` is not between 0 and 1.
    pub fn interval(&self, kind: BootstrapInterval, level: f64) -> Result<Interval, SignificanceError> {
        let upper = 0.5 + share("level", level)? / 2.0;
        let (method, low, high) = match kind {
            BootstrapInterval::Percentile => (Method::BootstrapPercentile, 1.0 - upper, upper),
            BootstrapInterval::Expanded => {
                let t = self.degrees.map_or(0.0, |degrees| self.factor * student_quantile(upper, degrees));
                (Method::BootstrapExpanded, normal_cdf(-t), normal_cdf(t))
            }
            BootstrapInterval::Bca => {
                let (low, high) = self.corrected(upper);
                (Method::BootstrapBca, low, high)
            }
        };
        let draws = u32::try_from(self.sorted.len()).ok();
        let (low, high) = (of_sorted(&self.sorted, low), of_sorted(&self.sorted, high));
        Ok(Interval { method, level, low, high, draws, notes: self.notes.clone() })
    }

    /// BCa's probabilities: Phi(z0 + (z0 + z) / (1 - a (z0 + z))), with z0 = Phi^-1(share of resamples below the estimate, half of
    /// those equal to it).
    fn corrected(&self, upper: f64) -> (f64, f64) {
        let tolerance = 1e-12 * self.estimate.abs();
        let below = self.sorted.partition_point(|value| *value < self.estimate - tolerance);
        let up_to = self.sorted.partition_point(|value| *value <= self.estimate + tolerance);
        let n = self.sorted.len() as f64;
        // All on one side: as if half a resample were on the other.
        let below = (0.5 * (below + up_to) as f64 / n).clamp(0.5 / n, 1.0 - 0.5 / n);
        let bias = normal_quantile(below);
        let moved = |z: f64| normal_cdf(bias + (bias + z) / (1.0 - self.acceleration * (bias + z)));
        let z = normal_quantile(upper);
        (moved(-z), moved(z))
    }
}
