//! Tuning a ranker: samples in random order, AdamW with a linear schedule, validation every n steps, the best adapter kept.

mod resume;

use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::lessons::{self, Lessons};
use super::model::{TAUGHT, Tunable};
use super::score::{Pace, Partly, batches, share, told};
use super::validate::{Letters, Questions};
use super::{Error, Schedule};
use crate::checkpoint::Checkpoints;
use crate::events::{Event, Interrupt, Reporter};
use crate::experiment::RankerSpec;
use crate::nn::adamw::{self, AdamW};
use crate::prompt::Truncation;
use crate::seed::Seed;

/// What training needs beside the model and its settings.
#[derive(Clone, Copy)]
pub struct TrainOptions<'a> {
    /// The random numbers of dropout.
    pub seed: Seed,
    /// The token ids of the letters.
    pub letters: &'a Letters,
    /// Hears of progress.
    pub reporter: &'a dyn Reporter,
    /// Asks to stop.
    pub interrupt: &'a Interrupt,
    /// Keeps what was reached.
    pub checkpoints: &'a dyn Checkpoints,
}

/// One validation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Steps done.
    pub step: u32,
    /// Passes over the training prompts, in part.
    pub epoch: f64,
    /// Mean training loss since the last point; none before the first step.
    pub train_loss: Option<f64>,
    /// The metric that selects.
    #[serde(with = "crate::checkpoint::bits")]
    pub metric: f64,
    /// Seconds since training began.
    pub wall_seconds: f64,
}

/// Why training ended.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum StopReason {
    /// As many validations without a better one as `patience` allows.
    NoImprovement,
    /// All steps are done.
    Steps,
    /// The loss or its gradient stopped being a number, which changed no weight.
    LossNotFinite {
        /// At which step, from 1.
        step: u32,
        /// What it was; NaN if only the gradient was not finite.
        #[serde(with = "crate::checkpoint::bits")]
        loss: f64,
    },
}

/// How training went. The model has the best weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// Every validation; the first is before the first step.
    pub curve: Vec<CurvePoint>,
    /// Scores of validation before training, for each set of letters: (users, k).
    pub first_scores: Vec<Vec<f32>>,
    /// The same with the best weights.
    pub best_scores: Vec<Vec<f32>>,
    /// The step of the best weights; 0 means that no training was better than none.
    pub best_step: u32,
    /// Steps done.
    pub steps: u32,
    /// Why it ended.
    pub stopped: StopReason,
    /// The training prompts that were shown.
    pub shown: Truncation,
    /// Time in training steps alone.
    pub step_time: Duration,
}

/// Steps of an epoch and in all.
#[must_use]
pub fn steps(spec: &RankerSpec, prompts: usize) -> (u32, u32) {
    let whole = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let epoch = whole(prompts.div_ceil(spec.batch_size as usize));
    let all = epoch.saturating_mul(spec.epochs);
    (epoch, spec.max_steps.map_or(all, |most| most.min(all)))
}

/// Teach `model` the lessons; it ends with the weights of the best validation.
///
/// # Errors
/// [`Error::NothingToValidate`], [`Error::Interrupted`], and what prompts or scores bring. A loss that is no number is none: the
/// best weights stay, and [`Trained::stopped`] says so.
pub fn train(
    model: &mut dyn Tunable,
    spec: &RankerSpec,
    lessons: &dyn Lessons,
    questions: &Questions,
    options: TrainOptions<'_>,
) -> Result<Trained, Error> {
    if questions.is_empty() {
        return Err(Error::NothingToValidate { candidates: questions.k });
    }
    let (epoch_steps, total) = steps(spec, lessons.len());
    options.reporter.emit(Event::Started {
        stage: "train ranker",
        total: Some(u64::from(total)),
        unit: "steps",
    });
    let mut watch = Watch::new(spec, questions, options, epoch_steps);
    let mut optimizer = Optimizer::new(spec, model.weights().len(), total);
    let mut done = Done::default();
    if !resume::restore(model, &mut optimizer, &mut watch, &mut done) {
        watch.validate(model, 0, None)?;
    }
    let stopped = match done.stopped {
        Some(stopped) => stopped,
        None => lessons_to_end(model, lessons, &mut optimizer, &mut watch, &mut done)?,
    };
    if done.stopped.is_none() {
        done.stopped = Some(stopped);
        resume::keep(model, &optimizer, &watch, &done);
    }
    model.weights().copy_from_slice(&watch.best_weights);
    let Watch { curve, best: Best { metric: best, step: best_step, .. }, first_scores, best_scores, .. } =
        watch;
    let Done { steps: step, shown, step_time, .. } = done;
    if let StopReason::LossNotFinite { step, loss } = stopped {
        options.reporter.emit(Event::Warning(&format!(
            "the loss of the ranker is {loss} at step {step}: training stops, and the adapter of step {best_step} is kept; lower \
             ranker.learning_rate or ranker.max_grad_norm"
        )));
    }
    options.reporter.emit(Event::Finished {
        summary: &format!("{step} steps, best {} over R {best:.4} at step {best_step}", spec.select_by),
    });
    Ok(Trained { curve, first_scores, best_scores, best_step, steps: step, stopped, shown, step_time })
}

/// All steps that are not done yet, and why they ended.
fn lessons_to_end(
    model: &mut dyn Tunable,
    lessons: &dyn Lessons,
    optimizer: &mut Optimizer,
    watch: &mut Watch<'_>,
    done: &mut Done,
) -> Result<StopReason, Error> {
    let batch = watch.spec.batch_size as usize;
    let left = (done.steps + 1, optimizer.schedule.total_steps);
    std::thread::scope(|scope| {
        let prompts = lessons::ahead(scope, lessons, batch, left);
        steps_to_end(model, &prompts, optimizer, watch, done)
    })
}

/// The same with the prompts of each step that is not done.
fn steps_to_end(
    model: &mut dyn Tunable,
    prompts: &Receiver<lessons::Step>,
    optimizer: &mut Optimizer,
    watch: &mut Watch<'_>,
    done: &mut Done,
) -> Result<StopReason, Error> {
    let (spec, options, total) = (watch.spec, watch.options, optimizer.schedule.total_steps);
    let mut keys = options.seed.stream("ranker/dropout");
    for step in 1..=total {
        let key = keys.next_u64();
        // What an earlier process did; of its last step the validation is still to come.
        if step < done.steps {
            continue;
        }
        if step > done.steps {
            let (began, before) = (Instant::now(), model.effort());
            // Their thread ends before only if it panics, which its scope passes on.
            let made = prompts.recv().map_err(|_| Error::Interrupted)??;
            let mut shown = done.shown;
            made.iter().for_each(|prompt| shown.add(prompt));
            let ids: Vec<Vec<u32>> = made.into_iter().map(|prompt| prompt.ids).collect();
            let loss = optimizer.step(model, &ids, spec.micro_batch_tokens as usize, key)?;
            done.step_time += began.elapsed();
            watch.share = share(before, model.effort(), began.elapsed());
            (done.steps, done.shown) = (step, shown);
            if !loss.is_finite() {
                return Ok(StopReason::LossNotFinite { step, loss });
            }
            done.losses = (done.losses.0 + loss, done.losses.1 + 1);
            watch.progress(done, model);
            let stop = options.interrupt.requested();
            if stop || options.checkpoints.due() {
                resume::keep(model, optimizer, watch, done);
            }
            if stop {
                return Err(Error::Interrupted);
            }
        }
        if step.is_multiple_of(spec.validate_every_steps) {
            let mean = done.losses.0 / f64::from(done.losses.1);
            done.losses = (0.0, 0);
            if let Some(score) = watch.diverged(model, step, Some(mean))? {
                return Ok(StopReason::LossNotFinite { step, loss: f64::from(score) });
            }
            if watch.best.without_better >= spec.patience {
                return Ok(StopReason::NoImprovement);
            }
        }
    }
    if done.losses.1 > 0
        && let Some(score) = watch.diverged(model, total, Some(done.losses.0 / f64::from(done.losses.1)))?
    {
        return Ok(StopReason::LossNotFinite { step: total, loss: f64::from(score) });
    }
    Ok(StopReason::Steps)
}

/// AdamW over accumulated gradients.
struct Optimizer {
    adam: AdamW,
    schedule: Schedule,
    max_grad_norm: f64,
    gradient: Vec<f32>,
    first: Vec<f32>,
    second: Vec<f32>,
    steps: u32,
}

impl Optimizer {
    fn new(spec: &RankerSpec, weights: usize, total_steps: u32) -> Self {
        Self {
            adam: AdamW {
                learning_rate: spec.learning_rate,
                weight_decay: spec.weight_decay,
                beta1: spec.adam_beta1,
                beta2: spec.adam_beta2,
                epsilon: spec.adam_epsilon,
            },
            schedule: Schedule { peak: spec.learning_rate, warmup_steps: spec.warmup_steps, total_steps },
            max_grad_norm: spec.max_grad_norm,
            gradient: vec![0.0; weights],
            first: vec![0.0; weights],
            second: vec![0.0; weights],
            steps: 0,
        }
    }

    /// One step on the prompts, in parts of at most `most_tokens` tokens; the loss before it, or NaN if the gradient is not finite.
    /// A loss that is not finite has changed no weight.
    fn step(
        &mut self,
        model: &mut dyn Tunable,
        prompts: &[Vec<u32>],
        most_tokens: usize,
        key: u64,
    ) -> Result<f64, Error> {
        self.gradient.fill(0.0);
        let mut loss = 0.0;
        let lengths: Vec<usize> = prompts.iter().map(Vec::len).collect();
        for (part, batch) in batches(&lengths, most_tokens).into_iter().enumerate() {
            let shown: Vec<&[u32]> = batch.iter().map(|&prompt| prompts[prompt].as_slice()).collect();
            // Masks are numbered within a part, so each part has its own key.
            let key = key.wrapping_add((part as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            loss += model.learn(&shown, TAUGHT * prompts.len(), key, &mut self.gradient)?;
        }
        let norm = adamw::norm(&self.gradient);
        if !loss.is_finite() || !norm.is_finite() {
            return Ok(if loss.is_finite() { f64::NAN } else { loss });
        }
        self.steps += 1;
        self.adam.learning_rate = self.schedule.rate(self.steps);
        let factor = adamw::clip_factor(norm, self.max_grad_norm);
        let weights = model.weights();
        let decayed = if self.adam.weight_decay > 0.0 { vec![(0, weights.len())] } else { Vec::new() };
        let state = adamw::State { weights, first: &mut self.first, second: &mut self.second };
        adamw::step(&self.adam, self.steps, factor, &self.gradient, &decayed, state);
        Ok(loss)
    }
}

/// What is done.
#[derive(Debug, Default)]
struct Done {
    steps: u32,
    /// Sum and number of the losses since the last validation.
    losses: (f64, u32),
    shown: Truncation,
    step_time: Duration,
    /// Why training ended, if it did.
    stopped: Option<StopReason>,
}

/// The best validation.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Best {
    #[serde(with = "crate::checkpoint::bits")]
    metric: f64,
    step: u32,
    /// Validations since.
    without_better: u32,
}

/// Validates, remembers the best, and tells of progress.
struct Watch<'a> {
    spec: &'a RankerSpec,
    questions: &'a Questions,
    options: TrainOptions<'a>,
    epoch_steps: u32,
    began: Instant,
    /// What earlier processes needed.
    before: Duration,
    told: Option<Instant>,
    /// The last step's share of the device's matrix rate.
    share: Option<f64>,
    curve: Vec<CurvePoint>,
    first_scores: Vec<Vec<f32>>,
    best: Best,
    best_weights: Vec<f32>,
    best_scores: Vec<Vec<f32>>,
}

impl<'a> Watch<'a> {
    fn new(
        spec: &'a RankerSpec,
        questions: &'a Questions,
        options: TrainOptions<'a>,
        epoch_steps: u32,
    ) -> Self {
        Self {
            spec,
            questions,
            options,
            epoch_steps,
            began: Instant::now(),
            before: Duration::ZERO,
            told: None,
            share: None,
            curve: Vec::new(),
            first_scores: Vec::new(),
            best: Best { metric: f64::NEG_INFINITY, step: 0, without_better: 0 },
            best_weights: Vec::new(),
            best_scores: Vec::new(),
        }
    }

    /// Time since training began, without the time between processes.
    fn elapsed(&self) -> Duration {
        self.before + self.began.elapsed()
    }

    fn progress(&mut self, done: &Done, model: &dyn Tunable) {
        let (by, share, Best { metric, step, .. }) = (self.spec.select_by, self.share, self.best);
        // A device is asked for its memory only where somebody reads it: it finishes what it does first.
        let detail = || {
            let loss = done.losses.0 / f64::from(done.losses.1);
            let speed = done.shown.tokens as f64 / done.step_time.as_secs_f64().max(1e-9);
            let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
            let memory = model.memory().map_or_else(String::new, |(used, total)| {
                format!(", {:.1} of {:.1} GiB", gib(used), gib(total))
            });
            let share = told(share);
            format!(
                "loss {loss:.3}, best {by} {metric:.4} at step {step}, {speed:.0} tokens/s{share}{memory}"
            )
        };
        tell(self.options.reporter, &mut self.told, done.steps, detail);
    }

    /// Validate; of a model whose scores are no longer numbers, the first such score. Its adapter is lost, but not the best.
    fn diverged(
        &mut self,
        model: &mut dyn Tunable,
        step: u32,
        train_loss: Option<f64>,
    ) -> Result<Option<f32>, Error> {
        match self.validate(model, step, train_loss) {
            Err(Error::ScoreNotFinite { score, .. }) => Ok(Some(score)),
            other => other.map(|()| None),
        }
    }

    fn validate(&mut self, model: &mut dyn Tunable, step: u32, train_loss: Option<f64>) -> Result<(), Error> {
        let Self { questions, options, told, .. } = self;
        let of = questions.len();
        let mut show = |pace: Pace| {
            tell(options.reporter, told, step, || {
                format!("validating {} of {of} users, {pace}", pace.prompts)
            });
        };
        let tokens = self.spec.micro_batch_tokens as usize;
        let partly = Partly { checkpoints: options.checkpoints, part: "validation", step };
        let scores = questions.ask(model, options.letters, tokens, options.interrupt, partly, &mut show)?;
        let metric = questions.metric(&scores[0], self.spec.select_by);
        if step == 0 {
            self.first_scores.clone_from(&scores);
        }
        if metric > self.best.metric {
            self.best = Best { metric, step, without_better: 0 };
            self.best_scores = scores;
            self.best_weights.clear();
            self.best_weights.extend_from_slice(model.weights());
        } else {
            self.best.without_better += 1;
        }
        let epoch = f64::from(step) / f64::from(self.epoch_steps.max(1));
        let wall_seconds = self.elapsed().as_secs_f64();
        self.curve.push(CurvePoint { step, epoch, train_loss, metric, wall_seconds });
        Ok(())
    }
}

/// At most ten times a second.
fn tell(reporter: &dyn Reporter, told: &mut Option<Instant>, step: u32, detail: impl FnOnce() -> String) {
    if told.is_none_or(|told| told.elapsed() >= Duration::from_millis(100)) {
        *told = Some(Instant::now());
        reporter.emit(Event::Advanced { done: u64::from(step), detail: &detail() });
    }
}
