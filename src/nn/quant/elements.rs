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
