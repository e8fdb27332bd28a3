//! `ranking.safetensors`: what a ranker scored, for the users of R.

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::retrieval::{four, tensor};
use crate::eval::{RankList, Rung, rank_among};

/// What a ranker found, for validation and for test.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StoredRanking {
    /// Candidates of a user.
    pub k: usize,
    /// The last but one item of every user as target.
    pub validation: RankedPart,
    /// The last item of every user as target.
    pub test: RankedPart,
}

/// One part of a ranking: the users whose target is among their candidates, or some of them.
///
/// # Shapes
/// n ranked users, k candidates: `candidates` n x k by rows; `users` and `targets` n.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RankedPart {
    /// The users by their place in the split, from 0, ascending.
    pub users: Vec<u32>,
    /// Item ids in the order in which the prompt shows them: the first is A.
    pub candidates: Vec<u32>,
    /// Item id of the target.
    pub targets: Vec<u32>,
    /// Each way of scoring that was tried.
    pub readings: Vec<Reading>,
}

/// The scores of one model through one read-out.
///
/// # Shapes
/// `scores` n x k by rows, in the order shown; `ranks` n.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Before training or after it.
    pub rung: Rung,
    /// Through which token ids the letters were read: one of [`READ_OUTS`].
    pub read_out: String,
    /// The logit of each candidate's letter.
    pub scores: Vec<f32>,
    /// 1-based rank of the target among the candidates; equal scores by ascending item id.
    pub ranks: Vec<u32>,
    /// Users whose target shares its score with another candidate.
    pub tied_users: u64,
}

/// The names of the read-outs.
pub const READ_OUTS: [&str; 2] = ["in-context", "standalone"];

const RUNGS: [Rung; 2] = [Rung::ZeroShot, Rung::Tuned];
const PARTS: [&str; 2] = ["validation", "test"];

impl Reading {
    /// Ranks and ties from scores.
    ///
    /// # Errors
    /// A text that says which score is missing or not a number, or which target is no candidate.
    pub fn new(
        rung: Rung,
        read_out: &str,
        scores: Vec<f32>,
        (candidates, targets): (&[u32], &[u32]),
    ) -> Result<Self, String> {
        if scores.len() != candidates.len() {
            let (found, expected) = (scores.len(), candidates.len());
            return Err(format!("{found} scores for {expected} candidates"));
        }
        let k = candidates.len().checked_div(targets.len()).unwrap_or(0).max(1);
        let (mut ranks, mut tied_users) = (Vec::with_capacity(targets.len()), 0);
        for (at, ((scores, items), target)) in
            scores.chunks(k).zip(candidates.chunks(k)).zip(targets).enumerate()
        {
            let place = items.iter().position(|item| item == target);
            let place =
                place.ok_or_else(|| format!("target {target} of row {at} is none of its candidates"))?;
            let (rank, tied) = rank_among(scores, items, place)
                .ok_or_else(|| format!("a score of row {at} is not a number"))?;
            ranks.push(rank);
            tied_users += u64::from(tied);
        }
        Ok(Self { rung, read_out: read_out.to_owned(), scores, ranks, tied_users })
    }
}

impl RankedPart {
    /// The reading of a model through a read-out.
    #[must_use]
    pub fn reading(&self, rung: Rung, read_out: &str) -> Option<&Reading> {
        self.readings.iter().find(|reading| reading.rung == rung && reading.read_out == read_out)
    }

    fn check(&self, name: &str, k: usize) -> Result<(), String> {
        let n = self.users.len();
        if self.targets.len() != n || n.checked_mul(k) != Some(self.candidates.len()) {
            return Err(format!(
                "{name} has {n} users, {} targets and {} candidates; expected {n} and {n} x {k}",
                self.targets.len(),
                self.candidates.len()
            ));
        }
        if !self.users.is_sorted_by(|a, b| a < b) {
            return Err(format!("{name}.users is not ascending"));
        }
        for reading in &self.readings {
            let prefix = prefix(name, reading.rung, &reading.read_out);
            if !RUNGS.contains(&reading.rung) || !READ_OUTS.contains(&reading.read_out.as_str()) {
                return Err(format!("{prefix} is no reading of a model"));
            }
            // Scores and ranks must tell the same story.
            let of = (self.candidates.as_slice(), self.targets.as_slice());
            let again = Reading::new(reading.rung, &reading.read_out, reading.scores.clone(), of)
                .map_err(|what| format!("{prefix}.scores: {what}"))?;
            if again.ranks != reading.ranks || again.tied_users != reading.tied_users {
                return Err(format!("{prefix}.ranks are not those of its scores"));
            }
            RankList::from_numbers(&reading.ranks).map_err(|zero| format!("{prefix}.ranks: {zero}"))?;
        }
        Ok(())
    }
}

fn prefix(part: &str, rung: Rung, read_out: &str) -> String {
    format!("{part}.{rung}.{read_out}")
}

impl StoredRanking {
    /// The bytes of the file; the same content gives the same bytes.
    ///
    /// # Errors
    /// A text that says what contradicts itself.
    pub fn to_bytes(&self) -> Result<Vec<u8>, String> {
        let mut tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
        let words = |values: &[u32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
        for (name, part) in PARTS.into_iter().zip([&self.validation, &self.test]) {
            part.check(name, self.k)?;
            let n = part.users.len();
            tensors.push((format!("{name}.users"), Dtype::U32, vec![n], words(&part.users)));
            let shown = words(&part.candidates);
            tensors.push((format!("{name}.candidates"), Dtype::U32, vec![n, self.k], shown));
            tensors.push((format!("{name}.targets"), Dtype::U32, vec![n], words(&part.targets)));
            for reading in &part.readings {
                let prefix = prefix(name, reading.rung, &reading.read_out);
                let scores = reading.scores.iter().flat_map(|v| v.to_le_bytes()).collect();
                tensors.push((format!("{prefix}.scores"), Dtype::F32, vec![n, self.k], scores));
                tensors.push((format!("{prefix}.ranks"), Dtype::U32, vec![n], words(&reading.ranks)));
                let tied = reading.tied_users.to_le_bytes().to_vec();
                tensors.push((format!("{prefix}.tied_users"), Dtype::U64, vec![1], tied));
            }
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
        let [validation, test] = PARTS.map(|name| part(&file, name, k));
        Ok(Self { k, validation: validation?, test: test? })
    }
}

fn part(file: &SafeTensors<'_>, name: &str, k: usize) -> Result<RankedPart, String> {
    let words = |what: &str| -> Result<Vec<u32>, String> {
        Ok(four(tensor(file, what, Dtype::U32)?.data()).map(u32::from_le_bytes).collect())
    };
    let mut part = RankedPart {
        users: words(&format!("{name}.users"))?,
        candidates: words(&format!("{name}.candidates"))?,
        targets: words(&format!("{name}.targets"))?,
        readings: Vec::new(),
    };
    for (rung, read_out) in RUNGS.into_iter().flat_map(|rung| READ_OUTS.map(|read_out| (rung, read_out))) {
        let prefix = prefix(name, rung, read_out);
        let scores = format!("{prefix}.scores");
        if !file.names().iter().any(|name| **name == scores) {
            continue;
        }
        let scores = tensor(file, &scores, Dtype::F32)?;
        let tied = tensor(file, &format!("{prefix}.tied_users"), Dtype::U64)?;
        let tied = tied.data().first_chunk().copied();
        part.readings.push(Reading {
            rung,
            read_out: read_out.to_owned(),
            scores: four(scores.data()).map(f32::from_le_bytes).collect(),
            ranks: words(&format!("{prefix}.ranks"))?,
            tied_users: u64::from_le_bytes(tied.ok_or_else(|| format!("{prefix}.tied_users is empty"))?),
        });
    }
    part.check(name, k)?;
    Ok(part)
}
