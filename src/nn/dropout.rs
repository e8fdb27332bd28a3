//! Dropout whose mask is a function of a key and a position, so backward recomputes it instead of storing it, and any
//! device gives the same mask.

/// The mask of one dropout layer in one training step.
///
/// Position `i` of the layer's output is kept when 16 bits of `mix(key + (i / 4) * golden)` fall below
/// `(1 - rate) * 65536`, where `mix` is the finalizer of SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable
/// pseudorandom number generators"); kept values are scaled by `1 / (1 - rate)`. The rate is thus resolved to 1/65536.
#[derive(Debug, Clone, Copy)]
pub struct Dropout {
    key: u64,
    threshold: u32,
    scale: f32,
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

#[inline(always)]
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Dropout {
    /// The mask of layer `layer` in the step whose key is `step`; `rate` in `[0, 1)`.
    #[must_use]
    pub fn new(step: u64, layer: u64, rate: f64) -> Self {
        let keep = 1.0 - rate;
        let threshold = (keep * 65536.0).round() as u32;
        let scale = if threshold >= 65536 { 1.0 } else { (65536.0 / f64::from(threshold)) as f32 };
        Self { key: mix(step ^ mix(layer.wrapping_mul(GOLDEN))), threshold, scale }
    }

    /// No dropout: every factor is 1.
    #[must_use]
    pub fn off() -> Self {
        Self { key: 0, threshold: 65536, scale: 1.0 }
    }

    /// The same mask from position `positions` on, rounded down to a multiple of 4: that of the later part of a layer's output.
    #[must_use]
    pub const fn behind(self, positions: usize) -> Self {
        Self { key: self.key.wrapping_add((positions as u64 / 4).wrapping_mul(GOLDEN)), ..self }
    }

    /// Key, threshold and scale, for a twin on a device.
    pub(crate) const fn parts(self) -> (u64, u32, f32) {
        (self.key, self.threshold, self.scale)
    }

    /// Whether every factor is 1.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.threshold >= 65536
    }

    /// Multiply `values`, the positions `first..first + values.len()`, by the mask; `first` is a multiple of 16.
    #[inline(always)]
    pub fn apply(&self, first: usize, values: &mut [f32]) {
        if self.is_off() {
            return;
        }
        debug_assert!(first.is_multiple_of(16), "masks are dealt in lines of 16");
        for (line, sixteen) in values.chunks_mut(16).enumerate() {
            let factors = self.factors(first + line * 16);
            for (value, factor) in sixteen.iter_mut().zip(factors) {
                *value *= factor;
            }
        }
    }

    /// The factors (0 or the scale) of the 16 positions from `first`, a multiple of 16.
    #[inline(always)]
    #[must_use]
    pub fn factors(&self, first: usize) -> [f32; 16] {
        let mut factors = [0f32; 16];
        for word in 0..4u64 {
            let bits = mix(self.key.wrapping_add((first as u64 / 4 + word).wrapping_mul(GOLDEN)));
            for part in 0..4 {
                let draw = (bits >> (16 * part)) as u32 & 0xffff;
                factors[(word * 4 + part) as usize] = if draw < self.threshold { self.scale } else { 0.0 };
            }
        }
        factors
    }
}
