//! The loop: lessons to steps of AdamW.

use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};

use super::Error;
use super::lessons::Lesson;
use crate::backbone::decoder::{Batch, FullModel, Workspace};
use crate::checkpoint::{self, Checkpoints, Snapshot};
use crate::events::{Event, Interrupt, Reporter};
use crate::nn::adamw::{self, AdamW};

/// How a backbone is taught.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// Tokens to read in all.
    pub tokens: u64,
    /// Tokens of a step, roughly.
    pub step_tokens: usize,
    /// Peak step size.
    pub learning_rate: f64,
    /// Steps in which the step size rises.
    pub warmup_steps: u32,
}

/// A point of the learning curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Steps so far.
    pub step: u32,
    /// Tokens so far.
    pub tokens: u64,
    /// What is taught.
    pub level: String,
    /// Mean loss of a label since the last point.
    pub loss: f64,
}

/// What is taught.
pub trait Course {
    /// The lessons of the next step, about `tokens` tokens in all, none empty. The model may be changed before they are learnt.
    fn next(&mut self, model: &mut FullModel, tokens: usize, rng: &mut Pcg64) -> Vec<Lesson>;

    /// Clear the gradient of what is not to be learnt.
    fn keep(&self, _gradient: &mut [f32]) {}

    /// What came of the lessons: the mean loss of their labels.
    fn heard(&mut self, _loss: f64) {}

    /// What is taught now.
    fn level(&self) -> String;
}

/// Steps between two points of the curve.
const EVERY: u32 = 25;
/// The part of the work that is kept.
const PART: &str = "train";

/// What is done.
#[derive(Clone, Serialize, Deserialize)]
struct Done {
    tokens: u64,
    steps: u32,
    /// Sum and number of the losses since the last point.
    losses: (f64, u32),
    curve: Vec<Point>,
    rng: Pcg64,
}

/// AdamW's moments.
struct Moments {
    first: Vec<f32>,
    second: Vec<f32>,
}

impl Done {
    fn keep(&self, model: &FullModel, moments: &Moments, checkpoints: &dyn Checkpoints) {
        let arrays = [
            ("weights", model.weights.as_slice()),
            ("first_moments", moments.first.as_slice()),
            ("second_moments", moments.second.as_slice()),
        ];
        checkpoints.keep(PART, &checkpoint::words(self), &arrays);
    }

    /// What was kept, if all of it is there.
    fn take(last: &Snapshot, model: &mut FullModel, moments: &mut Moments) -> Option<Self> {
        let len = model.weights.len();
        let done = last.words()?;
        let (weights, first) = (last.array("weights", len)?, last.array("first_moments", len)?);
        moments.second.copy_from_slice(last.array("second_moments", len)?);
        moments.first.copy_from_slice(first);
        model.weights.copy_from_slice(weights);
        Some(done)
    }
}

/// Teach `model` until the budget of tokens is used up.
///
/// # Errors
/// If somebody interrupts, or if the loss is no number.
pub fn teach(
    model: &mut FullModel,
    course: &mut dyn Course,
    schedule: &Schedule,
    rng: &mut Pcg64,
    (reporter, interrupt, checkpoints): (&dyn Reporter, &Interrupt, &dyn Checkpoints),
) -> Result<Vec<Point>, Error> {
    let len = model.weights.len();
    let mut gradient = vec![0f32; len];
    let mut moments = Moments { first: vec![0f32; len], second: vec![0f32; len] };
    // The embedding stands first; a rare token's must not fade while it is not read.
    let decaying = model.plan().slots[1..].iter().filter(|slot| slot.decays);
    let decayed: Vec<(usize, usize)> = decaying.map(|slot| (slot.range().start, slot.range().end)).collect();
    let mut workspace = Workspace::default();
    let mut done = Done { tokens: 0, steps: 0, losses: (0.0, 0), curve: Vec::new(), rng: rng.clone() };
    reporter.emit(Event::Started { stage: "pre-train", total: Some(schedule.tokens), unit: "tokens" });
    let last = checkpoint::go_back((checkpoints, reporter), (PART, "pre-training"), |last| {
        Done::take(last, model, &mut moments).map(|done| (done.steps, done))
    });
    if let Some(last) = last {
        done = last;
    }
    while done.tokens < schedule.tokens {
        let stop = interrupt.requested();
        if done.steps > 0 && (stop || checkpoints.due()) {
            done.keep(model, &moments, checkpoints);
        }
        if stop {
            return Err(Error::Interrupted);
        }
        let so_far = done.tokens as f64 / schedule.tokens as f64;
        let lessons = course.next(model, schedule.step_tokens, &mut done.rng);
        let loss = loss(model, &lessons, &mut gradient, &mut workspace);
        if !loss.is_finite() {
            return Err(Error::NotFinite { step: done.steps, loss });
        }
        course.keep(&mut gradient);
        done.steps += 1;
        done.tokens += lessons.iter().map(|lesson| lesson.ids.len() as u64 - 1).sum::<u64>();
        let warm = f64::from(done.steps) / f64::from(schedule.warmup_steps.max(1));
        let rest = (1.25 * (1.0 - so_far)).clamp(0.02, 1.0);
        let adam = AdamW {
            learning_rate: schedule.learning_rate * warm.min(1.0) * rest,
            weight_decay: 0.01,
            beta1: 0.9,
            beta2: 0.98,
            epsilon: 1e-8,
        };
        let factor = adamw::clip_factor(adamw::norm(&gradient), 1.0);
        let Moments { first, second } = &mut moments;
        let state = adamw::State { weights: &mut model.weights, first, second };
        adamw::step(&adam, done.steps, factor, &gradient, &decayed, state);
        course.heard(loss);
        done.losses = (done.losses.0 + loss, done.losses.1 + 1);
        if done.steps.is_multiple_of(EVERY) || done.tokens >= schedule.tokens {
            let (level, loss) = (course.level(), done.losses.0 / f64::from(done.losses.1));
            let detail = format!("{level}, loss {loss:.3}");
            reporter.emit(Event::Advanced { done: done.tokens, detail: &detail });
            done.curve.push(Point { step: done.steps, tokens: done.tokens, level, loss });
            done.losses = (0.0, 0);
        }
    }
    *rng = done.rng;
    let last = done.curve.last().map_or(f64::NAN, |point: &Point| point.loss);
    let summary = format!("{} steps, {} tokens, loss {last:.3}", done.steps, done.tokens);
    reporter.emit(Event::Finished { summary: &summary });
    Ok(done.curve)
}

/// The mean loss of the lessons' labels; its gradient replaces `gradient`.
pub fn loss(model: &FullModel, lessons: &[Lesson], gradient: &mut [f32], workspace: &mut Workspace) -> f64 {
    let texts: Vec<&[u32]> = lessons.iter().map(|lesson| &lesson.ids[..lesson.ids.len() - 1]).collect();
    let batch = Batch::apart(&texts, usize::MAX);
    let labels: Vec<Option<u32>> =
        lessons.iter().flat_map(|lesson| lesson.labels[..lesson.ids.len() - 1].iter().copied()).collect();
    let asked = labels.iter().flatten().count();
    gradient.fill(0.0);
    model.loss_and_gradients(&batch, &labels, asked, gradient, workspace)
}
