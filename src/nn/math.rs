//! exp, powers of two and the error function on lanes. All use only IEEE operations in a fixed order, so every
//! instruction set gives the same bits.

use super::simd::Lanes;

/// `e^x`, relative error below 2e-7 on `[-87, 88]`; arguments outside are clamped to it.
///
/// Range reduction by ln 2 in two parts, then the degree-6 Taylor-like minimax polynomial of Cephes' `expf`.
///
/// # Safety
/// As [`Lanes`].
#[inline(always)]
pub unsafe fn exp<L: Lanes>(x: L::V) -> L::V {
    unsafe {
        let x = L::min(L::max(x, L::splat(-87.0)), L::splat(88.0));
        let n = L::round(L::mul(x, L::splat(std::f32::consts::LOG2_E)));
        let r = L::fnma(n, L::splat(0.693_359_4), x);
        let r = L::fnma(n, L::splat(-2.121_944_4e-4), r);
        let mut p = L::splat(1.987_569_1e-4);
        for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
            p = L::fma(p, r, L::splat(c));
        }
        let p = L::add(L::fma(p, L::mul(r, r), r), L::splat(1.0));
        L::mul(p, L::pow2(n))
    }
}

/// `2^x`, relative error below 2e-7 on `[-126, 127]`, exactly 1 at 0; arguments outside are clamped to it. NaN stays NaN.
///
/// To the nearest integer and a rest, with the degree-6 polynomial of Cephes' `exp2f`.
///
/// # Safety
/// As [`Lanes`].
#[inline(always)]
pub unsafe fn exp2<L: Lanes>(x: L::V) -> L::V {
    unsafe {
        // Of a comparison with NaN the second argument is the result.
        let x = L::min(L::splat(127.0), L::max(L::splat(-126.0), x));
        let n = L::round(x);
        let r = L::sub(x, n);
        let mut p = L::splat(1.535_336_2e-4);
        for c in [1.339_887_4e-3, 9.618_437e-3, 5.550_332_5e-2, 2.402_264_8e-1, 6.931_472e-1, 1.0] {
            p = L::fma(p, r, L::splat(c));
        }
        L::mul(p, L::pow2(n))
    }
}

/// `(Phi(x), phi(x))`: the standard normal distribution function (absolute error below 3e-7) and density (below 1e-7).
///
/// `Phi` by Abramowitz and Stegun 7.1.26, which shares its exponential with the density; the exact GELU and its
/// derivative are `x Phi(x)` and `Phi(x) + x phi(x)`.
///
/// # Safety
/// As [`Lanes`].
#[inline(always)]
pub unsafe fn normal<L: Lanes>(x: L::V) -> (L::V, L::V) {
    unsafe {
        let one = L::splat(1.0);
        let abs = L::max(x, L::sub(L::splat(0.0), x));
        let gauss = exp::<L>(L::mul(L::mul(x, x), L::splat(-0.5)));
        // z = |x| / sqrt 2, t = 1 / (1 + p z)
        let t = L::div(one, L::fma(abs, L::splat(0.327_591_1 * std::f32::consts::FRAC_1_SQRT_2), one));
        let mut p = L::splat(1.061_405_4);
        for c in [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6] {
            p = L::fma(p, t, L::splat(c));
        }
        // upper tail of |x|: erfc(z) / 2
        let tail = L::mul(L::mul(L::mul(p, t), gauss), L::splat(0.5));
        let negative = L::gt_bits(L::splat(0.0), x);
        let upper = L::sub(one, tail);
        let cdf = L::add(L::keep(negative, tail), L::keep(!negative, upper));
        (cdf, L::mul(gauss, L::splat(0.398_942_3)))
    }
}
