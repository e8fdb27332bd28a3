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

/// The left side of products, x (m, k).
#[derive(Clone, Copy)]
pub struct Left<'a> {
    /// m
    pub rows: usize,
    /// k
    pub depth: usize,
    /// x, or where `transposed` its transpose.
    pub data: &'a [f32],
    /// Whether `data` is (k, m).
    pub transposed: bool,
}

/// `y (m, n) = start + x B`, where B (k, n) is W or its transpose.
pub struct Product<'a, W: ?Sized> {
    /// (n, k) where `transposed`, else (k, n).
    pub w: &'a W,
    /// Whether B is the transpose of W.
    pub transposed: bool,
    /// y
    pub y: Shared<'a, f32>,
    /// n
    pub columns: usize,
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

/// Compute products of one left side, whose sizes the caller has checked.
pub fn run<W: Matrix + ?Sized>(
    route: Route,
    x: Left<'_>,
    products: &[Product<'_, W>],
    scratch: &mut Scratch,
) {
    let (tallest, vectors, in_a_word) = route.run(Shape);
    let words = words(x.depth, in_a_word);
    let cut = Cut { words, in_a_word, vectors };
    let blocks = x.rows.div_ceil((PACKED / words.max(1)).max(2 * ROWS));
    for block in 0..blocks {
        let (from, to) = (x.rows * block / blocks, x.rows * (block + 1) / blocks);
        let panels = Panels::new(from, to - from, tallest);
        let left = scratch.left.reset((to - from) * words);
        pack_left(route, x, panels, words, left);
        for product in products {
            product.multiply(route, x.depth, panels, cut, left, &scratch.pool);
        }
    }
}

fn pack_left(route: Route, x: Left<'_>, panels: Panels, words: usize, out: &mut [f32]) {
    let some = parallel::chunk(panels.count, 8 * (panels.rows / panels.count) * x.depth, 1);
    let out = Shared::new(out);
    parallel::each(panels.count.div_ceil(some), |task| {
        let (first, end) = (task * some, panels.count.min((task + 1) * some));
        let (from, to) = (panels.at(first), panels.at(end));
        // SAFETY: tasks own disjoint panels.
        let out = unsafe { out.part((from - panels.first) * words, (to - from) * words) };
        route.run(PackLeft { x, panels, range: (first, end), words, out });
    });
}

/// How the depth is cut into words and panels.
#[derive(Clone, Copy)]
struct Cut {
    /// Words of the whole depth.
    words: usize,
    /// Steps of depth in a word.
    in_a_word: usize,
    /// Vectors of a panel of columns.
    vectors: usize,
}

impl<W: Matrix + ?Sized> Product<'_, W> {
    fn multiply(&self, route: Route, k: usize, panels: Panels, cut: Cut, left: &[f32], pool: &Pool) {
        let n = self.columns;
        let across = n.div_ceil(COLUMNS);
        let down = TASKS.div_ceil(across.max(1)).min(panels.rows / ROWS).clamp(1, panels.count);
        let work = |task: usize| {
            let (column, part) = (task / down * COLUMNS, task % down);
            pool.with(COLUMNS * WORDS + UNPACKED, |memory| {
                let (right, unpacked) = memory.split_at_mut(COLUMNS * WORDS);
                route.run(Block {
                    product: self,
                    k,
                    panels,
                    range: (panels.count * part / down, panels.count * (part + 1) / down),
                    columns: (column, COLUMNS.min(n - column)),
                    cut,
                    left,
                    right,
                    unpacked,
                });
            });
        };
        if panels.rows * n * cut.words < 1 << 18 {
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
    /// Work with `len` numbers of any content.
    pub fn with(&self, len: usize, work: impl FnOnce(&mut [f32])) {
        let free = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut buffer = free().pop().unwrap_or_default();
        work(buffer.reset(len));
        free().push(buffer);
    }
}

/// Steps of depth for which a transposed left side is packed before the next panel's turn: their rows lie in different pages.
const STEPS: usize = 64;

struct PackLeft<'a> {
    x: Left<'a>,
    panels: Panels,
    /// Panels of this task.
    range: (usize, usize),
    /// Words of the whole depth.
    words: usize,
    /// Those panels.
    out: &'a mut [f32],
}

impl Job for PackLeft<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes, F: Format<L>>(self) {
        let Self { x, panels, range, words, out } = self;
        let first = panels.at(range.0);
        assert!(x.data.len() == x.rows * x.depth && out.len() == (panels.at(range.1) - first) * words);
        let (stride, steps) = if x.transposed { (x.rows, STEPS) } else { (x.depth, x.depth) };
        let mut step = 0;
        while step < x.depth {
            let depth = steps.min(x.depth - step);
            for panel in range.0..range.1 {
                let (row, end) = (panels.at(panel), panels.at(panel + 1));
                let rows = end - row;
                unsafe {
                    let to = out.as_mut_ptr().add((row - first) * words + step / F::DEPTH * rows);
                    let from = x.data.as_ptr();
                    if x.transposed {
                        let from = from.add(step * stride + row);
                        pack::straight::<L, F>(Rows { from, stride, rows, depth }, to);
                    } else {
                        let from = from.add(row * stride);
                        pack::turned::<L, F>(Rows { from, stride, rows, depth }, to, rows, rows);
                    }
                }
            }
            step += depth;
        }
    }
}

struct Block<'a, W: ?Sized> {
    product: &'a Product<'a, W>,
    /// The whole depth.
    k: usize,
    panels: Panels,
    /// Panels of this task.
    range: (usize, usize),
    /// First column and count of this task.
    columns: (usize, usize),
    cut: Cut,
    left: &'a [f32],
    right: &'a mut [f32],
    unpacked: &'a mut [f32],
}

impl<W: Matrix + ?Sized> Job for Block<'_, W> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes, F: Format<L>>(self) {
        let Block { product, k, right, unpacked, .. } = self;
        let Cut { words: depth, in_a_word, vectors } = self.cut;
        let n = product.columns;
        let (column, columns) = self.columns;
        let right = right.as_mut_ptr();
        // Blocks of the depth are nearly equal.
        let words = depth.div_ceil(depth.div_ceil(WORDS).max(1)).next_multiple_of(2 * LANES);
        let mut word = 0;
        loop {
            let step = word * in_a_word;
            let count = words.min(depth - word);
            let place = Place { column, columns, step, depth: (count * in_a_word).min(k - step) };
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
                    let a = self.left.as_ptr().add((row - self.panels.first) * depth + word * rows);
                    let next = self.panels.at(panel + 2) - end;
                    let next_a =
                        a.wrapping_add(rows * depth).wrapping_add(word * next).wrapping_sub(word * rows);
                    let mut j = 0;
                    while j < columns {
                        let width = (columns - j).next_multiple_of(LANES).min(vectors * LANES);
                        let start = match start {
                            Start::Columns(values) => Start::Columns(&values[column + j..]),
                            Start::Rows(values) => Start::Rows(&values[row..]),
                            other => other,
                        };
                        let c = product.y.pointer().add(row * n + column + j);
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
            if word >= depth {
                break;
            }
        }
    }
}
