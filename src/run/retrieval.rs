//! `retrieval.safetensors`: candidates, scores and ranks of every user.

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::eval::{RankList, ZeroRank};

/// What a retriever found, for validation and for test.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredRetrieval {
    /// Length of each user's candidate list.
    pub k: usize,
    /// The last but one item of every user as target.
    pub validation: StoredPart,
    /// The last item of every user as target.
    pub test: StoredPart,
}

/// One part of a retrieval. Users are in the order of the split.
///
/// # Shapes
/// U users, k candidates: `candidates` and `scores` U x k by rows; `ranks` and `targets` U.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StoredPart {
    /// Item ids, best first.
    pub candidates: Vec<u32>,
    /// Their scores.
    pub scores: Vec<f32>,
    /// 1-based rank of the target over the whole catalogue; ties go to the smaller item id.
    pub ranks: Vec<u32>,
    /// Item id of the target.
    pub targets: Vec<u32>,
    /// Users whose target shares its score with another unmasked item.
    pub tied_users: u64,
}

const PARTS: [&str; 2] = ["validation", "test"];

impl StoredPart {
    /// |U|.
    #[must_use]
    pub fn n_users(&self) -> usize {
        self.ranks.len()
    }

    /// The ranks, as metrics read them.
    ///
    /// # Errors
    /// If a rank is 0.
    pub fn rank_list(&self) -> Result<RankList, ZeroRank> {
        RankList::from_numbers(&self.ranks)
    }

    fn check(&self, name: &str, k: usize) -> Result<(), String> {
        let users = self.ranks.len();
        for (what, length, expected) in [
            ("candidates", self.candidates.len(), users * k),
            ("scores", self.scores.len(), users * k),
            ("targets", self.targets.len(), users),
        ] {
            if length != expected {
                return Err(format!(
                    "{name}.{what} has {length} entries; expected {expected} ({users} users, k {k})"
                ));
            }
        }
        self.rank_list().map_err(|zero| format!("{name}.ranks: {zero}"))?;
        // A rank and the list it counts in must tell the same story.
        for user in 0..users {
            let (rank, target) = (self.ranks[user] as usize, self.targets[user]);
            let list = &self.candidates[user * k..(user + 1) * k];
            let place = list.iter().position(|item| *item == target).map(|at| at + 1);
            if place != (rank <= k).then_some(rank) {
                return Err(format!(
                    "{name}: user {user} (counted from 0) has rank {rank}, but the target's place among the {k} \
                     candidates is {}",
                    place.map_or_else(|| "none".to_owned(), |p| p.to_string())
                ));
            }
        }
        Ok(())
    }
}

impl StoredRetrieval {
    /// The bytes of the file; the same content gives the same bytes.
    ///
    /// # Errors
    /// A text that says which lengths disagree, or that a rank contradicts the candidates.
    pub fn to_bytes(&self) -> Result<Vec<u8>, String> {
        let mut tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
        for (name, part) in PARTS.into_iter().zip([&self.validation, &self.test]) {
            part.check(name, self.k)?;
            let users = part.ranks.len();
            let mut push = |what: &str, dtype, shape, bytes: Vec<u8>| {
                tensors.push((format!("{name}.{what}"), dtype, shape, bytes));
            };
            let words = |values: &[u32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
            push("candidates", Dtype::U32, vec![users, self.k], words(&part.candidates));
            push(
                "scores",
                Dtype::F32,
                vec![users, self.k],
                part.scores.iter().flat_map(|v| v.to_le_bytes()).collect(),
            );
            push("ranks", Dtype::U32, vec![users], words(&part.ranks));
            push("targets", Dtype::U32, vec![users], words(&part.targets));
            push("tied_users", Dtype::U64, vec![1], part.tied_users.to_le_bytes().to_vec());
        }
        let views = tensors
            .iter()
            .map(|(name, dtype, shape, bytes)| Ok((name, TensorView::new(*dtype, shape.clone(), bytes)?)))
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
            .map_err(|error| error.to_string())?;
        safetensors::serialize(views, None).map_err(|error| error.to_string())
    }

    /// Read such bytes.
    ///
    /// # Errors
    /// A text that says what is missing or does not fit.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let file =
            SafeTensors::deserialize(bytes).map_err(|error| format!("not a safetensors file: {error}"))?;
        let k = match tensor(&file, "test.candidates", Dtype::U32)?.shape() {
            [_, k] => *k,
            shape => return Err(format!("test.candidates has shape {shape:?}; expected users x k")),
        };
        let [validation, test] = PARTS.map(|name| -> Result<StoredPart, String> {
            let words = |what: &str| -> Result<Vec<u32>, String> {
                let tensor = tensor(&file, &format!("{name}.{what}"), Dtype::U32)?;
                Ok(four(tensor.data()).map(u32::from_le_bytes).collect())
            };
            let scores = tensor(&file, &format!("{name}.scores"), Dtype::F32)?;
            let tied = tensor(&file, &format!("{name}.tied_users"), Dtype::U64)?;
            let tied =
                tied.data().first_chunk().copied().ok_or_else(|| format!("{name}.tied_users is empty"))?;
            let part = StoredPart {
                candidates: words("candidates")?,
                scores: four(scores.data()).map(f32::from_le_bytes).collect(),
                ranks: words("ranks")?,
                targets: words("targets")?,
                tied_users: u64::from_le_bytes(tied),
            };
            part.check(name, k)?;
            Ok(part)
        });
        Ok(Self { k, validation: validation?, test: test? })
    }
}

pub(super) fn four(bytes: &[u8]) -> impl Iterator<Item = [u8; 4]> {
    bytes.as_chunks().0.iter().copied()
}

pub(super) fn tensor<'a>(file: &SafeTensors<'a>, name: &str, dtype: Dtype) -> Result<TensorView<'a>, String> {
    let tensor = file.tensor(name).map_err(|_| format!("tensor {name} is missing"))?;
    if tensor.dtype() != dtype {
        return Err(format!("tensor {name} has type {:?}; expected {dtype:?}", tensor.dtype()));
    }
    Ok(tensor)
}
