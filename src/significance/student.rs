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

/// The mean; 0 for none.
pub(super) fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

/// The variance with n - 1; 0 for fewer than two values, and for values that differ by rounding alone.
pub(super) fn variance(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let centre = mean(values);
    let squares: f64 = values.iter().map(|value| (value - centre) * (value - centre)).sum();
    let variance = squares / (values.len() - 1) as f64;
    if variance.sqrt() <= 1e-12 * centre.abs() { 0.0 } else { variance }
}

/// sd / sqrt(n); 0 for fewer than two values.
pub(super) fn standard_error(values: &[f64]) -> f64 {
    (variance(values) / values.len().max(1) as f64).sqrt()
}
