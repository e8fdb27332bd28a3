//! Prompts that are too long: what they lose, and the count of it.

use serde::{Deserialize, Serialize};

/// A prompt as token ids.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prompt {
    /// The beginning-of-text token if the tokenizer has one, the text, and in training the answer's label and the end token.
    pub ids: Vec<u32>,
    /// Tokens that were cut off on the left, so beginning with the instruction; the beginning token counts if it is lost.
    pub cut_tokens: u32,
    /// History items that were left out to make it fit.
    pub dropped_items: u32,
}

impl Prompt {
    /// Whether something of it was lost.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.cut_tokens > 0 || self.dropped_items > 0
    }
}

/// How many prompts lost what, for the record and the report. Prompts that lost tokens lost the beginning of the
/// instruction, because it comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Truncation {
    /// Prompts that were counted.
    pub prompts: u64,
    /// Prompts cut on the left.
    pub cut_prompts: u64,
    /// Tokens that they lost.
    pub cut_tokens: u64,
    /// Prompts shown with fewer history items than they should have.
    pub shortened_prompts: u64,
    /// History items that they lost.
    pub dropped_items: u64,
    /// Tokens of all prompts as they are.
    pub tokens: u64,
    /// Tokens of the longest one.
    pub longest: u64,
}

impl Truncation {
    /// Count one prompt.
    pub fn add(&mut self, prompt: &Prompt) {
        let tokens = prompt.ids.len() as u64;
        self.prompts += 1;
        self.cut_prompts += u64::from(prompt.cut_tokens > 0);
        self.cut_tokens += u64::from(prompt.cut_tokens);
        self.shortened_prompts += u64::from(prompt.dropped_items > 0);
        self.dropped_items += u64::from(prompt.dropped_items);
        self.tokens += tokens;
        self.longest = self.longest.max(tokens);
    }

    /// What both counted.
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        Self {
            prompts: self.prompts + other.prompts,
            cut_prompts: self.cut_prompts + other.cut_prompts,
            cut_tokens: self.cut_tokens + other.cut_tokens,
            shortened_prompts: self.shortened_prompts + other.shortened_prompts,
            dropped_items: self.dropped_items + other.dropped_items,
            tokens: self.tokens + other.tokens,
            longest: self.longest.max(other.longest),
        }
    }

    /// A sentence for people if a prompt lost something: `None` means that none did.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let mut parts = Vec::new();
        if self.cut_prompts > 0 {
            parts.push(format!(
                "{} lost the beginning of the instruction ({:.1} tokens on average)",
                self.cut_prompts,
                self.cut_tokens as f64 / self.cut_prompts as f64
            ));
        }
        if self.shortened_prompts > 0 {
            parts.push(format!(
                "{} show fewer history items ({:.1} on average)",
                self.shortened_prompts,
                self.dropped_items as f64 / self.shortened_prompts as f64
            ));
        }
        (!parts.is_empty()).then(|| {
            format!(
                "of {} prompts, {}; raise ranker.max_prompt_tokens to show all",
                self.prompts,
                parts.join(" and ")
            )
        })
    }
}

/// Cut `ids` (beginning token if `has_bos`, then text) to `limit` on the left, keeping the beginning token. Gives the number
/// of tokens lost.
pub(super) fn cut_left(ids: &mut Vec<u32>, has_bos: bool, limit: usize) -> usize {
    let excess = ids.len().saturating_sub(limit);
    let first = usize::from(has_bos);
    ids.drain(first..first + excess);
    excess
}

/// The same for a training prompt, which ends in the label and the end token.
///
/// The reference cuts the text with its label to the limit, appends the end token, and cuts the result to the limit again,
/// which costs the beginning token (`loses_bos`).
pub(super) fn cut_training_left(ids: &mut Vec<u32>, has_bos: bool, limit: usize, loses_bos: bool) -> usize {
    let before = ids.len();
    if before > limit && loses_bos {
        ids.drain(..before - limit);
    } else {
        cut_left(ids, has_bos, limit);
    }
    before - ids.len()
}
