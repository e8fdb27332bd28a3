//! The scales of NF4's blocks: f32, or quantized themselves to 8 bits ("double quantization", Dettmers et al. 2023,
//! section 3, as bitsandbytes does it with `compress_statistics`).

/// Scales that share a scale of their own.
pub const SCALE_BLOCK: usize = 256;

/// One scale for each block.
#[derive(Debug, Clone, PartialEq)]
pub enum Scales {
    /// As they are.
    Plain(Vec<f32>),
    /// In 8 bits.
    Double(DoubleScales),
}

/// Scales in 8 bits: `dynamic_map()[codes[i]] * absmax[i / 256] + offset`, each operation rounded to f32.
#[derive(Debug, Clone, PartialEq)]
pub struct DoubleScales {
    codes: Vec<u8>,
    absmax: Vec<f32>,
    offset: f32,
}

impl DoubleScales {
    /// Scales that are quantized already: indices into [`dynamic_map`], a scale for each 256 of them, and the offset.
    ///
    /// # Panics
    /// If there are more or fewer scales than that (a programming error of this crate).
    #[must_use]
    pub fn new(codes: Vec<u8>, absmax: Vec<f32>, offset: f32) -> Self {
        assert_eq!(absmax.len(), codes.len().div_ceil(SCALE_BLOCK), "scales of {} scales", codes.len());
        Self { codes, absmax, offset }
    }

    /// Quantize scales. The offset is their mean, summed in f64.
    #[must_use]
    pub fn quantize(plain: &[f32]) -> Self {
        let sum: f64 = plain.iter().map(|scale| f64::from(*scale)).sum();
        let offset = (sum / plain.len().max(1) as f64) as f32;
        let mut codes = Vec::with_capacity(plain.len());
        let mut absmax = Vec::with_capacity(plain.len().div_ceil(SCALE_BLOCK));
        for block in plain.chunks(SCALE_BLOCK) {
            let largest = block.iter().fold(0f32, |largest, scale| largest.max((scale - offset).abs()));
            let inverse = inverse(largest);
            codes.extend(block.iter().map(|scale| nearest((scale - offset) * inverse)));
            absmax.push(largest);
        }
        Self { codes, absmax, offset }
    }

    /// Indices into [`dynamic_map`].
    #[must_use]
    pub fn codes(&self) -> &[u8] {
        &self.codes
    }

    /// The largest magnitude of each 256 scales less the offset.
    #[must_use]
    pub fn absmax(&self) -> &[f32] {
        &self.absmax
    }

    /// The mean of all scales.
    #[must_use]
    pub fn offset(&self) -> f32 {
        self.offset
    }
}

impl Scales {
    /// The scale of a block.
    #[must_use]
    pub fn get(&self, block: usize) -> f32 {
        assert!(block < self.len(), "block {block} of {}", self.len());
        // SAFETY: the block is there.
        unsafe {
            match self {
                Self::Plain(scales) => scales.scale(block),
                Self::Double(scales) => scales.scale(block),
            }
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Plain(scales) => scales.len(),
            Self::Double(scales) => scales.codes.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that they take in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Plain(scales) => scales.len() * 4,
            Self::Double(scales) => scales.codes.len() + scales.absmax.len() * 4 + 4,
        }
    }
}

/// The scale of a block, in the loops that unpack.
pub(super) trait BlockScale {
    /// How many blocks there are.
    fn len(&self) -> usize;
    /// The scale of a block.
    ///
    /// # Safety
    /// `block < self.len()`.
    unsafe fn scale(&self, block: usize) -> f32;
}

impl BlockScale for [f32] {
    #[inline(always)]
    fn len(&self) -> usize {
        self.len()
    }
    #[inline(always)]
    unsafe fn scale(&self, block: usize) -> f32 {
        unsafe { *self.get_unchecked(block) }
    }
}

impl BlockScale for DoubleScales {
    #[inline(always)]
    fn len(&self) -> usize {
        self.codes.len()
    }
    #[inline(always)]
    unsafe fn scale(&self, block: usize) -> f32 {
        // SAFETY: `new` and `quantize` make a scale for each 256 codes.
        let (code, absmax) =
            unsafe { (*self.codes.get_unchecked(block), *self.absmax.get_unchecked(block / SCALE_BLOCK)) };
        DYNAMIC_MAP[usize::from(code)] * absmax + self.offset
    }
}

/// `1 / x`, or 0 where that is not finite: a block of zeros (or of numbers below 3e-39) reads as zeros.
#[inline(always)]
pub(super) fn inverse(x: f32) -> f32 {
    let inverse = 1.0 / x;
    if inverse.is_infinite() { 0.0 } else { inverse }
}

/// The 256 numbers of an 8-bit code, ascending: bitsandbytes' signed dynamic map (Dettmers et al. 2022, "8-bit optimizers
/// via block-wise quantization", section 1.3, `create_dynamic_map()`).
///
/// For each of seven powers of ten, from 1e-6 to 1, the middles of `2^i` equal parts of [0.1, 1], with both signs; and 0
/// and 1. Computed in f32 as `torch.linspace` does: from both ends, with fused multiply-adds.
#[must_use]
pub fn dynamic_map() -> &'static [f32; 256] {
    &DYNAMIC_MAP
}

static DYNAMIC_MAP: [f32; 256] = {
    const POWERS: [f32; 7] = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0];
    let mut map = [0.0; 256];
    map[255] = 1.0;
    let mut i = 0;
    // The numbers of a smaller power are all below those of a larger one, so they are found in ascending order.
    let mut at = 1;
    while i < 7 {
        let parts = 1 << i;
        let mut part = 0;
        while part < parts {
            let middle = POWERS[i] * ((edge(part, parts) + edge(part + 1, parts)) / 2.0);
            map[127 + at] = middle;
            map[127 - at] = -middle;
            at += 1;
            part += 1;
        }
        i += 1;
    }
    map
};

/// Edge `at` of `parts` equal parts of [0.1, 1] in f32. The product is exact in f64 and so is the sum, up to a rounding far
/// below half a step of f32; this is a fused multiply-add that a constant may use.
const fn edge(at: usize, parts: usize) -> f32 {
    let step = (1.0f32 - 0.1) / parts as f32;
    if at < parts.div_ceil(2) {
        (0.1f32 as f64 + step as f64 * at as f64) as f32
    } else {
        (1.0 - step as f64 * (parts - at) as f64) as f32
    }
}

/// Half-way between two neighbours of the map.
static MIDDLES: [f32; 255] = {
    let mut middles = [0.0; 255];
    let mut i = 0;
    while i < 255 {
        middles[i] = ((DYNAMIC_MAP[i] as f64 + DYNAMIC_MAP[i + 1] as f64) / 2.0) as f32;
        i += 1;
    }
    middles
};

/// The code whose number is nearest to `x`; of two the lower one. NaN gives the lowest.
fn nearest(x: f32) -> u8 {
    // Eight halvings without a branch.
    let mut code = 0;
    for step in [128, 64, 32, 16, 8, 4, 2, 1] {
        code += if MIDDLES[code + step - 1] < x { step } else { 0 };
    }
    code as u8
}
