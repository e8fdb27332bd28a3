//! Backbones whose weights are drawn at random: what measures the speed and the memory of a model without its files.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::json;

use super::preflight::labels;
use super::{Error, Prepared};
use crate::backbone::weights::STAND_IN_VERSION;
use crate::backbone::{self, Hub, Outline};
use crate::events::Interrupt;
use crate::experiment::{BackboneSpec, Experiment};
use crate::pretrain::{self, LEAST_WORDS};
use crate::prompt::{self, Tokenizer};
use crate::run::{RandomRecord, sha256_hex};

/// Changes when the same titles get another tokenizer.
const TOKENIZER_VERSION: u32 = 1;

/// A model without its weights.
pub(super) struct Random {
    /// Its shape, and its tokenizer where that is here.
    pub outline: Outline,
    /// Whose titles a tokenizer is made from where there is none.
    data: Arc<Prepared>,
    /// Labels that prompts may have.
    labels: usize,
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Random").field("outline", &self.outline).field("labels", &self.labels).finish()
    }
}

impl Random {
    /// The backbone of an experiment. Without its data nobody knows its tokenizer, but whether its shape is known.
    ///
    /// # Errors
    /// As [`backbone::outline`]; [`backbone::Error::FewTokens`] where no tokenizer fits the shape.
    pub fn find(
        experiment: &Experiment,
        spec: &BackboneSpec,
        data: Option<&Arc<Prepared>>,
    ) -> Result<Option<Self>, backbone::Error> {
        let outline = backbone::outline(&spec.name, spec.revision.as_deref(), &Hub::from_env()?)?;
        let vocab = outline.config.vocab;
        if outline.tokenizer.is_none() && vocab < LEAST_WORDS {
            let name = spec.name.clone();
            return Err(backbone::Error::FewTokens { name, vocab, least: LEAST_WORDS });
        }
        let (Some(data), Some(ranker)) = (data, &experiment.ranker) else { return Ok(None) };
        let labels = labels(experiment.evaluation.candidates as usize, ranker);
        Ok(Some(Self { outline, data: Arc::clone(data), labels }))
    }

    /// What the weights and the tokenizer follow from, as a text, and the hashes of the tokenizer's files.
    pub fn identity(
        &self,
        interrupt: &Interrupt,
    ) -> Result<(String, BTreeMap<String, String>), backbone::Error> {
        let hashes = self.outline.hashes(interrupt)?;
        let tokenizer = if hashes.is_empty() {
            let titles = sha256_hex(json!(self.data.titles).to_string().as_bytes());
            let (labels, most) = (self.labels, self.most_tokens());
            format!("titles {TOKENIZER_VERSION} {titles} {labels} {most}\n")
        } else {
            hashes.iter().map(|(name, hash)| format!("{name} {hash}\n")).collect()
        };
        let Outline { config, has_wide_tables, .. } = &self.outline;
        let text = format!("random {STAND_IN_VERSION} {has_wide_tables}\n{}{tokenizer}", config.to_json());
        Ok((sha256_hex(text.as_bytes()), hashes))
    }

    fn most_tokens(&self) -> usize {
        pretrain::words_like(self.outline.config.vocab)
    }

    /// The model's own tokenizer, or one of the titles. The ids of either fit the shape.
    pub fn tokenizer(&self) -> Result<Tokenizer, Error> {
        if let Some(path) = &self.outline.tokenizer {
            return super::backbone::own_tokenizer(path, &self.outline.config);
        }
        let bytes = pretrain::train_words(&self.data.titles, self.labels, self.most_tokens())?;
        let tokenizer = Tokenizer::from_bytes("tokenizer.json", &bytes, None)?;
        // The rows that are left over are those of words that no title has.
        match prompt::check_vocabulary(&tokenizer, self.outline.config.vocab) {
            Ok(()) | Err(prompt::Error::VocabularyTooSmall { .. }) => Ok(tokenizer),
            Err(error) => Err(error.into()),
        }
    }

    /// What the manifest says of it.
    pub fn record(&self) -> RandomRecord {
        RandomRecord {
            shape: if self.outline.is_described { "config.json" } else { "known" }.to_owned(),
            tokenizer: if self.outline.tokenizer.is_some() { "tokenizer.json" } else { "titles" }.to_owned(),
        }
    }

    /// What somebody should know who plans to compute with it.
    pub fn told(&self) -> String {
        let shape = if self.outline.is_described {
            "its config.json"
        } else {
            "the table of known models, for its config.json is not here"
        };
        let tokenizer = if self.outline.tokenizer.is_some() {
            "tokenized by its tokenizer.json"
        } else {
            "tokenized by a tokenizer made from the titles, for its own is not here, so their lengths are near those of its own, not the same"
        };
        format!(
            "its weights are random, drawn for the shape in {shape}; prompts are {tokenizer}; nothing is downloaded, and results are \
             stamped \"not for reporting\""
        )
    }
}
