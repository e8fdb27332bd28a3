//! 8-bit integers with a scale for each block of 64 of the flattened matrix: `x = code * scale`.
//!
//! LLM.int8 (Dettmers et al. 2022) has one scale for a row and keeps the columns of outlying activations apart. Blocks
//! cost 6 % more memory, but an outlying weight spoils 64 weights and not 4,096, and nothing has to be kept apart, because
//! products are computed in floating point.

use super::elements::{BLOCK, Elements, NotFinite, walk};
use super::scales::inverse;
use crate::nn::parallel::Shared;
use crate::nn::simd::{Kernel, Lanes, dispatch};

/// The largest code; -128 is not used, so that codes are symmetric.
const LARGEST: f32 = 127.0;

/// A matrix of 8-bit codes.
#[derive(Debug, Clone)]
pub struct Int8 {
    pub(super) rows: usize,
    pub(super) cols: usize,
    codes: Vec<i8>,
    scales: Vec<f32>,
}

impl Int8 {
    /// Quantize a matrix (rows, cols). A block with an element that is not finite reads as NaN; the first such element is
    /// given beside.
    pub(super) fn quantize<E: Elements + ?Sized>(
        rows: usize,
        cols: usize,
        elements: &E,
    ) -> (Self, Option<NotFinite>) {
        let len = rows * cols;
        let mut codes = vec![0; len];
        let mut scales = vec![0.0; len.div_ceil(BLOCK)];
        let (to_codes, to_scales) = (Shared::new(&mut codes), Shared::new(&mut scales));
        let bad = walk(elements, len, |from, piece| {
            // SAFETY: pieces are disjoint and begin at whole blocks.
            let (codes, scales) = unsafe {
                let codes = to_codes.part(from, piece.len());
                (codes, to_scales.part(from / BLOCK, piece.len().div_ceil(BLOCK)))
            };
            dispatch(Encode { piece, codes, scales });
        });
        (Self { rows, cols, codes, scales }, bad)
    }

    /// The codes, row after row.
    #[must_use]
    pub fn codes(&self) -> &[i8] {
        &self.codes
    }

    /// The scales of the blocks: their largest magnitudes over 127.
    #[must_use]
    pub fn scales(&self) -> &[f32] {
        &self.scales
    }

    /// Bytes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.codes.len() + 4 * self.scales.len()
    }

    /// See [`super::Frozen::read`], which has checked the sizes.
    pub(super) fn read(
        &self,
        row0: usize,
        rows: usize,
        col0: usize,
        cols: usize,
        out: &mut [f32],
        stride: usize,
    ) {
        dispatch(Decode { matrix: self, row0, rows, col0, cols, out, stride });
    }
}

struct Encode<'a> {
    piece: &'a [f32],
    codes: &'a mut [i8],
    scales: &'a mut [f32],
}

impl Kernel for Encode<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        for ((block, codes), scale) in
            self.piece.chunks(BLOCK).zip(self.codes.chunks_mut(BLOCK)).zip(self.scales.iter_mut())
        {
            let (mut largest, mut spoiled) = (0f32, false);
            for x in block {
                largest = if x.abs() > largest { x.abs() } else { largest };
                spoiled |= !x.is_finite();
            }
            *scale = if spoiled { f32::NAN } else { largest / LARGEST };
            let by = inverse(*scale);
            for (code, x) in codes.iter_mut().zip(block) {
                *code = (x * by).round_ties_even() as i8;
            }
        }
    }
}

struct Decode<'a> {
    matrix: &'a Int8,
    row0: usize,
    rows: usize,
    col0: usize,
    cols: usize,
    out: &'a mut [f32],
    stride: usize,
}

impl Kernel for Decode<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Decode { matrix, row0, rows, col0, cols, out, stride } = self;
        for i in 0..rows {
            let from = (row0 + i) * matrix.cols + col0;
            let (end, out) = (from + cols, &mut out[i * stride..][..cols]);
            let mut at = from;
            while at < end {
                let stop = end.min((at / BLOCK + 1) * BLOCK);
                let scale = matrix.scales[at / BLOCK];
                let (codes, out) = (&matrix.codes[at..stop], &mut out[at - from..stop - from]);
                for (out, code) in out.iter_mut().zip(codes) {
                    *out = f32::from(*code) * scale;
                }
                at = stop;
            }
        }
    }
}
