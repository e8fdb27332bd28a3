//! A whole product: what is packed when, and which task computes what.
//!
//! The left side is packed once. A task owns some columns of the result for many rows: for each block of the depth it packs its
//! block of the weight, which then stays in the second cache level, and runs the register tiles over it. How work
//! is cut depends on the sizes only; and as every element is one chain of multiply-adds, cuts do not change it.

use std::sync::{Mutex, PoisonError};

use super::format::{Format, Job, Route};
use super::pack::{self, Place, Rows, UNPACKED, words};
use super::tile::{self, Tile};
use super::{Matrix, Scratch};
use crate::nn::aligned::Buffer;
use crate::nn::gemm::Start;
use crate::nn::parallel::{self, Shared};
use crate::nn::simd::{LANES, Lanes};

/// Words of depth in a block, at most: 14 rows of them are 21 KB of the first cache level.
const WORDS: usize = 384;
/// Columns of the result in a task: with `WORDS`, 192 KB of the second cache level.
const COLUMNS: usize = 128;
/// Words of the left side that are packed at a time, 64 MB.
const PACKED: usize = 1 << 24;
/// Rows that share one packing of the weight, at least, if there are as many.
const ROWS: usize = 512;
/// Tasks that are enough; where columns alone do not give them, rows are cut too.
const TASKS: usize = 16;

/// `y (m, n) = start + x (m, k) B`, where B (k, n) is W or its transpose.
pub struct Product<'a, W: ?Sized> {
    /// (m, n, k)
    pub size: (usize, usize, usize),
    /// (m, k)
    pub x: &'a [f32],
    /// (n, k) where `transposed`, else (k, n).
    pub w: &'a W,
    /// Whether B is the transpose of W.
    pub transposed: bool,
    /// What sums start from.
    pub start: Start<'a>,
}

/// Rows cut into panels of nearly the same height.
#[derive(Clone, Copy)]
struct Panels {
    first: usize,
    rows: usize,
    count: usize,
}

impl Panels {
    fn new(first: usize, rows: usize, tallest: usize) -> Self {
        Self { first, rows, count: rows.div_ceil(tallest) }
    }
    /// Where panel `i` begins, as a row of the result.
    fn at(&self, i: usize) -> usize {
        self.first + self.rows * i / self.count
    }
}

struct Shape;

impl Job for Shape {
    type Out = (usize, usize, usize);
    #[inline(always)]
    unsafe fn run<L: Lanes, F: Format<L>>(self) -> Self::Out {
        let (rows, vectors) = tile::largest::<L>();
        (rows, vectors, F::DEPTH)
    }
}

impl<W: Matrix + ?Sized> Product<'_, W> {
    /// Compute it into `y` (m, n).
    pub fn run(&self, route: Route, y: &mut [f32], scratch: &mut Scratch) {
        let (m, n, k) = self.size;
        if m == 0 || n == 0 {
            return;
        }
        let (tallest, vectors, in_a_word) = route.run(Shape);
        let depth = words(k, in_a_word);
        let blocks = m.div_ceil((PACKED / depth.max(1)).max(2 * ROWS));
        let y = Shared::new(y);
        for block in 0..blocks {
            let (from, to) = (m * block / blocks, m * (block + 1) / blocks);
            let panels = Panels::new(from, to - from, tallest);
            let left = scratch.left.reset((to - from) * depth);
            self.pack(route, panels, depth, left);
            self.multiply(route, panels, (depth, in_a_word, vectors), left, &y, &scratch.pool);
        }
    }

    fn pack(&self, route: Route, panels: Panels, depth: usize, left: &mut [f32]) {
        let k = self.size.2;
        let some = parallel::chunk(panels.count, 8 * (panels.rows / panels.count) * k, 1);
        let left = Shared::new(left);
        parallel::each(panels.count.div_ceil(some), |task| {
            for i in task * some..panels.count.min((task + 1) * some) {
                let (from, to) = (panels.at(i), panels.at(i + 1));
                // SAFETY: panels are disjoint.
                let out = unsafe { left.part((from - panels.first) * depth, (to - from) * depth) };
                route.run(PackRows { x: &self.x[from * k..to * k], k, rows: to - from, out });
            }
        });
    }

    fn multiply(
        &self,
        route: Route,
        panels: Panels,
        (depth, in_a_word, vectors): (usize, usize, usize),
        left: &[f32],
        y: &Shared<'_, f32>,
        pool: &Pool,
    ) {
        let n = self.size.1;
        let across = n.div_ceil(COLUMNS);
        let down = TASKS.div_ceil(across).min(panels.rows / ROWS).clamp(1, panels.count);
        let work = |task: usize| {
            let (column, part) = (task / down * COLUMNS, task % down);
            pool.with(COLUMNS * WORDS + UNPACKED, |memory| {
                let (right, unpacked) = memory.split_at_mut(COLUMNS * WORDS);
                route.run(Block {
                    product: self,
                    panels,
                    range: (panels.count * part / down, panels.count * (part + 1) / down),
                    columns: (column, COLUMNS.min(n - column)),
                    depth,
                    in_a_word,
                    vectors,
                    left,
                    right,
                    unpacked,
                    y,
                });
            });
        };
        if panels.rows * n * depth < 1 << 18 {
            (0..across * down).for_each(work);
        } else {
            parallel::each(across * down, work);
        }
    }
}

/// Buffers that tasks borrow.
#[derive(Default)]
pub struct Pool(Mutex<Vec<Buffer>>);

impl Pool {
    fn with(&self, len: usize, work: impl FnOnce(&mut [f32])) {
        let free = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut buffer = free().pop().unwrap_or_default();
        work(buffer.reset(len));
        free().push(buffer);
    }
}

struct PackRows<'a> {
    x: &'a [f32],
    k: usize,
    rows: usize,
    out: &'a mut [f32],
}

impl Job for PackRows<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes, F: Format<L>>(self) {
        assert!(self.x.len() == self.rows * self.k && self.out.len() == self.rows * words(self.k, F::DEPTH));
        let rows = Rows { from: self.x.as_ptr(), stride: self.k, rows: self.rows, depth: self.k };
        unsafe { pack::turned::<L, F>(rows, self.out.as_mut_ptr(), self.rows, self.rows) }
    }
}

struct Block<'a, W: ?Sized> {
    product: &'a Product<'a, W>,
    panels: Panels,
    /// Panels of this task.
    range: (usize, usize),
    /// First column and count of this task.
    columns: (usize, usize),
    /// Words of the whole depth.
    depth: usize,
    in_a_word: usize,
    vectors: usize,
    left: &'a [f32],
    right: &'a mut [f32],
    unpacked: &'a mut [f32],
    y: &'a Shared<'a, f32>,
}

impl<W: Matrix + ?Sized> Job for Block<'_, W> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes, F: Format<L>>(self) {
        let Block { product, right, unpacked, vectors, .. } = self;
        let (_, n, k) = product.size;
        let (column, columns) = self.columns;
        let right = right.as_mut_ptr();
        // Blocks of the depth are nearly equal.
        let words = self.depth.div_ceil(self.depth.div_ceil(WORDS).max(1)).next_multiple_of(2 * LANES);
        let mut word = 0;
        loop {
            let step = word * self.in_a_word;
            let count = words.min(self.depth - word);
            let place = Place { column, columns, step, depth: (count * self.in_a_word).min(k - step) };
            let start = if word == 0 { product.start } else { Start::Sum };
            unsafe {
                if product.transposed {
                    pack::rows_of::<L, F, W>(product.w, place, vectors, unpacked, right);
                } else {
                    pack::columns_of::<L, F, W>(product.w, place, vectors, unpacked, right);
                }
                for panel in self.range.0..self.range.1 {
                    let (row, end) = (self.panels.at(panel), self.panels.at(panel + 1));
                    let rows = end - row;
                    let a = self.left.as_ptr().add((row - self.panels.first) * self.depth + word * rows);
                    let next = self.panels.at(panel + 2) - end;
                    let next_a =
                        a.wrapping_add(rows * self.depth).wrapping_add(word * next).wrapping_sub(word * rows);
                    let mut j = 0;
                    while j < columns {
                        let width = (columns - j).next_multiple_of(LANES).min(vectors * LANES);
                        let start = match start {
                            Start::Columns(values) => Start::Columns(&values[column + j..]),
                            Start::Rows(values) => Start::Rows(&values[row..]),
                            other => other,
                        };
                        let c = self.y.pointer().add(row * n + column + j);
                        let below = rows * n - j;
                        let next_c = c.wrapping_add(if j + width < columns { width } else { below });
                        let t = Tile {
                            rows,
                            vectors: width / LANES,
                            words: count,
                            a,
                            b: right.add(j * count),
                            c,
                            c_row: n,
                            next_a,
                            next_c,
                            start,
                        };
                        if j + width <= columns {
                            tile::tile::<L, F>(t);
                        } else {
                            tile::part::<L, F>(t, columns - j);
                        }
                        j += width;
                    }
                }
            }
            word += count;
            if word >= self.depth {
                break;
            }
        }
    }
}
