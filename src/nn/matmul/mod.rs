//! Products of activations with a large weight matrix that may be stored in any way.
//!
//! `forward` is `y = start + x W^T`, `backward` is `dx = start + dy W`. The weight is only ever asked for blocks of f32
//! ([`Matrix::read`]), so a product of dense, bf16, int8 or NF4 weights is one piece of code, and no dequantized copy of the
//! whole matrix exists.

mod format;
mod pack;
mod product;
mod tile;

use super::aligned::Buffer;
use super::gemm::Start;
use super::simd::{InstructionSet, bf16, instruction_set};
use format::Route;
use product::{Pool, Product};

/// A weight matrix W (rows, cols) that can be read in blocks.
pub trait Matrix: Sync {
    /// Rows of W: outputs of the forward product.
    fn rows(&self) -> usize;
    /// Columns of W: inputs of the forward product.
    fn cols(&self) -> usize;
    /// `out[i * stride + j] = W[row0 + i, col0 + j]` for `i < rows`, `j < cols`; other elements of `out` stay as they are.
    fn read(&self, row0: usize, rows: usize, col0: usize, cols: usize, out: &mut [f32], stride: usize);
    /// All of W (rows, cols), where it lies in memory as f32: saves a copy.
    fn dense(&self) -> Option<&[f32]> {
        None
    }
}

/// A matrix of f32 in memory, rows contiguous.
#[derive(Debug, Clone, Copy)]
pub struct Dense<'a> {
    /// (rows, cols)
    pub data: &'a [f32],
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub cols: usize,
}

impl Matrix for Dense<'_> {
    fn rows(&self) -> usize {
        self.rows
    }
    fn cols(&self) -> usize {
        self.cols
    }
    fn read(&self, row0: usize, rows: usize, col0: usize, cols: usize, out: &mut [f32], stride: usize) {
        for i in 0..rows {
            let from = (row0 + i) * self.cols + col0;
            out[i * stride..][..cols].copy_from_slice(&self.data[from..][..cols]);
        }
    }
    fn dense(&self) -> Option<&[f32]> {
        Some(self.data)
    }
}

/// What the inputs of a product are rounded to. Sums are f32 in both cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// Not rounded; every element is one chain of fused multiply-adds in the order of the depth.
    F32,
    /// bf16, to nearest, ties to even.
    Bf16,
}

/// Memory that products reuse from call to call.
#[derive(Default)]
pub struct Scratch {
    left: Buffer,
    pool: Pool,
    set: Option<InstructionSet>,
}

impl Scratch {
    /// Scratch whose products run on a given instruction set, without bf16 instructions (for parity tests).
    #[must_use]
    pub fn on(set: InstructionSet) -> Self {
        Self { set: Some(set), ..Self::default() }
    }

    fn route(&self, precision: Precision) -> Route {
        match (precision, self.set) {
            (Precision::F32, set) => Route::Single(set.unwrap_or_else(instruction_set)),
            (Precision::Bf16, None) if bf16::has_bf16() => Route::Pairs,
            (Precision::Bf16, set) => Route::Rounded(set.unwrap_or_else(instruction_set)),
        }
    }
}

/// `y (m, n) = start + x (m, k) W^T` with W (n, k).
///
/// # Panics
/// When a slice does not have its shape.
pub fn forward<W: Matrix + ?Sized>(
    precision: Precision,
    m: usize,
    x: &[f32],
    w: &W,
    y: &mut [f32],
    start: Start<'_>,
    scratch: &mut Scratch,
) {
    product(precision, (m, w.rows(), w.cols()), x, w, true, y, start, scratch);
}

/// `dx (m, k) = start + dy (m, n) W` with W (n, k).
///
/// # Panics
/// When a slice does not have its shape.
pub fn backward<W: Matrix + ?Sized>(
    precision: Precision,
    m: usize,
    dy: &[f32],
    w: &W,
    dx: &mut [f32],
    start: Start<'_>,
    scratch: &mut Scratch,
) {
    product(precision, (m, w.cols(), w.rows()), dy, w, false, dx, start, scratch);
}

#[allow(clippy::too_many_arguments, reason = "a matrix product has this many facts")]
fn product<W: Matrix + ?Sized>(
    precision: Precision,
    size: (usize, usize, usize),
    x: &[f32],
    w: &W,
    transposed: bool,
    y: &mut [f32],
    start: Start<'_>,
    scratch: &mut Scratch,
) {
    let (m, n, k) = size;
    assert!(x.len() == m * k, "the left side has {} numbers, not ({m}, {k})", x.len());
    assert!(y.len() == m * n, "the result has {} numbers, not ({m}, {n})", y.len());
    match start {
        Start::Columns(values) => assert!(values.len() >= n, "{} column starts for {n}", values.len()),
        Start::Rows(values) => assert!(values.len() >= m, "{} row starts for {m}", values.len()),
        Start::Zero | Start::Sum => {}
    }
    let route = scratch.route(precision);
    Product { size, x, w, transposed, start }.run(route, y, scratch);
}
