//! Wilcoxon's signed-rank test.

use serde::{Deserialize, Serialize};

use super::outcome::{Method, Outcome};
use super::paired::Paired;
use super::quantile::normal_two_sided;

/// The largest number of users for which all sign patterns are counted, where no difference is 0 and no two have one size.
const EXACT: usize = 50;

/// What becomes of users without a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Zeros {
    /// They are left out before ranking (Wilcoxon 1945).
    Drop,
    /// They are ranked, and their ranks left out afterwards (Pratt 1959; the variance is Cureton's, 1967).
    Pratt,
}

/// Wilcoxon's signed-rank test over users, each user's metric averaged over seeds: are the differences symmetric around 0?
///
/// The statistic is W+, the sum of the ranks of |d| over users with d > 0; equal sizes share their mean rank. Up to 50 users without
/// zeros and ties it is exact: p = min(1, 2 min(P(W <= W+), P(W >= W+))). Else it is the normal approximation
/// z = (W+ - n(n+1)/4) / sqrt((n(n+1)(2n+1) - sum over ties of (t^3 - t)/2) / 24), with |z| less 1/2 of a rank if `continuity` is
/// set; Pratt's form subtracts z0(z0+1)/4 from the mean and z0(z0+1)(2 z0+1) from the first term for z0 zeros. Without any
/// difference p = 1.
///
/// Sources: Wilcoxon, "Individual comparisons by ranking methods" (Biometrics Bulletin, 1945); Pratt, "Remarks on zeros and ties in
/// the Wilcoxon signed rank procedures" (JASA, 1959); Cureton, "The normal approximation to the signed-rank sampling distribution
/// when zero differences are present" (JASA, 1967).
#[must_use]
pub fn wilcoxon(paired: &Paired, zeros: Zeros, continuity: bool) -> Outcome {
    let (steps, _) = paired.steps();
    let none = steps.iter().filter(|step| **step == 0).count();
    let mut sorted: Vec<i64> = steps.iter().copied().filter(|step| *step != 0).collect();
    sorted.sort_unstable_by_key(|step| step.abs());
    let n = sorted.len();
    let skipped = if zeros == Zeros::Pratt { none } else { 0 };

    let (mut above, mut ties) = (0.0, 0.0);
    let mut ranked = 0;
    for equal in sorted.chunk_by(|x, y| x.abs() == y.abs()) {
        let t = equal.len() as f64;
        let rank = (skipped + ranked) as f64 + 0.5 * (t + 1.0);
        above += rank * equal.iter().filter(|step| **step > 0).count() as f64;
        ties += t * t * t - t;
        ranked += equal.len();
    }

    let mut outcome = Outcome::new(Method::Wilcoxon, above, 1.0, n, Vec::new());
    if n == 0 {
        outcome.notes.push("no user differs".to_owned());
    } else if none == 0 && ties == 0.0 && n <= EXACT {
        outcome.method = Method::ExactWilcoxon;
        outcome.p = exact(n, above as usize);
    } else {
        let (all, left_out) = ((n + skipped) as f64, skipped as f64);
        let centre = 0.25 * (all * (all + 1.0) - left_out * (left_out + 1.0));
        let cubes = |n: f64| n * (n + 1.0) * (2.0 * n + 1.0);
        let sd = ((cubes(all) - cubes(left_out) - ties / 2.0) / 24.0).sqrt();
        let mut distance = (above - centre).abs();
        if continuity {
            distance = (distance - 0.5).max(0.0);
        }
        outcome.p = normal_two_sided(distance / sd);
    }
    outcome
}

/// 2 min(P(W <= w), P(W >= w)) for the sum W of a random half of the ranks 1 to n.
fn exact(n: usize, w: usize) -> f64 {
    let all = n * (n + 1) / 2;
    let mut of = vec![0.0f64; all + 1];
    of[0] = 1.0;
    for rank in 1..=n {
        for sum in (0..=all).rev() {
            let with = if sum >= rank { of[sum - rank] } else { 0.0 };
            of[sum] = 0.5 * (of[sum] + with);
        }
    }
    let tail = w.min(all - w);
    (2.0 * of[..=tail].iter().sum::<f64>()).min(1.0)
}
