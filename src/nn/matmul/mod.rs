//! Products of activations with a large weight matrix that may be stored in any way.
//!
//! `forward` is `y = start + x W^T`, `backward` is `dx = start + dy W`. The weight is only ever asked for blocks of f32
//! ([`Matrix::read`]), so a product of dense, bf16, int8 or NF4 weights is one piece of code, and no dequantized copy of the
//! whole matrix exists.

use super::aligned::Buffer;
use super::gemm::{Left, Start, gemm};

/// Rows of the weight that are unpacked at a time.
const STRIPE: usize = 64;

/// A weight matrix W (rows, cols) that can be read in blocks.
pub trait Matrix: Sync {
    /// Rows of W: outputs of the forward product.
    fn rows(&self) -> usize;
    /// Columns of W: inputs of the forward product.
    fn cols(&self) -> usize;
    /// `out[i * stride + j] = W[row0 + i, col0 + j]` for `i < rows`, `j < cols`; other elements of `out` stay as they are.
    fn read(&self, row0: usize, rows: usize, col0: usize, cols: usize, out: &mut [f32], stride: usize);
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
    block: Buffer,
    right: Buffer,
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
    let (n, k) = (w.rows(), w.cols());
    assert!(x.len() == m * k && y.len() == m * n, "x is not ({m}, {k}) or y is not ({m}, {n})");
    let Scratch { left, block, right } = scratch;
    let x = rounded(precision, x, left);
    for from in (0..n).step_by(STRIPE) {
        let count = STRIPE.min(n - from);
        let block = block.reset(count * k);
        w.read(from, count, 0, k, block, k);
        let right = right.reset(count * k);
        for j in 0..count {
            for p in 0..k {
                right[p * count + j] = round(precision, block[j * k + p]);
            }
        }
        if m > 0 {
            gemm((m, count, k), Left::rows(x, k), right, count, &mut y[from..], n, columns(start, from));
        }
    }
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
    let (n, k) = (w.rows(), w.cols());
    assert!(dy.len() == m * n && dx.len() == m * k, "dy is not ({m}, {n}) or dx is not ({m}, {k})");
    let Scratch { left, right, .. } = scratch;
    let dy = rounded(precision, dy, left);
    for from in (0..k).step_by(STRIPE) {
        let count = STRIPE.min(k - from);
        let right = right.reset(n * count);
        w.read(0, n, from, count, right, count);
        for value in right.iter_mut() {
            *value = round(precision, *value);
        }
        if m > 0 {
            gemm((m, count, n), Left::rows(dy, n), right, count, &mut dx[from..], k, columns(start, from));
        }
    }
}

fn columns(start: Start<'_>, from: usize) -> Start<'_> {
    match start {
        Start::Columns(values) => Start::Columns(&values[from..]),
        other => other,
    }
}

fn round(precision: Precision, x: f32) -> f32 {
    match precision {
        Precision::F32 => x,
        Precision::Bf16 => half::bf16::from_f32(x).to_f32(),
    }
}

fn rounded<'a>(precision: Precision, x: &'a [f32], to: &'a mut Buffer) -> &'a [f32] {
    if precision == Precision::F32 {
        return x;
    }
    let to = to.reset(x.len());
    for (to, x) in to.iter_mut().zip(x) {
        *to = round(precision, *x);
    }
    to
}
