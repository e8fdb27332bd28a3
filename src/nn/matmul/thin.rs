//! f32 products with few columns (low-rank matrices, the scores of some letters): packing the left side would cost more than it
//! saves, so only the right side is made contiguous, and [`gemm`] does the rest in the same order of sums.

use super::Scratch;
use super::format::{Format, Job, Route};
use super::pack::{self, Rows, UNPACKED, UNPACKED_DEPTH, words};
use super::product::{Left, Product};
use super::{Matrix, gemm};
use crate::nn::parallel::{self, Shared};
use crate::nn::simd::{LANES, Lanes};

/// The most columns of such a product.
pub const COLUMNS: usize = 64;

/// Compute a product whose sizes the caller has checked.
pub fn run<W: Matrix + ?Sized>(route: Route, x: Left<'_>, product: &Product<'_, W>, scratch: &mut Scratch) {
    let (m, n, k) = (x.rows, product.columns, x.depth);
    let width = n.next_multiple_of(LANES);
    let right = scratch.right.reset(words(k, 1) * width);
    let shared = Shared::new(right);
    parallel::each(k.div_ceil(UNPACKED_DEPTH), |task| {
        let step = task * UNPACKED_DEPTH;
        let depth = UNPACKED_DEPTH.min(k - step);
        // SAFETY: tasks own disjoint steps of the depth.
        let to = unsafe { shared.part(step * width, words(depth, 1) * width) };
        if product.transposed {
            scratch.pool.with(UNPACKED, |unpacked| {
                route.run(Turn { w: product.w, step, depth, n, width, unpacked, to });
            });
        } else {
            product.w.read(step, depth, 0, n, to, width);
        }
    });
    let left = if x.transposed { gemm::Left::transposed(x.data, m) } else { gemm::Left::rows(x.data, k) };
    // SAFETY: the product has its result to itself.
    let y = unsafe { product.y.part(0, m * n) };
    gemm::gemm((m, n, k), left, right, width, y, n, product.start);
}

/// Some steps of the depth of W^T.
struct Turn<'a, W: ?Sized> {
    w: &'a W,
    step: usize,
    depth: usize,
    n: usize,
    width: usize,
    unpacked: &'a mut [f32],
    to: &'a mut [f32],
}

impl<W: Matrix + ?Sized> Job for Turn<'_, W> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes, F: Format<L>>(self) {
        let Self { w, step, depth, n, width, unpacked, to } = self;
        assert!(F::DEPTH == 1 && !F::SWAPPED, "a thin product is f32");
        assert!(to.len() == words(depth, 1) * width && n <= width, "a thin panel of another size");
        let mut j = 0;
        while j < n {
            let rows = LANES.min(n - j);
            w.read(j, rows, step, depth, unpacked, UNPACKED_DEPTH);
            let rows = Rows { from: unpacked.as_ptr(), stride: UNPACKED_DEPTH, rows, depth };
            unsafe { pack::turned::<L, F>(rows, to.as_mut_ptr().add(j), width, LANES) };
            j += LANES;
        }
    }
}
