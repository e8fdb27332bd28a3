//! The exact GELU, `x Phi(x)` (Hendrycks and Gimpel 2016), followed by dropout, as one pass.

use super::dropout::Dropout;
use super::math::normal;
use super::parallel::{self, Shared};
use super::simd::{Kernel, LANES, Lanes, dispatch, vectors};

/// Elements of a task.
const PART: usize = 16 * 1024;

/// `y = dropout(gelu(x))`, element by element. `# Shapes: x, y (m, f), m * f a multiple of nothing in particular`
pub fn forward(x: &[f32], dropout: Dropout, y: &mut [f32]) {
    let shared = Shared::new(y);
    parallel::each(x.len().div_ceil(PART), |task| {
        let from = task * PART;
        let count = PART.min(x.len() - from);
        // SAFETY: tasks own disjoint parts.
        let y = unsafe { shared.part(from, count) };
        dispatch(Forward { first: from, x: &x[from..][..count], dropout, y });
    });
}

/// `dx = dy * mask * gelu'(x)`, written over `dy`.
pub fn backward(x: &[f32], dropout: Dropout, dy: &mut [f32]) {
    let shared = Shared::new(dy);
    parallel::each(x.len().div_ceil(PART), |task| {
        let from = task * PART;
        let count = PART.min(x.len() - from);
        // SAFETY: tasks own disjoint parts.
        let dy = unsafe { shared.part(from, count) };
        dispatch(Backward { first: from, x: &x[from..][..count], dropout, dy });
    });
}

struct Forward<'a> {
    first: usize,
    x: &'a [f32],
    dropout: Dropout,
    y: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let off = self.dropout.is_off();
        vectors!(self.x.len(), at, n => unsafe {
            let x = L::load_first(self.x.as_ptr().add(at), n);
            let mut y = L::mul(x, normal::<L>(x).0);
            if !off {
                y = L::mul(y, L::load(self.dropout.factors(self.first + at).as_ptr()));
            }
            L::store_first(self.y.as_mut_ptr().add(at), n, y);
        });
    }
}

struct Backward<'a> {
    first: usize,
    x: &'a [f32],
    dropout: Dropout,
    dy: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let off = self.dropout.is_off();
        vectors!(self.x.len(), at, n => unsafe {
            let x = L::load_first(self.x.as_ptr().add(at), n);
            let (cdf, density) = normal::<L>(x);
            let mut dy = L::load_first(self.dy.as_ptr().add(at), n);
            if !off {
                dy = L::mul(dy, L::load(self.dropout.factors(self.first + at).as_ptr()));
            }
            L::store_first(self.dy.as_mut_ptr().add(at), n, L::mul(dy, L::fma(x, density, cdf)));
        });
    }
}

const _: () = assert!(PART.is_multiple_of(LANES), "masks are dealt in lines of 16");
