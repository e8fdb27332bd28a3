//! Corrections for many looks: adjusted p-values of a whole family, to be compared with the error rate.

use super::SignificanceError;

/// Holm's step-down procedure: the probability of any false positive stays below the error rate, whatever the dependence.
/// Adjusted p(i) = max over j <= i of min(1, (m - j + 1) p(j)), p sorted ascending.
///
/// Source: Holm, "A simple sequentially rejective multiple test procedure" (Scandinavian Journal of Statistics, 1979).
///
/// # Errors
/// If a number is no p-value.
///
/// ```
/// use bench::significance::holm;
/// let adjusted = holm(&[0.01, 0.04, 0.03])?;
/// assert!((adjusted[0] - 0.03).abs() < 1e-12);
/// assert!((adjusted[1] - 0.06).abs() < 1e-12 && (adjusted[2] - 0.06).abs() < 1e-12);
/// # Ok::<(), bench::significance::SignificanceError>(())
/// ```
pub fn holm(p: &[f64]) -> Result<Vec<f64>, SignificanceError> {
    let order = ascending(p)?;
    let mut adjusted = vec![0.0; p.len()];
    let mut least = 0.0f64;
    for (place, &at) in order.iter().enumerate() {
        least = least.max((p[at] * (p.len() - place) as f64).min(1.0));
        adjusted[at] = least;
    }
    Ok(adjusted)
}

/// Benjamini and Hochberg's step-up procedure: the expected share of false positives among the positives stays below the error
/// rate, for independent or positively dependent tests. Adjusted p(i) = min over j >= i of min(1, m p(j) / j), p sorted ascending.
///
/// Source: Benjamini and Hochberg, "Controlling the false discovery rate" (JRSS B, 1995).
///
/// # Errors
/// If a number is no p-value.
pub fn benjamini_hochberg(p: &[f64]) -> Result<Vec<f64>, SignificanceError> {
    let order = ascending(p)?;
    let mut adjusted = vec![0.0; p.len()];
    let mut most = 1.0f64;
    for (place, &at) in order.iter().enumerate().rev() {
        most = most.min(p[at] * (p.len() as f64 / (place + 1) as f64));
        adjusted[at] = most;
    }
    Ok(adjusted)
}

/// Bonferroni: min(1, m p). Holm's is never worse; this one is for comparison with papers that use it.
///
/// # Errors
/// If a number is no p-value.
pub fn bonferroni(p: &[f64]) -> Result<Vec<f64>, SignificanceError> {
    ascending(p)?;
    Ok(p.iter().map(|p_value| (p_value * p.len() as f64).min(1.0)).collect())
}

/// Positions by ascending p-value.
fn ascending(p: &[f64]) -> Result<Vec<usize>, SignificanceError> {
    if let Some(position) = p.iter().position(|value| !(0.0..=1.0).contains(value)) {
        return Err(SignificanceError::PValue { position, value: p[position] });
    }
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|x, y| p[*x].total_cmp(&p[*y]));
    Ok(order)
}
