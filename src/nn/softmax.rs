//! Softmax cross-entropy over a whole vocabulary for a few rows of logits, with its gradient in place.

use super::math::exp;
use super::parallel::{self, Shared};
use super::simd::{Kernel, Lanes, dispatch, vectors};

/// Logits of a task; a fixed number, so that sums over a row are the same for any number of threads.
const PART: usize = 16 * 1024;

/// `share` times the sum over rows of `log(sum exp(logits)) - logit of the label`; the logits become its gradient,
/// `share * (softmax - [item = label])`. With `share = 1 / rows` that is the mean.
///
/// `# Shapes: logits (w, v); labels (w)`
///
/// # Panics
/// When a label is not below v or a slice does not fit the shapes (a programming error of this crate).
pub fn cross_entropy(vocabulary: usize, logits: &mut [f32], labels: &[u32], share: f32) -> f64 {
    let v = vocabulary;
    assert!(logits.len() == labels.len() * v, "{} logits for {} rows of {v}", logits.len(), labels.len());
    assert!(labels.iter().all(|&label| (label as usize) < v), "a label is not below {v}");
    let chunks = v.div_ceil(PART);
    let tasks = labels.len() * chunks;
    // Row and part of the row of a task.
    let place = |task: usize| {
        let (row, from) = (task / chunks, task % chunks * PART);
        (row * v + from, PART.min(v - from))
    };
    let mut parts = vec![[0f32; 2]; tasks]; // maximum, sum of exponentials
    {
        let (parts, logits) = (Shared::new(&mut parts), &*logits);
        parallel::each(tasks, |task| {
            let (from, count) = place(task);
            // SAFETY: tasks own disjoint statistics.
            let part = unsafe { parts.part(task, 1) };
            part[0] = dispatch(Statistics { logits: &logits[from..][..count] });
        });
    }
    let mut loss = 0f64;
    let mut rows = Vec::with_capacity(labels.len()); // maximum, factor of the exponentials
    for ((parts, row), &label) in parts.chunks_exact(chunks).zip(logits.chunks_exact(v)).zip(labels) {
        let maximum = parts.iter().fold(f32::NEG_INFINITY, |m, part| m.max(part[0]));
        let sum: f64 = parts.iter().map(|part| f64::from(part[1]) * f64::from(part[0] - maximum).exp()).sum();
        loss += f64::from(maximum) + sum.ln() - f64::from(row[label as usize]);
        rows.push((maximum, (f64::from(share) / sum) as f32));
    }
    let shared = Shared::new(logits);
    parallel::each(tasks, |task| {
        let (from, count) = place(task);
        let (maximum, factor) = rows[task / chunks];
        // SAFETY: tasks own disjoint logits.
        let logits = unsafe { shared.part(from, count) };
        dispatch(Gradient { logits, maximum, factor });
    });
    for (row, &label) in logits.chunks_exact_mut(v).zip(labels) {
        row[label as usize] -= share;
    }
    loss * f64::from(share)
}

struct Statistics<'a> {
    logits: &'a [f32],
}

impl Kernel for Statistics<'_> {
    type Out = [f32; 2];
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) -> [f32; 2] {
        unsafe {
            let from = self.logits.as_ptr();
            let count = self.logits.len();
            let mut maxima = L::splat(f32::MIN);
            vectors!(count, at, n => {
                let held = L::keep(super::simd::lanes(n), L::load_first(from.add(at), n));
                let rest = L::keep(!super::simd::lanes(n), L::splat(f32::MIN));
                maxima = L::max(maxima, L::add(held, rest));
            });
            let mut lanes = [0f32; super::simd::LANES];
            L::store(lanes.as_mut_ptr(), maxima);
            let maximum = lanes.iter().fold(f32::MIN, |m, x| m.max(*x));
            let mut sum = L::splat(0.0);
            vectors!(count, at, n => {
                let e = exp::<L>(L::sub(L::load_first(from.add(at), n), L::splat(maximum)));
                sum = L::add(sum, L::keep(super::simd::lanes(n), e));
            });
            [maximum, L::sum(sum)]
        }
    }
}

struct Gradient<'a> {
    logits: &'a mut [f32],
    maximum: f32,
    factor: f32,
}

impl Kernel for Gradient<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        unsafe {
            let to = self.logits.as_mut_ptr();
            let (maximum, factor) = (L::splat(self.maximum), L::splat(self.factor));
            vectors!(self.logits.len(), at, n => {
                let e = exp::<L>(L::sub(L::load_first(to.add(at), n), maximum));
                L::store_first(to.add(at), n, L::mul(e, factor));
            });
        }
    }
}
