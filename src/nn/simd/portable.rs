//! [`Lanes`] as an array: the plain twin of the other two, and what other processors run.

use super::{Kernel, LANES, Lanes};

/// Plain Rust.
#[derive(Clone, Copy)]
pub struct Portable;

type A = [f32; LANES];

#[inline(always)]
fn each(f: impl Fn(usize) -> f32) -> A {
    std::array::from_fn(f)
}

impl Lanes for Portable {
    type V = A;
    const TILE: usize = 1;

    #[inline(always)]
    unsafe fn load(from: *const f32) -> A {
        unsafe { from.cast::<A>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn load_first(from: *const f32, n: usize) -> A {
        each(|i| if i < n { unsafe { *from.add(i) } } else { 0.0 })
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, v: A) {
        unsafe { to.cast::<A>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn store_first(to: *mut f32, n: usize, v: A) {
        for (i, x) in v.iter().enumerate().take(n) {
            unsafe { *to.add(i) = *x };
        }
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> A {
        [x; LANES]
    }
    #[inline(always)]
    unsafe fn add(a: A, b: A) -> A {
        each(|i| a[i] + b[i])
    }
    #[inline(always)]
    unsafe fn sub(a: A, b: A) -> A {
        each(|i| a[i] - b[i])
    }
    #[inline(always)]
    unsafe fn mul(a: A, b: A) -> A {
        each(|i| a[i] * b[i])
    }
    #[inline(always)]
    unsafe fn div(a: A, b: A) -> A {
        each(|i| a[i] / b[i])
    }
    #[inline(always)]
    unsafe fn sqrt(a: A) -> A {
        each(|i| a[i].sqrt())
    }
    #[inline(always)]
    unsafe fn max(a: A, b: A) -> A {
        each(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    unsafe fn min(a: A, b: A) -> A {
        each(|i| if a[i] < b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    unsafe fn fma(a: A, b: A, c: A) -> A {
        each(|i| a[i].mul_add(b[i], c[i]))
    }
    #[inline(always)]
    unsafe fn fnma(a: A, b: A, c: A) -> A {
        each(|i| (-a[i]).mul_add(b[i], c[i]))
    }
    #[inline(always)]
    unsafe fn round(a: A) -> A {
        each(|i| a[i].round_ties_even())
    }
    #[inline(always)]
    unsafe fn pow2(n: A) -> A {
        each(|i| f32::from_bits(((n[i] as i32 + 127) as u32) << 23))
    }
    #[inline(always)]
    unsafe fn gt_bits(a: A, b: A) -> u16 {
        (0..LANES).fold(0, |bits, i| bits | u16::from(a[i] > b[i]) << i)
    }
    #[inline(always)]
    unsafe fn eq_bits(a: A, b: A) -> u16 {
        (0..LANES).fold(0, |bits, i| bits | u16::from(a[i] == b[i]) << i)
    }
    #[inline(always)]
    unsafe fn keep(bits: u16, a: A) -> A {
        each(|i| if bits >> i & 1 == 1 { a[i] } else { 0.0 })
    }
    #[inline(never)]
    unsafe fn apart<K: Kernel>(kernel: K) -> K::Out {
        unsafe { kernel.run::<Self>() }
    }
}
