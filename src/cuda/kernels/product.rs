//! Products of matrices of any strides (`product.cu`).

use super::{Kernels, arguments};
use crate::cuda::Error;
use crate::cuda::array::{Slice, SliceMut};
use crate::cuda::machine::Shape;

/// A matrix of any strides.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    data: Slice<'a, f32>,
    row: usize,
    column: usize,
}

impl<'a> Matrix<'a> {
    /// Rows are contiguous and `stride` apart.
    #[must_use]
    pub const fn rows(data: Slice<'a, f32>, stride: usize) -> Self {
        Self { data, row: stride, column: 1 }
    }

    /// The transpose of a matrix whose rows are contiguous and `stride` apart.
    #[must_use]
    pub const fn transposed(data: Slice<'a, f32>, stride: usize) -> Self {
        Self { data, row: 1, column: stride }
    }

    fn check(self, (rows, columns): (usize, usize)) {
        if rows > 0 && columns > 0 {
            let last = (rows - 1) * self.row + (columns - 1) * self.column;
            assert!(
                last < self.data.len(),
                "a matrix ({rows}, {columns}) ends behind its {}",
                self.data.len()
            );
        }
    }
}

/// A [`Matrix`] as kernels take it.
#[repr(C)]
#[derive(Clone, Copy)]
struct RawMatrix {
    data: u64,
    row: u64,
    column: u64,
}

impl From<Matrix<'_>> for RawMatrix {
    fn from(matrix: Matrix<'_>) -> Self {
        Self { data: matrix.data.at(), row: matrix.row as u64, column: matrix.column as u64 }
    }
}

/// What the sums of a product start from.
#[derive(Clone, Copy)]
pub enum Start<'a> {
    /// 0.
    Zero,
    /// What C holds.
    Sum,
    /// A value for each column (a layer's bias).
    Columns(Slice<'a, f32>),
    /// A value for each row.
    Rows(Slice<'a, f32>),
}

impl Start<'_> {
    /// As kernels take it, for C (m, n): which it is (`START_` in `common.cuh`), and where its values are, or 0.
    pub(super) fn raw(self, m: usize, n: usize) -> (u32, u64) {
        match self {
            Self::Zero => (0, 0),
            Self::Sum => (1, 0),
            Self::Columns(bias) => {
                assert_eq!(bias.len(), n, "columns");
                (2, bias.at())
            }
            Self::Rows(bias) => {
                assert_eq!(bias.len(), m, "rows");
                (3, bias.at())
            }
        }
    }
}

impl Kernels {
    /// `C = start + A B`, as [`nn::gemm::gemm`](crate::nn::gemm::gemm). `# Shapes: A (m, k), B (k, n), C (m, n)`
    ///
    /// # Errors
    /// As all functions here.
    pub fn product(
        &self,
        (m, n, k): (usize, usize, usize),
        a: Matrix<'_>,
        b: Matrix<'_>,
        c: SliceMut<'_, f32>,
        start: Start<'_>,
    ) -> Result<(), Error> {
        a.check((m, k));
        b.check((k, n));
        assert_eq!(c.len(), m * n, "C");
        let (mode, bias) = start.raw(m, n);
        // Large tiles where they are enough to keep a device busy.
        let wide = m.div_ceil(64) * n.div_ceil(64) >= 64;
        let (kernel, tile) = if wide { ("product_wide", 64) } else { ("product_deep", 16) };
        let shape = Shape::blocks(n.div_ceil(tile), m.div_ceil(tile), 1);
        let (a, b) = (RawMatrix::from(a), RawMatrix::from(b));
        let arguments = arguments![m as u32, n as u32, k as u32, a, b, c.at(), n as u64, mode, bias];
        self.launch(kernel, shape, arguments)
    }
}
