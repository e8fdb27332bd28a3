//! A head's rows gathered from the packed batch into blocks of their own, with lines of whole vectors.

use std::ops::Range;

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
        let lanes = super::super::simd::LANES;
        self.from / lanes * lanes..self.to.next_multiple_of(lanes)
    }

    /// As lines: `(BLOCK, padded)`.
    pub(super) fn lines(self, shape: Shape, head: usize, from: &[f32], to: &mut [f32]) {
        let (d, padded, width) = (shape.head_dim, shape.padded(), shape.heads * shape.head_dim);
        for (i, line) in to.chunks_exact_mut(padded).take(self.to).skip(self.from).enumerate() {
            copy(&from[(self.row + i) * width + head * d..][..d], line);
        }
    }

    /// Turned and multiplied: `(head_dim, BLOCK)`, zeros at places without a query.
    pub(super) fn turned(self, shape: Shape, head: usize, factor: f32, from: &[f32], to: &mut [f32]) {
        let (d, width) = (shape.head_dim, shape.heads * shape.head_dim);
        to[..d * BLOCK].fill(0.0);
        for (i, place) in (self.from..self.to).enumerate() {
            for (k, x) in from[(self.row + i) * width + head * d..][..d].iter().enumerate() {
                to[k * BLOCK + place] = x * factor;
            }
        }
    }
}

fn copy(row: &[f32], line: &mut [f32]) {
    let (numbers, rest) = line.split_at_mut(row.len());
    numbers.copy_from_slice(row);
    rest.fill(0.0);
}
