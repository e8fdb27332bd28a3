//! A cell of somebody else's ranking.

use std::path::PathBuf;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use super::retrieval::{four, tensor};
use super::stage::{Files, Flaw, MANIFEST, Stage, json};
use super::{Manifest, Store};
use crate::eval::RankList;

const RANKS: &str = "imported.safetensors";
const IMPORT: &str = "import.json";

/// The ranks that a run file of another program gives the users of a split. The lists themselves stay in that file, whose hash
/// is in [`ImportRecord`].
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedCell {
    /// What it says about itself; `retriever` is the name under which the run was imported.
    pub manifest: Manifest,
    /// What was read and what was noticed.
    pub record: ImportRecord,
    /// The ranks.
    pub ranks: ImportedRanks,
}

/// One rank a user of the split.
///
/// # Shapes
/// U users in the order of the split: `ranks`, `lengths` and `targets` U.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImportedRanks {
    /// 1-based rank of the target in the user's list; 0 where the list does not hold it, or there is none.
    pub ranks: Vec<u32>,
    /// Length of the user's list; 0 where there is none.
    pub lengths: Vec<u32>,
    /// Item id of the target.
    pub targets: Vec<u32>,
}

impl ImportedRanks {
    /// The ranks as metrics read them.
    #[must_use]
    pub fn rank_list(&self) -> RankList {
        RankList { ranks: self.ranks.iter().map(|rank| std::num::NonZeroU32::new(*rank)).collect() }
    }

    fn check(&self) -> Result<(), String> {
        let n = self.ranks.len();
        if self.lengths.len() != n || self.targets.len() != n {
            return Err(format!(
                "{n} ranks, {} lengths and {} targets; expected one of each a user",
                self.lengths.len(),
                self.targets.len()
            ));
        }
        match self.ranks.iter().zip(&self.lengths).position(|(rank, length)| rank > length) {
            Some(user) => Err(format!(
                "user {user} (counted from 0) has rank {} in a list of {}",
                self.ranks[user], self.lengths[user]
            )),
            None => Ok(()),
        }
    }
}

/// `import.json`: what was read, and what was noticed while reading.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ImportRecord {
    /// The file's name without its folder.
    pub file: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 in hex.
    pub sha256: String,
    /// `trec` or `csv`.
    pub format: String,
    /// `validation` or `test`.
    pub part: String,
    /// `raw` or `dense`: how the file names users and items.
    pub ids: String,
    /// `score` or `rank`: what orders its lists.
    pub order: String,
    /// Counts of what was noticed.
    pub counts: ImportCounts,
}

/// Counts of a run file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ImportCounts {
    /// Rows.
    pub rows: u64,
    /// Users of the split that have a list.
    pub users: u64,
    /// Users of the split that have none: they count as if nothing were found.
    pub users_missing: u64,
    /// Users of the file that the split does not know, and the rows of them, which are left out.
    pub unknown_users: u64,
    /// Those rows.
    pub rows_of_unknown_users: u64,
    /// Rows whose item the catalogue does not know; each keeps its place in the list.
    pub unknown_items: u64,
    /// Users whose target has the place of another item of its list.
    pub tied_users: u64,
    /// Rows whose item is in the user's history: a retriever that masks the history would not show it.
    pub seen_items: u64,
    /// Rows of a TREC file whose rank is not the place that their score gives.
    pub other_ranks: u64,
    /// Length of the shortest list that is not empty.
    pub shortest: u64,
    /// Length of the longest list.
    pub longest: u64,
}

impl Stage for ImportedCell {
    const NAME: &'static str = "imported";

    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn encode(&self) -> Result<Vec<(String, Vec<u8>)>, Flaw> {
        let flaw = |what: String| Flaw::new(RANKS, what);
        self.ranks.check().map_err(flaw)?;
        let words = |values: &[u32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
        let tensors = [
            ("lengths", &self.ranks.lengths),
            ("ranks", &self.ranks.ranks),
            ("targets", &self.ranks.targets),
        ]
        .map(|(name, values)| (name, values.len(), words(values)));
        let views = tensors
            .iter()
            .map(|(name, n, bytes)| Ok((*name, TensorView::new(Dtype::U32, vec![*n], bytes)?)))
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
            .map_err(|error| flaw(error.to_string()))?;
        let bytes = safetensors::serialize(views, None).map_err(|error| flaw(error.to_string()))?;
        Ok(vec![(RANKS.to_owned(), bytes), json(IMPORT, &self.record)?])
    }

    fn decode(manifest: Manifest, files: &Files) -> Result<Self, Flaw> {
        let flaw = |what: String| Flaw::new(RANKS, what);
        let file = SafeTensors::deserialize(files.bytes(RANKS)?)
            .map_err(|error| flaw(format!("not a safetensors file: {error}")))?;
        let [ranks, lengths, targets] = ["ranks", "lengths", "targets"].map(|name| {
            let tensor = tensor(&file, name, Dtype::U32)?;
            Ok::<Vec<u32>, String>(four(tensor.data()).map(u32::from_le_bytes).collect())
        });
        let ranks = ImportedRanks {
            ranks: ranks.map_err(flaw)?,
            lengths: lengths.map_err(flaw)?,
            targets: targets.map_err(flaw)?,
        };
        ranks.check().map_err(flaw)?;
        if ranks.ranks.len() as u64 != manifest.dataset.users {
            let (users, found) = (manifest.dataset.users, ranks.ranks.len());
            let what = format!("its dataset has {users} users, but {RANKS} has {found}");
            return Err(Flaw::new(MANIFEST, what));
        }
        Ok(Self { manifest, record: files.json(IMPORT)?, ranks })
    }
}

impl Store<ImportedCell> {
    /// The imported runs of the store at `root`. Nothing is touched yet.
    #[must_use]
    pub fn imported(root: impl Into<PathBuf>) -> Self {
        Self::at(root.into())
    }
}
