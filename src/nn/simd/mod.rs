//! Sixteen f32 lanes on whatever the processor has.
//!
//! Every kernel of this crate is written once over [`Lanes`], a virtual register of 16 f32, and compiled
//! three times: AVX-512 (one register), AVX2 + FMA (two) and portable Rust (an array). Each operation is an
//! IEEE operation on the same 16 lanes in the same order, so the three give the same bits: results do not
//! depend on the instruction set, only the speed does.

use std::sync::OnceLock;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub mod bf16;
pub mod codes;
mod portable;

/// Lanes in a virtual register.
pub const LANES: usize = 16;

/// Sixteen f32 lanes and the operations the kernels need.
///
/// # Safety
/// Implementations may execute instructions that the processor lacks: code reaches them only through
/// [`dispatch`], which checks first. Pointers must be valid for the lanes that are touched.
#[allow(
    clippy::missing_safety_doc,
    missing_docs,
    reason = "one safety rule for the whole trait, stated above; the names say what they do"
)]
pub trait Lanes: Copy + codes::Codes {
    /// The register.
    type V: Copy;
    /// How many virtual registers wide a matrix tile is (see [`super::gemm`]): bounded by the register file.
    const TILE: usize;

    unsafe fn load(from: *const f32) -> Self::V;
    /// The first `n <= 16` lanes; the others are 0.
    unsafe fn load_first(from: *const f32, n: usize) -> Self::V;
    unsafe fn store(to: *mut f32, v: Self::V);
    /// The first `n <= 16` lanes only.
    unsafe fn store_first(to: *mut f32, n: usize, v: Self::V);
    unsafe fn splat(x: f32) -> Self::V;
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sqrt(a: Self::V) -> Self::V;
    /// `a > b ? a : b` in each lane.
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    /// `a < b ? a : b` in each lane.
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`, rounded once.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `c - a * b`, rounded once.
    unsafe fn fnma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// To the nearest integer, ties to even.
    unsafe fn round(a: Self::V) -> Self::V;
    /// `2^n` for integer-valued lanes in `[-126, 127]`.
    unsafe fn pow2(n: Self::V) -> Self::V;
    /// Bit `i` is set where lane `i` of `a` is greater than that of `b`.
    unsafe fn gt_bits(a: Self::V, b: Self::V) -> u16;
    /// Bit `i` is set where the lanes are equal.
    unsafe fn eq_bits(a: Self::V, b: Self::V) -> u16;
    /// Lane `i` of `a` where bit `i` is set, else 0.
    unsafe fn keep(bits: u16, a: Self::V) -> Self::V;

    /// The sum of all lanes, always as the same tree: 8 + 8, 4 + 4, 2 + 2, 1 + 1.
    #[inline(always)]
    unsafe fn sum(v: Self::V) -> f32 {
        let mut a = [0f32; LANES];
        unsafe { Self::store(a.as_mut_ptr(), v) };
        let mut width = LANES / 2;
        while width > 0 {
            for i in 0..width {
                a[i] += a[i + width];
            }
            width /= 2;
        }
        a[0]
    }

    /// Lane `j` of register `i` goes to lane `i` of register `j`.
    #[inline(always)]
    unsafe fn transpose(rows: [Self::V; LANES]) -> [Self::V; LANES] {
        let mut from = [[0f32; LANES]; LANES];
        let mut to = [[0f32; LANES]; LANES];
        let mut out = rows;
        for i in 0..LANES {
            unsafe { Self::store(from[i].as_mut_ptr(), rows[i]) };
        }
        for i in 0..LANES {
            for j in 0..LANES {
                to[j][i] = from[i][j];
            }
        }
        for i in 0..LANES {
            out[i] = unsafe { Self::load(to[i].as_ptr()) };
        }
        out
    }

    /// Each lane rounded by [`bf16::round`].
    #[inline(always)]
    unsafe fn round_bf16(v: Self::V) -> Self::V {
        let mut a = [0f32; LANES];
        unsafe {
            Self::store(a.as_mut_ptr(), v);
            for x in &mut a {
                *x = bf16::round(*x);
            }
            Self::load(a.as_ptr())
        }
    }

    /// Run a kernel as a function of its own, which is never inlined: large kernels that are alternatives of each other keep
    /// their sums in registers only if the compiler cannot merge them.
    unsafe fn apart<K: Kernel>(kernel: K) -> K::Out;

    /// Ask for the cache line of `from` early. Any address is allowed.
    #[inline(always)]
    unsafe fn prefetch(_from: *const f32) {}
}

/// `vectors!(d, at, n => body)`: run `body` for each virtual register of a row of `d`: `n` lanes from element `at`.
///
/// A macro and not a function that takes a closure: closures do not inherit the instruction set of the function around them,
/// so the intrinsics inside would become calls.
macro_rules! vectors {
    ($d:expr, $at:ident, $n:ident => $body:expr) => {{
        let d = $d;
        let mut $at = 0;
        while $at + $crate::nn::simd::LANES <= d {
            let $n = $crate::nn::simd::LANES;
            $body;
            $at += $crate::nn::simd::LANES;
        }
        if $at < d {
            let $n = d - $at;
            $body;
        }
    }};
}
pub(crate) use vectors;

/// Bits of the first `n` lanes.
#[inline(always)]
#[must_use]
pub fn lanes(n: usize) -> u16 {
    ((1u32 << n) - 1) as u16
}

/// A kernel: code generic over the lanes.
pub trait Kernel {
    /// What it gives back.
    type Out;
    /// Run on lanes `L`. Must be `#[inline(always)]` so that it is compiled with the features of its caller.
    ///
    /// # Safety
    /// The processor has what `L` needs.
    unsafe fn run<L: Lanes>(self) -> Self::Out;
}

/// The instruction sets that a kernel may be compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum InstructionSet {
    /// Arrays of f32 and `f32::mul_add`, for any processor.
    Portable,
    /// 256-bit AVX2 with FMA.
    Avx2,
    /// 512-bit AVX-512 F + DQ.
    Avx512,
}

impl std::fmt::Display for InstructionSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2+fma",
            Self::Avx512 => "avx512f+dq",
        })
    }
}

/// The instruction set that kernels run on: the widest of this processor, or the narrower one that `BENCH_SIMD` asks for. A word
/// that [`requested`] refuses counts as no wish.
#[must_use]
pub fn instruction_set() -> InstructionSet {
    static CHOSEN: OnceLock<InstructionSet> = OnceLock::new();
    *CHOSEN.get_or_init(|| requested().unwrap_or(InstructionSet::Avx512).min(widest()))
}

/// What `BENCH_SIMD` asks for; without it, the widest set.
///
/// # Errors
/// A message, if its word is none of the three.
pub fn requested() -> Result<InstructionSet, String> {
    let Some(word) = std::env::var_os("BENCH_SIMD") else { return Ok(InstructionSet::Avx512) };
    match word.to_str() {
        Some("portable") => Ok(InstructionSet::Portable),
        Some("avx2") => Ok(InstructionSet::Avx2),
        Some("avx512") => Ok(InstructionSet::Avx512),
        _ => Err(format!("BENCH_SIMD is {word:?}; expected \"portable\", \"avx2\" or \"avx512\"")),
    }
}

fn widest() -> InstructionSet {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq") {
            return InstructionSet::Avx512;
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return InstructionSet::Avx2;
        }
    }
    InstructionSet::Portable
}

/// Run a kernel on the chosen instruction set.
#[inline]
pub fn dispatch<K: Kernel>(kernel: K) -> K::Out {
    dispatch_on(instruction_set(), kernel)
}

/// Run a kernel on a given instruction set (for parity tests), or the widest below it that there is.
#[inline]
pub fn dispatch_on<K: Kernel>(set: InstructionSet, kernel: K) -> K::Out {
    match set.min(widest_cached()) {
        // SAFETY: `widest` found the features at run time.
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx512 => unsafe { run_avx512(kernel) },
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2 => unsafe { run_avx2(kernel) },
        _ => unsafe { kernel.run::<portable::Portable>() },
    }
}

fn widest_cached() -> InstructionSet {
    static WIDEST: OnceLock<InstructionSet> = OnceLock::new();
    *WIDEST.get_or_init(widest)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx2,fma")]
unsafe fn run_avx512<K: Kernel>(kernel: K) -> K::Out {
    unsafe { kernel.run::<avx512::Avx512>() }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn run_avx2<K: Kernel>(kernel: K) -> K::Out {
    unsafe { kernel.run::<avx2::Avx2>() }
}
