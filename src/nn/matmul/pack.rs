//! Packing of panels: words in the order in which a register tile asks for them.

use super::Matrix;
use super::format::Format;
use crate::nn::simd::{LANES, Lanes};

/// Numbers of a weight that are unpacked at a time, 16 KB.
pub const UNPACKED: usize = 4096;
const UNPACKED_DEPTH: usize = UNPACKED / LANES;

/// Words of `depth` steps. An odd step is joined by zeros.
pub const fn words(depth: usize, in_a_word: usize) -> usize {
    depth.next_multiple_of(2) / in_a_word
}

#[inline(always)]
fn place<L: Lanes, F: Format<L>>(word: usize) -> usize {
    if F::SWAPPED { word ^ 1 } else { word }
}

/// `to[word * width + i]` = the words of row `i` of `rows <= 16`, for `lanes <= 16` rows of which those behind `rows` are zeros.
#[allow(clippy::too_many_arguments, reason = "a matrix and its panel have this many facts")]
#[allow(clippy::needless_range_loop, reason = "indices of registers, which the compiler must know")]
#[inline(always)]
pub unsafe fn turned<L: Lanes, F: Format<L>>(
    from: *const f32,
    stride: usize,
    rows: usize,
    depth: usize,
    to: *mut f32,
    width: usize,
    lanes: usize,
) {
    let count = words(depth, F::DEPTH);
    let mut word = 0;
    while word < count {
        let step = word * F::DEPTH;
        let full = step + LANES * F::DEPTH <= depth;
        unsafe {
            let mut block = [L::splat(0.0); LANES];
            for i in 0..LANES {
                if i < rows {
                    let from = from.add(i * stride + step);
                    block[i] = if full { F::words(from) } else { F::words_first(from, depth - step) };
                }
            }
            let block = L::transpose(block);
            let here = LANES.min(count - word);
            for s in 0..LANES {
                if s < here {
                    let to = to.add(place::<L, F>(word + s) * width);
                    if lanes == LANES { L::store(to, block[s]) } else { L::store_first(to, lanes, block[s]) }
                }
            }
        }
        word += LANES;
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
    place: Place,
    vectors: usize,
    unpacked: &mut [f32],
    to: *mut f32,
) {
    let count = words(place.depth, F::DEPTH);
    let mut j = 0;
    while j < place.columns {
        let panel = j / (vectors * LANES) * (vectors * LANES);
        let width = (place.columns - panel).next_multiple_of(LANES).min(vectors * LANES);
        let here = LANES.min(place.columns - j);
        let mut step = 0;
        while step < place.depth {
            let depth = UNPACKED_DEPTH.min(place.depth - step);
            w.read(place.column + j, here, place.step + step, depth, unpacked, UNPACKED_DEPTH);
            unsafe {
                let to = to.add(panel * count + step / F::DEPTH * width + j - panel);
                turned::<L, F>(unpacked.as_ptr(), UNPACKED_DEPTH, here, depth, to, width, LANES);
            }
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
