//! Random draws that are fast and the same for any number of threads: work is cut into tasks of fixed size, each with a stream
//! named by its number.

use rand::Rng;
use rand_pcg::Pcg64;

use crate::seed::Seed;

/// The draws of one task.
pub(super) struct Draws {
    stream: Pcg64,
    /// The upper half of the last 64 bits, if unused.
    half: Option<u32>,
}

impl Draws {
    pub(super) fn new(seed: Seed, name: &str, task: usize) -> Self {
        Self { stream: seed.stream(&format!("significance/{name}/{task}")), half: None }
    }

    /// 64 fair coins.
    #[inline]
    pub(super) fn coins(&mut self) -> u64 {
        self.stream.next_u64()
    }

    #[inline]
    fn word(&mut self) -> u32 {
        if let Some(half) = self.half.take() {
            return half;
        }
        let both = self.stream.next_u64();
        self.half = Some((both >> 32) as u32);
        both as u32
    }

    /// A whole number below `n`, each equally likely: Lemire, "Fast random integer generation in an interval" (ACM TOMACS, 2019).
    #[inline]
    pub(super) fn below(&mut self, n: u32) -> usize {
        let mut product = u64::from(self.word()) * u64::from(n);
        if (product as u32) < n {
            let refused = n.wrapping_neg() % n;
            while (product as u32) < refused {
                product = u64::from(self.word()) * u64::from(n);
            }
        }
        (product >> 32) as usize
    }

    /// A number in [0, 1) with 53 random bits.
    #[inline]
    pub(super) fn unit(&mut self) -> f64 {
        (self.stream.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }
}
