//! Unpacking of 4-bit codes, which the three instruction sets do in their own ways and to the same bits.

use super::LANES;
use super::portable::Portable;

/// Looks 4-bit codes up in a table of 16 numbers.
///
/// # Safety
/// As [`super::Lanes`].
pub trait Codes: Copy {
    /// `to[i] = table[code i] * scale` for `16 * groups` codes, two a byte, the first one in the high half.
    ///
    /// # Safety
    /// As [`super::Lanes`]; `from` is valid for `8 * groups` bytes, `table` for 16 f32, `to` for `16 * groups` f32.
    unsafe fn nibbles(groups: usize, from: *const u8, table: *const f32, scale: f32, to: *mut f32);
}

impl Codes for Portable {
    #[inline(always)]
    unsafe fn nibbles(groups: usize, from: *const u8, table: *const f32, scale: f32, to: *mut f32) {
        for i in 0..groups * (LANES / 2) {
            unsafe {
                let byte = *from.add(i);
                *to.add(2 * i) = *table.add(usize::from(byte >> 4)) * scale;
                *to.add(2 * i + 1) = *table.add(usize::from(byte & 15)) * scale;
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    #![allow(unsafe_op_in_unsafe_fn, reason = "every line is an intrinsic under the trait's one safety rule")]

    use super::super::avx2::Avx2;
    use super::super::avx512::Avx512;
    use super::{Codes, LANES};
    use std::arch::x86_64::*;

    impl Codes for Avx512 {
        #[inline(always)]
        unsafe fn nibbles(groups: usize, from: *const u8, table: *const f32, scale: f32, to: *mut f32) {
            let table = _mm512_loadu_ps(table);
            let scale = _mm512_set1_ps(scale);
            for group in 0..groups {
                // Each byte in a lane of 64 bits: its high half to lane 2i, itself to lane 2i + 1. The look-up reads only
                // the lowest four bits of a lane.
                let bytes = _mm512_cvtepu8_epi64(_mm_loadl_epi64(from.add(group * (LANES / 2)).cast()));
                let codes = _mm512_or_si512(_mm512_srli_epi64::<4>(bytes), _mm512_slli_epi64::<32>(bytes));
                let values = _mm512_mul_ps(_mm512_permutexvar_ps(codes, table), scale);
                _mm512_storeu_ps(to.add(group * LANES), values);
            }
        }
    }

    impl Codes for Avx2 {
        #[inline(always)]
        unsafe fn nibbles(groups: usize, from: *const u8, table: *const f32, scale: f32, to: *mut f32) {
            let (low, high) = (_mm256_loadu_ps(table), _mm256_loadu_ps(table.add(8)));
            let scale = _mm256_set1_ps(scale);
            for half in 0..2 * groups {
                let four = from.add(half * (LANES / 4)).cast::<i32>().read_unaligned();
                let bytes = _mm256_cvtepu8_epi64(_mm_cvtsi32_si128(four));
                let codes = _mm256_or_si256(_mm256_srli_epi64::<4>(bytes), _mm256_slli_epi64::<32>(bytes));
                // The look-up reads the lowest three bits of a lane; the fourth chooses the table.
                let upper = _mm256_castsi256_ps(_mm256_slli_epi32::<28>(codes));
                let values = _mm256_blendv_ps(
                    _mm256_permutevar8x32_ps(low, codes),
                    _mm256_permutevar8x32_ps(high, codes),
                    upper,
                );
                _mm256_storeu_ps(to.add(half * (LANES / 2)), _mm256_mul_ps(values, scale));
            }
        }
    }
}
