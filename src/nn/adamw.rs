//! AdamW with global gradient-norm clipping, as PyTorch's `clip_grad_norm_` and `AdamW` do it.

use super::parallel::{self, Shared};
use super::simd::{Kernel, LANES, Lanes, dispatch, vectors};

/// Elements of a task, a multiple of [`LANES`].
const PART: usize = 32 * 1024;

/// The optimizer's constants (Loshchilov and Hutter 2019, algorithm 2).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamW {
    /// Step size.
    pub learning_rate: f64,
    /// Decoupled decay, per step and unit of learning rate.
    pub weight_decay: f64,
    /// Decay rate of the first moment.
    pub beta1: f64,
    /// Decay rate of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
}

/// The gradient's 2-norm. Parts are summed in f64 and added in order.
#[must_use]
pub fn norm(gradient: &[f32]) -> f64 {
    let parts = gradient.len().div_ceil(PART);
    let mut sums = vec![0f64; parts];
    let shared = Shared::new(&mut sums);
    parallel::each(parts, |task| {
        let part = &gradient[task * PART..gradient.len().min((task + 1) * PART)];
        // SAFETY: one element a task.
        let sum = unsafe { shared.part(task, 1) };
        sum[0] = dispatch(Squares(part));
    });
    sums.iter().sum::<f64>().sqrt()
}

/// The factor that brings a gradient of norm `norm` to at most `limit` (PyTorch adds 1e-6 to the norm).
#[must_use]
pub fn clip_factor(norm: f64, limit: f64) -> f32 {
    (limit / (norm + 1e-6)).min(1.0) as f32
}

struct Squares<'a>(&'a [f32]);

impl Kernel for Squares<'_> {
    type Out = f64;
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) -> f64 {
        let mut total = 0f64;
        // f32 sums of 1,024 squares, then f64: the error stays near 1e-6 relative.
        for block in self.0.chunks(64 * LANES) {
            let mut sum = unsafe { L::splat(0.0) };
            vectors!(block.len(), at, n => unsafe {
                let g = L::load_first(block.as_ptr().add(at), n);
                sum = L::fma(g, g, sum);
            });
            total += f64::from(unsafe { L::sum(sum) });
        }
        total
    }
}

/// Parameters and what the optimizer keeps of them, all of one length.
pub struct State<'a> {
    /// The parameters.
    pub weights: &'a mut [f32],
    /// First moments.
    pub first: &'a mut [f32],
    /// Second moments.
    pub second: &'a mut [f32],
}

/// Step number `step` (from 1): `gradient * factor` moves the weights; those in the sorted, disjoint ranges `decayed` decay.
///
/// # Panics
/// When the lengths differ.
pub fn step(
    adam: &AdamW,
    step: u32,
    factor: f32,
    gradient: &[f32],
    decayed: &[(usize, usize)],
    state: State<'_>,
) {
    step_with(adam.constants(step, factor), gradient, decayed, state);
}

/// The same with the constants of the step.
///
/// # Panics
/// When the lengths differ.
pub fn step_with(constants: Constants, gradient: &[f32], decayed: &[(usize, usize)], state: State<'_>) {
    let len = gradient.len();
    assert!(
        state.weights.len() == len && state.first.len() == len && state.second.len() == len,
        "lengths differ"
    );
    let keep = constants.keep;
    let (weights, first, second) =
        (Shared::new(state.weights), Shared::new(state.first), Shared::new(state.second));
    parallel::each(len.div_ceil(PART), |task| {
        let (mut at, end) = (task * PART, len.min((task + 1) * PART));
        while at < end {
            // The stretch from `at` that decays or does not decay as one.
            let (keep, stop) = match decayed.iter().find(|range| range.1 > at) {
                Some(&(from, to)) if from <= at => (keep, to.min(end)),
                Some(&(from, _)) => (1.0, from.min(end)),
                None => (1.0, end),
            };
            let count = stop - at;
            // SAFETY: tasks own disjoint parts.
            let (weights, first, second) =
                unsafe { (weights.part(at, count), first.part(at, count), second.part(at, count)) };
            dispatch(Step { constants, keep, gradient: &gradient[at..stop], weights, first, second });
            at = stop;
        }
    });
}

/// What every element of one step is computed with, laid out as kernels of devices take it.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C)]
pub struct Constants {
    /// What the gradient is multiplied by.
    pub factor: f32,
    /// 1 - beta1.
    pub rest1: f32,
    /// beta2.
    pub beta2: f32,
    /// 1 - beta2.
    pub rest2: f32,
    /// The learning rate, divided by 1 - beta1^step.
    pub rate: f32,
    /// 1 / sqrt(1 - beta2^step).
    pub root: f32,
    /// epsilon.
    pub epsilon: f32,
    /// What weights that decay are multiplied by.
    pub keep: f32,
}

impl AdamW {
    /// The constants of step number `step` (from 1) on a gradient that is multiplied by `factor`.
    #[must_use]
    pub fn constants(&self, step: u32, factor: f32) -> Constants {
        let correction1 = 1.0 - self.beta1.powi(step as i32);
        let correction2 = 1.0 - self.beta2.powi(step as i32);
        Constants {
            factor,
            rest1: (1.0 - self.beta1) as f32,
            beta2: self.beta2 as f32,
            rest2: (1.0 - self.beta2) as f32,
            rate: (self.learning_rate / correction1) as f32,
            root: (1.0 / correction2.sqrt()) as f32,
            epsilon: self.epsilon as f32,
            keep: (1.0 - self.learning_rate * self.weight_decay) as f32,
        }
    }
}

struct Step<'a> {
    constants: Constants,
    keep: f32,
    gradient: &'a [f32],
    weights: &'a mut [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
}

impl Kernel for Step<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let c = self.constants;
        vectors!(self.gradient.len(), at, n => unsafe {
            let g = L::mul(L::load_first(self.gradient.as_ptr().add(at), n), L::splat(c.factor));
            let m = L::load_first(self.first.as_ptr().add(at), n);
            let m = L::fma(L::splat(c.rest1), L::sub(g, m), m); // torch's lerp
            let v = L::mul(L::splat(c.beta2), L::load_first(self.second.as_ptr().add(at), n));
            let v = L::fma(L::mul(L::splat(c.rest2), g), g, v);
            let w = L::mul(L::load_first(self.weights.as_ptr().add(at), n), L::splat(self.keep));
            let root = L::fma(L::sqrt(v), L::splat(c.root), L::splat(c.epsilon));
            let w = L::fnma(L::splat(c.rate), L::div(m, root), w);
            L::store_first(self.first.as_mut_ptr().add(at), n, m);
            L::store_first(self.second.as_mut_ptr().add(at), n, v);
            L::store_first(self.weights.as_mut_ptr().add(at), n, w);
        });
    }
}

const _: () = assert!(PART.is_multiple_of(LANES));
