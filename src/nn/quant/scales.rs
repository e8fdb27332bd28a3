//! The scales of NF4's blocks: f32, or quantized themselves to 8 bits ("double quantization", Dettmers et al. 2023,
//! section 3, as bitsandbytes does it with `compress_statistics`).

use std::sync::OnceLock;

/// Scales that share a scale of their own.
pub const SCALE_BLOCK: usize = 256;

/// One scale for each block.
#[derive(Debug, Clone, PartialEq)]
pub enum Scales {
    /// As they are.
    Plain(Vec<f32>),
    /// `dynamic_map()[codes[i]] * absmax[i / 256] + offset`, each operation rounded to f32.
    Double {
        /// Indices into [`dynamic_map`].
        codes: Vec<u8>,
        /// The largest magnitude of each 256 scales less the offset.
        absmax: Vec<f32>,
        /// The mean of all scales.
        offset: f32,
    },
}

impl Scales {
    /// Quantize scales. The mean is summed in f64.
    #[must_use]
    pub fn double(plain: &[f32]) -> Self {
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
        Self::Double { codes, absmax, offset }
    }

    /// The scale of a block.
    #[inline(always)]
    #[must_use]
    pub fn get(&self, block: usize) -> f32 {
        match self {
            Self::Plain(scales) => scales[block],
            Self::Double { codes, absmax, offset } => {
                dynamic_map()[usize::from(codes[block])] * absmax[block / SCALE_BLOCK] + offset
            }
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Plain(scales) => scales.len(),
            Self::Double { codes, .. } => codes.len(),
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
            Self::Double { codes, absmax, .. } => codes.len() + absmax.len() * 4 + 4,
        }
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
    static MAP: OnceLock<[f32; 256]> = OnceLock::new();
    MAP.get_or_init(|| {
        let mut map = vec![0.0, 1.0];
        for i in 0..7 {
            let parts = 1usize << i;
            let power = 10f64.powi(i - 6) as f32;
            let step = (1.0f32 - 0.1) / parts as f32;
            let edge = |at: usize| {
                if at < parts.div_ceil(2) {
                    step.mul_add(at as f32, 0.1)
                } else {
                    (-step).mul_add((parts - at) as f32, 1.0)
                }
            };
            for part in 0..parts {
                let middle = power * ((edge(part) + edge(part + 1)) / 2.0);
                map.extend([middle, -middle]);
            }
        }
        map.sort_by(f32::total_cmp);
        map.try_into().expect("2 + 2 * 127 numbers")
    })
}

/// The code whose number is nearest to `x`; of two the lower one. NaN gives the lowest.
fn nearest(x: f32) -> u8 {
    static MIDDLES: OnceLock<[f32; 255]> = OnceLock::new();
    let middles = MIDDLES.get_or_init(|| {
        let map = dynamic_map();
        std::array::from_fn(|i| ((f64::from(map[i]) + f64::from(map[i + 1])) / 2.0) as f32)
    });
    middles.partition_point(|middle| *middle < x) as u8
}
