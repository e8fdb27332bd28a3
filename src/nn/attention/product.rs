//! Products of blocks: what [`super::super::gemm`] does, without the tiles that no query sees.

use std::ops::Range;

use super::super::simd::{Kernel, LANES, Lanes};
use super::Band;

/// Rows of a register tile.
const ROWS: usize = 6;

/// What a product's rows, columns and depth are. Tiles of queries and keys that do not meet are left out: elements of the result
/// where no query of the vector meets a key of the tile stay what they were.
#[derive(Clone, Copy)]
pub(super) enum Roles {
    /// Rows are keys, columns queries.
    Scores,
    /// Rows are queries, the depth is keys.
    Queries,
    /// Rows are keys, the depth is queries.
    Keys,
}

/// What a sum starts from.
#[derive(Clone, Copy)]
pub(super) enum Start<'a> {
    /// 0.
    Zero,
    /// What is there.
    Sum,
    /// What is there, times a factor for each row.
    Scaled(&'a [f32]),
}

/// `to[i, j] = start + sum_p left[i * left_row + p * left_depth] right[p, j]`, every element one chain of fused multiply-adds in
/// the order of `p`.
pub(super) struct Product<'a> {
    pub roles: Roles,
    pub band: Band,
    pub rows: Range<usize>,
    /// From and to multiples of 16.
    pub columns: Range<usize>,
    pub depth: Range<usize>,
    pub left: &'a [f32],
    pub left_row: usize,
    pub left_depth: usize,
    pub right: &'a [f32],
    pub right_row: usize,
    pub to: &'a mut [f32],
    pub to_row: usize,
    pub start: Start<'a>,
}

impl Product<'_> {
    fn check(&self) {
        let (rows, columns, depth) = (self.rows.end, self.columns.end, self.depth.end);
        if self.rows.is_empty() || self.columns.is_empty() {
            return;
        }
        assert!(columns.is_multiple_of(LANES) && self.columns.start.is_multiple_of(LANES), "columns");
        assert!(self.to.len() >= (rows - 1) * self.to_row + columns, "the result is too short");
        if depth > 0 {
            assert!(self.left.len() > (rows - 1) * self.left_row + (depth - 1) * self.left_depth, "left");
            assert!(self.right.len() >= (depth - 1) * self.right_row + columns, "right");
        }
        if let Start::Scaled(factors) = self.start {
            assert!(factors.len() >= rows, "factors");
        }
    }
}

impl Kernel for Product<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        self.check();
        let mut panel = self.columns.start;
        while panel < self.columns.end {
            let panel_end = (panel + L::TILE * LANES).min(self.columns.end);
            // Tiles begin at multiples of their rows, wherever the wanted rows begin.
            let mut row = self.rows.start / ROWS * ROWS;
            while row < self.rows.end {
                let from = row.max(self.rows.start);
                let to = (row + ROWS).min(self.rows.end);
                row += ROWS;
                let (mut columns, mut depth) = (panel..panel_end, self.depth.clone());
                match self.roles {
                    Roles::Scores => {
                        let met = self.band.queries(from, to, columns.end);
                        columns.start = columns.start.max(met.start / LANES * LANES);
                        columns.end = columns.end.min(met.end.next_multiple_of(LANES));
                    }
                    Roles::Queries => depth = meet(self.band.keys(from, to, depth.end), &depth),
                    Roles::Keys => depth = meet(self.band.queries(from, to, depth.end), &depth),
                }
                if columns.start >= columns.end {
                    continue;
                }
                // SAFETY: `check` has seen that rows, columns and depth lie inside the slices.
                unsafe {
                    let tile = Tile {
                        depth: depth.len(),
                        left: self.left.as_ptr().add(from * self.left_row + depth.start * self.left_depth),
                        left_row: self.left_row,
                        left_depth: self.left_depth,
                        right: self.right.as_ptr().wrapping_add(depth.start * self.right_row + columns.start),
                        right_row: self.right_row,
                        to: self.to.as_mut_ptr().add(from * self.to_row + columns.start),
                        to_row: self.to_row,
                        start: match self.start {
                            Start::Scaled(factors) => Start::Scaled(&factors[from..]),
                            other => other,
                        },
                    };
                    let vectors = columns.len() / LANES;
                    match to - from {
                        6 => by_width::<L, 6>(vectors, tile),
                        5 => by_width::<L, 5>(vectors, tile),
                        4 => by_width::<L, 4>(vectors, tile),
                        3 => by_width::<L, 3>(vectors, tile),
                        2 => by_width::<L, 2>(vectors, tile),
                        _ => by_width::<L, 1>(vectors, tile),
                    }
                }
            }
            panel = panel_end;
        }
    }
}

#[inline(always)]
fn meet(a: Range<usize>, b: &Range<usize>) -> Range<usize> {
    let start = a.start.max(b.start);
    start..a.end.min(b.end).max(start)
}

#[derive(Clone, Copy)]
struct Tile<'a> {
    depth: usize,
    left: *const f32,
    left_row: usize,
    left_depth: usize,
    right: *const f32,
    right_row: usize,
    to: *mut f32,
    to_row: usize,
    start: Start<'a>,
}

#[inline(always)]
unsafe fn by_width<L: Lanes, const M: usize>(vectors: usize, tile: Tile<'_>) {
    unsafe {
        match vectors {
            4 if L::TILE >= 4 => multiply::<L, M, 4>(tile),
            3 if L::TILE >= 3 => multiply::<L, M, 3>(tile),
            2 if L::TILE >= 2 => multiply::<L, M, 2>(tile),
            _ => multiply::<L, M, 1>(tile),
        }
    }
}

/// One register tile of `M` rows by `N` vectors.
#[allow(
    clippy::needless_range_loop,
    reason = "indices of registers: iterators would be calls without the instruction set"
)]
#[inline(always)]
unsafe fn multiply<L: Lanes, const M: usize, const N: usize>(tile: Tile<'_>) {
    unsafe {
        let mut sums = [[L::splat(0.0); N]; M];
        if !matches!(tile.start, Start::Zero) {
            for i in 0..M {
                for v in 0..N {
                    sums[i][v] = L::load(tile.to.add(i * tile.to_row + v * LANES));
                }
            }
        }
        if let Start::Scaled(factors) = tile.start {
            for i in 0..M {
                let factor = L::splat(factors[i]);
                for v in 0..N {
                    sums[i][v] = L::mul(sums[i][v], factor);
                }
            }
        }
        let (mut left, mut right) = (tile.left, tile.right);
        for _ in 0..tile.depth {
            let mut columns = [L::splat(0.0); N];
            for v in 0..N {
                columns[v] = L::load(right.add(v * LANES));
            }
            for i in 0..M {
                let row = L::splat(*left.add(i * tile.left_row));
                for v in 0..N {
                    sums[i][v] = L::fma(row, columns[v], sums[i][v]);
                }
            }
            // Behind the last step these point past their slices, which only a wrapping addition may do.
            left = left.wrapping_add(tile.left_depth);
            right = right.wrapping_add(tile.right_row);
        }
        for i in 0..M {
            for v in 0..N {
                L::store(tile.to.add(i * tile.to_row + v * LANES), sums[i][v]);
            }
        }
    }
}
