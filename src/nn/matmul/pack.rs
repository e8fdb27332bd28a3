//! Packing of panels: words in the order in which a register tile asks for them.

use super::Matrix;
use super::format::Format;
use crate::nn::simd::{LANES, Lanes};

/// Numbers of a weight that are unpacked at a time, 16 KB.
pub const UNPACKED: usize = 4096;
/// Steps of depth in them, for 16 rows.
pub const UNPACKED_DEPTH: usize = UNPACKED / LANES;

/// Words of `depth` steps. An odd step is joined by zeros.
pub const fn words(depth: usize, in_a_word: usize) -> usize {
    depth.next_multiple_of(2) / in_a_word
}

#[inline(always)]
fn place<L: Lanes, F: Format<L>>(word: usize) -> usize {
    if F::SWAPPED { word ^ 1 } else { word }
}

/// Rows of f32 in memory.
#[derive(Clone, Copy)]
pub struct Rows {
    /// The first number.
    pub from: *const f32,
    /// From row to row.
    pub stride: usize,
    /// At most 16.
    pub rows: usize,
    /// Numbers in a row.
    pub depth: usize,
}

/// How far ahead of their use numbers are asked for.
const AHEAD: usize = 128;

/// `to[word * width + i]` = word of row `i`. For each word `lanes` numbers are written; those behind `rows` mean nothing.
#[allow(clippy::needless_range_loop, reason = "indices of registers, which the compiler must know")]
#[inline(always)]
pub unsafe fn turned<L: Lanes, F: Format<L>>(r: Rows, to: *mut f32, width: usize, lanes: usize) {
    let count = words(r.depth, F::DEPTH);
    let mut word = 0;
    // Whole registers run over into the next word, which is written later; so not in the last block.
    let end = if lanes == LANES { r.depth } else { r.depth.saturating_sub(LANES * F::DEPTH) };
    unsafe {
        while (word + LANES) * F::DEPTH <= end {
            let block = block::<L, F>(r, word * F::DEPTH);
            let to = to.add(word * width);
            for s in 0..LANES {
                L::store(to.add(s * width), block[place::<L, F>(s)]);
            }
            word += LANES;
        }
        while word < count {
            let step = word * F::DEPTH;
            let here = LANES.min(count - word);
            let mut tail = [[0f32; 2 * LANES]; LANES];
            for i in 0..r.rows {
                let numbers = (here * F::DEPTH).min(r.depth - step);
                std::ptr::copy_nonoverlapping(r.from.add(i * r.stride + step), tail[i].as_mut_ptr(), numbers);
            }
            let from = tail.as_ptr().cast();
            let tail = Rows { from, stride: 2 * LANES, rows: r.rows, depth: 2 * LANES };
            let block = block::<L, F>(tail, 0);
            for s in 0..LANES {
                if s < here {
                    L::store_first(to.add((word + s) * width), lanes, block[place::<L, F>(s)]);
                }
            }
            word += LANES;
        }
    }
}

/// Sixteen words, of all rows each, from a step on. The last row stands for those that do not exist.
#[allow(clippy::needless_range_loop, reason = "indices of registers, which the compiler must know")]
#[inline(always)]
unsafe fn block<L: Lanes, F: Format<L>>(r: Rows, step: usize) -> [L::V; LANES] {
    unsafe {
        let mut block = [L::splat(0.0); LANES];
        for i in 0..LANES {
            let from = r.from.add(i.min(r.rows - 1) * r.stride + step);
            L::prefetch(from.wrapping_add(AHEAD));
            block[i] = F::words(from);
        }
        L::transpose(block)
    }
}

/// `to[word * r.rows + i]` = word of column `i` of `r.rows <= 16`, where the `depth` rows of the matrix are `stride` apart.
#[inline(always)]
pub unsafe fn straight<L: Lanes, F: Format<L>>(r: Rows, to: *mut f32) {
    let mut word = 0;
    while word < words(r.depth, F::DEPTH) {
        let step = word * F::DEPTH;
        unsafe {
            let from = r.from.add(step.min(r.depth - 1) * r.stride);
            let zero = L::splat(0.0);
            let first = if step < r.depth { L::load_first(from, r.rows) } else { zero };
            let second = if F::DEPTH == 2 && step + 1 < r.depth {
                L::load_first(from.add(r.stride), r.rows)
            } else {
                zero
            };
            L::store_first(to.add(place::<L, F>(word) * r.rows), r.rows, F::join(first, second));
        }
        word += 1;
    }
}

/// Where a block of the right side lies in the weight.
#[derive(Clone, Copy)]
pub struct Place {
    /// First column of the product.
    pub column: usize,
    /// Columns of the product.
    pub columns: usize,
    /// First step of the depth.
    pub step: usize,
    /// Steps of the depth.
    pub depth: usize,
}

/// Pack columns of W^T, which are rows of W: panels of `16 vectors` columns, one behind the other, the last one as narrow as whole
/// vectors allow. `unpacked` has [`UNPACKED`] numbers.
#[inline(always)]
pub unsafe fn rows_of<L: Lanes, F: Format<L>, W: Matrix + ?Sized>(
    w: &W,
    at: Place,
    vectors: usize,
    unpacked: &mut [f32],
    to: *mut f32,
) {
    let count = words(at.depth, F::DEPTH);
    let mut j = 0;
    while j < at.columns {
        let panel = j / (vectors * LANES) * (vectors * LANES);
        let width = (at.columns - panel).next_multiple_of(LANES).min(vectors * LANES);
        let rows = LANES.min(at.columns - j);
        let to = unsafe { to.add(panel * count + j - panel) };
        let mut step = 0;
        while step < at.depth {
            let depth = UNPACKED_DEPTH.min(at.depth - step);
            w.read(at.column + j, rows, at.step + step, depth, unpacked, UNPACKED_DEPTH);
            let rows = Rows { from: unpacked.as_ptr(), stride: UNPACKED_DEPTH, rows, depth };
            unsafe { turned::<L, F>(rows, to.add(step / F::DEPTH * width), width, LANES) };
            step += depth;
        }
        j += LANES;
    }
}

/// Pack columns of W; as [`rows_of`].
#[inline(always)]
pub unsafe fn columns_of<L: Lanes, F: Format<L>, W: Matrix + ?Sized>(
    w: &W,
    at: Place,
    vectors: usize,
    unpacked: &mut [f32],
    to: *mut f32,
) {
    let count = words(at.depth, F::DEPTH);
    let stride = at.columns.next_multiple_of(LANES);
    // An even number of rows, so that pairs stay together.
    let rows = (UNPACKED / stride / 2 * 2).max(2);
    let mut step = 0;
    while step < at.depth {
        let depth = rows.min(at.depth - step);
        w.read(at.step + step, depth, at.column, at.columns, unpacked, stride);
        if depth % 2 == 1 {
            unpacked[depth * stride..][..stride].fill(0.0);
        }
        let mut panel = 0;
        while panel < at.columns {
            let width = (at.columns - panel).next_multiple_of(LANES).min(vectors * LANES);
            let mut word = 0;
            while word < words(depth, F::DEPTH) {
                let to_word = place::<L, F>(step / F::DEPTH + word);
                let mut v = 0;
                while v < width {
                    unsafe {
                        let from = unpacked.as_ptr().add(word * F::DEPTH * stride + panel + v);
                        let first = L::load(from);
                        let second = if F::DEPTH == 2 { L::load(from.add(stride)) } else { first };
                        L::store(to.add(panel * count + to_word * width + v), F::join(first, second));
                    }
                    v += LANES;
                }
                word += 1;
            }
            panel += width;
        }
        step += depth;
    }
}
