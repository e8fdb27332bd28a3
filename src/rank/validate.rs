//! Ranks of held-out items among candidates that a model scored.

use super::score::{Pace, Partly, score};
use super::{Error, Model};
use crate::eval::{Metric, MetricKind, expected_among};
use crate::events::Interrupt;
use crate::experiment::{SelectBy, SelectMetric};
use crate::prompt::{Prompts, Sample, Truncation};

/// The prompts of the users who are ranked, with their candidates.
///
/// # Shapes
/// n users, k candidates: `items` n x k in the order shown; `answers` n.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Questions {
    /// Candidates of a user.
    pub k: usize,
    /// Index of each user in the split.
    pub users: Vec<u32>,
    /// Token ids of each prompt.
    pub prompts: Vec<Vec<u32>>,
    /// Item ids of the candidates.
    pub items: Vec<u32>,
    /// Place of the held-out item among the candidates, from 0.
    pub answers: Vec<usize>,
    /// What the prompts lost.
    pub truncation: Truncation,
}

impl Questions {
    /// The prompts of `samples`, all of which have k candidates.
    ///
    /// # Errors
    /// If a prompt cannot be made.
    pub fn new(prompts: &Prompts, samples: &[Sample<'_>], k: usize) -> Result<Self, Error> {
        let mut questions = Self { k, ..Self::default() };
        for sample in samples {
            let prompt = prompts.evaluation(sample.history, &sample.candidates)?;
            questions.truncation.add(&prompt);
            questions.users.push(sample.user as u32);
            questions.prompts.push(prompt.ids);
            questions.items.extend(sample.candidates.iter().map(|item| item.get()));
            questions.answers.push(sample.answer);
        }
        Ok(questions)
    }

    /// How many users are asked about.
    #[must_use]
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// Item id of each held-out item.
    #[must_use]
    pub fn targets(&self) -> Vec<u32> {
        self.answers.iter().enumerate().map(|(user, answer)| self.items[user * self.k + answer]).collect()
    }

    /// The scores of `model`, for each set of letters.
    ///
    /// `# Shapes: for each set (users, k)`
    ///
    /// # Errors
    /// As [`score`].
    pub fn ask(
        &self,
        model: &mut dyn Model,
        letters: &Letters,
        most_tokens: usize,
        interrupt: &Interrupt,
        partly: Partly<'_>,
        tell: &mut dyn FnMut(Pace),
    ) -> Result<Vec<Vec<f32>>, Error> {
        let ids: Vec<u32> = letters.sets.iter().flat_map(|set| &set[..self.k]).copied().collect();
        let scores = score(model, &self.prompts, &ids, most_tokens, interrupt, partly, tell)?;
        let of = |set: usize| {
            let rows = scores.chunks(ids.len().max(1));
            rows.flat_map(|row| &row[set * self.k..(set + 1) * self.k]).copied().collect()
        };
        Ok((0..letters.sets.len()).map(of).collect())
    }

    /// The mean over the users of a metric of the ranks that `scores` (users, k) give, expected over a random order of candidates
    /// with the held-out item's score: a model that scores all alike must not profit from the ids of items.
    #[must_use]
    pub fn metric(&self, scores: &[f32], by: SelectBy) -> f64 {
        let kind = match by.metric {
            SelectMetric::Recall => MetricKind::Recall,
            SelectMetric::Ndcg => MetricKind::Ndcg,
            SelectMetric::Mrr => MetricKind::Mrr,
        };
        let metric = Metric::new(kind, by.k);
        let of = |user: usize| {
            let own = &scores[user * self.k..(user + 1) * self.k];
            expected_among(own, self.answers[user], metric).unwrap_or(0.0)
        };
        (0..self.len()).map(of).sum::<f64>() / self.len().max(1) as f64
    }
}

/// The token ids that stand for the letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letters {
    /// One id a letter in each set; the first set is the one that chooses the adapter.
    pub sets: Vec<Vec<u32>>,
}
