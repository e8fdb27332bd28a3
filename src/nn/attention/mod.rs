//! Causal attention over packed prompts (Vaswani et al. 2017), with grouped heads (Ainslie et al. 2023), a prefix that prompts
//! share, and optionally a sliding window (Jiang et al. 2023).
//!
//! The scores of a prompt are never in memory as a whole: blocks of 64 positions by 64 keys are made, turned into probabilities
//! with a running maximum and sum, and used while they are in the first cache levels (Dao et al. 2022, "FlashAttention"). The
//! backward pass makes them again from the queries, the keys and the logarithm of each row's sum.
//!
//! Blocks begin at multiples of 64 of the position in the prompt, not of the row in the batch, and every sum runs in the order
//! of positions. So a row has the same bits alone, in a batch, behind a shared prefix or with fewer queries asked for.

mod backward;
mod forward;
mod pack;
mod product;

use std::ops::Range;

pub use backward::{Scratch, backward};
pub use forward::forward;

/// Positions and keys of a block.
const BLOCK: usize = 64;

/// The heads, and how far back a position sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Heads of the queries.
    pub heads: usize,
    /// Heads of keys and values; divides `heads`. Query head `h` reads key head `h / (heads / kv_heads)`.
    pub kv_heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// A position sees this many last positions, itself included; without it all.
    pub window: Option<usize>,
}

impl Shape {
    /// Heads without a window.
    #[must_use]
    pub fn new(heads: usize, kv_heads: usize, head_dim: usize) -> Self {
        Self { heads, kv_heads, head_dim, window: None }
    }

    /// Query heads that share a head of keys.
    fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    /// What scores are multiplied with, `1 / sqrt(head_dim)`.
    pub(crate) fn scale(&self) -> f32 {
        (1.0 / (self.head_dim as f64).sqrt()) as f32
    }

    /// The window as a number that may be added to a position.
    fn reach(&self) -> isize {
        self.window.map_or(isize::MAX / 4, |window| (window.max(1)).min(isize::MAX as usize / 4) as isize)
    }

    /// A head's width in whole vectors.
    fn padded(&self) -> usize {
        self.head_dim.next_multiple_of(super::simd::LANES)
    }
}

/// One prompt of the batch. It has `prefix + keys.len()` positions, and its queries are the last `queries.len()` of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Its rows in queries and output.
    pub queries: Range<usize>,
    /// Its own rows in keys and values.
    pub keys: Range<usize>,
    /// It also sees rows `0..prefix` of keys and values, before its own.
    pub prefix: usize,
}

impl Span {
    /// How many positions it has.
    pub(crate) fn positions(&self) -> usize {
        self.prefix + self.keys.len()
    }

    /// The position of its first query.
    pub(crate) fn first(&self) -> usize {
        self.positions() - self.queries.len()
    }

    /// The row of a position in keys and values.
    fn key_row(&self, position: usize) -> usize {
        if position < self.prefix { position } else { self.keys.start + position - self.prefix }
    }
}

/// Fails unless heads share heads of keys evenly, and spans fit.
fn check(shape: Shape, spans: &[Span], rows: usize, key_rows: usize) {
    check_shape(shape);
    check_spans(spans, rows, key_rows);
}

pub(crate) fn check_shape(shape: Shape) {
    assert!(
        shape.head_dim > 0 && shape.kv_heads > 0 && shape.heads.is_multiple_of(shape.kv_heads),
        "{shape:?} is no shape of attention"
    );
}

/// Fails unless the spans lie in order and inside `rows` rows of queries and `key_rows` of keys.
pub(crate) fn check_spans(spans: &[Span], rows: usize, key_rows: usize) {
    let (mut queries, mut keys) = (0, 0);
    for span in spans {
        let fits = span.queries.start >= queries
            && span.queries.start <= span.queries.end
            && span.keys.start >= keys.max(span.prefix)
            && span.keys.start <= span.keys.end
            && span.queries.len() <= span.positions();
        assert!(fits, "{span:?} after queries {queries} and keys {keys}");
        (queries, keys) = (span.queries.end, span.keys.end);
    }
    assert!(
        queries <= rows && keys <= key_rows,
        "spans reach query {queries} of {rows}, key {keys} of {key_rows}"
    );
}

/// How many rows of `width` a slice has.
fn rows(name: &str, slice: &[f32], width: usize) -> usize {
    assert!(
        width > 0 && slice.len().is_multiple_of(width),
        "{name} has {} elements, no multiple of {width}",
        slice.len()
    );
    slice.len() / width
}

/// Which keys a query of a block sees: key `i` and query `j`, counted in their blocks, meet if `0 <= j - i - shift < reach`.
#[derive(Clone, Copy)]
struct Band {
    /// Position of the first key less that of the first query.
    shift: isize,
    reach: isize,
}

impl Band {
    fn new(first_key: usize, first_query: usize, reach: isize) -> Self {
        Self { shift: first_key as isize - first_query as isize, reach }
    }

    /// Of `count` queries those that meet any key in `from..to`.
    #[inline(always)]
    fn queries(self, from: usize, to: usize, count: usize) -> Range<usize> {
        let low = from as isize + self.shift;
        let high = to as isize - 1 + self.shift + self.reach;
        low.clamp(0, count as isize) as usize..high.clamp(0, count as isize) as usize
    }

    /// Of `count` keys those that meet any query in `from..to`.
    #[inline(always)]
    fn keys(self, from: usize, to: usize, count: usize) -> Range<usize> {
        let low = from as isize - self.shift - self.reach + 1;
        let high = to as isize - self.shift;
        low.clamp(0, count as isize) as usize..high.clamp(0, count as isize) as usize
    }

    /// Whether all of `keys` keys meet all queries of a block.
    fn is_full(self, keys: usize) -> bool {
        self.shift + keys as isize - 1 <= 0 && BLOCK as isize - 1 - self.shift < self.reach
    }

    /// Lane `t` is set where query `at + t` meets key `key`.
    #[inline(always)]
    fn bits(self, key: usize, at: usize) -> u16 {
        let low = (key as isize + self.shift - at as isize).clamp(0, 16) as u32;
        let high = (key as isize + self.shift - at as isize + self.reach).clamp(0, 16) as u32;
        (((1u32 << high) - 1) & !((1u32 << low) - 1)) as u16
    }
}
