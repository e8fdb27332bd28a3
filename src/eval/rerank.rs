//! The place of one candidate among those that a ranker scored.

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
