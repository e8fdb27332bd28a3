//! Scores of many prompts.

use std::time::{Duration, Instant};

use super::{Error, Model};
use crate::checkpoint::{self, Checkpoints, Nowhere};
use crate::events::Interrupt;

/// How far scoring is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Prompts done.
    pub prompts: usize,
    /// Their tokens.
    pub tokens: usize,
    /// Time since it began.
    pub elapsed: Duration,
    /// The share of the rate at which the device multiplies matrices, if that was measured.
    pub share: Option<f64>,
}

/// The share of a device's matrix rate that a model has reached since `before`, both as of [`Model::effort`].
pub(super) fn share(before: Option<(f64, f64)>, now: Option<(f64, f64)>, elapsed: Duration) -> Option<f64> {
    let ((before, _), (now, rate)) = (before?, now?);
    Some((now - before) / elapsed.as_secs_f64().max(1e-9) / rate)
}

/// `, 47 % of the matrix rate`, or nothing.
pub(super) fn told(share: Option<f64>) -> String {
    share.map_or_else(String::new, |share| format!(", {:.0} % of the matrix rate", 100.0 * share))
}

impl std::fmt::Display for Pace {
    /// `12.3 prompts/s, 4512 tokens/s, 47 % of the matrix rate`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.elapsed.as_secs_f64().max(1e-9);
        write!(
            f,
            "{:.1} prompts/s, {:.0} tokens/s{}",
            self.prompts as f64 / seconds,
            self.tokens as f64 / seconds,
            told(self.share)
        )
    }
}

/// Where scores are kept while there are not all of them.
#[derive(Clone, Copy)]
pub struct Partly<'a> {
    /// Keeps them.
    pub checkpoints: &'a dyn Checkpoints,
    /// Of which part of the work they are.
    pub part: &'a str,
    /// Of the model after which step they are: those of another one are not taken.
    pub step: u32,
}

impl Partly<'static> {
    /// Not kept.
    pub const NOT: Self = Self { checkpoints: &Nowhere, part: "", step: 0 };
}

impl Partly<'_> {
    /// Scores so far; NaN where there is none yet.
    fn so_far(&self, len: usize) -> Vec<f32> {
        let last = self.checkpoints.last(self.part);
        let last = last.filter(|last| last.words::<u32>() == Some(self.step));
        let scores = last.as_ref().and_then(|last| last.array("scores", len));
        scores.map_or_else(|| vec![f32::NAN; len], <[f32]>::to_vec)
    }

    fn keep(&self, scores: &[f32]) {
        self.checkpoints.keep(self.part, &checkpoint::words(&self.step), &[("scores", scores)]);
    }
}

/// The logit of each of `letters` after each prompt, `most_tokens` tokens at once. Prompts of like length go together, the
/// longest first, so that memory is at its peak in the first batch.
///
/// `# Shapes: gives (prompts, letters)`
///
/// # Errors
/// If a prompt cannot go through the model, a score is not finite, or somebody asks to stop.
pub fn score(
    model: &mut dyn Model,
    prompts: &[Vec<u32>],
    letters: &[u32],
    most_tokens: usize,
    interrupt: &Interrupt,
    partly: Partly<'_>,
    tell: &mut dyn FnMut(Pace),
) -> Result<Vec<f32>, Error> {
    let began = Instant::now();
    let mut scores = partly.so_far(prompts.len() * letters.len());
    let mut pace = Pace { prompts: 0, tokens: 0, elapsed: Duration::ZERO, share: None };
    let before = model.effort();
    let missing: Vec<usize> = (0..prompts.len())
        .filter(|prompt| scores[prompt * letters.len()..].first().is_some_and(|score| score.is_nan()))
        .collect();
    let lengths: Vec<usize> = missing.iter().map(|&prompt| prompts[prompt].len()).collect();
    for batch in batches(&lengths, most_tokens) {
        let batch: Vec<usize> = batch.into_iter().map(|at| missing[at]).collect();
        let stop = interrupt.requested();
        if pace.prompts > 0 && (stop || partly.checkpoints.due()) {
            partly.keep(&scores);
        }
        if stop {
            return Err(Error::Interrupted);
        }
        let shown: Vec<&[u32]> = batch.iter().map(|&prompt| prompts[prompt].as_slice()).collect();
        let found = model.scores(&shown, letters)?;
        for (&prompt, row) in batch.iter().zip(found.chunks(letters.len().max(1))) {
            if let Some(candidate) = row.iter().position(|score| !score.is_finite()) {
                return Err(Error::ScoreNotFinite {
                    prompt,
                    candidate: candidate % letters.len(),
                    score: row[candidate],
                });
            }
            scores[prompt * letters.len()..][..letters.len()].copy_from_slice(row);
        }
        pace.prompts += batch.len();
        pace.tokens += shown.iter().map(|prompt| prompt.len()).sum::<usize>();
        pace.elapsed = began.elapsed();
        pace.share = share(before, model.effort(), pace.elapsed);
        tell(pace);
    }
    // Of a part that is whole nothing is asked again, if what comes next is cut short.
    if pace.prompts > 0 && partly.checkpoints.due() {
        partly.keep(&scores);
    }
    Ok(scores)
}

/// Prompts by falling length (equal ones in their order), cut where a batch would have more than `most_tokens` tokens. A longer
/// prompt is a batch of its own.
///
/// ```
/// assert_eq!(bench::rank::batches(&[3, 9, 3, 4], 7), [vec![1], vec![3, 0], vec![2]]);
/// ```
#[must_use]
pub fn batches(lengths: &[usize], most_tokens: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&prompt| std::cmp::Reverse(lengths[prompt]));
    let mut found: Vec<Vec<usize>> = Vec::new();
    let mut tokens = 0;
    for prompt in order {
        match found.last_mut() {
            Some(batch) if tokens + lengths[prompt] <= most_tokens => {
                tokens += lengths[prompt];
                batch.push(prompt);
            }
            _ => {
                tokens = lengths[prompt];
                found.push(vec![prompt]);
            }
        }
    }
    found
}
