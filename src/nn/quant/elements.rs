//! Where the elements of a matrix come from, and the walk that stores them: piece by piece on all threads, so that no
//! f32 copy of a large matrix is ever made.

use crate::nn::parallel::{self, Shared};
use crate::nn::simd::{Kernel, LANES, Lanes, dispatch, vectors};

/// Elements that share a scale.
pub const BLOCK: usize = 64;
/// Elements that are converted at a time; they stay in the first cache levels.
const PIECE: usize = 64 * BLOCK;
/// Pieces of a task.
const PIECES: usize = 64;

/// Numbers that are converted to f32 when they are asked for.
pub trait Elements: Sync {
    /// Elements `from..from + out.len()`.
    fn load(&self, from: usize, out: &mut [f32]);
    /// `count` elements from `from` will be asked for next, on this thread.
    fn begin(&self, _from: usize, _count: usize) {}
    /// They were asked for, and will most likely not be again.
    fn end(&self, _from: usize, _count: usize) {}
}

impl Elements for [f32] {
    fn load(&self, from: usize, out: &mut [f32]) {
        out.copy_from_slice(&self[from..][..out.len()]);
    }
}

/// An element that is NaN or infinite.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("element {at} is {value}")]
pub struct NotFinite {
    /// Its place in the flattened matrix.
    pub at: usize,
    /// NaN or infinite.
    pub value: f32,
}

/// Convert `len` elements and hand them on in pieces of whole blocks (the last may be short): `store(from, piece)`
/// runs on all threads, each piece once. The result is the first element that is not finite.
pub(super) fn walk<E: Elements + ?Sized>(
    elements: &E,
    len: usize,
    store: impl Fn(usize, &[f32]) + Sync + Send,
) -> Option<NotFinite> {
    let tasks = len.div_ceil(PIECE * PIECES);
    let mut bad = vec![None; tasks];
    let found = Shared::new(&mut bad);
    parallel::each(tasks, |task| {
        let mut piece = [0f32; PIECE];
        let (begin, end) = (task * PIECE * PIECES, len.min((task + 1) * PIECE * PIECES));
        elements.begin(begin, end - begin);
        for from in (begin..end).step_by(PIECE) {
            let piece = &mut piece[..PIECE.min(end - from)];
            elements.load(from, piece);
            store(from, piece);
            // SAFETY: each task has its own element.
            let found = unsafe { &mut found.part(task, 1)[0] };
            if found.is_none() && !dispatch(Finite(piece)) {
                *found = piece.iter().position(|x| !x.is_finite());
                *found = found.map(|at| from + at);
            }
        }
        elements.end(begin, end - begin);
    });
    let at = bad.into_iter().flatten().next()?;
    let mut value = [0.0];
    elements.load(at, &mut value);
    Some(NotFinite { at, value: value[0] })
}

/// A format that keeps each block of [`BLOCK`] elements as bytes of codes and one scale.
pub(super) trait Blocks {
    /// What codes are kept in.
    type Code: Copy + Default + Send + Sync;
    /// How many of them a whole block has.
    const CODES: usize;

    /// The codes of one block, [`Blocks::CODES`] of them. The result is its scale, or NaN if an element is not finite.
    ///
    /// # Safety
    /// As [`Lanes`].
    unsafe fn encode<L: Lanes>(block: &[f32; BLOCK], codes: &mut [Self::Code]) -> f32;
}

/// The codes of all elements, without a gap between blocks (of the last, short one as many as its elements need), their scales,
/// and the first element that is not finite.
pub(super) fn quantize<B: Blocks, E: Elements + ?Sized>(
    elements: &E,
    len: usize,
) -> (Vec<B::Code>, Vec<f32>, Option<NotFinite>) {
    // Of a short block that many codes have a part of an element.
    let codes_of = |elements: usize| (elements * B::CODES).div_ceil(BLOCK);
    let mut codes = vec![B::Code::default(); codes_of(len)];
    let mut scales = vec![0.0; len.div_ceil(BLOCK)];
    let (to_codes, to_scales) = (Shared::new(&mut codes), Shared::new(&mut scales));
    let bad = walk(elements, len, |from, piece| {
        // SAFETY: pieces are disjoint and begin at whole blocks.
        let (codes, scales) = unsafe {
            let codes = to_codes.part(codes_of(from), codes_of(piece.len()));
            (codes, to_scales.part(from / BLOCK, piece.len().div_ceil(BLOCK)))
        };
        dispatch(Encode::<B> { piece, codes, scales });
    });
    (codes, scales, bad)
}

/// The codes and scales of whole blocks, of which the last may be short.
struct Encode<'a, B: Blocks> {
    piece: &'a [f32],
    codes: &'a mut [B::Code],
    scales: &'a mut [f32],
}

impl<B: Blocks> Kernel for Encode<'_, B> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let (blocks, rest) = self.piece.as_chunks::<BLOCK>();
        // A short block may have as many codes as a whole one.
        let (codes, rest_codes) = self.codes.split_at_mut(blocks.len() * B::CODES);
        unsafe {
            for ((block, codes), scale) in
                blocks.iter().zip(codes.chunks_exact_mut(B::CODES)).zip(self.scales.iter_mut())
            {
                *scale = B::encode::<L>(block, codes);
            }
            if let ([_, ..], Some(scale)) = (rest, self.scales.last_mut()) {
                let (mut block, mut codes) = ([0.0; BLOCK], [B::Code::default(); BLOCK]);
                block[..rest.len()].copy_from_slice(rest);
                *scale = B::encode::<L>(&block, &mut codes[..B::CODES]);
                rest_codes.copy_from_slice(&codes[..rest_codes.len()]);
            }
        }
    }
}

/// Whether all elements are finite: zero times any other number is NaN, and stays it in a sum.
struct Finite<'a>(&'a [f32]);

impl Kernel for Finite<'_> {
    type Out = bool;
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) -> bool {
        unsafe {
            let zero = L::splat(0.0);
            let mut sums = zero;
            vectors!(self.0.len(), at, n => {
                sums = L::fma(L::load_first(self.0.as_ptr().add(at), n), zero, sums);
            });
            L::eq_bits(sums, zero) == u16::MAX
        }
    }
}

/// The largest magnitude of a block, or NaN if an element is not finite.
///
/// # Safety
/// As [`Lanes`].
#[inline(always)]
pub(super) unsafe fn largest<L: Lanes>(block: &[f32; BLOCK]) -> f32 {
    unsafe {
        let zero = L::splat(0.0);
        let (mut largest, mut spoiled) = (zero, zero);
        for at in (0..BLOCK).step_by(LANES) {
            let x = L::load(block.as_ptr().add(at));
            largest = L::max(largest, L::max(x, L::sub(zero, x)));
            spoiled = L::fma(x, zero, spoiled);
        }
        if L::eq_bits(spoiled, zero) != u16::MAX {
            return f32::NAN;
        }
        let mut each = [0f32; LANES];
        L::store(each.as_mut_ptr(), largest);
        let mut width = LANES / 2;
        while width > 0 {
            for i in 0..width {
                each[i] = if each[i + width] > each[i] { each[i + width] } else { each[i] };
            }
            width /= 2;
        }
        each[0]
    }
}
