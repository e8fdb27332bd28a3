//! A cell of the second stage.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::cell::{CONFIG, CURVE};
use super::stage::{Files, Flaw, MANIFEST, Stage, json};
use super::{CurvePoint, Manifest, RankedPart, SettingRecord, Store, StoredRanking};

const RANKING: &str = "ranking.safetensors";
const AUDIT: &str = "audit.json";

/// One experiment's ranker with one seed, as stored. Where the ranker was tuned, its adapter lies beside it in the folder
/// `adapter`, in the format of PEFT.
#[derive(Debug, Clone, PartialEq)]
pub struct RankingCell {
    /// What it says about itself.
    pub manifest: Manifest,
    /// Scores and ranks.
    pub ranking: StoredRanking,
    /// The learning curve; its first point is the model before training.
    pub curve: Vec<CurvePoint>,
    /// The token ids of the letters.
    pub audit: AuditRecord,
    /// The resolved settings with their origins at the time of writing.
    pub settings: Vec<SettingRecord>,
}

/// The folder of the adapter in a cell.
pub const ADAPTER: &str = "adapter";

/// `audit.json`: which token ids stand for the labels of candidates, in both read-outs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AuditRecord {
    /// The read-out whose scores count: `in-context` or `standalone`.
    pub read_out: String,
    /// SHA-256 of the tokenizer.
    pub tokenizer: String,
    /// The last ids of a prompt, which a label follows.
    pub context: Vec<u32>,
    /// Every label in use, in order.
    pub labels: Vec<LabelRecord>,
}

impl AuditRecord {
    /// How many labels have other ids on their own than after a prompt.
    #[must_use]
    pub fn differing(&self) -> usize {
        self.labels.iter().filter(|label| label.in_context != label.standalone).count()
    }

    /// Whether the ids that are read are those that training teaches.
    #[must_use]
    pub fn reads_what_is_trained(&self) -> bool {
        self.read_out == "in-context" || self.differing() == 0
    }
}

/// One label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelRecord {
    /// `A`, `B`, ..
    pub label: String,
    /// Its ids after the line break that ends a prompt: what training teaches.
    pub in_context: Vec<u32>,
    /// Its ids on its own: what the reference reads.
    pub standalone: Vec<u32>,
}

/// What a manifest of the second stage says beside what all say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RankerRecord {
    /// The language model.
    pub backbone: BackboneRecord,
    /// Key of the cell whose candidates were ranked.
    pub retrieval_key: String,
    /// Whether it was tuned.
    pub tuned: bool,
    /// `retriever` or `shuffled`.
    pub candidate_order: String,
    /// The prompts of validation.
    pub validation: PromptRecord,
    /// The prompts of the test.
    pub test: PromptRecord,
    /// The prompts of training, where there is one.
    pub training: Option<PromptRecord>,
    /// Titles that were cut to `ranker.title_tokens`.
    pub cut_titles: u64,
}

/// A language model, as a manifest names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackboneRecord {
    /// `backbone.name`.
    pub name: String,
    /// `backbone.revision`.
    #[serde(default)]
    pub revision: Option<String>,
    /// `hub`, `folder` or `embedded`, or `random` where the weights are random ones.
    pub source: String,
    /// SHA-256, in hex, of what the weights, the configuration and the tokenizer are.
    pub identity: String,
    /// Such as `llama`.
    pub architecture: String,
    /// Weights in all.
    pub parameters: u64,
    /// Entries of the embedding.
    pub vocabulary: u64,
    /// How frozen linear layers are stored.
    pub quantization: String,
    /// The type that inputs of the large matrix products have.
    pub compute_type: String,
    /// Memory of the weights, in bytes.
    pub bytes: u64,
    /// SHA-256 of its files by name: description, tokenizer, weights. Empty for a built-in one, whose cell has them, and in early cells.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// What random weights were drawn for; absent where they are the model's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub random: Option<RandomRecord>,
}

/// `source` of a backbone whose weights are random.
pub const RANDOM: &str = "random";

/// The `limit` of a ranking by such a backbone: why it is not for reporting.
pub const RANDOM_WEIGHTS: &str = "the backbone's weights are random";

impl BackboneRecord {
    /// Whether its weights are random, so that only its speed and memory mean something.
    #[must_use]
    pub fn is_random(&self) -> bool {
        self.source == RANDOM
    }
}

/// What random weights were drawn for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RandomRecord {
    /// Where the shape comes from: `config.json`, or `known` for the table of known models.
    pub shape: String,
    /// Where the tokenizer comes from, on which the lengths of prompts depend: `tokenizer.json`, or `titles` for one that was made from
    /// the titles of the data.
    pub tokenizer: String,
}

/// Counts of prompts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PromptRecord {
    /// How many there are.
    pub prompts: u64,
    /// How many there could be: |R|, or all training prompts of the epochs.
    pub of: u64,
    /// Tokens of all of them.
    pub tokens: u64,
    /// Tokens of the longest.
    pub longest: u64,
    /// How many were cut on the left.
    pub cut_prompts: u64,
    /// Tokens that those lost.
    pub cut_tokens: u64,
    /// How many show fewer history items than they should.
    pub shortened_prompts: u64,
    /// Items that those lost.
    pub dropped_items: u64,
}

impl Stage for RankingCell {
    const NAME: &'static str = "ranking";

    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn encode(&self) -> Result<Vec<(String, Vec<u8>)>, Flaw> {
        let ranking = self.ranking.to_bytes().map_err(|what| Flaw::new(RANKING, what))?;
        Ok(vec![
            (RANKING.to_owned(), ranking),
            json(AUDIT, &self.audit)?,
            json(CURVE, &self.curve)?,
            json(CONFIG, &self.settings)?,
        ])
    }

    fn decode(manifest: Manifest, files: &Files) -> Result<Self, Flaw> {
        let ranking =
            StoredRanking::from_bytes(files.bytes(RANKING)?).map_err(|what| Flaw::new(RANKING, what))?;
        let (users, ranker) = (manifest.dataset.users, manifest.ranker.as_ref());
        let ranker = ranker.ok_or_else(|| Flaw::new(MANIFEST, "says nothing of a ranker"))?;
        for (name, part, said) in
            [("validation", &ranking.validation, &ranker.validation), ("test", &ranking.test, &ranker.test)]
        {
            let RankedPart { users: ranked, .. } = part;
            if ranked.last().is_some_and(|user| u64::from(*user) >= users)
                || ranked.len() as u64 != said.prompts
            {
                let what = format!(
                    "it says {} prompts of {users} users in {name}, but {RANKING} has {} users up to {}",
                    said.prompts,
                    ranked.len(),
                    ranked.last().copied().unwrap_or(0)
                );
                return Err(Flaw::new(MANIFEST, what));
            }
        }
        let (audit, curve, settings) = (files.json(AUDIT)?, files.json(CURVE)?, files.json(CONFIG)?);
        Ok(Self { manifest, ranking, curve, audit, settings })
    }
}

impl Store<RankingCell> {
    /// The ranking stage of the store at `root`. Nothing is touched yet.
    #[must_use]
    pub fn rankings(root: impl Into<PathBuf>) -> Self {
        Self::at(root.into())
    }
}
