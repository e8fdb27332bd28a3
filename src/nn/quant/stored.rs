//! Elements kept as numbers of one type.

use half::bf16;

use super::elements::{Elements, NotFinite, walk};
use crate::nn::parallel::Shared;
use crate::nn::simd::{Kernel, Lanes, dispatch};

/// A row-major matrix of `T`.
#[derive(Debug, Clone)]
pub struct Stored<T> {
    pub(super) data: Vec<T>,
    pub(super) rows: usize,
    pub(super) cols: usize,
}

impl<T> Stored<T> {
    /// A matrix (rows, cols) of the elements `data`, row after row.
    ///
    /// # Panics
    /// If `data` does not have `rows * cols` elements (a programming error of this crate).
    #[must_use]
    pub fn new(rows: usize, cols: usize, data: Vec<T>) -> Self {
        assert_eq!(data.len(), rows * cols, "elements of a matrix ({rows}, {cols})");
        Self { data, rows, cols }
    }

    /// The elements, row after row.
    #[must_use]
    pub fn data(&self) -> &[T] {
        &self.data
    }

    /// The elements, row after row.
    #[must_use]
    pub fn into_data(self) -> Vec<T> {
        self.data
    }
}

impl<T: Copy + Default + Send + Sync> Stored<T> {
    /// A matrix of `elements` as `narrow` writes them, piece by piece, and the first of them that is not finite.
    fn convert<E: Elements + ?Sized>(
        rows: usize,
        cols: usize,
        elements: &E,
        narrow: impl Fn(&[f32], &mut [T]) + Send + Sync,
    ) -> (Self, Option<NotFinite>) {
        let mut data = vec![T::default(); rows * cols];
        let to = Shared::new(&mut data);
        let bad = walk(elements, rows * cols, |from, piece| {
            // SAFETY: pieces are disjoint.
            narrow(piece, unsafe { to.part(from, piece.len()) });
        });
        (Self { data, rows, cols }, bad)
    }
}

impl Stored<f32> {
    pub(super) fn gather<E: Elements + ?Sized>(
        rows: usize,
        cols: usize,
        elements: &E,
    ) -> (Self, Option<NotFinite>) {
        Self::convert(rows, cols, elements, |piece, out| out.copy_from_slice(piece))
    }

    pub(super) fn read(
        &self,
        row0: usize,
        rows: usize,
        col0: usize,
        cols: usize,
        out: &mut [f32],
        stride: usize,
    ) {
        for i in 0..rows {
            let from = (row0 + i) * self.cols + col0;
            out[i * stride..][..cols].copy_from_slice(&self.data[from..][..cols]);
        }
    }
}

impl Stored<bf16> {
    /// Round to the nearest bf16, ties to even.
    pub(super) fn gather<E: Elements + ?Sized>(
        rows: usize,
        cols: usize,
        elements: &E,
    ) -> (Self, Option<NotFinite>) {
        Self::convert(rows, cols, elements, |piece, out| dispatch(Narrow { piece, out }))
    }

    pub(super) fn read(
        &self,
        row0: usize,
        rows: usize,
        col0: usize,
        cols: usize,
        out: &mut [f32],
        stride: usize,
    ) {
        dispatch(Widen { matrix: self, row0, rows, col0, cols, out, stride });
    }
}

struct Narrow<'a> {
    piece: &'a [f32],
    out: &'a mut [bf16],
}

impl Kernel for Narrow<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        for (out, x) in self.out.iter_mut().zip(self.piece) {
            let bits = x.to_bits();
            let even = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
            // A NaN must not be rounded up to infinity: its payload is replaced.
            let bits = if x.is_nan() { bits >> 16 | 0x40 } else { even };
            *out = bf16::from_bits(bits as u16);
        }
    }
}

struct Widen<'a> {
    matrix: &'a Stored<bf16>,
    row0: usize,
    rows: usize,
    col0: usize,
    cols: usize,
    out: &'a mut [f32],
    stride: usize,
}

impl Kernel for Widen<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        for i in 0..self.rows {
            let from = (self.row0 + i) * self.matrix.cols + self.col0;
            let row = &self.matrix.data[from..][..self.cols];
            for (out, x) in self.out[i * self.stride..][..self.cols].iter_mut().zip(row) {
                *out = f32::from_bits(u32::from(x.to_bits()) << 16);
            }
        }
    }
}
