//! Prompts laid end to end: no padding is ever computed, and what all prompts begin with is computed once.

use std::ops::Range;

use crate::nn::attention::Span;

/// A shared beginning shorter than this stays in each prompt: it would save less than its bookkeeping costs.
const LEAST_PREFIX: usize = 8;

/// Packed prompts, and which of their rows are wanted at the end of the model.
///
/// Rows are: the shared prefix (where there is one), then each prompt's own tokens. A prompt's result has the same bits
/// in every batch, with the prefix shared or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    tokens: Vec<u32>,
    positions: Vec<u32>,
    spans: Vec<Span>,
    wanted: Vec<u32>,
    wanted_positions: Vec<u32>,
    wanted_spans: Vec<Span>,
    /// For each prompt its rows among the wanted ones.
    ends: Vec<Range<usize>>,
    prefix: usize,
    prompt_tokens: usize,
    longest: usize,
}

impl Batch {
    /// Pack `prompts`, of each of which the last `tail` rows (at least one) are wanted, or all where it has no more. The longest common
    /// beginning of the prompts, the wanted rows excepted, is computed once.
    #[must_use]
    pub fn new(prompts: &[&[u32]], tail: usize) -> Self {
        Self::packed(prompts, tail, common(prompts, tail))
    }

    /// As [`Batch::new`], but every prompt has rows of its own for all of its tokens. With dropout this is what separate
    /// prompts mean: each has its own mask.
    #[must_use]
    pub fn apart(prompts: &[&[u32]], tail: usize) -> Self {
        Self::packed(prompts, tail, 0)
    }

    fn packed(prompts: &[&[u32]], tail: usize, prefix: usize) -> Self {
        let mut batch = Self {
            tokens: Vec::new(),
            positions: Vec::new(),
            spans: Vec::new(),
            wanted: Vec::new(),
            wanted_positions: Vec::new(),
            wanted_spans: Vec::new(),
            ends: Vec::new(),
            prefix,
            prompt_tokens: 0,
            longest: 0,
        };
        if prefix > 0 {
            batch.push(&prompts[0][..prefix], 0, 0);
        }
        for prompt in prompts {
            batch.prompt_tokens += prompt.len();
            batch.longest = batch.longest.max(prompt.len());
            let rows = batch.push(&prompt[prefix..], prefix, prefix);
            let first = batch.wanted.len();
            let wanted = rows.end - tail.max(1).min(rows.len())..rows.end;
            batch.wanted.extend(wanted.clone().map(|row| row as u32));
            batch.wanted_positions.extend_from_slice(&batch.positions[wanted.clone()]);
            if !rows.is_empty() {
                batch.wanted_spans.push(Span { queries: first..batch.wanted.len(), keys: rows, prefix });
            }
            batch.ends.push(first..batch.wanted.len());
        }
        batch
    }

    /// Append `tokens`, the first of which has position `from`, that see `prefix` rows and themselves.
    fn push(&mut self, tokens: &[u32], from: usize, prefix: usize) -> Range<usize> {
        let rows = self.tokens.len()..self.tokens.len() + tokens.len();
        self.tokens.extend_from_slice(tokens);
        self.positions.extend((from..from + tokens.len()).map(|position| position as u32));
        if !rows.is_empty() {
            self.spans.push(Span { queries: rows.clone(), keys: rows.clone(), prefix });
        }
        rows
    }

    /// Token of each row.
    #[must_use]
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Position of each row in its prompt, from 0.
    #[must_use]
    pub fn positions(&self) -> &[u32] {
        &self.positions
    }

    /// Rows computed (m).
    #[must_use]
    pub fn rows(&self) -> usize {
        self.tokens.len()
    }

    /// The wanted rows, prompt by prompt, rising.
    #[must_use]
    pub fn wanted(&self) -> &[u32] {
        &self.wanted
    }

    /// Where a prompt's rows are among the wanted ones.
    #[must_use]
    pub fn wanted_of(&self, prompt: usize) -> Range<usize> {
        self.ends[prompt].clone()
    }

    /// Rows that all prompts share.
    #[must_use]
    pub fn prefix(&self) -> usize {
        self.prefix
    }

    /// Tokens of the prompts that need no row because another prompt's row serves.
    #[must_use]
    pub fn saved(&self) -> usize {
        self.prompt_tokens - self.rows()
    }

    /// Tokens of the longest prompt.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// Whether every row is wanted.
    #[must_use]
    pub fn wants_every_row(&self) -> bool {
        self.wanted.len() == self.rows()
    }

    /// What each wanted row is to predict in the training of a language model: the token behind it; nothing at a prompt's end.
    ///
    /// `# Shapes: (wanted)`
    #[must_use]
    pub fn next_tokens(&self) -> Vec<Option<u32>> {
        let ends: Vec<usize> = self.spans.iter().map(|span| span.keys.end).collect();
        let next = |&row: &u32| {
            let next = row as usize + 1;
            if ends.binary_search(&next).is_ok() { None } else { Some(self.tokens[next]) }
        };
        self.wanted.iter().map(next).collect()
    }

    /// The first prompt without a token.
    #[must_use]
    pub fn empty(&self) -> Option<usize> {
        self.ends.iter().position(Range::is_empty)
    }

    /// Pairs of a query and a key that attention looks at, in one head of one layer but the last: what its cost grows with.
    #[must_use]
    pub fn pairs(&self) -> usize {
        self.spans.iter().map(|span| span.keys.len() * span.prefix + triangle(span.keys.len())).sum()
    }

    pub(super) fn spans(&self) -> &[Span] {
        &self.spans
    }

    pub(super) fn wanted_positions(&self) -> &[u32] {
        &self.wanted_positions
    }

    pub(super) fn wanted_spans(&self) -> &[Span] {
        &self.wanted_spans
    }
}

fn triangle(n: usize) -> usize {
    n * (n + 1) / 2
}

/// The length of what all prompts begin with, at most what leaves every prompt its `tail` and one row of its own.
fn common(prompts: &[&[u32]], tail: usize) -> usize {
    let [first, rest @ ..] = prompts else { return 0 };
    if rest.is_empty() {
        return 0;
    }
    let room = |prompt: &[u32]| prompt.len().saturating_sub(tail.max(1));
    let mut shared = room(first);
    for prompt in rest {
        shared = shared.min(room(prompt));
        shared = first[..shared].iter().zip(*prompt).take_while(|(a, b)| a == b).count();
    }
    if shared < LEAST_PREFIX { 0 } else { shared }
}
