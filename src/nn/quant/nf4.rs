//! 4-bit normal float (Dettmers et al. 2023, "QLoRA", section 3), with the codes and numbers of bitsandbytes.
//!
//! The flattened matrix is cut into blocks of 64. A block's scale is its largest magnitude, and each element becomes the
//! nearest of 16 numbers, quantiles of the normal distribution in [-1, 1], times that scale.

use super::elements::{BLOCK, Blocks, Elements, NotFinite, largest, quantize};
use super::scales::{BlockScale, DoubleScales, Scales, inverse};
use crate::nn::simd::{Kernel, LANES, Lanes, dispatch};

/// The 16 numbers (appendix E of the paper).
pub static CODE: [f32; 16] = [
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
static MIDDLES: [f32; 15] = {
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
        let (codes, scales, bad) = quantize::<Self, E>(elements, rows * cols);
        let scales =
            if double { Scales::Double(DoubleScales::quantize(&scales)) } else { Scales::Plain(scales) };
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

impl Blocks for Nf4 {
    type Code = u8;
    const CODES: usize = BLOCK / 2;

    #[inline(always)]
    unsafe fn encode<L: Lanes>(block: &[f32; BLOCK], codes: &mut [u8]) -> f32 {
        unsafe {
            let scale = largest::<L>(block);
            let by = L::splat(inverse(scale));
            let (zero, one) = (L::splat(0.0), L::splat(1.0));
            let mut found = [0f32; BLOCK];
            for at in (0..BLOCK).step_by(LANES) {
                let x = L::mul(L::load(block.as_ptr().add(at)), by);
                let mut code = zero;
                for middle in &MIDDLES {
                    code = L::add(code, L::keep(L::gt_bits(x, L::splat(*middle)), one));
                }
                L::store(found.as_mut_ptr().add(at), code);
            }
            for (byte, pair) in codes.iter_mut().zip(found.as_chunks::<2>().0) {
                // Whole numbers up to 255: the conversion is exact and always defined.
                *byte = (pair[0] * 16.0 + pair[1]).to_int_unchecked::<i32>() as u8;
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
        unsafe {
            match &self.matrix.scales {
                Scales::Plain(scales) => self.rows::<L, _>(scales.as_slice()),
                Scales::Double(scales) => self.rows::<L, _>(scales),
            }
        }
    }
}

impl Decode<'_> {
    #[inline(always)]
    unsafe fn rows<L: Lanes, S: BlockScale + ?Sized>(self, scales: &S) {
        let Decode { matrix, row0, rows, col0, cols, out, stride } = self;
        for i in 0..rows {
            let from = (row0 + i) * matrix.cols + col0;
            unsafe { span::<L, S>(&matrix.codes, scales, from, &mut out[i * stride..][..cols]) };
        }
    }
}

/// Elements `from..` of the flattened matrix. Whole groups of 16 go through registers, what is left at the ends through the
/// table.
#[inline(always)]
unsafe fn span<L: Lanes, S: BlockScale + ?Sized>(codes: &[u8], scales: &S, from: usize, out: &mut [f32]) {
    let end = from + out.len();
    assert!(end.div_ceil(2) <= codes.len() && end.div_ceil(BLOCK) <= scales.len());
    let mut at = from;
    while at < end {
        // SAFETY: the assertion above.
        let scale = unsafe { scales.scale(at / BLOCK) };
        let stop = end.min((at / BLOCK + 1) * BLOCK);
        let to = &mut out[at - from..stop - from];
        if to.len() == BLOCK {
            // SAFETY: a whole block begins at an even element and has 32 bytes of codes.
            unsafe {
                L::nibbles(BLOCK / LANES, codes.as_ptr().add(at / 2), CODE.as_ptr(), scale, to.as_mut_ptr())
            };
        } else {
            unsafe { part::<L>(codes, at, scale, to) };
        }
        at = stop;
    }
}

/// A part of one block.
#[inline(always)]
unsafe fn part<L: Lanes>(codes: &[u8], from: usize, scale: f32, out: &mut [f32]) {
    let one = |at: usize| {
        let byte = codes[at / 2];
        CODE[usize::from(if at.is_multiple_of(2) { byte >> 4 } else { byte & 15 })] * scale
    };
    let end = from + out.len();
    let first = end.min(from.next_multiple_of(LANES));
    let groups = (end - first) / LANES;
    for at in from..first {
        out[at - from] = one(at);
    }
    // SAFETY: the groups end before `end`, for which codes and `out` are long enough, and begin at an even element.
    unsafe {
        let to = out.as_mut_ptr().add(first - from);
        L::nibbles(groups, codes.as_ptr().add(first / 2), CODE.as_ptr(), scale, to);
    }
    for at in first + groups * LANES..end {
        out[at - from] = one(at);
    }
}
