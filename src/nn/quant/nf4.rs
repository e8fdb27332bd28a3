//! 4-bit normal float (Dettmers et al. 2023, "QLoRA", section 3), with the codes and numbers of bitsandbytes.
//!
//! The flattened matrix is cut into blocks of 64. A block's scale is its largest magnitude, and each element becomes the
//! nearest of 16 numbers, quantiles of the normal distribution in [-1, 1], times that scale.

use super::elements::{BLOCK, Elements, NotFinite, walk};
use super::scales::{Scales, inverse};
use crate::nn::parallel::Shared;
use crate::nn::simd::{Kernel, LANES, Lanes, dispatch};

/// The 16 numbers (appendix E of the paper).
pub const CODE: [f32; 16] = [
    -1.0,
    -0.696_192_8,
    -0.525_073_05,
    -0.394_917_5,
    -0.284_441_38,
    -0.184_773_43,
    -0.091_050_036,
    0.0,
    0.079_580_3,
    0.160_930_2,
    0.246_112_3,
    0.337_915_24,
    0.440_709_83,
    0.562_617,
    0.722_956_84,
    1.0,
];

/// Half-way between two neighbours of [`CODE`]: an element above the first `c` of these has a code of at least `c`.
const MIDDLES: [f32; 15] = {
    let mut middles = [0.0; 15];
    let mut i = 0;
    while i < 15 {
        middles[i] = ((CODE[i] as f64 + CODE[i + 1] as f64) / 2.0) as f32;
        i += 1;
    }
    middles
};

/// A matrix of 4-bit codes.
#[derive(Debug, Clone)]
pub struct Nf4 {
    pub(super) rows: usize,
    pub(super) cols: usize,
    codes: Vec<u8>,
    scales: Scales,
}

impl Nf4 {
    /// A matrix (rows, cols) of codes that are there already: two a byte, the first one in the high half, row after row
    /// without a gap, and a scale for each 64.
    ///
    /// # Panics
    /// If there are more or fewer codes or scales than that (a programming error of this crate).
    #[must_use]
    pub fn new(rows: usize, cols: usize, codes: Vec<u8>, scales: Scales) -> Self {
        assert_eq!(codes.len(), (rows * cols).div_ceil(2), "bytes of codes of a matrix ({rows}, {cols})");
        assert_eq!(scales.len(), (rows * cols).div_ceil(BLOCK), "scales of a matrix ({rows}, {cols})");
        if let Scales::Double { codes, absmax, .. } = &scales {
            assert_eq!(absmax.len(), codes.len().div_ceil(super::scales::SCALE_BLOCK), "scales of scales");
        }
        Self { rows, cols, codes, scales }
    }

    /// Quantize a matrix (rows, cols). A block with an element that is not finite reads as NaN; the first such element is
    /// given beside.
    pub(super) fn quantize<E: Elements + ?Sized>(
        rows: usize,
        cols: usize,
        elements: &E,
        double: bool,
    ) -> (Self, Option<NotFinite>) {
        let len = rows * cols;
        let mut codes = vec![0; len.div_ceil(2)];
        let mut scales = vec![0.0; len.div_ceil(BLOCK)];
        let (to_codes, to_scales) = (Shared::new(&mut codes), Shared::new(&mut scales));
        let bad = walk(elements, len, |from, piece| {
            // SAFETY: pieces are disjoint and begin at even elements and whole blocks.
            let (codes, scales) = unsafe {
                let codes = to_codes.part(from / 2, piece.len().div_ceil(2));
                (codes, to_scales.part(from / BLOCK, piece.len().div_ceil(BLOCK)))
            };
            for ((block, codes), scale) in
                piece.chunks(BLOCK).zip(codes.chunks_mut(BLOCK / 2)).zip(scales.iter_mut())
            {
                *scale = dispatch(Encode { block, codes });
            }
        });
        let scales = if double { Scales::double(&scales) } else { Scales::Plain(scales) };
        (Self { rows, cols, codes, scales }, bad)
    }

    /// The codes: two a byte, the first one in the high half, row after row without a gap.
    #[must_use]
    pub fn codes(&self) -> &[u8] {
        &self.codes
    }

    /// The scales of the blocks.
    #[must_use]
    pub fn scales(&self) -> &Scales {
        &self.scales
    }

    /// Bytes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.codes.len() + self.scales.bytes()
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

/// The codes of one block of at most 64 elements; the result is its scale, or NaN if an element is not finite.
struct Encode<'a> {
    block: &'a [f32],
    codes: &'a mut [u8],
}

impl Kernel for Encode<'_> {
    type Out = f32;
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) -> f32 {
        unsafe {
            let mut padded = [0f32; BLOCK];
            let block = if self.block.len() == BLOCK {
                self.block.as_ptr()
            } else {
                padded[..self.block.len()].copy_from_slice(self.block);
                padded.as_ptr()
            };
            let zero = L::splat(0.0);
            let (mut largest, mut spoiled) = (zero, zero);
            for at in (0..BLOCK).step_by(LANES) {
                let x = L::load(block.add(at));
                largest = L::max(largest, L::max(x, L::sub(zero, x)));
                spoiled = L::fma(x, zero, spoiled);
            }
            let mut each = [0f32; LANES];
            L::store(each.as_mut_ptr(), largest);
            let scale = each.iter().fold(0f32, |a, b| if *b > a { *b } else { a });
            if L::eq_bits(spoiled, zero) != u16::MAX {
                self.codes.fill(0);
                return f32::NAN;
            }
            let by = L::splat(inverse(scale));
            let one = L::splat(1.0);
            let mut found = [0f32; BLOCK];
            for at in (0..BLOCK).step_by(LANES) {
                let x = L::mul(L::load(block.add(at)), by);
                let mut code = zero;
                for middle in MIDDLES {
                    code = L::add(code, L::keep(L::gt_bits(x, L::splat(middle)), one));
                }
                L::store(found.as_mut_ptr().add(at), code);
            }
            let mut packed = [0u8; BLOCK / 2];
            for i in 0..BLOCK / 2 {
                // Whole numbers up to 255: the conversion is exact and always defined.
                packed[i] = (found[2 * i] * 16.0 + found[2 * i + 1]).to_int_unchecked::<i32>() as u8;
            }
            if self.codes.len() == BLOCK / 2 {
                self.codes.copy_from_slice(&packed);
            } else {
                self.codes.copy_from_slice(&packed[..self.codes.len()]);
            }
            scale
        }
    }
}

/// A part of the matrix as f32.
struct Decode<'a> {
    matrix: &'a Nf4,
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
            unsafe { span::<L>(matrix, from, &mut out[i * stride..][..cols]) };
        }
    }
}

/// Elements `from..` of the flattened matrix. Whole groups of 16 go through registers, what is left at the ends through the
/// table.
#[inline(always)]
unsafe fn span<L: Lanes>(matrix: &Nf4, from: usize, out: &mut [f32]) {
    let end = from + out.len();
    assert!(end.div_ceil(2) <= matrix.codes.len());
    let one = |at: usize, scale: f32| {
        let byte = matrix.codes[at / 2];
        CODE[usize::from(if at % 2 == 0 { byte >> 4 } else { byte & 15 })] * scale
    };
    let mut at = from;
    while at < end {
        let scale = matrix.scales.get(at / BLOCK);
        let stop = end.min((at / BLOCK + 1) * BLOCK);
        let first = stop.min(at.next_multiple_of(LANES));
        for at in at..first {
            out[at - from] = one(at, scale);
        }
        let groups = (stop - first) / LANES;
        // SAFETY: the groups end before `stop`, for which codes and `out` are long enough, and begin at an even element.
        unsafe {
            let codes = matrix.codes.as_ptr().add(first / 2);
            let out = out.as_mut_ptr().add(first - from);
            if groups == BLOCK / LANES {
                L::nibbles(BLOCK / LANES, codes, CODE.as_ptr(), scale, out);
            } else {
                L::nibbles(groups, codes, CODE.as_ptr(), scale, out);
            }
        }
        for at in first + groups * LANES..stop {
            out[at - from] = one(at, scale);
        }
        at = stop;
    }
}
