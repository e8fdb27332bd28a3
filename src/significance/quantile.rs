//! Distribution functions, from statrs, and the quantiles of samples.

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// The standard normal distribution function.
pub(super) fn normal_cdf(x: f64) -> f64 {
    Normal::standard().cdf(x)
}

/// Its inverse.
pub(super) fn normal_quantile(p: f64) -> f64 {
    Normal::standard().inverse_cdf(p)
}

/// The probability of a standard normal number at least as far from 0 as `z`.
pub(super) fn normal_two_sided(z: f64) -> f64 {
    (2.0 * Normal::standard().sf(z.abs())).min(1.0)
}

/// The probability of a t at least as far from 0 as `t`. Degrees of freedom need not be whole.
pub(super) fn student_two_sided(t: f64, degrees: f64) -> f64 {
    if t.is_infinite() {
        return 0.0;
    }
    StudentsT::new(0.0, 1.0, degrees).map_or(f64::NAN, |t_of| (2.0 * t_of.sf(t.abs())).min(1.0))
}

/// The `p` quantile of t, for `p` of at least one half. statrs inverts the incomplete beta function, and a bisection of the
/// distribution function takes over where that does not give it back.
pub(super) fn student_quantile(p: f64, degrees: f64) -> f64 {
    let Ok(t_of) = StudentsT::new(0.0, 1.0, degrees) else { return f64::NAN };
    let found = t_of.inverse_cdf(p);
    if found.is_finite() && (t_of.sf(found) - (1.0 - p)).abs() <= 1e-9 * (1.0 - p) {
        return found;
    }
    let (mut low, mut high) = (0.0, 1.0);
    while t_of.sf(high) > 1.0 - p && high < 1e300 {
        high *= 2.0;
    }
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if t_of.sf(middle) > 1.0 - p { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// The `p` quantile of ascending numbers with linear interpolation (type 7 of Hyndman and Fan, the default of R and numpy).
/// 0 for none.
pub(super) fn of_sorted(sorted: &[f64], p: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let place = p.clamp(0.0, 1.0) * last as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (place - below as f64) * (sorted[above] - sorted[below])
}
