//! What a run would cost, from the number of floating-point operations and this machine's measured matrix speed.

use std::time::Instant;

use crate::data::Split;
use crate::experiment::{Experiment, LruSpec, RetrieverSpec, WindowRemainder};
use crate::nn::gemm::{Left, Start, gemm};
use crate::retrieve::lru::packed::{Packed, windows};

/// Share of the measured matrix speed that training and evaluation reach, found by comparing with finished runs.
const EFFICIENCY: f64 = 0.85;
/// Seconds of a step that do not depend on its size.
const STEP_SECONDS: f64 = 1.5e-3;
/// Bytes a second that the optimizer's pass over weights, gradients and moments moves.
const MEMORY_SPEED: f64 = 10e9;
/// What the program holds after it has read some data, whatever the model.
const BASE_BYTES: u64 = 64 << 20;
/// What the allocator holds for each byte that is asked of it.
const ALLOCATED: f64 = 1.3;

/// The cost of one seed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Steps of training if it stops where it usually does.
    pub steps: u32,
    /// Steps of training if every epoch is done.
    pub most_steps: u32,
    /// Seconds for `steps`.
    pub seconds: f64,
    /// Seconds for `most_steps`.
    pub most_seconds: f64,
    /// The most memory held, in bytes.
    pub memory_bytes: u64,
}

impl Cost {
    /// Nothing.
    pub(super) const NONE: Self =
        Self { steps: 0, most_steps: 0, seconds: 0.0, most_seconds: 0.0, memory_bytes: 0 };

    /// This and then `other`.
    #[must_use]
    pub fn then(self, other: Self) -> Self {
        Self {
            steps: self.steps.saturating_add(other.steps),
            most_steps: self.most_steps.saturating_add(other.most_steps),
            seconds: self.seconds + other.seconds,
            most_seconds: self.most_seconds + other.most_seconds,
            memory_bytes: self.memory_bytes.max(other.memory_bytes),
        }
    }
}

/// How [`Cost`] comes about, for captions.
pub const METHOD: &str = "Time is operations over this machine's measured matrix speed; training is taken to stop after \
    twice as many steps as its patience covers. Both are rough.";
/// The same where every stage was measured or timed.
pub const STEPS: &str =
    "Training is taken to stop after twice as many steps as its patience covers, which is rough.";

/// The cost of one seed of an experiment on a machine that multiplies matrices at `flops` operations a second.
#[must_use]
pub fn estimate(experiment: &Experiment, split: &Split, flops: f64) -> Cost {
    let users = split.test.len();
    let lists = 4 * u64::from(experiment.evaluation.candidates) * users as u64 * 8;
    let interactions: usize = split.train.iter().map(|items| items.len() + 2).sum();
    let fixed = BASE_BYTES + lists + 3 * 4 * interactions as u64;
    match &experiment.retriever {
        RetrieverSpec::Lru(spec) => lru(spec, split, flops, fixed),
        // A walk over the catalogue for every user and part.
        RetrieverSpec::Popularity | RetrieverSpec::Random => {
            let seconds = 2.0 * users as f64 * split.n_items as f64 * 4e-9;
            Cost { steps: 0, most_steps: 0, seconds, most_seconds: seconds, memory_bytes: fixed }
        }
    }
}

fn lru(spec: &LruSpec, split: &Split, flops: f64, fixed: u64) -> Cost {
    let [d, c, f, v, blocks] =
        [spec.hidden_dim, spec.state_dim, spec.feed_forward_dim, split.n_items + 1, spec.blocks]
            .map(|n| n as f64);
    let windows = windows(&split.train, spec.max_len, spec.window_remainder == WindowRemainder::Keep);
    let mut packed = Packed::default();
    let mut positions = 0usize;
    for (sequence, from, to) in &windows {
        packed.clear();
        let items = &split.train[*sequence as usize][*from as usize..*to as usize];
        packed.push_window(items, spec.max_len, spec.first_item_label);
        positions += packed.labels.len();
    }
    let steps_per_epoch = windows.len().div_ceil(spec.batch_size).max(1);
    let positions_per_step = positions as f64 / steps_per_epoch as f64;
    // Two projections between d and 2c real numbers, two between d and f; a product of (m, k) and (k, n) is 2mkn.
    let layer = blocks * (8.0 * c * d + 4.0 * d * f);
    // The backward pass is two products for each of the forward's.
    let step = 3.0 * positions_per_step * (layer + 2.0 * d * v);
    let weights = weights(spec, split.n_items);
    // Four arrays of f32 are read, three are written.
    let update = STEP_SECONDS + 28.0 * weights / MEMORY_SPEED;
    let users = split.test.len() as f64;
    let seen: usize = split.train.iter().map(|items| (items.len() + 1).min(spec.max_len)).sum();
    let evaluation = seen as f64 * layer + users * 2.0 * d * v;
    let seconds = |steps: u32| {
        let evaluations = f64::from(steps / spec.validate_every_steps) + 3.0;
        f64::from(steps) * update
            + (f64::from(steps) * step + evaluations * evaluation) / (flops * EFFICIENCY)
    };
    let most_steps = u32::try_from(steps_per_epoch).unwrap_or(u32::MAX).saturating_mul(spec.max_epochs);
    let patience = spec.patience.saturating_mul(spec.validate_every_steps);
    let steps = most_steps.min(patience.saturating_mul(2));
    // Weights, gradients, two moments, the best and the turned ones; activations and their gradients; states of all users.
    let activations = 2.0 * positions_per_step * blocks * (8.0 * d + 6.0 * c + 3.0 * f);
    let memory = ALLOCATED * 4.0 * (6.0 * weights + activations + users * d);
    Cost {
        steps,
        most_steps,
        seconds: seconds(steps),
        most_seconds: seconds(most_steps),
        memory_bytes: fixed + memory as u64,
    }
}

/// Trained parameters of a model but the vectors of its biases and norms.
fn weights(spec: &LruSpec, items: usize) -> f64 {
    let [d, c, f, v, blocks] =
        [spec.hidden_dim, spec.state_dim, spec.feed_forward_dim, items + 1, spec.blocks].map(|n| n as f64);
    v * (d + 1.0) + blocks * (4.0 * c * d + 2.0 * d * f)
}

/// About the bytes of the stored cell of one seed: candidates, scores, ranks and targets of both parts, the weights, and
/// some for the rest.
#[must_use]
pub fn stored_bytes(experiment: &Experiment, split: &Split) -> u64 {
    let (users, k) = (split.test.len() as u64, u64::from(experiment.evaluation.candidates));
    let weights = match &experiment.retriever {
        RetrieverSpec::Lru(spec) => 4 * weights(spec, split.n_items) as u64,
        RetrieverSpec::Popularity | RetrieverSpec::Random => 0,
    };
    16 * users * (k + 1) + weights + (64 << 10)
}

/// Operations a second of this machine's matrix products in the shape that training has most of; takes some 50 ms.
#[must_use]
pub fn matrix_speed() -> f64 {
    let (m, n, k) = (512, 1024, 64);
    let (a, b, mut c) = (vec![0.5f32; m * k], vec![0.25f32; k * n], vec![0f32; m * n]);
    let mut best = f64::INFINITY;
    let began = Instant::now();
    while began.elapsed().as_secs_f64() < 0.05 {
        let clock = Instant::now();
        gemm((m, n, k), Left::rows(&a, k), &b, n, &mut c, n, Start::Zero);
        best = best.min(clock.elapsed().as_secs_f64());
    }
    (2 * m * n * k) as f64 / best
}
