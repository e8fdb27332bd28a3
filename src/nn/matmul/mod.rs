//! Products of activations with a large weight matrix that may be stored in any way.
//!
//! `forward` is `y = start + x W^T`, `backward` is `dx = start + dy W`. The weight is only ever asked for blocks of f32
//! ([`Matrix::read`]), so a product of dense, bf16, int8 or NF4 weights is one piece of code, and no dequantized copy of the
//! whole matrix exists.

mod format;
mod pack;
mod product;
mod thin;
mod tile;

use super::aligned::Buffer;
use super::gemm::{self, Start};
use super::parallel::Shared;
use super::simd::{InstructionSet, bf16, instruction_set};
use format::Route;
use product::{Left, Pool, Product};

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
    right: Buffer,
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

/// One of several products of the same left side ([`forward_all`]).
pub struct Output<'a, W: ?Sized> {
    /// W (n, k)
    pub w: &'a W,
    /// y (m, n)
    pub y: &'a mut [f32],
    /// What sums start from.
    pub start: Start<'a>,
}

/// `y (m, n) = start + x (m, k) W^T` with W (n, k).
///
/// A row of `y` has the same bits whatever other rows there are. With [`Precision::Bf16`] the order of a sum is 1, 0, 3, 2, ... of
/// the depth, and numbers below 1.2e-38 may count as 0 ([`bf16`]).
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
    forward_all(precision, m, x, &mut [Output { w, y, start }], scratch);
}

/// [`forward`] of several weights with the same `x` and depth, which is packed only once.
///
/// # Panics
/// As [`forward`].
pub fn forward_all<W: Matrix + ?Sized>(
    precision: Precision,
    m: usize,
    x: &[f32],
    outputs: &mut [Output<'_, W>],
    scratch: &mut Scratch,
) {
    let Some(k) = outputs.first().map(|output| output.w.cols()) else { return };
    let x = left(m, k, x);
    let products = outputs.iter_mut().map(|output| {
        let (n, depth) = (output.w.rows(), output.w.cols());
        assert!(depth == k, "weights of one left side have depths {k} and {depth}");
        product(m, n, output.w, true, output.y, output.start)
    });
    run(precision, x, products.collect(), scratch);
}

/// `dx (m, k) = start + dy (m, n) W` with W (n, k). As [`forward`].
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
    let product = product(m, w.cols(), w, false, dx, start);
    run(precision, left(m, w.rows(), dy), vec![product], scratch);
}

/// `dw (n, k) = start + dy^T x` with dy (m, n) and x (m, k): the gradient of a dense weight. Every element is one chain in the order
/// of the rows.
///
/// # Panics
/// When a slice does not have its shape.
pub fn weight_gradient(
    precision: Precision,
    (m, n, k): (usize, usize, usize),
    dy: &[f32],
    x: &[f32],
    dw: &mut [f32],
    start: Start<'_>,
    scratch: &mut Scratch,
) {
    assert!(x.len() == m * k, "the right side has {} numbers, not ({m}, {k})", x.len());
    let right = Dense { data: x, rows: m, cols: k };
    let product = product(n, k, &right, false, dw, start);
    let left = Left { transposed: true, ..left(n, m, dy) };
    run(precision, left, vec![product], scratch);
}

fn run<W: Matrix + ?Sized>(
    precision: Precision,
    x: Left<'_>,
    products: Vec<Product<'_, W>>,
    scratch: &mut Scratch,
) {
    if x.rows == 0 {
        return;
    }
    let route = scratch.route(precision);
    let is_thin = |product: &Product<'_, W>| precision == Precision::F32 && product.columns <= thin::COLUMNS;
    let products = products.into_iter().filter(|product| product.columns > 0);
    let (narrow, wide): (Vec<_>, Vec<_>) = products.partition(is_thin);
    for product in &narrow {
        thin::run(route, x, product, scratch);
    }
    if !wide.is_empty() {
        product::run(route, x, &wide, scratch);
    }
}

fn left(rows: usize, depth: usize, data: &[f32]) -> Left<'_> {
    assert!(data.len() == rows * depth, "the left side has {} numbers, not ({rows}, {depth})", data.len());
    Left { rows, depth, data, transposed: false }
}

fn product<'a, W: Matrix + ?Sized>(
    m: usize,
    n: usize,
    w: &'a W,
    transposed: bool,
    y: &'a mut [f32],
    start: Start<'a>,
) -> Product<'a, W> {
    assert!(y.len() == m * n, "the result has {} numbers, not ({m}, {n})", y.len());
    match start {
        Start::Columns(values) => assert!(values.len() >= n, "{} column starts for {n}", values.len()),
        Start::Rows(values) => assert!(values.len() >= m, "{} row starts for {m}", values.len()),
        Start::Zero | Start::Sum => {}
    }
    Product { w, transposed, y: Shared::new(y), columns: n, start }
}
