//! The loop: lessons to steps of AdamW.

use rand::RngExt;

use super::Error;
use super::lessons::{Lesson, Teacher};
use crate::backbone::decoder::{Batch, FullModel, Workspace};
use crate::events::{Event, Interrupt, Reporter};
use crate::nn::adamw::{self, AdamW};
use crate::seed::Seed;

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

impl Default for Schedule {
    fn default() -> Self {
        Self { tokens: 3_000_000, step_tokens: 1024, learning_rate: 1e-3, warmup_steps: 40 }
    }
}

/// A point of the learning curve.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Point {
    /// Steps so far.
    pub step: u32,
    /// Tokens so far.
    pub tokens: u64,
    /// The mean losses of the kinds of lessons.
    pub level: String,
    /// Mean loss of a letter since the last point.
    pub loss: f64,
}

/// Of so many lessons one is an echo.
const ECHO_EVERY: u32 = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Echo,
    Prompt,
}

/// Teach `model` until the budget of tokens is used up.
///
/// # Errors
/// If somebody interrupts, or if the loss is no number.
pub fn teach(
    model: &mut FullModel,
    teacher: &Teacher<'_>,
    schedule: &Schedule,
    seed: Seed,
    reporter: &dyn Reporter,
    interrupt: &Interrupt,
) -> Result<Vec<Point>, Error> {
    let mut rng = seed.stream("pretrain/lessons");
    let len = model.weights.len();
    let (mut gradient, mut first, mut second) = (vec![0f32; len], vec![0f32; len], vec![0f32; len]);
    let slots = &model.plan().slots;
    let decayed: Vec<(usize, usize)> =
        slots.iter().filter(|slot| slot.decays).map(|slot| (slot.range().start, slot.range().end)).collect();
    let mut workspace = Workspace::default();
    let (mut tokens, mut step) = (0u64, 0u32);
    let (mut sums, mut counts, mut curve) = ([0f64; 2], [0u32; 2], Vec::new());
    reporter.emit(Event::Started { stage: "pre-train", total: Some(schedule.tokens), unit: "tokens" });
    while tokens < schedule.tokens {
        if interrupt.requested() {
            return Err(Error::Interrupted);
        }
        let done = tokens as f64 / schedule.tokens as f64;
        let kind = if rng.random_range(0..ECHO_EVERY) == 0 { Kind::Echo } else { Kind::Prompt };
        let lessons = lessons(teacher, kind, schedule.step_tokens, &mut rng);
        let texts: Vec<&[u32]> = lessons.iter().map(|lesson| &lesson.ids[..lesson.ids.len() - 1]).collect();
        let batch = Batch::apart(&texts, usize::MAX);
        let labels: Vec<Option<u32>> =
            lessons.iter().flat_map(|lesson| lesson.labels[..lesson.ids.len() - 1].iter().copied()).collect();
        let asked = labels.iter().flatten().count();
        gradient.fill(0.0);
        let loss = model.loss_and_gradients(&batch, &labels, asked, &mut gradient, &mut workspace);
        if !loss.is_finite() {
            return Err(Error::NotFinite { step, loss });
        }
        step += 1;
        tokens += texts.iter().map(|text| text.len() as u64).sum::<u64>();
        let warm = f64::from(step) / f64::from(schedule.warmup_steps.max(1));
        let rest = (1.25 * (1.0 - done)).clamp(0.05, 1.0);
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
        sums[kind as usize] += loss;
        counts[kind as usize] += 1;
        if step % 25 == 0 {
            let means = sums.iter().zip(&counts).map(|(sum, &count)| sum / f64::from(count.max(1)));
            let shown = ["echo", "prompt"].iter().zip(means).zip(&counts);
            let shown =
                shown.filter(|(_, count)| **count > 0).map(|((kind, mean), _)| format!("{kind} {mean:.3}"));
            let detail = format!("loss of {}", shown.collect::<Vec<_>>().join(", "));
            reporter.emit(Event::Advanced { done: tokens, detail: &detail });
            let mean = sums.iter().sum::<f64>() / f64::from(counts.iter().sum::<u32>());
            curve.push(Point { step, tokens, level: detail, loss: mean });
            (sums, counts) = ([0.0; 2], [0; 2]);
        }
    }
    let last = curve.last().map_or(f64::NAN, |point: &Point| point.loss);
    reporter.emit(Event::Finished { summary: &format!("{step} steps, {tokens} tokens, loss {last:.3}") });
    Ok(curve)
}

/// The lessons of a step.
fn lessons(teacher: &Teacher<'_>, kind: Kind, step_tokens: usize, rng: &mut rand_pcg::Pcg64) -> Vec<Lesson> {
    let (mut all, mut tokens) = (Vec::new(), 0);
    while tokens < step_tokens {
        let lesson = match kind {
            Kind::Echo => teacher.echo(teacher.labels(), rng),
            Kind::Prompt => teacher.prompt(teacher.labels(), rng),
        };
        tokens += lesson.ids.len();
        all.push(lesson);
    }
    all
}
