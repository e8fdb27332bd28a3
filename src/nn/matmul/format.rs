//! How inputs lie in packed panels: as words of 32 bits, one for each lane.

use std::marker::PhantomData;

use crate::nn::simd::bf16::{Bf16Kernel, Bf16Lanes, dispatch_bf16};
use crate::nn::simd::{InstructionSet, Kernel, LANES, Lanes, dispatch_on};

/// A packed format and its multiply-add.
///
/// # Safety
/// As [`Lanes`].
#[allow(clippy::missing_safety_doc, reason = "one safety rule for the whole trait, stated above")]
pub trait Format<L: Lanes> {
    /// Steps of depth in a word.
    const DEPTH: usize;
    /// Whether words 2 i and 2 i + 1 change places.
    const SWAPPED: bool;
    /// 16 words from `16 * DEPTH` numbers.
    unsafe fn words(from: *const f32) -> L::V;
    /// 16 words, each of `DEPTH` numbers: one from `first`, and where there are two the other from `second`.
    unsafe fn join(first: L::V, second: L::V) -> L::V;
    /// `sums + a * b`, in the order of the depth.
    unsafe fn step(a: L::V, b: L::V, sums: L::V) -> L::V;
    /// Run a job as a function of its own ([`Lanes::apart`]).
    unsafe fn apart<J: Job>(job: J) -> J::Out;
}

/// f32 as it is.
pub struct Single;

impl<L: Lanes> Format<L> for Single {
    const DEPTH: usize = 1;
    const SWAPPED: bool = false;
    #[inline(always)]
    unsafe fn words(from: *const f32) -> L::V {
        unsafe { L::load(from) }
    }
    #[inline(always)]
    unsafe fn join(first: L::V, _: L::V) -> L::V {
        first
    }
    #[inline(always)]
    unsafe fn step(a: L::V, b: L::V, sums: L::V) -> L::V {
        unsafe { L::fma(a, b, sums) }
    }
    #[inline(always)]
    unsafe fn apart<J: Job>(job: J) -> J::Out {
        unsafe { L::apart(As::<J, Single>(job, PhantomData)) }
    }
}

/// bf16 in f32 words, for processors without bf16: in the order in which [`Pairs`] are added.
pub struct Rounded;

impl<L: Lanes> Format<L> for Rounded {
    const DEPTH: usize = 1;
    const SWAPPED: bool = true;
    #[inline(always)]
    unsafe fn words(from: *const f32) -> L::V {
        unsafe { L::round_bf16(L::load(from)) }
    }
    #[inline(always)]
    unsafe fn join(first: L::V, _: L::V) -> L::V {
        unsafe { L::round_bf16(first) }
    }
    #[inline(always)]
    unsafe fn step(a: L::V, b: L::V, sums: L::V) -> L::V {
        unsafe { L::fma(a, b, sums) }
    }
    #[inline(always)]
    unsafe fn apart<J: Job>(job: J) -> J::Out {
        unsafe { L::apart(As::<J, Rounded>(job, PhantomData)) }
    }
}

/// Two bf16 in a word, the even step of the depth in the low half.
pub struct Pairs;

impl<L: Bf16Lanes> Format<L> for Pairs {
    const DEPTH: usize = 2;
    const SWAPPED: bool = false;
    #[inline(always)]
    unsafe fn words(from: *const f32) -> L::V {
        unsafe { L::pairs(L::load(from), L::load(from.add(LANES))) }
    }
    #[inline(always)]
    unsafe fn join(first: L::V, second: L::V) -> L::V {
        unsafe { L::zip(first, second) }
    }
    #[inline(always)]
    unsafe fn step(a: L::V, b: L::V, sums: L::V) -> L::V {
        unsafe { L::dot(a, b, sums) }
    }
    #[inline(always)]
    unsafe fn apart<J: Job>(job: J) -> J::Out {
        unsafe { L::apart_bf16(As::<J, Pairs>(job, PhantomData)) }
    }
}

/// Which format a product takes, and on which instruction set.
#[derive(Debug, Clone, Copy)]
pub enum Route {
    /// [`Single`].
    Single(InstructionSet),
    /// [`Rounded`].
    Rounded(InstructionSet),
    /// [`Pairs`], where [`super::super::simd::bf16::has_bf16`].
    Pairs,
}

/// A part of a product's work: code over a format.
pub trait Job {
    /// What it gives back.
    type Out;
    /// Run on lanes `L` in format `F`. Must be `#[inline(always)]`, as [`Kernel::run`].
    ///
    /// # Safety
    /// The processor has what `L` needs.
    unsafe fn run<L: Lanes, F: Format<L>>(self) -> Self::Out;
}

struct As<J, F>(J, PhantomData<F>);

impl<J: Job> Kernel for As<J, Single> {
    type Out = J::Out;
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) -> J::Out {
        unsafe { self.0.run::<L, Single>() }
    }
}

impl<J: Job> Kernel for As<J, Rounded> {
    type Out = J::Out;
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) -> J::Out {
        unsafe { self.0.run::<L, Rounded>() }
    }
}

impl<J: Job> Bf16Kernel for As<J, Pairs> {
    type Out = J::Out;
    #[inline(always)]
    unsafe fn run<L: Bf16Lanes>(self) -> J::Out {
        unsafe { self.0.run::<L, Pairs>() }
    }
}

impl Route {
    /// Run a job.
    pub fn run<J: Job>(self, job: J) -> J::Out {
        match self {
            Self::Single(set) => dispatch_on(set, As::<J, Single>(job, PhantomData)),
            Self::Rounded(set) => dispatch_on(set, As::<J, Rounded>(job, PhantomData)),
            Self::Pairs => match dispatch_bf16(As::<J, Pairs>(job, PhantomData)) {
                Ok(out) => out,
                Err(As(job, _)) => Self::Rounded(InstructionSet::Avx512).run(job),
            },
        }
    }
}
