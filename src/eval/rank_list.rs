//! The narrow waist of the harness: one rank a user.

use std::num::NonZeroU32;

/// Per user (in the order of the split), the 1-based rank of the held-out item in the list that was shown, or
/// `None` where the list does not hold it. Every metric, test, table and plot is a function of this.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RankList {
    /// One entry a user.
    pub ranks: Vec<Option<NonZeroU32>>,
}

/// A rank of 0 was found where ranks count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("rank of user {user} (counted from 0) is 0; expected a rank of 1 or more")]
pub struct ZeroRank {
    /// Position of the user in the list, from 0.
    pub user: usize,
}

impl RankList {
    /// The list of a ranking that always holds the target, such as one over the whole catalogue.
    #[must_use]
    pub fn from_full(ranks: &[NonZeroU32]) -> Self {
        Self { ranks: ranks.iter().copied().map(Some).collect() }
    }

    /// The same from plain numbers, as files store them.
    ///
    /// # Errors
    /// If a rank is 0.
    pub fn from_numbers(ranks: &[u32]) -> Result<Self, ZeroRank> {
        let ranks = ranks
            .iter()
            .enumerate()
            .map(|(user, rank)| NonZeroU32::new(*rank).map(Some).ok_or(ZeroRank { user }))
            .collect::<Result<_, _>>()?;
        Ok(Self { ranks })
    }

    /// The list that only shows the first `k` places: a rank beyond `k` becomes `None`.
    #[must_use]
    pub fn cut(&self, k: u32) -> Self {
        Self { ranks: self.ranks.iter().map(|rank| rank.filter(|r| r.get() <= k)).collect() }
    }

    /// The ranks of the users for whom `keep` holds, in order.
    #[must_use]
    pub fn only(&self, keep: impl Fn(usize) -> bool) -> Self {
        let kept = self.ranks.iter().enumerate().filter(|(user, _)| keep(*user));
        Self { ranks: kept.map(|(_, rank)| *rank).collect() }
    }

    /// |U|.
    #[must_use]
    pub fn n_users(&self) -> usize {
        self.ranks.len()
    }

    /// |R| for a list of `k` candidates: users whose held-out item is among the first `k`.
    #[must_use]
    pub fn hits(&self, k: u32) -> usize {
        self.ranks.iter().flatten().filter(|rank| rank.get() <= k).count()
    }
}
