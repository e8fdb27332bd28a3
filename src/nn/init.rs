//! Initial weights, drawn on the host from a named stream.

use rand::{Rng, RngExt};
use rand_pcg::Pcg64;

/// A uniform draw from the open interval (0, 1).
pub fn open01(rng: &mut impl Rng) -> f64 {
    // 53 bits, shifted by half a step off zero.
    ((rng.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
}

/// A draw from the normal distribution with mean 0 and deviation `sd`, cut at `+-limit` (by rejection).
pub fn truncated_normal(rng: &mut Pcg64, sd: f64, limit: f64) -> f32 {
    loop {
        // Box and Muller 1958.
        let radius = (-2.0 * open01(rng).ln()).sqrt();
        let draw = sd * radius * (std::f64::consts::TAU * open01(rng)).cos();
        if draw.abs() <= limit {
            return draw as f32;
        }
    }
}

/// A permutation of `0..n` (Fisher and Yates).
pub fn permutation(rng: &mut Pcg64, n: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..n as u32).collect();
    for i in (1..n).rev() {
        order.swap(i, rng.random_range(0..=i as u64) as usize);
    }
    order
}
