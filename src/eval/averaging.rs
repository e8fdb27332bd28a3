//! How the metrics of users become one number.

use serde::{Deserialize, Serialize};

/// The mean that is taken. The second form exists because the reference implementation reports it for its
/// retriever, so published retriever rows may carry its error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "by")]
pub enum Averaging {
    /// Every user weighs `1 / |U|`.
    Users,
    /// The mean of the means of consecutive batches: a short last batch weighs too much.
    Batches {
        /// Users in a batch, at least 1.
        size: usize,
    },
}

impl Averaging {
    /// The weight of every user among `n`; the weights sum to 1.
    #[must_use]
    pub fn weights(self, n: usize) -> Vec<f64> {
        match self {
            Self::Users => vec![1.0 / n as f64; n],
            Self::Batches { size } => {
                let size = size.max(1);
                let batches = n.div_ceil(size) as f64;
                let full = n - n % size;
                (0..n)
                    .map(|user| 1.0 / (batches * if user < full { size } else { n % size } as f64))
                    .collect()
            }
        }
    }

    /// The mean of `values`; 0 for none.
    #[must_use]
    pub fn mean(self, values: &[f64]) -> f64 {
        match self {
            Self::Users => mean(values),
            Self::Batches { size } => {
                let means: Vec<f64> = values.chunks(size.max(1)).map(mean).collect();
                mean(&means)
            }
        }
    }

    /// The standard error of that mean over independent users: `sd * sqrt(sum of squared weights)`, which is
    /// `sd / sqrt(n)` for equal weights; `sd` has `n - 1` in its denominator. 0 for fewer than two users.
    #[must_use]
    pub fn standard_error(self, values: &[f64]) -> f64 {
        let spread = sample_sd(values).unwrap_or(0.0);
        match self {
            Self::Users => spread / (values.len().max(1) as f64).sqrt(),
            Self::Batches { .. } => {
                spread * self.weights(values.len()).iter().map(|w| w * w).sum::<f64>().sqrt()
            }
        }
    }
}

/// Overall performance of two stages, equations 5 and 6 of the seed paper:
/// `P = (M(S_R) |R| + M(S_rest) |rest|) / |U|`. For cutoffs up to the number of candidates the second term is
/// exactly 0, so `P = M(S_R) |R| / |U|`.
///
/// ```
/// use bench::eval::overall_from_parts;
/// // Table II and III, ML-100K, Recall@5: 0.5 on 126 of 610 users (the paper prints 0.1032, cut to 4 places).
/// assert!((overall_from_parts(0.5, 126, 0.0, 610) - 0.10328).abs() < 1e-5);
/// ```
#[must_use]
pub fn overall_from_parts(ranked_mean: f64, n_ranked: usize, rest_mean: f64, n_users: usize) -> f64 {
    if n_users == 0 {
        return 0.0;
    }
    let rest = n_users.saturating_sub(n_ranked);
    (ranked_mean * n_ranked as f64 + rest_mean * rest as f64) / n_users as f64
}

pub(super) fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

/// The standard deviation with `n - 1`, by two passes; `None` for fewer than two values.
pub(super) fn sample_sd(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let centre = mean(values);
    let squares: f64 = values.iter().map(|v| (v - centre) * (v - centre)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}
