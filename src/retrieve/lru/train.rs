//! Training LRURec: windows in random order, AdamW, validation every n steps, the best weights kept.

mod resume;

use std::time::{Duration, Instant};

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::backward::Scratch;
use super::forward::{Masks, State};
use super::packed::{Batch, Packed, windows};
use super::{Frame, LruRec, Uploaded};
use crate::checkpoint::Checkpoints;
use crate::data::{Part, Split};
use crate::eval;
use crate::events::{Event, Interrupt, Reporter};
use crate::experiment::{Averaging, HistoryMask, LruSpec, SelectMetric, WindowRemainder};
use crate::nn::adamw::{self, AdamW};
use crate::nn::init::permutation;
use crate::nn::ops::{Cpu, Ops};
use crate::nn::params::{self, Flat, Params};
use crate::retrieve::catalogue::Walks;
use crate::retrieve::{Error, Query, Retrieved};
use crate::seed::Seed;

/// What training needs beside the model's settings.
#[derive(Clone, Copy)]
pub struct TrainOptions<'a> {
    /// How validation metrics are averaged.
    pub averaging: Averaging,
    /// Which items of the history the test cannot retrieve; validation follows it where the settings say so.
    pub mask_history: HistoryMask,
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
    /// Passes over the windows, in part.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// As many validations without a better one as `patience` allows.
    NoImprovement,
    /// All epochs are done.
    Epochs,
}

/// A trained model and how it got there.
pub struct Trained {
    /// The model with the best weights.
    pub model: LruRec,
    /// Every validation.
    pub curve: Vec<CurvePoint>,
    /// The step of the best weights.
    pub best_step: u32,
    /// Steps done.
    pub steps: u32,
    /// Steps of a pass over the windows.
    pub steps_per_epoch: u32,
    /// Why it ended.
    pub stopped: StopReason,
    /// Time in training steps alone.
    pub step_time: Duration,
}

/// Everything that one training step touches.
pub struct Trainer<O: Ops = Cpu> {
    model: Uploaded<O>,
    /// Names and places of the weights.
    slots: params::Plan,
    adam: AdamW,
    max_grad_norm: f64,
    decayed: Vec<(usize, usize)>,
    gradient: O::Floats,
    moments: (O::Floats, O::Floats),
    batch: Batch<O::Ids>,
    state: State<O>,
    scratch: Scratch<O>,
    steps: u32,
}

impl Trainer {
    /// Begin with `model`'s weights, on the CPU.
    ///
    /// # Errors
    /// As [`Trainer::on`].
    pub fn new(model: LruRec, spec: &LruSpec) -> Result<Self, Error> {
        Self::on(Cpu::default(), model, spec)
    }
}

impl<O: Walks> Trainer<O>
where
    Error: From<O::Error>,
{
    /// Begin with `model`'s weights.
    ///
    /// # Errors
    /// If the device fails, as all functions here.
    pub fn on(ops: O, model: LruRec, spec: &LruSpec) -> Result<Self, Error> {
        let mut uploaded = Uploaded::new(ops, &model)?;
        // The host's copy goes before the rest comes.
        let LruRec { params: Params { plan: slots, flat }, .. } = model;
        drop(flat);
        let Uploaded { frame, ops, .. } = &mut uploaded;
        let (len, blocks) = (frame.plan.len, frame.shape.blocks);
        let adam = AdamW {
            learning_rate: spec.learning_rate,
            weight_decay: spec.effective_weight_decay(),
            beta1: spec.adam_beta1,
            beta2: spec.adam_beta2,
            epsilon: spec.adam_epsilon,
        };
        let (mut gradient, mut moments) = (ops.floats(), (ops.floats(), ops.floats()));
        for zeros in [&mut gradient, &mut moments.0, &mut moments.1] {
            ops.zeros(zeros, len)?;
        }
        Ok(Self {
            decayed: slots.decayed(),
            gradient,
            moments,
            batch: Batch::new(ops),
            state: State::new(ops, blocks),
            scratch: Scratch::new(ops),
            model: uploaded,
            slots,
            adam,
            max_grad_norm: spec.max_grad_norm,
            steps: 0,
        })
    }

    fn refresh(&mut self) -> Result<(), Error> {
        self.model.refresh()
    }

    /// Loss and gradients of a batch, without a step. The gradients are laid out as the weights.
    ///
    /// # Errors
    /// As [`Trainer::on`].
    pub fn gradients(&mut self, packed: &Packed, masks: Masks) -> Result<f64, Error> {
        let Self { model: Uploaded { frame, ops, weights, turned }, gradient, batch, state, scratch, .. } =
            self;
        batch.fill(ops, packed)?;
        let view = frame.view(ops.all(weights), turned);
        Ok(view.loss_and_gradients(ops, batch, masks, (state, scratch), gradient)?)
    }

    /// The gradients of the last batch.
    ///
    /// # Errors
    /// As [`Trainer::on`].
    pub fn gradient(&mut self) -> Result<Flat, Error> {
        let Self { model: Uploaded { ops, .. }, gradient, .. } = self;
        Ok(flat(&ops.read(ops.all(gradient))?)?)
    }

    /// The activations of the last batch.
    #[must_use]
    pub fn state(&self) -> &State<O> {
        &self.state
    }

    /// One step on a batch; the loss before it, or NaN if the gradient is not finite. A loss that is not finite has changed no
    /// weight.
    ///
    /// # Errors
    /// As [`Trainer::on`].
    pub fn step(&mut self, packed: &Packed, masks: Masks) -> Result<f64, Error> {
        let loss = self.gradients(packed, masks)?;
        let Self { model: Uploaded { ops, .. }, gradient, .. } = self;
        let norm = ops.norm(ops.all(gradient))?;
        if !loss.is_finite() || !norm.is_finite() {
            return Ok(if loss.is_finite() { f64::NAN } else { loss });
        }
        self.steps += 1;
        let factor = adamw::clip_factor(norm, self.max_grad_norm);
        let constants = self.adam.constants(self.steps, factor);
        let Self { model: Uploaded { ops, weights, .. }, gradient, moments, decayed, .. } = self;
        let state = (weights, &mut moments.0, &mut moments.1);
        ops.adamw(constants, ops.all(gradient), decayed, state)?;
        self.refresh()?;
        Ok(loss)
    }

    /// Candidates and ranks by the weights as they are now.
    ///
    /// # Errors
    /// [`Error::TooFewItems`]; as [`Trainer::on`].
    pub fn retrieve(&mut self, query: &Query<'_>) -> Result<Retrieved, Error> {
        self.model.retrieve(query)
    }

    /// The model with the weights as they are now.
    ///
    /// # Errors
    /// As [`Trainer::on`].
    pub fn give_back(&mut self) -> Result<LruRec, Error> {
        let Self { slots, model: Uploaded { frame, ops, weights, .. }, .. } = self;
        model(frame, slots, &ops.read(ops.all(weights))?)
    }
}

/// A model with these weights.
fn model(frame: &Frame, slots: &params::Plan, weights: &[f32]) -> Result<LruRec, Error> {
    Ok(LruRec::of(frame.clone(), Params { plan: slots.clone(), flat: flat(weights)? })?)
}

fn flat(values: &[f32]) -> Result<Flat, params::Error> {
    let flat = Flat::zeros(values.len())?;
    flat.write(|to| to.copy_from_slice(values))?;
    Ok(flat)
}

/// Train on the training part of `split`; the model with the best validation metric comes back.
///
/// # Errors
/// [`Error::LossNotFinite`], [`Error::NothingToTrain`], [`Error::Interrupted`].
pub fn train(spec: &LruSpec, split: &Split, seed: Seed, options: TrainOptions<'_>) -> Result<Trained, Error> {
    train_on(Cpu::default(), spec, split, seed, options)
}

/// The same on any device; the weights and the curve are the same too.
///
/// # Errors
/// As [`train`], and if the device fails.
pub fn train_on<O: Walks>(
    ops: O,
    spec: &LruSpec,
    split: &Split,
    seed: Seed,
    options: TrainOptions<'_>,
) -> Result<Trained, Error>
where
    Error: From<O::Error>,
{
    let keep = spec.window_remainder == WindowRemainder::Keep;
    let mut windows = windows(&split.train, spec.max_len, keep);
    windows.retain(|(_, from, to)| spec.first_item_label || to - from >= 2);
    if windows.is_empty() {
        return Err(Error::NothingToTrain);
    }
    let steps_per_epoch = windows.len().div_ceil(spec.batch_size) as u32;
    let total = u64::from(steps_per_epoch) * u64::from(spec.max_epochs);
    options.reporter.emit(Event::Started { stage: "train retriever", total: Some(total), unit: "steps" });
    let mut trainer = Trainer::on(ops, LruRec::init(spec, split.n_items, seed)?, spec)?;
    let mut watch = Watch::new(spec, split, options, steps_per_epoch);
    let mut done = Done::default();
    if !resume::restore(&mut trainer, &mut watch, &mut done)? {
        watch.validate(&mut trainer, 0, None)?;
    }
    let (mut order, mut keys) = (seed.stream("retriever/order"), seed.stream("retriever/dropout"));
    let mut packed = Packed::default();
    let mut step = 0u32;
    let mut stopped = StopReason::Epochs;
    'training: for _ in 0..spec.max_epochs {
        let shuffled = permutation(&mut order, windows.len());
        for batch in shuffled.chunks(spec.batch_size) {
            let key = keys.next_u64();
            step += 1;
            // What an earlier process did; of its last step the validation is still to come.
            if step < done.steps {
                continue;
            }
            if step > done.steps {
                packed.clear();
                for &window in batch {
                    let (s, from, to) = windows[window as usize];
                    let items = &split.train[s as usize][from as usize..to as usize];
                    packed.push_window(items, spec.max_len, spec.first_item_label);
                }
                let began = Instant::now();
                let loss = trainer.step(&packed, Masks::new(key, spec.dropout, spec.lru_dropout))?;
                done.step_time += began.elapsed();
                if !loss.is_finite() {
                    return Err(Error::LossNotFinite { step, loss, best_step: watch.best.step });
                }
                done.steps = step;
                done.losses = (done.losses.0 + loss, done.losses.1 + 1);
                watch.progress(&done);
                let stop = options.interrupt.requested();
                if stop || options.checkpoints.due() {
                    resume::keep(&mut trainer, &watch, &done)?;
                }
                if stop {
                    return Err(Error::Interrupted);
                }
            }
            if step.is_multiple_of(spec.validate_every_steps) {
                let mean = done.losses.0 / f64::from(done.losses.1);
                done.losses = (0.0, 0);
                watch.validate(&mut trainer, step, Some(mean))?;
                if watch.best.without_better >= spec.patience {
                    stopped = StopReason::NoImprovement;
                    break 'training;
                }
            }
        }
    }
    let Done { losses, step_time, .. } = done;
    if losses.1 > 0 {
        watch.validate(&mut trainer, step, Some(losses.0 / f64::from(losses.1)))?;
    }
    let model = model(&trainer.model.frame, &trainer.slots, &watch.best_weights)?;
    let Watch { curve, best: Best { metric, step: best_step, .. }, .. } = watch;
    options.reporter.emit(Event::Finished {
        summary: &format!("{step} steps, best {} {metric:.4} at step {best_step}", spec.select_by),
    });
    Ok(Trained { model, curve, best_step, steps: step, steps_per_epoch, stopped, step_time })
}

/// What is done.
#[derive(Debug, Default)]
struct Done {
    steps: u32,
    /// Sum and number of the losses since the last validation.
    losses: (f64, u32),
    step_time: Duration,
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
    spec: &'a LruSpec,
    split: &'a Split,
    histories: Vec<Vec<crate::data::ItemId>>,
    options: TrainOptions<'a>,
    steps_per_epoch: u32,
    began: Instant,
    /// What earlier processes needed.
    before: Duration,
    told: Instant,
    curve: Vec<CurvePoint>,
    best: Best,
    best_weights: Vec<f32>,
}

impl<'a> Watch<'a> {
    fn new(spec: &'a LruSpec, split: &'a Split, options: TrainOptions<'a>, steps_per_epoch: u32) -> Self {
        Self {
            spec,
            split,
            histories: split.histories(Part::Validation),
            options,
            steps_per_epoch,
            began: Instant::now(),
            before: Duration::ZERO,
            told: Instant::now(),
            curve: Vec::new(),
            best: Best { metric: f64::NEG_INFINITY, step: 0, without_better: 0 },
            best_weights: Vec::new(),
        }
    }

    /// Time since training began, without the time between processes.
    fn elapsed(&self) -> Duration {
        self.before + self.began.elapsed()
    }

    fn progress(&mut self, done: &Done) {
        if self.told.elapsed() >= Duration::from_millis(100) {
            self.told = Instant::now();
            let loss = done.losses.0 / f64::from(done.losses.1);
            let Best { metric, step, .. } = self.best;
            let detail = format!("loss {loss:.3}, best {} {metric:.4} at step {step}", self.spec.select_by);
            self.options.reporter.emit(Event::Advanced { done: u64::from(done.steps), detail: &detail });
        }
    }

    fn validate<O: Walks>(
        &mut self,
        trainer: &mut Trainer<O>,
        step: u32,
        train_loss: Option<f64>,
    ) -> Result<(), Error>
    where
        Error: From<O::Error>,
    {
        let masks = self.spec.mask_history_in_validation;
        let mask = if masks { self.options.mask_history } else { HistoryMask::None };
        let query =
            Query { histories: &self.histories, targets: self.split.targets(Part::Validation), k: 0, mask };
        let ranks = trainer.retrieve(&query)?.ranks;
        let k = self.spec.select_by.k;
        let value = match self.spec.select_by.metric {
            SelectMetric::Recall => eval::recall_at,
            SelectMetric::Ndcg => eval::ndcg_at,
            SelectMetric::Mrr => eval::mrr_at,
        };
        let values: Vec<f64> = ranks.iter().map(|rank| value(Some(*rank), k)).collect();
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let metric = match self.options.averaging {
            Averaging::Users => mean(&values),
            Averaging::Batches => {
                let batches: Vec<f64> = values.chunks(self.spec.batch_size).map(mean).collect();
                mean(&batches)
            }
        };
        if metric > self.best.metric {
            self.best = Best { metric, step, without_better: 0 };
            let Trainer { model: Uploaded { ops, weights, .. }, .. } = trainer;
            let weights = ops.read(ops.all(weights))?;
            self.best_weights.clear();
            self.best_weights.extend_from_slice(&weights);
        } else {
            self.best.without_better += 1;
        }
        let epoch = f64::from(step) / f64::from(self.steps_per_epoch);
        let wall_seconds = self.elapsed().as_secs_f64();
        self.curve.push(CurvePoint { step, epoch, train_loss, metric, wall_seconds });
        Ok(())
    }
}
