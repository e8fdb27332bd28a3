//! 8-bit integers with a scale for each block of 64 of the flattened matrix: `x = code * scale`.
//!
//! LLM.int8 (Dettmers et al. 2022) has one scale for a row and keeps the columns of outlying activations apart. Blocks
//! cost 6 % more memory, but an outlying weight spoils 64 weights and not 4,096, and nothing has to be kept apart, because
//! products are computed in floating point.

use super::elements::{BLOCK, Blocks, Elements, NotFinite, largest, quantize};
use super::scales::inverse;
use crate::nn::simd::{Kernel, LANES, Lanes, dispatch};

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
        let (codes, scales, bad) = quantize::<Self, E>(elements, rows * cols);
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

impl Blocks for Int8 {
    type Code = i8;
    const CODES: usize = BLOCK;

    #[inline(always)]
    unsafe fn encode<L: Lanes>(block: &[f32; BLOCK], codes: &mut [i8]) -> f32 {
        unsafe {
            let scale = largest::<L>(block) / LARGEST;
            let by = L::splat(inverse(scale));
            let mut found = [0f32; BLOCK];
            for at in (0..BLOCK).step_by(LANES) {
                let code = L::round(L::mul(L::load(block.as_ptr().add(at)), by));
                // The first operand of a comparison with NaN loses, so every code is a number between the limits.
                let code = L::max(L::min(code, L::splat(LARGEST)), L::splat(-LARGEST));
                L::store(found.as_mut_ptr().add(at), code);
            }
            for (code, found) in codes.iter_mut().zip(&found) {
                *code = found.to_int_unchecked::<i32>() as i8;
            }
            scale
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
