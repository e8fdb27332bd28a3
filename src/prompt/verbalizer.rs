//! Which token stands for which label, and the proof that scores are read where training writes.

use serde::{Deserialize, Serialize};

use super::error::Error;
use super::template::{self, MOST_LABELS};
use super::tokenizer::Tokenizer;
use crate::experiment::ReadOut;

/// The ids of one label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelIds {
    /// `A`, `B`, ...
    pub label: String,
    /// Its ids after the line break that ends a prompt: what training is taught.
    pub in_context: Vec<u32>,
    /// Its ids as a text of its own: what the reference reads.
    pub standalone: Vec<u32>,
}

/// What a tokenizer makes of the labels. Computed before any training and kept with the results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// Which ids are read.
    pub read_out: ReadOut,
    /// SHA-256 of the tokenizer.json.
    pub tokenizer: String,
    /// The last ids of a prompt, which a label follows.
    pub context: Vec<u32>,
    /// Every label in order.
    pub labels: Vec<LabelIds>,
}

impl Audit {
    /// Look at `candidates` labels after a real prompt and on their own.
    ///
    /// # Errors
    /// If there are more candidates than labels, or if a label merges with the prompt before it.
    pub fn new(tokenizer: &Tokenizer, candidates: usize, read_out: ReadOut) -> Result<Self, Error> {
        if candidates == 0 || candidates > MOST_LABELS {
            return Err(match candidates {
                0 => Error::Candidates { found: 0, labels: MOST_LABELS },
                found => Error::TooManyLabels { found, most: MOST_LABELS },
            });
        }
        let prompt = template::text(&["Plain"], &vec!["Plain"; candidates]);
        let before = tokenizer.encode(&prompt)?;
        let last = |ids: &[u32]| ids[ids.len().saturating_sub(4)..].to_vec();
        let mut labels = Vec::with_capacity(candidates);
        for index in 0..candidates {
            let label = template::label(index);
            let with_label = tokenizer.encode(&format!("{prompt}{label}"))?;
            let Some(in_context) = with_label.strip_prefix(&before[..]) else {
                return Err(Error::LabelMerges {
                    path: tokenizer.path().to_owned(),
                    label,
                    before: last(&before),
                    with_label: last(&with_label),
                });
            };
            let standalone = tokenizer.encode(&label)?;
            labels.push(LabelIds { in_context: in_context.to_vec(), standalone, label });
        }
        Ok(Self { read_out, tokenizer: tokenizer.fingerprint().to_owned(), context: last(&before), labels })
    }

    /// The ids that are read: one for each label, all distinct.
    ///
    /// # Errors
    /// Names the first label that is not one token or not distinct.
    fn ids(&self, tokenizer: &Tokenizer, read_out: ReadOut) -> Result<Vec<u32>, Error> {
        let path = || tokenizer.path().to_owned();
        let (place, advice) = match read_out {
            ReadOut::InContext => {
                ("after the prompt", "ask for fewer candidates or use another backbone".to_owned())
            }
            ReadOut::Standalone => {
                ("on its own", "set ranker.read_out = \"in-context\" or use another backbone".to_owned())
            }
        };
        let mut ids: Vec<u32> = Vec::with_capacity(self.labels.len());
        for label in &self.labels {
            let own = match read_out {
                ReadOut::InContext => &label.in_context,
                ReadOut::Standalone => &label.standalone,
            };
            let &[id] = &own[..] else {
                let (label, ids) = (label.label.clone(), own.clone());
                return Err(Error::LabelTokens { path: path(), label, ids, place, advice });
            };
            if let Some(first) = ids.iter().position(|&other| other == id) {
                let (first, second) = (self.labels[first].label.clone(), label.label.clone());
                return Err(Error::LabelsEqual { path: path(), first, second, id, place, advice });
            }
            ids.push(id);
        }
        Ok(ids)
    }

    /// Labels whose two readings differ.
    #[must_use]
    pub fn differing(&self) -> usize {
        self.labels.iter().filter(|label| label.in_context != label.standalone).count()
    }

    /// Whether the id that is read is the id that is trained, for every label.
    #[must_use]
    pub fn reads_what_is_trained(&self) -> bool {
        self.read_out == ReadOut::InContext || self.differing() == 0
    }

    /// What to warn of, if the ids read are not those trained.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let label = self.labels.iter().find(|label| label.in_context != label.standalone)?;
        (!self.reads_what_is_trained()).then(|| {
            format!(
                "scores of {} of {} labels are read from ids that training never writes ({:?}: read {}, trained {}); \
                 set ranker.read_out = \"in-context\"",
                self.differing(),
                self.labels.len(),
                label.label,
                numbers(&label.standalone),
                numbers(&label.in_context),
            )
        })
    }

    /// One sentence for the report.
    #[must_use]
    pub fn sentence(&self) -> String {
        let (first, last) = (&self.labels[0], &self.labels[self.labels.len() - 1]);
        let each = |label: &LabelIds| {
            format!(
                "{:?} is {} in context and {} standalone",
                label.label,
                numbers(&label.in_context),
                numbers(&label.standalone)
            )
        };
        let read = match self.read_out {
            ReadOut::InContext => "in context",
            ReadOut::Standalone => "standalone",
        };
        let trained = if self.reads_what_is_trained() { "are" } else { "are not" };
        format!(
            "Labels {} to {}: {}, {}; the two readings differ for {} of {}. Scores are read {read}: the ids read {trained} \
             the ids trained.",
            first.label,
            last.label,
            each(first),
            each(last),
            self.differing(),
            self.labels.len(),
        )
    }
}

/// `29909`, or `30 31` for several.
fn numbers(ids: &[u32]) -> String {
    ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")
}

/// The labels of candidates as token ids.
///
/// Up to 26 candidates are labelled A to Z. More get two letters (AA, AB, ... ZZ) and are accepted only where the tokenizer has one
/// token for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verbalizer {
    trained: Vec<u32>,
    read: Vec<u32>,
    audit: Audit,
}

impl Verbalizer {
    /// Audit the labels of `candidates` and take the ids of `read_out` for reading.
    ///
    /// # Errors
    /// If a label is not one token after the prompt (and on its own, if that is what is read), if two labels are the same
    /// token, or if a label merges with the line break before it.
    pub fn new(tokenizer: &Tokenizer, candidates: usize, read_out: ReadOut) -> Result<Self, Error> {
        let audit = Audit::new(tokenizer, candidates, read_out)?;
        let trained = audit.ids(tokenizer, ReadOut::InContext)?;
        let read = audit.ids(tokenizer, read_out)?;
        Ok(Self { trained, read, audit })
    }

    /// The id that training writes for each label: the label after the prompt's line break.
    #[must_use]
    pub fn trained(&self) -> &[u32] {
        &self.trained
    }

    /// The id whose logit is each label's score.
    #[must_use]
    pub fn read(&self) -> &[u32] {
        &self.read
    }

    /// The audit, for the record.
    #[must_use]
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// How many labels there are.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "there is always a label")]
    pub fn len(&self) -> usize {
        self.trained.len()
    }
}
