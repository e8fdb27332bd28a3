//! bf16 pairs on registers: two numbers in each of the sixteen 32-bit lanes, multiplied and summed by one instruction.
//!
//! The instruction adds the odd product, then the even one, each by a fused multiply-add with one rounding. So
//! f32 lanes that hold rounded numbers give the same sums in the order 1, 0, 3, 2, ... of the depth. One thing differs: the
//! instruction takes subnormal numbers (below 1.2e-38) as 0.

use super::{Lanes, instruction_set};

/// Lanes whose processor multiplies bf16 pairs.
///
/// # Safety
/// As [`Lanes`]; reached only through [`dispatch_bf16`].
#[allow(clippy::missing_safety_doc, reason = "one safety rule for the whole trait, stated above")]
pub trait Bf16Lanes: Lanes {
    /// 32 numbers in their order as 16 pairs: `low` holds the first sixteen. Rounded as by [`round`].
    unsafe fn pairs(low: Self::V, high: Self::V) -> Self::V;
    /// Lane `i` is the pair (`even[i]`, `odd[i]`). Rounded as by [`round`].
    unsafe fn zip(even: Self::V, odd: Self::V) -> Self::V;
    /// `fma(a.even, b.even, fma(a.odd, b.odd, sums))` in each lane.
    unsafe fn dot(a: Self::V, b: Self::V, sums: Self::V) -> Self::V;
    /// As [`Lanes::apart`].
    unsafe fn apart_bf16<K: Bf16Kernel>(kernel: K) -> K::Out;
}

/// A kernel over bf16 pairs.
pub trait Bf16Kernel {
    /// What it gives back.
    type Out;
    /// Run on lanes `L`. Must be `#[inline(always)]`, as [`super::Kernel::run`].
    ///
    /// # Safety
    /// The processor has what `L` needs.
    unsafe fn run<L: Bf16Lanes>(self) -> Self::Out;
}

/// Whether kernels may use bf16 pairs: the processor has AVX-512 BF16, and `BENCH_SIMD` asks for nothing narrower.
#[must_use]
pub fn has_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        instruction_set() == super::InstructionSet::Avx512
            && is_x86_feature_detected!("avx512bf16")
            && is_x86_feature_detected!("avx512bw")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = instruction_set();
        false
    }
}

/// Run a kernel over bf16 pairs, or give it back where [`has_bf16`] says no.
///
/// # Errors
/// The kernel, not run.
#[inline]
pub fn dispatch_bf16<K: Bf16Kernel>(kernel: K) -> Result<K::Out, K> {
    #[cfg(target_arch = "x86_64")]
    if has_bf16() {
        // SAFETY: the features were found at run time.
        return Ok(unsafe { run_avx512_bf16(kernel) });
    }
    Err(kernel)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512bf16,avx2,fma")]
unsafe fn run_avx512_bf16<K: Bf16Kernel>(kernel: K) -> K::Out {
    unsafe { kernel.run::<super::avx512::Avx512>() }
}

/// The nearest bf16, ties to even, as f32. Subnormal numbers become 0 of their sign, as the instruction takes them.
#[inline(always)]
#[must_use]
pub fn round(x: f32) -> f32 {
    let bits = x.to_bits();
    f32::from_bits(if bits & 0x7f80_0000 == 0 {
        bits & 0x8000_0000
    } else if bits & 0x7fff_ffff > 0x7f80_0000 {
        (bits | 0x0040_0000) & 0xffff_0000
    } else {
        (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff_0000
    })
}
