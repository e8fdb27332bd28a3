//! Linear layer and softmax cross-entropy in one: loss and all gradients without ever holding the logits of more than
//! [`BLOCK`] positions.
//!
//! `l[r, j] = bias[j] + sum_k E[j, k] H[r, k]`, `loss = mean_r (log sum_j exp l[r, j] - l[r, label_r])`.
//! Per block of positions: logits by item chunks (transposed, so that softmax runs down the lanes), their exponentials
//! relative to the chunk's maximum, the chunks' maxima and sums combined, then per chunk the three gradients. The
//! normaliser enters as one factor for each chunk and position, so the exponentials are never rewritten.

use super::aligned::Buffer;
use super::gemm::{Left, Start, gemm_on};
use super::math::exp;
use super::parallel::{self, Shared};
use super::simd::{Kernel, LANES, Lanes, dispatch, vectors};

/// Positions whose logits are in memory at once.
pub const BLOCK: usize = 64;
/// Items of a chunk at most: exponentials, embeddings and their gradient of a chunk stay in a 1 MiB cache.
const CHUNK: usize = 768;

/// Scratch memory that is kept between steps.
#[derive(Default)]
pub struct Workspace {
    logits: Buffer,
    turned: Buffer,
    scaled: Buffer,
    maxima: Buffer,
    sums: Buffer,
    partial: Buffer,
}

/// The layer's inputs. `# Shapes: hidden (m, d), weight (v, d), bias (v), labels (m) in 0..v`
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// d.
    pub width: usize,
    /// H.
    pub hidden: &'a [f32],
    /// E.
    pub weight: &'a [f32],
    /// The output bias.
    pub bias: &'a [f32],
    /// The class of each position.
    pub labels: &'a [u32],
}

/// Where the gradients go. `# Shapes: as the inputs`
pub struct Gradients<'a> {
    /// dL/dH, overwritten.
    pub hidden: &'a mut [f32],
    /// dL/dE, added to what it holds.
    pub weight: &'a mut [f32],
    /// dL/dbias, added to what it holds.
    pub bias: &'a mut [f32],
}

/// Items of a chunk for a vocabulary of `v`: at least 16 chunks, so that many cores find work; a fixed function of `v`.
#[must_use]
pub fn chunk_of(v: usize) -> usize {
    v.div_ceil(16).clamp(1, CHUNK)
}

/// The mean loss over all positions, and its gradients.
///
/// # Panics
/// When a label is not below v or a slice does not fit the shapes (a programming error of this crate).
pub fn loss_and_gradients(inputs: Inputs<'_>, gradients: Gradients<'_>, workspace: &mut Workspace) -> f64 {
    let m = inputs.labels.len();
    weighted(inputs, gradients, 1.0 / m as f32, workspace) / m as f64
}

/// The sum of the positions' losses; the gradients are those of `share` times the sum.
///
/// # Panics
/// As [`loss_and_gradients`].
pub fn weighted(inputs: Inputs<'_>, gradients: Gradients<'_>, share: f32, workspace: &mut Workspace) -> f64 {
    let Inputs { width: d, hidden, weight, bias, labels } = inputs;
    let (m, v) = (labels.len(), bias.len());
    assert!(
        hidden.len() == m * d && weight.len() == v * d,
        "hidden {} weight {}",
        hidden.len(),
        weight.len()
    );
    assert!(
        gradients.hidden.len() == m * d && gradients.weight.len() == v * d && gradients.bias.len() == v,
        "gradients"
    );
    assert!(labels.iter().all(|&label| (label as usize) < v), "a label is not below {v}");
    let chunk = chunk_of(v);
    let chunks = v.div_ceil(chunk);
    let logits = Shared::new(workspace.logits.reset(v * BLOCK));
    let turned = workspace.turned.reset(d * BLOCK);
    let scaled = Shared::new(workspace.scaled.reset(chunks * BLOCK * d));
    let maxima_buffer = workspace.maxima.reset(chunks * BLOCK);
    let sums_buffer = workspace.sums.reset(chunks * BLOCK);
    let partial_buffer = workspace.partial.reset(chunks * BLOCK * d);
    let (d_weight, d_bias) = (Shared::new(gradients.weight), Shared::new(gradients.bias));
    let mut loss = 0f64;
    for first in (0..m).step_by(BLOCK) {
        let rows = BLOCK.min(m - first);
        let h = &hidden[first * d..][..rows * d];
        let labels = &labels[first..][..rows];
        for (r, row) in h.chunks_exact(d).enumerate() {
            for (k, x) in row.iter().enumerate() {
                turned[k * BLOCK + r] = *x;
            }
        }
        {
            let (maxima, sums) = (Shared::new(maxima_buffer), Shared::new(sums_buffer));
            let turned = &*turned;
            parallel::each(chunks, |task| {
                let from = task * chunk;
                let items = chunk.min(v - from);
                // SAFETY: tasks own disjoint items and disjoint statistics.
                let (logits, maxima, sums) = unsafe {
                    (
                        logits.part(from * BLOCK, items * BLOCK),
                        maxima.part(task * BLOCK, BLOCK),
                        sums.part(task * BLOCK, BLOCK),
                    )
                };
                let (weight, bias) = (&weight[from * d..][..items * d], &bias[from..][..items]);
                dispatch(Exponentials { d, rows, weight, bias, turned, logits, maxima, sums });
            });
        }
        loss += combine(rows, chunks, maxima_buffer, sums_buffer, share);
        // Now `maxima_buffer` holds each chunk's factor: exp(chunk's maximum - maximum) / sum / m.
        for (row, &label) in h.chunks_exact(d).zip(labels) {
            loss -= f64::from(logit(row, weight, bias, label as usize));
        }
        {
            let partial = Shared::new(partial_buffer);
            let factors = &*maxima_buffer;
            parallel::each(chunks, |task| {
                let from = task * chunk;
                let items = chunk.min(v - from);
                // SAFETY: tasks own disjoint items, partial sums and scratch.
                let (logits, scaled, partial, d_weight, d_bias) = unsafe {
                    (
                        logits.part(from * BLOCK, items * BLOCK),
                        scaled.part(task * BLOCK * d, rows * d),
                        partial.part(task * BLOCK * d, rows * d),
                        d_weight.part(from * d, items * d),
                        d_bias.part(from, items),
                    )
                };
                dispatch(Backward {
                    d,
                    first_item: from,
                    share,
                    h,
                    labels,
                    weight: &weight[from * d..][..items * d],
                    factors: &factors[task * BLOCK..][..BLOCK],
                    logits,
                    scaled,
                    partial,
                    d_weight,
                    d_bias,
                });
            });
        }
        let d_hidden = &mut gradients.hidden[first * d..][..rows * d];
        add_partials(d, rows, chunks, partial_buffer, d_hidden);
    }
    loss
}

/// The mean loss from each position's largest logit, its sum of exponentials relative to that, and the logit of its label, added in the
/// order in which [`loss_and_gradients`] adds. `# Shapes: rows (3, m)`
#[must_use]
pub fn mean_loss(rows: &[f32]) -> f64 {
    let m = rows.len() / 3;
    let (tops, rest) = rows.split_at(m);
    let (sums, logits) = rest.split_at(m);
    let mut loss = 0f64;
    for from in (0..m).step_by(BLOCK) {
        let block = from..m.min(from + BLOCK);
        let of_row = |row: usize| f64::from(tops[row]) + f64::from(sums[row]).ln();
        loss += block.clone().map(of_row).fold(0.0, |total, row| total + row);
        for logit in &logits[block] {
            loss -= f64::from(*logit);
        }
    }
    loss / m as f64
}

/// One logit, by the same chain of fused multiply-adds as the matrix product's.
#[must_use]
pub fn logit(row: &[f32], weight: &[f32], bias: &[f32], item: usize) -> f32 {
    let d = row.len();
    weight[item * d..][..d].iter().zip(row).fold(bias[item], |sum, (w, x)| w.mul_add(*x, sum))
}

struct Exponentials<'a> {
    d: usize,
    rows: usize,
    weight: &'a [f32],
    bias: &'a [f32],
    turned: &'a [f32],
    logits: &'a mut [f32],
    maxima: &'a mut [f32],
    sums: &'a mut [f32],
}

impl Kernel for Exponentials<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let items = self.bias.len();
        let left = Left::rows(self.weight, self.d);
        gemm_on::<L>(
            (items, self.rows, self.d),
            left,
            self.turned,
            BLOCK,
            self.logits,
            BLOCK,
            Start::Rows(self.bias),
        );
        vectors!(self.rows, at, n => unsafe {
            let column = self.logits.as_mut_ptr().add(at);
            let mut maximum = L::load_first(column, n);
            for item in 1..items {
                maximum = L::max(maximum, L::load_first(column.add(item * BLOCK), n));
            }
            let mut sum = L::splat(0.0);
            for item in 0..items {
                let e = exp::<L>(L::sub(L::load_first(column.add(item * BLOCK), n), maximum));
                L::store_first(column.add(item * BLOCK), n, e);
                sum = L::add(sum, e);
            }
            L::store_first(self.maxima.as_mut_ptr().add(at), n, maximum);
            L::store_first(self.sums.as_mut_ptr().add(at), n, sum);
        });
    }
}

/// Turn the chunks' maxima into their factors; the sum of the positions' log-sum-exps.
fn combine(rows: usize, chunks: usize, maxima: &mut [f32], sums: &[f32], share: f32) -> f64 {
    dispatch(Combine { rows, chunks, maxima, sums, share })
}

struct Combine<'a> {
    rows: usize,
    chunks: usize,
    maxima: &'a mut [f32],
    sums: &'a [f32],
    share: f32,
}

impl Kernel for Combine<'_> {
    type Out = f64;
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) -> f64 {
        let mut total = 0f64;
        vectors!(self.rows, at, n => unsafe {
            let maxima = self.maxima.as_mut_ptr().add(at);
            let mut maximum = L::load_first(maxima, n);
            for chunk in 1..self.chunks {
                maximum = L::max(maximum, L::load_first(maxima.add(chunk * BLOCK), n));
            }
            let mut sum = L::splat(0.0);
            for chunk in 0..self.chunks {
                let e = exp::<L>(L::sub(L::load_first(maxima.add(chunk * BLOCK), n), maximum));
                sum = L::fma(L::load_first(self.sums.as_ptr().add(chunk * BLOCK + at), n), e, sum);
                L::store_first(maxima.add(chunk * BLOCK), n, e);
            }
            let factor = L::div(L::splat(self.share), sum);
            for chunk in 0..self.chunks {
                let to = maxima.add(chunk * BLOCK);
                L::store_first(to, n, L::mul(L::load_first(to, n), factor));
            }
            let (mut top, mut all) = ([0f32; LANES], [0f32; LANES]);
            L::store(top.as_mut_ptr(), maximum);
            L::store(all.as_mut_ptr(), sum);
            for (top, all) in top.iter().zip(all).take(n) {
                total += f64::from(*top) + f64::from(all).ln();
            }
        });
        total
    }
}

struct Backward<'a> {
    d: usize,
    first_item: usize,
    share: f32,
    h: &'a [f32],
    labels: &'a [u32],
    weight: &'a [f32],
    factors: &'a [f32],
    logits: &'a [f32],
    scaled: &'a mut [f32],
    partial: &'a mut [f32],
    d_weight: &'a mut [f32],
    d_bias: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let (d, rows, items) = (self.d, self.labels.len(), self.d_bias.len());
        for r in 0..rows {
            for k in 0..d {
                self.scaled[r * d + k] = self.h[r * d + k] * self.factors[r];
            }
        }
        // dE += P H, where P = exponentials * factors and the factors went into H.
        gemm_on::<L>(
            (items, d, rows),
            Left::rows(self.logits, BLOCK),
            self.scaled,
            d,
            self.d_weight,
            d,
            Start::Sum,
        );
        // dH = P^T E, the factors applied to the sums.
        gemm_on::<L>(
            (rows, d, items),
            Left::transposed(self.logits, BLOCK),
            self.weight,
            d,
            self.partial,
            d,
            Start::Zero,
        );
        for r in 0..rows {
            for x in &mut self.partial[r * d..][..d] {
                *x *= self.factors[r];
            }
        }
        for item in 0..items {
            unsafe {
                let mut sum = L::splat(0.0);
                vectors!(rows, at, n => {
                    let e = L::load_first(self.logits.as_ptr().add(item * BLOCK + at), n);
                    sum = L::fma(e, L::load_first(self.factors.as_ptr().add(at), n), sum);
                });
                self.d_bias[item] += L::sum(sum);
            }
        }
        for (r, &label) in self.labels.iter().enumerate() {
            let Some(item) = (label as usize).checked_sub(self.first_item).filter(|&item| item < items)
            else {
                continue;
            };
            self.d_bias[item] -= self.share;
            for k in 0..d {
                self.d_weight[item * d + k] -= self.share * self.h[r * d + k];
                self.partial[r * d + k] -= self.share * self.weight[item * d + k];
            }
        }
    }
}

/// `to[r] = sum over chunks, in order`.
fn add_partials(d: usize, rows: usize, chunks: usize, partial: &[f32], to: &mut [f32]) {
    let to = Shared::new(to);
    let rows_of_task = 16;
    parallel::each(rows.div_ceil(rows_of_task), |task| {
        let from = task * rows_of_task;
        let count = rows_of_task.min(rows - from) * d;
        // SAFETY: tasks own disjoint rows.
        let to = unsafe { to.part(from * d, count) };
        to.copy_from_slice(&partial[from * d..][..count]);
        for chunk in 1..chunks {
            for (x, part) in to.iter_mut().zip(&partial[(chunk * BLOCK + from) * d..][..count]) {
                *x += part;
            }
        }
    });
}
