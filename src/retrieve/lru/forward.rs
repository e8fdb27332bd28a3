//! LRURec forwards: packed ids to hidden states.
//!
//! Block: `u = B x + b_B`, `h_t = lambda h_(t-1) + gamma u_t`, `y = norm(dropout(Re(C h + b_C)) + x)`,
//! `out = norm(dropout(W2 dropout(gelu(W1 y + b1)) + b2) + y)`. Complex numbers are carried as real and imaginary halves.

use super::packed::Packed;
use super::plan::{BlockPlan, LruPlan, Shape};
use crate::nn::aligned::Buffer;
use crate::nn::dropout::Dropout;
use crate::nn::gemm::{Left, Start, gemm};
use crate::nn::scan::Coefficients;
use crate::nn::{gelu, norm, scan};

/// Weights turned into the forms that the forward pass multiplies by; made anew when the weights have changed.
#[derive(Default)]
pub struct Turned {
    /// B^T, (d, 2c).
    pub into: Buffer,
    /// `[Re C | -Im C]`, (d, 2c): what the backward pass multiplies by.
    pub out: Buffer,
    /// Its transpose, (2c, d).
    pub out_turned: Buffer,
    /// W1^T, (d, f).
    pub w1: Buffer,
    /// W2^T, (f, d).
    pub w2: Buffer,
    /// Re lambda, Im lambda, gamma, (3, c).
    pub coefficients: Buffer,
}

impl Turned {
    /// From the flat weights.
    pub fn update(&mut self, shape: Shape, plan: &BlockPlan, weights: &[f32]) {
        let Shape { hidden: d, state: c, feed_forward: f, .. } = shape;
        transpose(&weights[plan.in_weight.clone()], 2 * c, d, self.into.reset(d * 2 * c));
        let out = self.out.reset(d * 2 * c);
        let (real, imag) = (&weights[plan.out_real.clone()], &weights[plan.out_imag.clone()]);
        for row in 0..d {
            out[row * 2 * c..][..c].copy_from_slice(&real[row * c..][..c]);
            for (to, from) in out[row * 2 * c + c..][..c].iter_mut().zip(&imag[row * c..][..c]) {
                *to = -from;
            }
        }
        transpose(&self.out, d, 2 * c, self.out_turned.reset(2 * c * d));
        transpose(&weights[plan.w1.clone()], f, d, self.w1.reset(d * f));
        transpose(&weights[plan.w2.clone()], d, f, self.w2.reset(f * d));
        let coefficients = self.coefficients.reset(3 * c);
        let logs = &weights[plan.logs.clone()];
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
    }

    /// The recurrence's coefficients.
    #[must_use]
    pub fn recurrence(&self, c: usize) -> Coefficients<'_> {
        let (real, rest) = self.coefficients.split_at(c);
        let (imag, gamma) = rest.split_at(c);
        Coefficients { real, imag, gamma }
    }
}

/// `to (n, m)` = the transpose of `from (m, n)`.
fn transpose(from: &[f32], m: usize, n: usize, to: &mut [f32]) {
    for i in 0..m {
        for j in 0..n {
            to[j * m + i] = from[i * n + j];
        }
    }
}

/// What a layer norm leaves for the backward pass.
#[derive(Default)]
pub struct Normed {
    pub normal: Buffer,
    pub inverse: Buffer,
}

impl Normed {
    fn saved(&mut self, m: usize, d: usize) -> norm::Saved<'_> {
        norm::Saved { normal: self.normal.reset(m * d), inverse: self.inverse.reset(m) }
    }
}

/// A block's activations.
#[derive(Default)]
pub struct BlockState {
    pub u: Buffer,
    pub h: Buffer,
    pub mixed: Buffer,
    pub norm1: Normed,
    pub y: Buffer,
    pub f1: Buffer,
    pub g: Buffer,
    pub f2: Buffer,
    pub norm2: Normed,
    pub out: Buffer,
}

/// All activations of a forward pass, reused from step to step.
#[derive(Default)]
pub struct State {
    pub gathered: Buffer,
    pub norm: Normed,
    pub x: Buffer,
    pub blocks: Vec<BlockState>,
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

/// A model at one moment: sizes, places, weights and their turned forms.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub shape: Shape,
    pub plan: &'a LruPlan,
    pub weights: &'a [f32],
    pub turned: &'a [Turned],
}

/// Which positions the last block computes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// All.
    Every,
    /// The last of each sequence: the others end with the last block's recurrence.
    Last,
}

impl View<'_> {
    /// Run the model; the hidden states are in the last block's `out`.
    ///
    /// `# Shapes: out (m, d), or (sequences, d) with Wanted::Last`
    pub fn forward(&self, packed: &Packed, masks: Masks, wanted: Wanted, state: &mut State) {
        let (m, d) = (packed.tokens.len(), self.shape.hidden);
        let table = &self.weights[self.plan.embedding.clone()];
        let gathered = state.gathered.reset(m * d);
        for (row, &token) in gathered.chunks_exact_mut(d).zip(&packed.tokens) {
            row.copy_from_slice(&table[token as usize * d..][..d]);
        }
        let norm = self.norm(&self.plan.norm);
        let saved = state.norm.saved(m, d);
        norm::forward(d, gathered, None, masks.embedding(), norm, state.x.reset(m * d), saved);
        state.blocks.resize_with(self.shape.blocks, BlockState::default);
        for block in 0..self.shape.blocks {
            let (before, rest) = state.blocks.split_at_mut(block);
            let x = before.last().map_or(&state.x, |before| &before.out);
            let now = &mut rest[0];
            self.recur(block, packed, x, now);
            if wanted == Wanted::Last && block + 1 == self.shape.blocks {
                let (x, h) = last_rows(&packed.starts, d, x, &now.h);
                now.h = h;
                self.finish(block, masks, &x, now);
            } else {
                self.finish(block, masks, x, now);
            }
        }
    }

    fn norm(&self, plan: &(std::ops::Range<usize>, std::ops::Range<usize>)) -> (&[f32], &[f32]) {
        (&self.weights[plan.0.clone()], &self.weights[plan.1.clone()])
    }

    fn recur(&self, block: usize, packed: &Packed, x: &[f32], now: &mut BlockState) {
        let (plan, turned) = (&self.plan.blocks[block], &self.turned[block]);
        let Shape { hidden: d, state: c, .. } = self.shape;
        let m = x.len() / d;
        let bias = Start::Columns(&self.weights[plan.in_bias.clone()]);
        gemm((m, 2 * c, d), Left::rows(x, d), &turned.into, 2 * c, now.u.reset(m * 2 * c), 2 * c, bias);
        scan::forward(c, &packed.starts, turned.recurrence(c), &now.u, now.h.reset(m * 2 * c));
    }

    fn finish(&self, block: usize, masks: Masks, x: &[f32], now: &mut BlockState) {
        let (plan, turned) = (&self.plan.blocks[block], &self.turned[block]);
        let Shape { hidden: d, state: c, feed_forward: f, .. } = self.shape;
        let m = x.len() / d;
        let columns = |range: &std::ops::Range<usize>| Start::Columns(&self.weights[range.clone()]);
        let mixed = now.mixed.reset(m * d);
        gemm(
            (m, d, 2 * c),
            Left::rows(&now.h, 2 * c),
            &turned.out_turned,
            d,
            mixed,
            d,
            columns(&plan.out_bias),
        );
        let saved = now.norm1.saved(m, d);
        norm::forward(
            d,
            mixed,
            Some(x),
            masks.mixed(block),
            self.norm(&plan.norm1),
            now.y.reset(m * d),
            saved,
        );
        gemm((m, f, d), Left::rows(&now.y, d), &turned.w1, f, now.f1.reset(m * f), f, columns(&plan.b1));
        gelu::forward(&now.f1, masks.inner(block), now.g.reset(m * f));
        let f2 = now.f2.reset(m * d);
        gemm((m, d, f), Left::rows(&now.g, f), &turned.w2, d, f2, d, columns(&plan.b2));
        let saved = now.norm2.saved(m, d);
        let y = &now.y;
        norm::forward(
            d,
            f2,
            Some(y),
            masks.outer(block),
            self.norm(&plan.norm2),
            now.out.reset(m * d),
            saved,
        );
    }
}

/// The rows of `x` and `h` at the ends of the sequences.
fn last_rows(starts: &[u32], d: usize, x: &[f32], h: &[f32]) -> (Buffer, Buffer) {
    let n = starts.len() - 1;
    let wide = h.len() / (x.len() / d).max(1);
    let (mut x_last, mut h_last) = (Buffer::zeros(n * d), Buffer::zeros(n * wide));
    for (s, &end) in starts[1..].iter().enumerate() {
        let row = end as usize - 1;
        x_last[s * d..][..d].copy_from_slice(&x[row * d..][..d]);
        h_last[s * wide..][..wide].copy_from_slice(&h[row * wide..][..wide]);
    }
    (x_last, h_last)
}
