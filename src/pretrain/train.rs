//! The loop: lessons to steps of AdamW.

use rand_pcg::Pcg64;

use super::Error;
use super::lessons::Lesson;
use crate::backbone::decoder::{Batch, FullModel, Workspace};
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
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
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

/// Teach `model` until the budget of tokens is used up.
///
/// # Errors
/// If somebody interrupts, or if the loss is no number.
pub fn teach(
    model: &mut FullModel,
    course: &mut dyn Course,
    schedule: &Schedule,
    rng: &mut Pcg64,
    reporter: &dyn Reporter,
    interrupt: &Interrupt,
) -> Result<Vec<Point>, Error> {
    let len = model.weights.len();
    let (mut gradient, mut first, mut second) = (vec![0f32; len], vec![0f32; len], vec![0f32; len]);
    // The embedding stands first; a rare token's must not fade while it is not read.
    let decaying = model.plan().slots[1..].iter().filter(|slot| slot.decays);
    let decayed: Vec<(usize, usize)> = decaying.map(|slot| (slot.range().start, slot.range().end)).collect();
    let mut workspace = Workspace::default();
    let (mut tokens, mut step) = (0u64, 0u32);
    let (mut sum, mut count, mut curve) = (0f64, 0u32, Vec::new());
    reporter.emit(Event::Started { stage: "pre-train", total: Some(schedule.tokens), unit: "tokens" });
    while tokens < schedule.tokens {
        if interrupt.requested() {
            return Err(Error::Interrupted);
        }
        let done = tokens as f64 / schedule.tokens as f64;
        let lessons = course.next(model, schedule.step_tokens, rng);
        let loss = loss(model, &lessons, &mut gradient, &mut workspace);
        if !loss.is_finite() {
            return Err(Error::NotFinite { step, loss });
        }
        course.keep(&mut gradient);
        step += 1;
        tokens += lessons.iter().map(|lesson| lesson.ids.len() as u64 - 1).sum::<u64>();
        let warm = f64::from(step) / f64::from(schedule.warmup_steps.max(1));
        let rest = (1.25 * (1.0 - done)).clamp(0.02, 1.0);
        let adam = AdamW {
            learning_rate: schedule.learning_rate * warm.min(1.0) * rest,
            weight_decay: 0.01,
            beta1: 0.9,
            beta2: 0.98,
            epsilon: 1e-8,
        };
        let factor = adamw::clip_factor(adamw::norm(&gradient), 1.0);
        let state = adamw::State { weights: &mut model.weights, first: &mut first, second: &mut second };
        adamw::step(&adam, step, factor, &gradient, &decayed, state);
        course.heard(loss);
        (sum, count) = (sum + loss, count + 1);
        if step.is_multiple_of(EVERY) || tokens >= schedule.tokens {
            let (level, loss) = (course.level(), sum / f64::from(count));
            reporter.emit(Event::Advanced { done: tokens, detail: &format!("{level}, loss {loss:.3}") });
            curve.push(Point { step, tokens, level, loss });
            (sum, count) = (0.0, 0);
        }
    }
    let last = curve.last().map_or(f64::NAN, |point: &Point| point.loss);
    reporter.emit(Event::Finished { summary: &format!("{step} steps, {tokens} tokens, loss {last:.3}") });
    Ok(curve)
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
