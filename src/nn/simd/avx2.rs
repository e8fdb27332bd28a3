//! [`Lanes`] as two 256-bit registers.
#![allow(unsafe_op_in_unsafe_fn, reason = "every line is an intrinsic under the trait's one safety rule")]

use super::{Kernel, LANES, Lanes};
use std::arch::x86_64::*;

/// AVX2 with FMA.
#[derive(Clone, Copy)]
pub struct Avx2;

/// Lanes 0..8 and 8..16.
#[derive(Clone, Copy)]
pub struct Pair(__m256, __m256);

macro_rules! both {
    ($op:ident, $a:expr, $b:expr) => {
        Pair($op($a.0, $b.0), $op($a.1, $b.1))
    };
}

/// Bits to lane masks (all ones where set).
#[inline(always)]
unsafe fn mask(bits: i32) -> __m256 {
    let each = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    let hit = _mm256_and_si256(_mm256_set1_epi32(bits), each);
    _mm256_castsi256_ps(_mm256_cmpeq_epi32(hit, each))
}

impl Lanes for Avx2 {
    type V = Pair;
    // 6 x 1 accumulators of two registers each + 2 + 1 of 16 registers.
    const TILE: usize = 1;

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Pair {
        Pair(_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8)))
    }
    #[inline(always)]
    unsafe fn load_first(from: *const f32, n: usize) -> Pair {
        let mut a = [0f32; LANES];
        std::ptr::copy_nonoverlapping(from, a.as_mut_ptr(), n);
        Self::load(a.as_ptr())
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, v: Pair) {
        _mm256_storeu_ps(to, v.0);
        _mm256_storeu_ps(to.add(8), v.1);
    }
    #[inline(always)]
    unsafe fn store_first(to: *mut f32, n: usize, v: Pair) {
        let mut a = [0f32; LANES];
        Self::store(a.as_mut_ptr(), v);
        std::ptr::copy_nonoverlapping(a.as_ptr(), to, n);
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> Pair {
        Pair(_mm256_set1_ps(x), _mm256_set1_ps(x))
    }
    #[inline(always)]
    unsafe fn add(a: Pair, b: Pair) -> Pair {
        both!(_mm256_add_ps, a, b)
    }
    #[inline(always)]
    unsafe fn sub(a: Pair, b: Pair) -> Pair {
        both!(_mm256_sub_ps, a, b)
    }
    #[inline(always)]
    unsafe fn mul(a: Pair, b: Pair) -> Pair {
        both!(_mm256_mul_ps, a, b)
    }
    #[inline(always)]
    unsafe fn div(a: Pair, b: Pair) -> Pair {
        both!(_mm256_div_ps, a, b)
    }
    #[inline(always)]
    unsafe fn sqrt(a: Pair) -> Pair {
        Pair(_mm256_sqrt_ps(a.0), _mm256_sqrt_ps(a.1))
    }
    #[inline(always)]
    unsafe fn max(a: Pair, b: Pair) -> Pair {
        both!(_mm256_max_ps, a, b)
    }
    #[inline(always)]
    unsafe fn min(a: Pair, b: Pair) -> Pair {
        both!(_mm256_min_ps, a, b)
    }
    #[inline(always)]
    unsafe fn fma(a: Pair, b: Pair, c: Pair) -> Pair {
        Pair(_mm256_fmadd_ps(a.0, b.0, c.0), _mm256_fmadd_ps(a.1, b.1, c.1))
    }
    #[inline(always)]
    unsafe fn fnma(a: Pair, b: Pair, c: Pair) -> Pair {
        Pair(_mm256_fnmadd_ps(a.0, b.0, c.0), _mm256_fnmadd_ps(a.1, b.1, c.1))
    }
    #[inline(always)]
    unsafe fn round(a: Pair) -> Pair {
        const MODE: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        Pair(_mm256_round_ps::<MODE>(a.0), _mm256_round_ps::<MODE>(a.1))
    }
    #[inline(always)]
    unsafe fn pow2(n: Pair) -> Pair {
        let bias = _mm256_set1_epi32(127);
        let low = _mm256_add_epi32(_mm256_cvtps_epi32(n.0), bias);
        let high = _mm256_add_epi32(_mm256_cvtps_epi32(n.1), bias);
        Pair(
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(low)),
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(high)),
        )
    }
    #[inline(always)]
    unsafe fn gt_bits(a: Pair, b: Pair) -> u16 {
        let low = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(a.0, b.0)) as u16;
        let high = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(a.1, b.1)) as u16;
        low | high << 8
    }
    #[inline(always)]
    unsafe fn eq_bits(a: Pair, b: Pair) -> u16 {
        let low = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_EQ_OQ>(a.0, b.0)) as u16;
        let high = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_EQ_OQ>(a.1, b.1)) as u16;
        low | high << 8
    }
    #[inline(always)]
    unsafe fn keep(bits: u16, a: Pair) -> Pair {
        let bits = i32::from(bits);
        Pair(_mm256_and_ps(mask(bits & 255), a.0), _mm256_and_ps(mask(bits >> 8), a.1))
    }
    #[inline(always)]
    unsafe fn transpose(rows: [Pair; LANES]) -> [Pair; LANES] {
        // Quarters of 8 x 8; those off the diagonal change places.
        let mut out = rows;
        for i in 0..2 {
            let mut quarters = [[rows[0].0; 8]; 2];
            for j in 0..8 {
                quarters[0][j] = rows[8 * i + j].0;
                quarters[1][j] = rows[8 * i + j].1;
            }
            let (low, high) = (transposed(quarters[0]), transposed(quarters[1]));
            for j in 0..8 {
                if i == 0 {
                    out[j].0 = low[j];
                    out[8 + j].0 = high[j];
                } else {
                    out[j].1 = low[j];
                    out[8 + j].1 = high[j];
                }
            }
        }
        out
    }
    #[inline(always)]
    unsafe fn apart<K: Kernel>(kernel: K) -> K::Out {
        apart(kernel)
    }
    #[inline(always)]
    unsafe fn prefetch(from: *const f32) {
        _mm_prefetch::<_MM_HINT_T0>(from.cast());
    }
}

/// The transpose of 8 rows of 8.
#[inline(always)]
unsafe fn transposed(rows: [__m256; 8]) -> [__m256; 8] {
    // 2 x 2 blocks, then 4 x 4 inside each half of a register, then the halves.
    let mut pairs = rows;
    for i in 0..4 {
        pairs[2 * i] = _mm256_unpacklo_ps(rows[2 * i], rows[2 * i + 1]);
        pairs[2 * i + 1] = _mm256_unpackhi_ps(rows[2 * i], rows[2 * i + 1]);
    }
    let mut fours = rows;
    for i in 0..2 {
        let [a, b, c, d] = [pairs[4 * i], pairs[4 * i + 1], pairs[4 * i + 2], pairs[4 * i + 3]];
        fours[4 * i] = _mm256_shuffle_ps::<0b01_00_01_00>(a, c);
        fours[4 * i + 1] = _mm256_shuffle_ps::<0b11_10_11_10>(a, c);
        fours[4 * i + 2] = _mm256_shuffle_ps::<0b01_00_01_00>(b, d);
        fours[4 * i + 3] = _mm256_shuffle_ps::<0b11_10_11_10>(b, d);
    }
    let mut out = rows;
    for i in 0..4 {
        out[i] = _mm256_permute2f128_ps::<0x20>(fours[i], fours[4 + i]);
        out[4 + i] = _mm256_permute2f128_ps::<0x31>(fours[i], fours[4 + i]);
    }
    out
}

#[inline(never)]
#[target_feature(enable = "avx2,fma")]
unsafe fn apart<K: Kernel>(kernel: K) -> K::Out {
    kernel.run::<Avx2>()
}
