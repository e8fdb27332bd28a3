//! The stages that a run computes, by name, for whoever plans them one by one.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::stage::MANIFEST;
use super::{Cell, CellKey, RankingCell, Stage};

/// A stage of an experiment that can be computed by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// A built-in backbone, made once for all seeds.
    Pretraining,
    /// The candidates of one seed.
    Retrieval,
    /// The candidates of one seed in the order of a backbone.
    Ranking,
}

impl Step {
    /// All, in the order of the work.
    pub const ALL: [Self; 3] = [Self::Pretraining, Self::Retrieval, Self::Ranking];

    /// The name of its folder in the store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pretraining => "pretraining",
            Self::Retrieval => Cell::NAME,
            Self::Ranking => RankingCell::NAME,
        }
    }

    /// Whether its cell of a key looks complete in the store at `root`, without reading it.
    #[must_use]
    pub fn is_stored(self, root: &Path, key: &CellKey) -> bool {
        root.join(self.name()).join(key.short()).join(MANIFEST).is_file()
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
