//! The loop: lessons to steps of AdamW, harder ones when the present ones are known.

use rand::RngExt;

use super::Error;
use super::lessons::{Entries, Lesson, Level, Teacher};
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
    /// Mean loss of a letter below which a level is known.
    pub known: f64,
    /// The first level.
    pub start: usize,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            tokens: 3_000_000,
            step_tokens: 1024,
            learning_rate: 1e-3,
            warmup_steps: 40,
            known: 0.35,
            start: 4,
        }
    }
}

/// A point of the learning curve.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Point {
    /// Steps so far.
    pub step: u32,
    /// Tokens so far.
    pub tokens: u64,
    /// What is taught: a level of the search for titles, or prompts.
    pub level: String,
    /// Mean loss of a letter since the last point.
    pub loss: f64,
}

/// Levels of [`Teacher::find`], in order.
fn levels(labels: usize) -> Vec<Level> {
    let tokens = [1, 2].map(|n| Level { pool: 2, entries: Entries::Tokens(n) });
    let sizes = [2, 3, 4, 6, 8, 12, 16, labels];
    let titles = sizes.into_iter().map(|pool| Level { pool: pool.min(labels), entries: Entries::Titles });
    let mut all: Vec<Level> = tokens.into_iter().chain(titles).collect();
    all.dedup();
    all
}

/// What is left to learn after the search for titles: pools of what came next, then prompts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Find,
    Echo,
    Next,
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
    let levels = levels(teacher.labels());
    let mut workspace = Workspace::default();
    let (mut level, mut average, mut seen) = (schedule.start, f64::NAN, 0u32);
    let (mut tokens, mut step) = (0u64, 0u32);
    let (mut sums, mut counts, mut curve) = ([0f64; 4], [0u32; 4], Vec::new());
    reporter.emit(Event::Started { stage: "pre-train", total: Some(schedule.tokens), unit: "tokens" });
    while tokens < schedule.tokens {
        if interrupt.requested() {
            return Err(Error::Interrupted);
        }
        let done = tokens as f64 / schedule.tokens as f64;
        let kind = if level < levels.len() {
            if rng.random_range(0..2u32) == 0 { Kind::Find } else { Kind::Echo }
        } else {
            match rng.random_range(0..10u32) {
                // What is known stays in use.
                0 => Kind::Echo,
                1..=3 => Kind::Next,
                _ => Kind::Prompt,
            }
        };
        let lessons = lessons(teacher, kind, level, &levels, schedule.step_tokens, &mut rng);
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
        let name =
            if level < levels.len() { format!("{} titles, ", levels[level].pool) } else { String::new() };
        if level < levels.len() {
            seen += 1;
            // Half of an echo's labels are end tokens, which are soon known.
            let own = if kind == Kind::Echo { 2.0 * loss } else { loss };
            average = if average.is_nan() { own } else { 0.95 * average + 0.05 * own };
            if average < schedule.known && seen >= 20 {
                (level, average, seen) = (level + 1, f64::NAN, 0);
            }
        }
        if step % 25 == 0 {
            let means = sums.iter().zip(&counts).map(|(sum, &count)| sum / f64::from(count.max(1)));
            let shown = ["find", "echo", "next", "prompt"].iter().zip(means).zip(&counts);
            let shown =
                shown.filter(|(_, count)| **count > 0).map(|((kind, mean), _)| format!("{kind} {mean:.3}"));
            let detail = format!("{name}loss of {}", shown.collect::<Vec<_>>().join(", "));
            reporter.emit(Event::Advanced { done: tokens, detail: &detail });
            let mean = sums.iter().sum::<f64>() / f64::from(counts.iter().sum::<u32>());
            curve.push(Point { step, tokens, level: detail, loss: mean });
            (sums, counts) = ([0.0; 4], [0; 4]);
        }
    }
    let last = curve.last().map_or(f64::NAN, |point: &Point| point.loss);
    reporter.emit(Event::Finished { summary: &format!("{step} steps, {tokens} tokens, loss {last:.3}") });
    Ok(curve)
}

/// The lessons of a step.
fn lessons(
    teacher: &Teacher<'_>,
    kind: Kind,
    level: usize,
    levels: &[Level],
    step_tokens: usize,
    rng: &mut rand_pcg::Pcg64,
) -> Vec<Lesson> {
    let (mut all, mut tokens) = (Vec::new(), 0);
    while tokens < step_tokens {
        let lesson = match kind {
            Kind::Find => {
                let level = levels[level.min(levels.len() - 1)];
                teacher.find(level, (2 * level.pool).min(20), rng)
            }
            Kind::Echo => teacher.echo(levels[level.min(levels.len() - 1)].pool, rng),
            Kind::Next => teacher.next(teacher.labels(), 20, rng),
            Kind::Prompt => teacher.prompt(teacher.labels(), rng),
        };
        tokens += lesson.ids.len();
        all.push(lesson);
    }
    all
}
