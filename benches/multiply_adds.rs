//! What the benchmarks hold products against: fused multiply-adds that touch no memory.

use std::hint::black_box;

use bench::nn::simd::{Kernel, LANES, Lanes};

const ROUNDS: usize = 1_000_000;
const CHAINS: usize = 10;

/// Chains of multiply-adds in registers, about 3 ms on one core.
pub struct MultiplyAdds;

impl MultiplyAdds {
    /// Floating-point operations of a run: two for each lane.
    pub const OPERATIONS: usize = CHAINS * ROUNDS * LANES * 2;
}

impl Kernel for MultiplyAdds {
    type Out = f32;
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) -> f32 {
        unsafe {
            let (a, b) = (L::splat(black_box(0.999)), L::splat(black_box(1e-3)));
            let mut sums = [L::splat(1.0); CHAINS];
            for _ in 0..ROUNDS {
                for sum in &mut sums {
                    *sum = L::fma(*sum, a, b);
                }
            }
            let mut total = 0.0;
            for sum in sums {
                total += L::sum(sum);
            }
            total
        }
    }
}
