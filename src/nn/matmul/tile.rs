//! The register tile: a few rows by one or two vectors, over packed panels.

use super::format::{Format, Job};
use crate::nn::gemm::Start;
use crate::nn::simd::{LANES, Lanes};

/// Rows and vectors of the largest tile: all but a few registers hold sums.
#[inline(always)]
pub const fn largest<L: Lanes>() -> (usize, usize) {
    // 14 x 2 sums, 2 of the right side and 1 broadcast of 32 registers; or 6 x 2 halves, 2 and 1 of 16.
    if L::TILE >= 4 { (14, 2) } else { (6, 1) }
}

/// The facts of one tile.
#[derive(Clone, Copy)]
pub struct Tile<'a> {
    /// Rows, at most those of [`largest`].
    pub rows: usize,
    /// Vectors of columns, at most those of [`largest`].
    pub vectors: usize,
    /// Words of depth.
    pub words: usize,
    /// (words, rows)
    pub a: *const f32,
    /// (words, 16 vectors)
    pub b: *const f32,
    /// The first element of the result.
    pub c: *mut f32,
    /// From row to row of the result.
    pub c_row: usize,
    /// The left side of the rows that come next, asked for early as the processor would not. Need not exist.
    pub next_a: *const f32,
    /// The result of the next tile, likewise.
    pub next_c: *const f32,
    /// What sums start from: values of this tile's columns or rows.
    pub start: Start<'a>,
}

/// Compute a whole tile.
#[inline(always)]
pub unsafe fn tile<L: Lanes, F: Format<L>>(t: Tile<'_>) {
    unsafe {
        if L::TILE < 4 {
            match t.rows {
                6 => F::apart(Fixed::<6, 1>(t)),
                5 => F::apart(Fixed::<5, 1>(t)),
                4 => F::apart(Fixed::<4, 1>(t)),
                3 => F::apart(Fixed::<3, 1>(t)),
                2 => F::apart(Fixed::<2, 1>(t)),
                _ => F::apart(Fixed::<1, 1>(t)),
            }
        } else if t.vectors == 1 {
            by_rows::<L, F, 1>(t)
        } else {
            by_rows::<L, F, 2>(t)
        }
    }
}

#[inline(always)]
unsafe fn by_rows<L: Lanes, F: Format<L>, const NV: usize>(t: Tile<'_>) {
    unsafe {
        match t.rows {
            14 => F::apart(Fixed::<14, NV>(t)),
            13 => F::apart(Fixed::<13, NV>(t)),
            12 => F::apart(Fixed::<12, NV>(t)),
            11 => F::apart(Fixed::<11, NV>(t)),
            10 => F::apart(Fixed::<10, NV>(t)),
            9 => F::apart(Fixed::<9, NV>(t)),
            8 => F::apart(Fixed::<8, NV>(t)),
            7 => F::apart(Fixed::<7, NV>(t)),
            6 => F::apart(Fixed::<6, NV>(t)),
            5 => F::apart(Fixed::<5, NV>(t)),
            4 => F::apart(Fixed::<4, NV>(t)),
            3 => F::apart(Fixed::<3, NV>(t)),
            2 => F::apart(Fixed::<2, NV>(t)),
            _ => F::apart(Fixed::<1, NV>(t)),
        }
    }
}

/// A tile of a size that the compiler knows.
struct Fixed<'a, const MR: usize, const NV: usize>(Tile<'a>);

impl<const MR: usize, const NV: usize> Job for Fixed<'_, MR, NV> {
    type Out = ();
    #[allow(
        clippy::needless_range_loop,
        reason = "indices of registers: iterators would be calls without the instruction set"
    )]
    #[inline(always)]
    unsafe fn run<L: Lanes, F: Format<L>>(self) {
        let t = self.0;
        unsafe {
            let mut sums = [[L::splat(0.0); NV]; MR];
            match t.start {
                Start::Zero => {}
                Start::Sum => {
                    for i in 0..MR {
                        for v in 0..NV {
                            sums[i][v] = L::load(t.c.add(i * t.c_row + v * LANES));
                        }
                    }
                }
                Start::Columns(values) => {
                    for v in 0..NV {
                        let value = L::load(values.as_ptr().add(v * LANES));
                        for i in 0..MR {
                            sums[i][v] = value;
                        }
                    }
                }
                Start::Rows(values) => {
                    for i in 0..MR {
                        sums[i] = [L::splat(*values.as_ptr().add(i)); NV];
                    }
                }
            }
            for i in 0..MR {
                for v in 0..NV {
                    L::prefetch(t.next_c.wrapping_add(i * t.c_row + v * LANES));
                }
            }
            let (mut a, mut b, mut next_a) = (t.a, t.b, t.next_a);
            for _ in 0..t.words {
                L::prefetch(next_a);
                next_a = next_a.wrapping_add(MR);
                let mut right = [L::splat(0.0); NV];
                for v in 0..NV {
                    right[v] = L::load(b.add(v * LANES));
                }
                for i in 0..MR {
                    let left = L::splat(*a.add(i));
                    for v in 0..NV {
                        sums[i][v] = F::step(left, right[v], sums[i][v]);
                    }
                }
                a = a.add(MR);
                b = b.add(NV * LANES);
            }
            for i in 0..MR {
                for v in 0..NV {
                    L::store(t.c.add(i * t.c_row + v * LANES), sums[i][v]);
                }
            }
        }
    }
}

/// The most columns of a tile.
const WIDEST: usize = 2 * LANES;
/// The most rows of a tile.
const TALLEST: usize = 14;

/// Compute a tile of which only the first `columns` exist in the result.
#[inline(always)]
pub unsafe fn part<L: Lanes, F: Format<L>>(t: Tile<'_>, columns: usize) {
    let mut values = [0f32; TALLEST * WIDEST];
    for i in 0..t.rows {
        for j in 0..columns {
            values[i * WIDEST + j] = match t.start {
                Start::Zero => 0.0,
                Start::Sum => unsafe { *t.c.add(i * t.c_row + j) },
                Start::Columns(starts) => starts[j],
                Start::Rows(starts) => starts[i],
            };
        }
    }
    unsafe {
        tile::<L, F>(Tile { c: values.as_mut_ptr(), c_row: WIDEST, start: Start::Sum, ..t });
        for i in 0..t.rows {
            std::ptr::copy_nonoverlapping(values.as_ptr().add(i * WIDEST), t.c.add(i * t.c_row), columns);
        }
    }
}
