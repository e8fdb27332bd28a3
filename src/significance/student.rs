//! Student's t over users.

use super::outcome::{Interval, Method, Outcome};
use super::paired::Paired;
use super::quantile::{student_quantile, student_two_sided};

/// The paired t test over users, each user's metric averaged over seeds, and its interval for the mean difference.
///
/// t = mean(d) / (sd(d) / sqrt(n)) with n - 1 degrees of freedom. Fewer than two users say nothing: p = 1 and an interval of no
/// width. Where all users have one difference other than 0, t is infinite and p = 0, as the formula has it; a note says so.
///
/// Source: Student, "The probable error of a mean" (Biometrika, 1908).
#[must_use]
pub fn paired_t(paired: &Paired, level: f64) -> (Outcome, Interval) {
    let differences = paired.differences();
    let (centre, error) = (mean(&differences), standard_error(&differences));
    let n = differences.len();
    let degrees = n.saturating_sub(1) as f64;
    let mut notes = Vec::new();
    let (statistic, p) = if n < 2 {
        notes.push("fewer than two users".to_owned());
        (0.0, 1.0)
    } else if error == 0.0 && centre == 0.0 {
        notes.push("no user differs".to_owned());
        (0.0, 1.0)
    } else if error == 0.0 {
        notes.push("all users have the same difference, so nothing is known of its spread".to_owned());
        (f64::INFINITY.copysign(centre), 0.0)
    } else {
        (centre / error, student_two_sided(centre / error, degrees))
    };
    let half = if error > 0.0 { student_quantile(0.5 + level / 2.0, degrees) * error } else { 0.0 };
    let interval = Interval {
        method: Method::PairedT,
        level,
        low: centre - half,
        high: centre + half,
        draws: None,
        notes: notes.clone(),
    };
    (Outcome::new(Method::PairedT, statistic, p, n, notes), interval)
}

/// Chains of additions that go on side by side: one chain waits for its own last addition.
const CHAINS: usize = 16;

/// The sum of `of` each value, in the same order on every machine: chains of every 16th, then a tree.
#[inline]
fn sum(values: &[f64], of: impl Fn(f64) -> f64) -> f64 {
    let mut chains = [0.0; CHAINS];
    let (whole, rest) = values.as_chunks::<CHAINS>();
    for chunk in whole {
        for (chain, value) in chains.iter_mut().zip(chunk) {
            *chain += of(*value);
        }
    }
    for (chain, value) in chains.iter_mut().zip(rest) {
        *chain += of(*value);
    }
    let mut left = CHAINS;
    while left > 1 {
        left /= 2;
        for at in 0..left {
            chains[at] += chains[at + left];
        }
    }
    chains[0]
}

/// The mean; 0 for none.
pub(super) fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { sum(values, |value| value) / values.len() as f64 }
}

/// The variance with n - 1; 0 for fewer than two values, and for values that differ by rounding alone.
pub(super) fn variance(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let centre = mean(values);
    let squares = sum(values, |value| (value - centre) * (value - centre));
    let variance = squares / (values.len() - 1) as f64;
    if variance.sqrt() <= 1e-12 * centre.abs() { 0.0 } else { variance }
}

/// sd / sqrt(n); 0 for fewer than two values.
pub(super) fn standard_error(values: &[f64]) -> f64 {
    (variance(values) / values.len().max(1) as f64).sqrt()
}
