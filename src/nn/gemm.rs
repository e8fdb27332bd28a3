//! Matrix products for the shapes of small recommenders: one side is tall and thin, nothing is packed.
//!
//! `C[i, j] = start + sum_p A[i, p] B[p, j]`, where the rows of `B` and `C` are contiguous and `A` may have any
//! strides (so a transposed left side costs nothing). A register tile is 6 rows by [`Lanes::TILE`] vectors. Every
//! element is one chain of fused multiply-adds in the order of `p`, so the result depends neither on the number
//! of threads nor on the instruction set.

use super::parallel::{self, Shared};
use super::simd::{Kernel, LANES, Lanes, dispatch};

/// Rows of a register tile.
pub const TILE_ROWS: usize = 6;
/// Depth of a block of `B`: 256 rows of 64 columns stay in the first two cache levels.
const DEPTH: usize = 256;

/// The left side: `A[i, p] = data[i * row + p * col]`.
#[derive(Clone, Copy)]
pub struct Left<'a> {
    data: &'a [f32],
    row: usize,
    col: usize,
}

impl<'a> Left<'a> {
    /// Rows are contiguous and `stride` apart.
    #[must_use]
    pub fn rows(data: &'a [f32], stride: usize) -> Self {
        Self { data, row: stride, col: 1 }
    }

    /// The transpose of a matrix whose rows are contiguous and `stride` apart.
    #[must_use]
    pub fn transposed(data: &'a [f32], stride: usize) -> Self {
        Self { data, row: 1, col: stride }
    }
}

/// What the sums start from.
#[derive(Clone, Copy)]
pub enum Start<'a> {
    /// 0.
    Zero,
    /// What `C` holds.
    Sum,
    /// A value for each column (a layer's bias).
    Columns(&'a [f32]),
    /// A value for each row.
    Rows(&'a [f32]),
}

/// Pointers and strides of one product; the sizes are checked by whoever makes it.
#[derive(Clone, Copy)]
struct Raw {
    a: *const f32,
    a_row: usize,
    a_col: usize,
    b: *const f32,
    b_row: usize,
    c: *mut f32,
    c_row: usize,
}

/// `C = start + A B` on this thread. `# Shapes: A (m, k), B (k, n) rows b_row apart, C (m, n) rows c_row apart`.
///
/// # Panics
/// When a slice is too short for its shape (a programming error of this crate).
#[allow(clippy::too_many_arguments, reason = "a matrix product has this many facts")]
#[inline(always)]
pub fn gemm_on<L: Lanes>(
    (m, n, k): (usize, usize, usize),
    a: Left<'_>,
    b: &[f32],
    b_row: usize,
    c: &mut [f32],
    c_row: usize,
    start: Start<'_>,
) {
    check((m, n, k), a, b, b_row, c.len(), c_row, start);
    let raw = Raw {
        a: a.data.as_ptr(),
        a_row: a.row,
        a_col: a.col,
        b: b.as_ptr(),
        b_row,
        c: c.as_mut_ptr(),
        c_row,
    };
    // SAFETY: `check` has seen that every index below stays inside its slice.
    unsafe { block::<L>((m, n, k), raw, start) }
}

/// `C = start + A B` on all threads; same shapes as [`gemm_on`].
///
/// # Panics
/// As [`gemm_on`].
pub fn gemm(
    (m, n, k): (usize, usize, usize),
    a: Left<'_>,
    b: &[f32],
    b_row: usize,
    c: &mut [f32],
    c_row: usize,
    start: Start<'_>,
) {
    check((m, n, k), a, b, b_row, c.len(), c_row, start);
    let rows = parallel::chunk(m, 2 * n * k, TILE_ROWS);
    let c = Shared::new(c);
    parallel::each(m.div_ceil(rows.max(1)), |task| {
        let from = task * rows;
        let count = rows.min(m - from);
        let start = match start {
            Start::Rows(values) => Start::Rows(&values[from..]),
            other => other,
        };
        // SAFETY: `check` above; tasks write disjoint rows of C.
        let raw = unsafe {
            Raw {
                a: a.data.as_ptr().add(from * a.row),
                a_row: a.row,
                a_col: a.col,
                b: b.as_ptr(),
                b_row,
                c: c.pointer().add(from * c_row),
                c_row,
            }
        };
        dispatch(Block { size: (count, n, k), raw, start });
    });
}

fn check(
    (m, n, k): (usize, usize, usize),
    a: Left<'_>,
    b: &[f32],
    b_row: usize,
    c: usize,
    c_row: usize,
    start: Start<'_>,
) {
    if m == 0 || n == 0 {
        return;
    }
    assert!(c_row >= n && c >= (m - 1) * c_row + n, "C is too short for ({m}, {n})");
    if k > 0 {
        assert!(b_row >= n && b.len() >= (k - 1) * b_row + n, "B is too short for ({k}, {n})");
        assert!(a.data.len() > (m - 1) * a.row + (k - 1) * a.col, "A is too short for ({m}, {k})");
    }
    match start {
        Start::Columns(values) => assert!(values.len() >= n, "too few column starts"),
        Start::Rows(values) => assert!(values.len() >= m, "too few row starts"),
        Start::Zero | Start::Sum => {}
    }
}

struct Block<'a> {
    size: (usize, usize, usize),
    raw: Raw,
    start: Start<'a>,
}

impl Kernel for Block<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        unsafe { block::<L>(self.size, self.raw, self.start) }
    }
}

#[inline(always)]
unsafe fn block<L: Lanes>((m, n, k): (usize, usize, usize), raw: Raw, start: Start<'_>) {
    let mut depth = 0;
    loop {
        let now = DEPTH.min(k - depth);
        let start = if depth == 0 { start } else { Start::Sum };
        let part = unsafe { Raw { a: raw.a.add(depth * raw.a_col), b: raw.b.add(depth * raw.b_row), ..raw } };
        let mut j = 0;
        while j < n {
            let wide = (n - j).min(L::TILE * LANES);
            let vectors = wide.div_ceil(LANES);
            let tail = wide - (vectors - 1) * LANES;
            let panel = unsafe { Raw { b: part.b.add(j), c: part.c.add(j), ..part } };
            let start = match start {
                Start::Columns(values) => Start::Columns(&values[j..]),
                other => other,
            };
            let mut i = 0;
            while i < m {
                let rows = (m - i).min(TILE_ROWS);
                let tile = unsafe {
                    Raw { a: panel.a.add(i * panel.a_row), c: panel.c.add(i * panel.c_row), ..panel }
                };
                let start = match start {
                    Start::Rows(values) => Start::Rows(&values[i..]),
                    other => other,
                };
                unsafe { by_rows::<L>(rows, vectors, tail, now, tile, start) };
                i += rows;
            }
            j += wide;
        }
        depth += now;
        if depth >= k {
            break;
        }
    }
}

#[inline(always)]
unsafe fn by_rows<L: Lanes>(rows: usize, vectors: usize, tail: usize, k: usize, raw: Raw, start: Start<'_>) {
    unsafe {
        match rows {
            6 => by_width::<L, 6>(vectors, tail, k, raw, start),
            5 => by_width::<L, 5>(vectors, tail, k, raw, start),
            4 => by_width::<L, 4>(vectors, tail, k, raw, start),
            3 => by_width::<L, 3>(vectors, tail, k, raw, start),
            2 => by_width::<L, 2>(vectors, tail, k, raw, start),
            _ => by_width::<L, 1>(vectors, tail, k, raw, start),
        }
    }
}

#[inline(always)]
unsafe fn by_width<L: Lanes, const MR: usize>(
    vectors: usize,
    tail: usize,
    k: usize,
    raw: Raw,
    start: Start<'_>,
) {
    unsafe {
        match (vectors, tail) {
            (4, LANES) if L::TILE >= 4 => tile::<L, MR, 4, false>(tail, k, raw, start),
            (3, LANES) if L::TILE >= 3 => tile::<L, MR, 3, false>(tail, k, raw, start),
            (2, LANES) if L::TILE >= 2 => tile::<L, MR, 2, false>(tail, k, raw, start),
            (1, LANES) => tile::<L, MR, 1, false>(tail, k, raw, start),
            (4, _) if L::TILE >= 4 => tile::<L, MR, 4, true>(tail, k, raw, start),
            (3, _) if L::TILE >= 3 => tile::<L, MR, 3, true>(tail, k, raw, start),
            (2, _) if L::TILE >= 2 => tile::<L, MR, 2, true>(tail, k, raw, start),
            _ => tile::<L, MR, 1, true>(tail, k, raw, start),
        }
    }
}

/// One register tile: `MR` rows, `NV` vectors of which the last has `tail` lanes when `PART`.
#[allow(
    clippy::needless_range_loop,
    reason = "indices of registers: iterators would be calls without the instruction set"
)]
#[inline(always)]
unsafe fn tile<L: Lanes, const MR: usize, const NV: usize, const PART: bool>(
    tail: usize,
    k: usize,
    raw: Raw,
    start: Start<'_>,
) {
    unsafe {
        let mut sums = [[L::splat(0.0); NV]; MR];
        match start {
            Start::Zero => {}
            Start::Sum => {
                for i in 0..MR {
                    for v in 0..NV {
                        sums[i][v] = load::<L, NV, PART>(raw.c.add(i * raw.c_row), v, tail);
                    }
                }
            }
            Start::Columns(values) => {
                for v in 0..NV {
                    let value = load::<L, NV, PART>(values.as_ptr(), v, tail);
                    for row in &mut sums {
                        row[v] = value;
                    }
                }
            }
            Start::Rows(values) => {
                for i in 0..MR {
                    sums[i] = [L::splat(values[i]); NV];
                }
            }
        }
        let mut a = raw.a;
        let mut b = raw.b;
        for _ in 0..k {
            let mut right = [L::splat(0.0); NV];
            for v in 0..NV {
                right[v] = load::<L, NV, PART>(b, v, tail);
            }
            for i in 0..MR {
                let left = L::splat(*a.add(i * raw.a_row));
                for v in 0..NV {
                    sums[i][v] = L::fma(left, right[v], sums[i][v]);
                }
            }
            // Behind the last step these point past their slices, which only a wrapping addition may do.
            a = a.wrapping_add(raw.a_col);
            b = b.wrapping_add(raw.b_row);
        }
        for i in 0..MR {
            for v in 0..NV {
                let to = raw.c.add(i * raw.c_row + v * LANES);
                if PART && v == NV - 1 {
                    L::store_first(to, tail, sums[i][v])
                } else {
                    L::store(to, sums[i][v])
                }
            }
        }
    }
}

/// Vector `v` of `NV` from `from`, whose last has `tail` lanes when `PART`.
#[inline(always)]
unsafe fn load<L: Lanes, const NV: usize, const PART: bool>(from: *const f32, v: usize, tail: usize) -> L::V {
    unsafe {
        let from = from.add(v * LANES);
        if PART && v == NV - 1 { L::load_first(from, tail) } else { L::load(from) }
    }
}
