//! LRURec forwards: packed ids to hidden states.
//!
//! Block: `u = B x + b_B`, `h_t = lambda h_(t-1) + gamma u_t`, `y = norm(dropout(Re(C h + b_C)) + x)`,
//! `out = norm(dropout(W2 dropout(gelu(W1 y + b1)) + b2) + y)`. Complex numbers are carried as real and imaginary halves.

use std::ops::Range;

use super::packed::Batch;
use super::plan::{BlockPlan, LruPlan, Shape};
use crate::nn::dropout::Dropout;
use crate::nn::ops::{Normed, Ops};

/// What of a block is made anew when the weights have changed.
pub struct Turned<O: Ops> {
    /// `[Re C | -Im C]`, (d, 2c).
    pub out: O::Floats,
    /// Re lambda, Im lambda, gamma, (3, c).
    pub coefficients: O::Floats,
    /// e^log of nu and theta, (2, c).
    pub nu_theta: Vec<f64>,
}

impl<O: Ops> Turned<O> {
    /// With nothing in it.
    pub fn new(ops: &O) -> Self {
        Self { out: ops.floats(), coefficients: ops.floats(), nu_theta: Vec::new() }
    }

    /// From the flat weights.
    ///
    /// # Errors
    /// If the device fails, as all functions here.
    pub fn update(
        &mut self,
        ops: &mut O,
        shape: Shape,
        plan: &BlockPlan,
        weights: O::Part<'_>,
    ) -> Result<(), O::Error> {
        let Shape { hidden: d, state: c, .. } = shape;
        let part = |range: &Range<usize>| ops.within(weights, range.clone());
        let (real, imag, logs) = (part(&plan.out_real), part(&plan.out_imag), part(&plan.logs));
        ops.pair(d, real, imag, &mut self.out)?;
        let logs = ops.read(logs)?;
        let mut coefficients = vec![0f32; 3 * c];
        for channel in 0..c {
            // Rounded to f32 where the reference rounds: an angle's rounding error grows with every step of the recurrence,
            // so another rounding would be another model at the seventh digit.
            let exp = |x: f32| f64::from(x).exp() as f32;
            let (nu, theta) = (exp(logs[channel]), f64::from(exp(logs[c + channel])));
            let radius = f64::from(exp(-nu));
            coefficients[channel] = (radius * f64::from(theta.cos() as f32)) as f32;
            coefficients[c + channel] = (radius * f64::from(theta.sin() as f32)) as f32;
            coefficients[2 * c + channel] = exp(logs[2 * c + channel]);
        }
        self.nu_theta.clear();
        self.nu_theta.extend(logs[..2 * c].iter().map(|log| f64::from(*log).exp()));
        ops.set(&mut self.coefficients, &coefficients)
    }
}

/// A block's activations.
pub struct BlockState<O: Ops> {
    pub u: O::Floats,
    pub h: O::Floats,
    pub mixed: O::Floats,
    pub norm1: Normed<O::Floats>,
    pub y: O::Floats,
    pub f1: O::Floats,
    pub g: O::Floats,
    pub f2: O::Floats,
    pub norm2: Normed<O::Floats>,
    pub out: O::Floats,
    /// Inputs and states of the last rows, where only these are wanted.
    last: (O::Floats, O::Floats),
}

fn normed<O: Ops>(ops: &O) -> Normed<O::Floats> {
    Normed { normal: ops.floats(), inverse: ops.floats() }
}

impl<O: Ops> BlockState<O> {
    fn new(ops: &O) -> Self {
        let floats = || ops.floats();
        Self {
            u: floats(),
            h: floats(),
            mixed: floats(),
            norm1: normed(ops),
            y: floats(),
            f1: floats(),
            g: floats(),
            f2: floats(),
            norm2: normed(ops),
            out: floats(),
            last: (floats(), floats()),
        }
    }
}

/// All activations of a forward pass, reused from step to step.
pub struct State<O: Ops> {
    pub gathered: O::Floats,
    pub norm: Normed<O::Floats>,
    pub x: O::Floats,
    pub blocks: Vec<BlockState<O>>,
}

impl<O: Ops> State<O> {
    /// Of a model of so many blocks.
    pub fn new(ops: &O, blocks: usize) -> Self {
        let blocks = (0..blocks).map(|_| BlockState::new(ops)).collect();
        Self { gathered: ops.floats(), norm: normed(ops), x: ops.floats(), blocks }
    }
}

/// The dropout masks of a step.
#[derive(Debug, Clone, Copy)]
pub struct Masks {
    key: u64,
    rate: f64,
    lru_rate: f64,
}

impl Masks {
    /// Masks of the step with key `key`.
    #[must_use]
    pub fn new(key: u64, rate: f64, lru_rate: f64) -> Self {
        Self { key, rate, lru_rate }
    }

    fn layer(&self, layer: usize, rate: f64) -> Dropout {
        if rate == 0.0 { Dropout::off() } else { Dropout::new(self.key, layer as u64, rate) }
    }

    /// After the embedding.
    #[must_use]
    pub fn embedding(&self) -> Dropout {
        self.layer(0, self.rate)
    }

    /// After the recurrence of a block.
    #[must_use]
    pub fn mixed(&self, block: usize) -> Dropout {
        self.layer(3 * block + 1, self.lru_rate)
    }

    /// Inside the feed-forward layer.
    #[must_use]
    pub fn inner(&self, block: usize) -> Dropout {
        self.layer(3 * block + 2, self.rate)
    }

    /// After the feed-forward layer.
    #[must_use]
    pub fn outer(&self, block: usize) -> Dropout {
        self.layer(3 * block + 3, self.rate)
    }
}

/// A model at one moment: sizes, places, weights and what is made of them.
pub struct View<'a, O: Ops> {
    pub shape: Shape,
    pub plan: &'a LruPlan,
    pub weights: O::Part<'a>,
    pub turned: &'a [Turned<O>],
}

/// Which positions the last block computes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// All.
    Every,
    /// The last of each sequence: the others end with the last block's recurrence.
    Last,
}

impl<'a, O: Ops> View<'a, O> {
    /// Run the model; the hidden states are in the last block's `out`.
    ///
    /// `# Shapes: out (m, d), or (sequences, d) with Wanted::Last`
    ///
    /// # Errors
    /// If the device fails, as all functions here.
    pub fn forward(
        &self,
        ops: &mut O,
        batch: &Batch<O::Ids>,
        masks: Masks,
        wanted: Wanted,
        state: &mut State<O>,
    ) -> Result<(), O::Error> {
        let (m, d) = (batch.rows, self.shape.hidden);
        let table = self.part(ops, &self.plan.embedding);
        ops.gather(table, &batch.tokens, d, &mut state.gathered)?;
        let affine = self.affine(ops, &self.plan.norm);
        let gathered = ops.all(&state.gathered);
        ops.norm_forward(d, gathered, None, masks.embedding(), affine, &mut state.x, &mut state.norm)?;
        for block in 0..self.shape.blocks {
            let (before, rest) = state.blocks.split_at_mut(block);
            let x = before.last().map_or(&state.x, |before| &before.out);
            let now = &mut rest[0];
            self.recur(ops, block, (batch, m), x, now)?;
            if wanted == Wanted::Last && block + 1 == self.shape.blocks {
                let mut last = std::mem::replace(&mut now.last, (ops.floats(), ops.floats()));
                ops.gather(ops.all(x), &batch.ends, d, &mut last.0)?;
                ops.gather(ops.all(&now.h), &batch.ends, 2 * self.shape.state, &mut last.1)?;
                let done = self.finish(ops, (block, batch.sequences), masks, (&last.0, &last.1), now);
                now.last = last;
                done?;
            } else {
                let h = std::mem::replace(&mut now.h, ops.floats());
                let done = self.finish(ops, (block, m), masks, (x, &h), now);
                now.h = h;
                done?;
            }
        }
        Ok(())
    }

    pub(super) fn part(&self, ops: &O, range: &Range<usize>) -> O::Part<'a> {
        ops.within(self.weights, range.clone())
    }

    fn affine(&self, ops: &O, plan: &(Range<usize>, Range<usize>)) -> (O::Part<'a>, O::Part<'a>) {
        (self.part(ops, &plan.0), self.part(ops, &plan.1))
    }

    fn recur(
        &self,
        ops: &mut O,
        block: usize,
        (batch, m): (&Batch<O::Ids>, usize),
        x: &O::Floats,
        now: &mut BlockState<O>,
    ) -> Result<(), O::Error> {
        let (plan, turned) = (&self.plan.blocks[block], &self.turned[block]);
        let Shape { hidden: d, state: c, .. } = self.shape;
        let layer = (self.part(ops, &plan.in_weight), self.part(ops, &plan.in_bias));
        ops.linear((m, 2 * c, d), ops.all(x), layer, &mut now.u)?;
        ops.scan_forward(c, &batch.starts, ops.all(&turned.coefficients), ops.all(&now.u), &mut now.h)
    }

    fn finish(
        &self,
        ops: &mut O,
        (block, m): (usize, usize),
        masks: Masks,
        (x, h): (&O::Floats, &O::Floats),
        now: &mut BlockState<O>,
    ) -> Result<(), O::Error> {
        let (plan, turned) = (&self.plan.blocks[block], &self.turned[block]);
        let Shape { hidden: d, state: c, feed_forward: f, .. } = self.shape;
        let layer = (ops.all(&turned.out), self.part(ops, &plan.out_bias));
        ops.linear((m, d, 2 * c), ops.all(h), layer, &mut now.mixed)?;
        let affine = self.affine(ops, &plan.norm1);
        let (mixed, x) = (ops.all(&now.mixed), ops.all(x));
        ops.norm_forward(d, mixed, Some(x), masks.mixed(block), affine, &mut now.y, &mut now.norm1)?;
        let layer = (self.part(ops, &plan.w1), self.part(ops, &plan.b1));
        ops.linear((m, f, d), ops.all(&now.y), layer, &mut now.f1)?;
        ops.gelu_forward(ops.all(&now.f1), masks.inner(block), &mut now.g)?;
        let layer = (self.part(ops, &plan.w2), self.part(ops, &plan.b2));
        ops.linear((m, d, f), ops.all(&now.g), layer, &mut now.f2)?;
        let affine = self.affine(ops, &plan.norm2);
        let (f2, y) = (ops.all(&now.f2), ops.all(&now.y));
        ops.norm_forward(d, f2, Some(y), masks.outer(block), affine, &mut now.out, &mut now.norm2)
    }
}
