//! Moves and small sums on the rows of a matrix: what a decoder does between its products.
//!
//! Every function writes each element once and in a fixed order, so results do not depend on the number of threads.

use super::dropout::Dropout;
use super::matmul::Matrix;
use super::parallel::{self, Shared};
use super::simd::{Kernel, Lanes, dispatch, vectors};

/// Elements of a task of a pass over memory; a multiple of 16, so that masks of dropout begin on a line.
const PART: usize = 32 * 1024;

/// Rows of a task whose rows are `width` long.
fn rows_of_task(width: usize) -> usize {
    (PART / width.max(1)).max(1)
}

/// `to[i] = table[ids[i]]`, read as f32. `# Shapes: table (v, d), to (ids, d)`
///
/// # Panics
/// When an id is not below v, or `to` has another length.
pub fn embed<M: Matrix + ?Sized>(table: &M, ids: &[u32], to: &mut [f32]) {
    let d = table.cols();
    assert!(to.len() == ids.len() * d, "to has {} elements for {} rows of {d}", to.len(), ids.len());
    assert!(ids.iter().all(|&id| (id as usize) < table.rows()), "an id is not below {}", table.rows());
    let (rows, to) = (rows_of_task(d), Shared::new(to));
    parallel::each(ids.len().div_ceil(rows), |task| {
        let from = task * rows;
        let ids = &ids[from..ids.len().min(from + rows)];
        // SAFETY: tasks own disjoint rows.
        let to = unsafe { to.part(from * d, ids.len() * d) };
        for (id, row) in ids.iter().zip(to.chunks_exact_mut(d)) {
            table.read(*id as usize, 1, 0, d, row, d);
        }
    });
}

/// `to[i] = from[rows[i]]`. `# Shapes: from (m, width), to (rows, width)`
///
/// # Panics
/// When a row lies outside `from`, or `to` has another length.
pub fn gather(from: &[f32], width: usize, rows: &[u32], to: &mut [f32]) {
    assert!(to.len() == rows.len() * width, "to has {} elements for {} rows", to.len(), rows.len());
    let (each, to) = (rows_of_task(width), Shared::new(to));
    parallel::each(rows.len().div_ceil(each), |task| {
        let first = task * each;
        let rows = &rows[first..rows.len().min(first + each)];
        // SAFETY: tasks own disjoint rows.
        let to = unsafe { to.part(first * width, rows.len() * width) };
        for (row, to) in rows.iter().zip(to.chunks_exact_mut(width)) {
            to.copy_from_slice(&from[*row as usize * width..][..width]);
        }
    });
}

/// `to[rows[i]] += from[i]`, all rows different and rising. `# Shapes: from (rows, width), to (m, width)`
///
/// # Panics
/// When rows do not rise, one lies outside `to`, or `from` has another length.
pub fn scatter_add(from: &[f32], width: usize, rows: &[u32], to: &mut [f32]) {
    assert!(from.len() == rows.len() * width, "from has {} elements for {} rows", from.len(), rows.len());
    assert!(rows.windows(2).all(|pair| pair[0] < pair[1]), "rows do not rise");
    let (each, to) = (rows_of_task(width), Shared::new(to));
    parallel::each(rows.len().div_ceil(each), |task| {
        let first = task * each;
        for i in first..rows.len().min(first + each) {
            // SAFETY: all rows differ.
            let to = unsafe { to.part(rows[i] as usize * width, width) };
            dispatch(Add { from: &from[i * width..][..width], to });
        }
    });
}

/// `to = from`.
///
/// # Panics
/// When the lengths differ.
pub fn copy(from: &[f32], to: &mut [f32]) {
    assert_eq!(from.len(), to.len(), "lengths");
    in_parts(to, |first, to| to.copy_from_slice(&from[first..][..to.len()]));
}

/// `to[i, j] += from[j]`: a bias on each row. `# Shapes: from (width), to (m, width)`
///
/// # Panics
/// When `to` is no number of rows.
pub fn add_to_each(from: &[f32], to: &mut [f32]) {
    assert!(!from.is_empty() && to.len().is_multiple_of(from.len()), "{} elements are no rows", to.len());
    for row in to.chunks_exact_mut(from.len()) {
        dispatch(Add { from, to: row });
    }
}

/// `values *= factor`.
pub fn scale(values: &mut [f32], factor: f32) {
    in_parts(values, |_, values| dispatch(Scale { factor, values }));
}

/// `to = from * mask`, position `i` of the mask at element `i`.
///
/// # Panics
/// When the lengths differ.
pub fn dropout(mask: Dropout, from: &[f32], to: &mut [f32]) {
    assert_eq!(from.len(), to.len(), "lengths");
    in_parts(to, |first, to| {
        to.copy_from_slice(&from[first..][..to.len()]);
        mask.apply(first, to);
    });
}

/// `to += from * mask`, position `i` of the mask at element `i`: the gradient of [`dropout`].
///
/// # Panics
/// When the lengths differ.
pub fn add_dropout(mask: Dropout, from: &[f32], to: &mut [f32]) {
    assert_eq!(from.len(), to.len(), "lengths");
    in_parts(to, |first, to| {
        for (line, sixteen) in to.chunks_mut(16).enumerate() {
            let at = first + line * 16;
            let factors = mask.factors(at);
            for ((to, from), factor) in sixteen.iter_mut().zip(&from[at..]).zip(factors) {
                *to += from * factor;
            }
        }
    });
}

/// `to[j] += sum over rows, in order, of from[i, j]`: the gradient of a bias. `# Shapes: from (m, width), to (width)`
///
/// # Panics
/// When `from` is no number of rows of `to`'s length.
pub fn sum_rows(from: &[f32], to: &mut [f32]) {
    let width = to.len();
    assert!(width > 0 && from.len().is_multiple_of(width), "{} elements are no rows of {width}", from.len());
    let columns = width.div_ceil(8).next_multiple_of(16);
    let to = Shared::new(to);
    parallel::each(width.div_ceil(columns), |task| {
        let first = task * columns;
        let count = columns.min(width - first);
        // SAFETY: tasks own disjoint columns.
        let to = unsafe { to.part(first, count) };
        for row in from.chunks_exact(width) {
            dispatch(Add { from: &row[first..][..count], to });
        }
    });
}

/// Run `work(first element, part)` on parts of fixed size.
fn in_parts(values: &mut [f32], work: impl Fn(usize, &mut [f32]) + Sync + Send) {
    let len = values.len();
    let values = Shared::new(values);
    parallel::each(len.div_ceil(PART), |task| {
        let first = task * PART;
        // SAFETY: parts are disjoint.
        work(first, unsafe { values.part(first, PART.min(len - first)) });
    });
}

struct Add<'a> {
    from: &'a [f32],
    to: &'a mut [f32],
}

impl Kernel for Add<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        vectors!(self.to.len(), at, n => unsafe {
            let to = self.to.as_mut_ptr().add(at);
            L::store_first(to, n, L::add(L::load_first(to, n), L::load_first(self.from.as_ptr().add(at), n)));
        });
    }
}

struct Scale<'a> {
    factor: f32,
    values: &'a mut [f32],
}

impl Kernel for Scale<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        vectors!(self.values.len(), at, n => unsafe {
            let to = self.values.as_mut_ptr().add(at);
            L::store_first(to, n, L::mul(L::load_first(to, n), L::splat(self.factor)));
        });
    }
}
