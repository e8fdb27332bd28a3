//! A head's rows gathered from the packed batch into blocks of their own, with lines of whole vectors.

use std::ops::Range;

use super::super::simd::{Kernel, LANES, Lanes, dispatch, vectors};
use super::{BLOCK, Shape, Span};

/// Rows of one head: `(rows, padded)`, zeros behind the head's width.
///
/// # Panics
/// When `to` is shorter than that.
pub(super) fn keys(
    shape: Shape,
    span: &Span,
    head: usize,
    positions: Range<usize>,
    from: &[f32],
    to: &mut [f32],
) {
    let (d, padded, width) = (shape.head_dim, shape.padded(), shape.kv_heads * shape.head_dim);
    for (position, line) in positions.zip(to.chunks_exact_mut(padded)) {
        copy(&from[span.key_row(position) * width + head * d..][..d], line);
    }
}

/// The rows of queries (or of what has their shape) that lie in one block.
#[derive(Clone, Copy)]
pub(super) struct Queries {
    /// The first row in the batch.
    pub row: usize,
    /// Its place in the block.
    pub from: usize,
    /// One behind the last place in the block.
    pub to: usize,
}

impl Queries {
    /// Those of the block that begins at position `block`.
    pub(super) fn of(span: &Span, block: usize) -> Self {
        let first = span.first();
        let start = block.max(first);
        let end = (block + BLOCK).min(span.positions()).max(start);
        Self {
            row: span.queries.start + (start - first),
            from: start - block,
            to: start - block + (end - start),
        }
    }

    /// The places in whole vectors.
    pub(super) fn lanes(self) -> Range<usize> {
        self.from / LANES * LANES..self.to.next_multiple_of(LANES)
    }

    /// As lines: `(BLOCK, padded)`.
    pub(super) fn lines(self, shape: Shape, head: usize, from: &[f32], to: &mut [f32]) {
        let (d, padded, width) = (shape.head_dim, shape.padded(), shape.heads * shape.head_dim);
        for (i, line) in to.chunks_exact_mut(padded).take(self.to).skip(self.from).enumerate() {
            copy(&from[(self.row + i) * width + head * d..][..d], line);
        }
    }

    /// Turned and multiplied: `(head_dim, BLOCK)`, of which vectors with a query are written, with zeros at places without.
    pub(super) fn turned(self, shape: Shape, head: usize, factor: f32, from: &[f32], to: &mut [f32]) {
        let (d, width) = (shape.head_dim, shape.heads * shape.head_dim);
        dispatch(Turned { queries: self, d, width, from: &from[head * d..], factor, to });
    }
}

struct Turned<'a> {
    queries: Queries,
    d: usize,
    width: usize,
    from: &'a [f32],
    factor: f32,
    to: &'a mut [f32],
}

impl Kernel for Turned<'_> {
    type Out = ();
    #[allow(
        clippy::needless_range_loop,
        reason = "indices of registers: iterators would be calls without the instruction set"
    )]
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Self { queries, d, width, .. } = self;
        if queries.from >= queries.to {
            return;
        }
        let last = queries.row + queries.to - queries.from - 1;
        assert!(
            queries.to <= BLOCK && self.to.len() >= d * BLOCK && self.from.len() >= last * width + d,
            "turned"
        );
        for at in queries.lanes().step_by(LANES) {
            vectors!(d, k, n => {
                // SAFETY: places from `queries.from` to `queries.to` have rows, all inside `from`, and n numbers of a head each.
                unsafe {
                    let factor = L::splat(self.factor);
                    let mut rows = [L::splat(0.0); LANES];
                    for i in 0..LANES {
                        if (queries.from..queries.to).contains(&(at + i)) {
                            let row = queries.row + at + i - queries.from;
                            rows[i] = L::mul(L::load_first(self.from.as_ptr().add(row * width + k), n), factor);
                        }
                    }
                    let turned = L::transpose(rows);
                    for i in 0..n {
                        L::store(self.to.as_mut_ptr().add((k + i) * BLOCK + at), turned[i]);
                    }
                }
            });
        }
    }
}

fn copy(row: &[f32], line: &mut [f32]) {
    let (numbers, rest) = line.split_at_mut(row.len());
    numbers.copy_from_slice(row);
    rest.fill(0.0);
}
