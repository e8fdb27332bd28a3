//! RMSNorm (Zhang and Sennrich 2019): `y = w * x / sqrt(mean(x^2) + eps)`, without mean and bias.

use super::parallel::{self, Shared};
use super::simd::{Kernel, LANES, Lanes, dispatch, vectors};

/// Elements of a task: about 50 microseconds of memory traffic, and a fixed number.
const PART: usize = 64 * 1024;

/// How many rows of `d` a task has. A function of `d` alone, so that sums over rows are the same for any number of threads.
pub(crate) fn rows_of_task(d: usize) -> usize {
    (PART / d).max(1)
}

/// How many rows of `d` a slice has.
fn rows(d: usize, x: &[f32]) -> usize {
    assert!(d > 0 && x.len().is_multiple_of(d), "x has {} elements, no multiple of d {d}", x.len());
    x.len() / d
}

/// `y = w * x * r` with `r = 1 / sqrt(mean(x^2) + eps)`, which is kept for the backward pass.
///
/// `# Shapes: x, y (m, d); w (d); inverse_rms (m)`. With `d` the width of a head it normalises each head of (m, heads * d).
///
/// # Panics
/// When a slice does not fit the shapes (a programming error of this crate).
pub fn forward(x: &[f32], w: &[f32], eps: f32, y: &mut [f32], inverse_rms: &mut [f32]) {
    let d = w.len();
    let m = rows(d, x);
    assert!(y.len() == m * d && inverse_rms.len() == m, "y {} inverse_rms {}", y.len(), inverse_rms.len());
    let (y, inverse) = (Shared::new(y), Shared::new(inverse_rms));
    let step = rows_of_task(d);
    parallel::each(m.div_ceil(step), |task| {
        let from = task * step;
        let rows = step.min(m - from);
        // SAFETY: tasks own disjoint rows.
        let (y, inverse) = unsafe { (y.part(from * d, rows * d), inverse.part(from, rows)) };
        dispatch(Forward { x: &x[from * d..][..rows * d], w, eps, y, inverse });
    });
}

struct Forward<'a> {
    x: &'a [f32],
    w: &'a [f32],
    eps: f32,
    y: &'a mut [f32],
    inverse: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let d = self.w.len();
        let share = 1.0 / d as f32;
        for row in 0..self.inverse.len() {
            unsafe {
                let x = self.x.as_ptr().add(row * d);
                let inverse = 1.0 / (dot::<L>(x, x, d) * share + self.eps).sqrt();
                self.inverse[row] = inverse;
                let inverse = L::splat(inverse);
                let y = self.y.as_mut_ptr().add(row * d);
                vectors!(d, at, n => {
                    let normal = L::mul(L::load_first(x.add(at), n), inverse);
                    L::store_first(y.add(at), n, L::mul(L::load_first(self.w.as_ptr().add(at), n), normal));
                });
            }
        }
    }
}

/// `sum a b` over `d` elements: four chains of vectors, then their sum.
///
/// # Safety
/// As [`Lanes`].
#[inline(always)]
unsafe fn dot<L: Lanes>(a: *const f32, b: *const f32, d: usize) -> f32 {
    unsafe {
        let mut sums = [L::splat(0.0); 4];
        let mut at = 0;
        while at + 4 * LANES <= d {
            for (k, sum) in sums.iter_mut().enumerate() {
                *sum = L::fma(L::load(a.add(at + k * LANES)), L::load(b.add(at + k * LANES)), *sum);
            }
            at += 4 * LANES;
        }
        vectors!(d - at, more, n => {
            sums[0] = L::fma(L::load_first(a.add(at + more), n), L::load_first(b.add(at + more), n), sums[0]);
        });
        L::sum(L::add(L::add(sums[0], sums[1]), L::add(sums[2], sums[3])))
    }
}

/// The gradients, added to what `dx` (the residual stream's gradient) and `dw` hold:
/// `dx += r * (w dy - x * r^2 * mean(w dy x))`, `dw += sum over rows of dy * x * r`.
///
/// `# Shapes: x, dy, dx (m, d); w, dw (d); inverse_rms (m)`. Without `dw` the weight is frozen.
///
/// # Panics
/// As [`forward`].
pub fn backward(
    x: &[f32],
    w: &[f32],
    inverse_rms: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    dw: Option<&mut [f32]>,
) {
    let d = w.len();
    let m = rows(d, x);
    assert!(
        inverse_rms.len() == m && dy.len() == m * d && dx.len() == m * d,
        "inverse_rms {} dy {} dx {}",
        inverse_rms.len(),
        dy.len(),
        dx.len()
    );
    let step = rows_of_task(d);
    let tasks = m.div_ceil(step);
    let mut partial = vec![0f32; if dw.is_some() { tasks * d } else { 0 }];
    {
        let wanted = dw.is_some();
        let (dx, partial) = (Shared::new(dx), Shared::new(&mut partial));
        parallel::each(tasks, |task| {
            let from = task * step;
            let rows = step.min(m - from);
            // SAFETY: tasks own disjoint rows and partial sums.
            let (dx, partial) =
                unsafe { (dx.part(from * d, rows * d), wanted.then(|| partial.part(task * d, d))) };
            let part = |all: &'_ [f32]| -> *const f32 { all[from * d..][..rows * d].as_ptr() };
            dispatch(Backward {
                x: part(x),
                w,
                inverse: &inverse_rms[from..][..rows],
                dy: part(dy),
                dx,
                partial,
            });
        });
    }
    if let Some(dw) = dw {
        assert!(dw.len() == d, "dw {} for d {d}", dw.len());
        for part in partial.chunks_exact(d) {
            for (sum, x) in dw.iter_mut().zip(part) {
                *sum += x;
            }
        }
    }
}

struct Backward<'a> {
    x: *const f32,
    w: &'a [f32],
    inverse: &'a [f32],
    dy: *const f32,
    dx: &'a mut [f32],
    partial: Option<&'a mut [f32]>,
}

impl Kernel for Backward<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(mut self) {
        let d = self.w.len();
        let share = 1.0 / d as f32;
        for (row, &r) in self.inverse.iter().enumerate() {
            unsafe {
                let (x, dy) = (self.x.add(row * d), self.dy.add(row * d));
                let (w, dx) = (self.w.as_ptr(), self.dx.as_mut_ptr().add(row * d));
                let mut sum = L::splat(0.0);
                vectors!(d, at, n => {
                    let wdy = L::mul(L::load_first(w.add(at), n), L::load_first(dy.add(at), n));
                    sum = L::fma(wdy, L::load_first(x.add(at), n), sum);
                });
                let along = L::splat(L::sum(sum) * share * r * r * r);
                let scale = L::splat(r);
                vectors!(d, at, n => {
                    let (x, dy) = (L::load_first(x.add(at), n), L::load_first(dy.add(at), n));
                    let wdy = L::mul(L::load_first(w.add(at), n), dy);
                    let held = L::fma(wdy, scale, L::load_first(dx.add(at), n));
                    L::store_first(dx.add(at), n, L::fnma(x, along, held));
                    if let Some(partial) = &mut self.partial {
                        let to = partial.as_mut_ptr().add(at);
                        L::store_first(to, n, L::fma(dy, L::mul(x, scale), L::load_first(to, n)));
                    }
                });
            }
        }
    }
}
