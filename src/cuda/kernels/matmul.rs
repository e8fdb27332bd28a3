//! Products of bf16 matrices on tensor cores (`matmul.cu`).

use half::bf16;

use super::{Kernels, Start, arguments};
use crate::cuda::Error;
use crate::cuda::array::{Activation, Slice, SliceMut};
use crate::cuda::machine::{Product, Shape};

/// Tiles of 128 by 128 that keep a device busy; with fewer, smaller ones are more.
const BUSY: usize = 100;

/// The right side of a product, rows contiguous.
#[derive(Clone, Copy)]
pub enum Right<'a> {
    /// B (k, n): a weight in the backward pass, `dx = dy W`.
    Rows(Slice<'a, bf16>),
    /// B stored as (n, k): a weight in the forward pass, `y = x W^T`.
    Transposed(Slice<'a, bf16>),
}

impl Kernels {
    /// `C = start + A B` with sums in f32, in an order of the device's, or of cuBLAS where the machine has it. C is f32 or bf16.
    /// `# Shapes: A (m, k), B (k, n), C (m, n)`
    ///
    /// # Errors
    /// As all functions here.
    pub fn matmul<C: Activation>(
        &self,
        (m, n, k): (usize, usize, usize),
        a: Slice<'_, bf16>,
        b: Right<'_>,
        c: SliceMut<'_, C>,
        start: Start<'_>,
    ) -> Result<(), Error> {
        let (b, transposed) = match b {
            Right::Rows(b) => (b, false),
            Right::Transposed(b) => (b, true),
        };
        assert!(a.len() == m * k && b.len() == k * n && c.len() == m * n, "({m}, {n}, {k}) of matmul");
        let (mode, bias) = start.raw(m, n);
        if bias == 0 {
            let half = size_of::<C>() == 2;
            let (sizes, sum) = ((m, n, k), matches!(start, Start::Sum));
            let product = Product { sizes, a: a.at(), b: b.at(), transposed, c: c.at(), half, sum };
            // SAFETY: lengths were held against the sizes above.
            if unsafe { self.machine.product(&product) }? {
                return Ok(());
            }
        }
        let tiles = |side: usize| m.div_ceil(side) * n.div_ceil(side);
        let (sizes, data) = ((m as u32, n as u32, k as u32), (a.at(), b.at(), c.at()));
        let aligned = [a.at(), b.at(), c.at()].iter().all(|at| at.is_multiple_of(16));
        if !(aligned && n.is_multiple_of(8) && k.is_multiple_of(8)) {
            let kernel = C::kernel(["matmul_any_f32", "matmul_any_bf16"]);
            let (m, n, k) = sizes;
            let arguments = arguments![m, n, k, data.0, data.1, u32::from(transposed), data.2, mode, bias];
            return self.launch(kernel, Shape::blocks(tiles(64), 1, 1), arguments);
        }
        let wide = m > 64 && tiles(128) >= BUSY;
        let kernel = C::kernel(match (transposed, wide) {
            (true, true) => ["matmul_forward_wide_f32", "matmul_forward_wide_bf16"],
            (true, false) => ["matmul_forward_small_f32", "matmul_forward_small_bf16"],
            (false, true) => ["matmul_backward_wide_f32", "matmul_backward_wide_bf16"],
            (false, false) => ["matmul_backward_small_f32", "matmul_backward_small_bf16"],
        });
        let (side, block) = if wide { (128, 256) } else { (64, 128) };
        let shape = Shape { grid: [tiles(side) as u32, 1, 1], block };
        let (m, n, k) = sizes;
        self.launch(kernel, shape, arguments![m, n, k, data.0, data.1, data.2, mode, bias])
    }
}
