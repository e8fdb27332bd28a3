//! The place of one candidate among those that a ranker scored.

use std::num::NonZeroU32;

use super::Metric;

/// The 1-based rank of the candidate at `target` when `items` are ordered by descending score and equal scores by ascending
/// item id, and whether another candidate has the target's score. `None` where `target` is no candidate or a score is not a
/// number.
///
/// # Shapes
/// `scores` and `items` have one entry a candidate, in the order shown.
///
/// ```
/// use bench::eval::rank_among;
/// assert_eq!(rank_among(&[0.5, 2.0, 1.0], &[7, 8, 9], 2), Some((2, false)));
/// // A tie goes to the smaller item id, wherever it was shown.
/// assert_eq!(rank_among(&[1.0, 1.0], &[9, 3], 0), Some((2, true)));
/// assert_eq!(rank_among(&[f32::NAN, 1.0], &[9, 3], 1), None);
/// ```
#[must_use]
pub fn rank_among(scores: &[f32], items: &[u32], target: usize) -> Option<(u32, bool)> {
    let (score, item) = (*scores.get(target)?, *items.get(target)?);
    if scores.iter().any(|score| score.is_nan()) {
        return None;
    }
    let (mut rank, mut tied) = (1, false);
    for (at, (&other, &id)) in scores.iter().zip(items).enumerate() {
        let equal = at != target && other == score;
        tied |= equal;
        rank += u32::from(other > score || equal && id < item);
    }
    Some((rank, tied))
}

/// The expected metric of the candidate at `target` when `items` are ordered by descending score and equal scores in a uniformly
/// random order: with `a` better candidates and `t` of its score (itself included), the mean over the ranks a + 1 to a + t. `None`
/// where `target` is no candidate or a score is not a number.
///
/// A model that scores all candidates alike has the value of a random order ([`super::expected_random`]), whatever the ids of the
/// items are. Ranks that are reported go by [`rank_among`].
///
/// Source: McSherry and Najork, "Computing information retrieval performance measures efficiently in the presence of tied scores"
/// (ECIR 2008), for one relevant item.
///
/// ```
/// use bench::eval::{Metric, MetricKind, expected_among};
/// let mrr = Metric::new(MetricKind::Mrr, 3);
/// assert_eq!(expected_among(&[0.5, 2.0, 1.0], 2, mrr), Some(0.5));
/// // One better, then two that share the ranks 2 and 3.
/// assert_eq!(expected_among(&[1.0, 2.0, 1.0], 0, mrr), Some((1.0 / 2.0 + 1.0 / 3.0) / 2.0));
/// assert_eq!(expected_among(&[f32::NAN, 1.0], 1, mrr), None);
/// ```
#[must_use]
pub fn expected_among(scores: &[f32], target: usize, metric: Metric) -> Option<f64> {
    let score = *scores.get(target)?;
    if scores.iter().any(|score| score.is_nan()) {
        return None;
    }
    let better = scores.iter().filter(|other| **other > score).count() as u32;
    let tied = scores.iter().filter(|other| **other == score).count() as u32;
    let sum: f64 = (better + 1..=better + tied).map(|rank| metric.of(NonZeroU32::new(rank))).sum();
    Some(sum / f64::from(tied))
}
