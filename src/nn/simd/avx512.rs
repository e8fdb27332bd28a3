//! [`Lanes`] as one 512-bit register.
#![allow(unsafe_op_in_unsafe_fn, reason = "every line is an intrinsic under the trait's one safety rule")]

use super::bf16::{Bf16Kernel, Bf16Lanes};
use super::{Kernel, LANES, Lanes};
use std::arch::x86_64::*;

/// AVX-512 F + DQ.
#[derive(Clone, Copy)]
pub struct Avx512;

#[inline(always)]
fn first(n: usize) -> __mmask16 {
    ((1u32 << n) - 1) as __mmask16
}

impl Lanes for Avx512 {
    type V = __m512;
    // 6 x 4 accumulators + 4 of the right-hand matrix + 1 broadcast of 32 registers.
    const TILE: usize = 4;

    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m512 {
        _mm512_loadu_ps(from)
    }
    #[inline(always)]
    unsafe fn load_first(from: *const f32, n: usize) -> __m512 {
        _mm512_maskz_loadu_ps(first(n), from)
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, v: __m512) {
        _mm512_storeu_ps(to, v);
    }
    #[inline(always)]
    unsafe fn store_first(to: *mut f32, n: usize, v: __m512) {
        _mm512_mask_storeu_ps(to, first(n), v);
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> __m512 {
        _mm512_set1_ps(x)
    }
    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        _mm512_add_ps(a, b)
    }
    #[inline(always)]
    unsafe fn sub(a: __m512, b: __m512) -> __m512 {
        _mm512_sub_ps(a, b)
    }
    #[inline(always)]
    unsafe fn mul(a: __m512, b: __m512) -> __m512 {
        _mm512_mul_ps(a, b)
    }
    #[inline(always)]
    unsafe fn div(a: __m512, b: __m512) -> __m512 {
        _mm512_div_ps(a, b)
    }
    #[inline(always)]
    unsafe fn sqrt(a: __m512) -> __m512 {
        _mm512_sqrt_ps(a)
    }
    #[inline(always)]
    unsafe fn max(a: __m512, b: __m512) -> __m512 {
        _mm512_max_ps(a, b)
    }
    #[inline(always)]
    unsafe fn min(a: __m512, b: __m512) -> __m512 {
        _mm512_min_ps(a, b)
    }
    #[inline(always)]
    unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
        _mm512_fmadd_ps(a, b, c)
    }
    #[inline(always)]
    unsafe fn fnma(a: __m512, b: __m512, c: __m512) -> __m512 {
        _mm512_fnmadd_ps(a, b, c)
    }
    #[inline(always)]
    unsafe fn round(a: __m512) -> __m512 {
        _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a)
    }
    #[inline(always)]
    unsafe fn pow2(n: __m512) -> __m512 {
        let exponent = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
        _mm512_castsi512_ps(_mm512_slli_epi32::<23>(exponent))
    }
    #[inline(always)]
    unsafe fn gt_bits(a: __m512, b: __m512) -> u16 {
        _mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b)
    }
    #[inline(always)]
    unsafe fn eq_bits(a: __m512, b: __m512) -> u16 {
        _mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a, b)
    }
    #[inline(always)]
    unsafe fn keep(bits: u16, a: __m512) -> __m512 {
        _mm512_maskz_mov_ps(bits, a)
    }
    #[inline(always)]
    unsafe fn apart<K: Kernel>(kernel: K) -> K::Out {
        apart(kernel)
    }
    #[inline(always)]
    unsafe fn prefetch(from: *const f32) {
        _mm_prefetch::<_MM_HINT_T0>(from.cast());
    }
    #[inline(always)]
    unsafe fn transpose(rows: [__m512; LANES]) -> [__m512; LANES] {
        // 2 x 2 blocks, then 4 x 4 inside each quarter of a register, then the quarters.
        let mut pairs = rows;
        for i in 0..LANES / 2 {
            pairs[2 * i] = _mm512_unpacklo_ps(rows[2 * i], rows[2 * i + 1]);
            pairs[2 * i + 1] = _mm512_unpackhi_ps(rows[2 * i], rows[2 * i + 1]);
        }
        let mut fours = rows;
        for i in 0..LANES / 4 {
            let [a, b, c, d] = [pairs[4 * i], pairs[4 * i + 1], pairs[4 * i + 2], pairs[4 * i + 3]];
            let (a, b, c, d) =
                (_mm512_castps_pd(a), _mm512_castps_pd(b), _mm512_castps_pd(c), _mm512_castps_pd(d));
            fours[4 * i] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
            fours[4 * i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
            fours[4 * i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
            fours[4 * i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
        }
        let mut out = rows;
        for i in 0..4 {
            let low = _mm512_shuffle_f32x4::<0b10_00_10_00>(fours[i], fours[4 + i]);
            let high = _mm512_shuffle_f32x4::<0b11_01_11_01>(fours[i], fours[4 + i]);
            let low2 = _mm512_shuffle_f32x4::<0b10_00_10_00>(fours[8 + i], fours[12 + i]);
            let high2 = _mm512_shuffle_f32x4::<0b11_01_11_01>(fours[8 + i], fours[12 + i]);
            out[i] = _mm512_shuffle_f32x4::<0b10_00_10_00>(low, low2);
            out[4 + i] = _mm512_shuffle_f32x4::<0b10_00_10_00>(high, high2);
            out[8 + i] = _mm512_shuffle_f32x4::<0b11_01_11_01>(low, low2);
            out[12 + i] = _mm512_shuffle_f32x4::<0b11_01_11_01>(high, high2);
        }
        out
    }
}

impl Bf16Lanes for Avx512 {
    #[inline(always)]
    unsafe fn pairs(low: __m512, high: __m512) -> __m512 {
        std::mem::transmute::<__m512bh, __m512>(_mm512_cvtne2ps_pbh(high, low))
    }
    #[inline(always)]
    unsafe fn zip(even: __m512, odd: __m512) -> __m512 {
        let even = std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(even));
        let odd = std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(odd));
        let odd = _mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(odd));
        _mm512_castsi512_ps(_mm512_or_si512(_mm512_cvtepu16_epi32(even), odd))
    }
    #[inline(always)]
    unsafe fn dot(a: __m512, b: __m512, sums: __m512) -> __m512 {
        let (a, b) = (std::mem::transmute::<__m512, __m512bh>(a), std::mem::transmute::<__m512, __m512bh>(b));
        _mm512_dpbf16_ps(sums, a, b)
    }
    #[inline(always)]
    unsafe fn apart_bf16<K: Bf16Kernel>(kernel: K) -> K::Out {
        apart_bf16(kernel)
    }
}

#[inline(never)]
#[target_feature(enable = "avx512f,avx512dq,avx2,fma")]
unsafe fn apart<K: Kernel>(kernel: K) -> K::Out {
    kernel.run::<Avx512>()
}

#[inline(never)]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512bf16,avx2,fma")]
unsafe fn apart_bf16<K: Bf16Kernel>(kernel: K) -> K::Out {
    kernel.run::<Avx512>()
}
