//! The forward pass.

use std::cell::RefCell;
use std::f64::consts::LOG2_E;
use std::ops::Range;

use super::super::aligned::Buffer;
use super::super::math::exp2;
use super::super::parallel::{self, Shared};
use super::super::simd::{Kernel, LANES, Lanes, dispatch};
use super::pack::{self, Queries};
use super::product::{Product, Roles, Start};
use super::{BLOCK, Band, Shape, Span, check, rows};

/// Rows (positions times heads of a group) of a task: enough to pay for gathering the keys.
const ROWS: usize = 512;

/// `out = softmax(q k^T / sqrt(head_dim)) v` for every head, a position seeing itself and those before it.
///
/// `log_sums` becomes, for each query and head, `log2 sum_keys 2^(q k / (sqrt(head_dim) ln 2))`, the logarithm (to base 2) of the
/// sum of the exponentials, which the backward pass needs. Spans lie in ascending order; rows of no span are left as they are.
///
/// `# Shapes: q, out (m_q, heads * head_dim); k, v (m_k, kv_heads * head_dim); log_sums (m_q, heads)`
///
/// # Panics
/// When a slice or a span does not fit the shapes (a programming error of this crate).
pub fn forward(
    shape: Shape,
    spans: &[Span],
    q: &[f32],
    k: &[f32],
    v: &[f32],
    out: &mut [f32],
    log_sums: &mut [f32],
) {
    let m = rows("q", q, shape.heads * shape.head_dim);
    check(shape, spans, m, rows("k", k, shape.kv_heads * shape.head_dim));
    assert!(
        k.len() == v.len() && q.len() == out.len(),
        "k {} v {} q {} out {}",
        k.len(),
        v.len(),
        q.len(),
        out.len()
    );
    assert!(log_sums.len() == m * shape.heads, "log_sums {} for {m} rows", log_sums.len());
    let step = (ROWS / shape.group()).max(2 * BLOCK) / BLOCK * BLOCK;
    let mut tasks = Vec::new();
    for span in spans.iter().filter(|span| !span.queries.is_empty()) {
        // Long ones first, so that no thread begins the longest task when the others are done.
        for from in (span.first() / step * step..span.positions()).step_by(step).rev() {
            let blocks = from.max(span.first() / BLOCK * BLOCK)..(from + step).min(span.positions());
            tasks.extend((0..shape.kv_heads).map(|head| (span, blocks.clone(), head)));
        }
    }
    let (out, log_sums) = (Shared::new(out), Shared::new(log_sums));
    parallel::each(tasks.len(), |task| {
        let (span, blocks, head) = &tasks[task];
        let task = Task { shape, span, head: *head, q, k, v, out: &out, log_sums: &log_sums };
        SCRATCH.with_borrow_mut(|scratch| task.run(blocks.clone(), scratch));
    });
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

#[derive(Default)]
struct Scratch {
    keys: Buffer,
    values: Buffer,
    turned: Buffer,
    scores: Buffer,
    sums: Buffer,
    statistics: Buffer,
}

struct Task<'a> {
    shape: Shape,
    span: &'a Span,
    head: usize,
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    out: &'a Shared<'a, f32>,
    log_sums: &'a Shared<'a, f32>,
}

impl Task<'_> {
    fn run(&self, positions: Range<usize>, scratch: &mut Scratch) {
        let Self { shape, span, .. } = *self;
        let (d, padded, reach) = (shape.head_dim, shape.padded(), shape.reach());
        // The keys that any query sees, from the start of a block.
        let asked = positions.start.max(span.first());
        let oldest = (asked as isize + 1 - reach).max(0) as usize / BLOCK * BLOCK;
        let seen = oldest..positions.end;
        let keys = scratch.keys.reset(seen.len() * padded);
        pack::keys(shape, span, self.head, seen.clone(), self.k, keys);
        let values = scratch.values.reset(seen.len() * padded);
        pack::keys(shape, span, self.head, seen.clone(), self.v, values);
        let turned = scratch.turned.reset(d * BLOCK);
        let scores = scratch.scores.reset(BLOCK * BLOCK);
        let sums = scratch.sums.reset(BLOCK * padded);
        let statistics = scratch.statistics.reset(3 * BLOCK);
        let factor = (f64::from(shape.scale()) * LOG2_E) as f32;
        for head in self.head * shape.group()..(self.head + 1) * shape.group() {
            for block in positions.clone().step_by(BLOCK) {
                let queries = Queries::of(span, block);
                queries.turned(shape, head, factor, self.q, turned);
                sums.fill(0.0);
                let (maxima, rest) = statistics.split_at_mut(BLOCK);
                let (totals, alphas) = rest.split_at_mut(BLOCK);
                maxima.fill(f32::MIN);
                totals.fill(0.0);
                let visible = Band::new(0, block, reach).keys(queries.from, queries.to, queries.to + block);
                for at in (visible.start / BLOCK * BLOCK..visible.end).step_by(BLOCK) {
                    let count = BLOCK.min(visible.end - at);
                    let band = Band::new(at, block, reach);
                    let place = (at - oldest) * padded..(at - oldest + count) * padded;
                    dispatch(Product {
                        roles: Roles::Scores,
                        band,
                        rows: 0..count,
                        columns: queries.lanes(),
                        depth: 0..d,
                        left: &keys[place.clone()],
                        left_row: padded,
                        left_depth: 1,
                        right: turned,
                        right_row: BLOCK,
                        to: scores,
                        to_row: BLOCK,
                        start: Start::Zero,
                    });
                    dispatch(Softmax {
                        band,
                        keys: count,
                        lanes: queries.lanes(),
                        scores,
                        maxima,
                        totals,
                        alphas,
                    });
                    dispatch(Product {
                        roles: Roles::Queries,
                        band,
                        rows: queries.from..queries.to,
                        columns: 0..padded,
                        depth: 0..count,
                        left: scores,
                        left_row: 1,
                        left_depth: BLOCK,
                        right: &values[place],
                        right_row: padded,
                        to: sums,
                        to_row: padded,
                        start: Start::Scaled(alphas),
                    });
                }
                self.store(head, queries, sums, maxima, totals);
            }
        }
    }

    fn store(&self, head: usize, queries: Queries, sums: &[f32], maxima: &[f32], totals: &[f32]) {
        let (d, padded, heads) = (self.shape.head_dim, self.shape.padded(), self.shape.heads);
        for (i, place) in (queries.from..queries.to).enumerate() {
            let place_in_batch = (queries.row + i) * heads + head;
            // SAFETY: a query and head belong to one task.
            let (out, log_sum) =
                unsafe { (self.out.part(place_in_batch * d, d), self.log_sums.part(place_in_batch, 1)) };
            let inverse = 1.0 / totals[place];
            for (out, sum) in out.iter_mut().zip(&sums[place * padded..]) {
                *out = sum * inverse;
            }
            log_sum[0] = (f64::from(maxima[place]) + f64::from(totals[place]).log2()) as f32;
        }
    }
}

/// Scores (to base 2) of a block become `2^(score - maximum)` with the maximum of all keys so far; `alphas` are what earlier sums
/// have to be multiplied with for it.
struct Softmax<'a> {
    band: Band,
    keys: usize,
    lanes: Range<usize>,
    scores: &'a mut [f32],
    maxima: &'a mut [f32],
    totals: &'a mut [f32],
    alphas: &'a mut [f32],
}

impl Kernel for Softmax<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        assert!(self.scores.len() >= self.keys * BLOCK && self.lanes.end <= BLOCK, "scores");
        assert!(
            self.maxima.len() >= BLOCK && self.totals.len() >= BLOCK && self.alphas.len() >= BLOCK,
            "rows"
        );
        let full = self.band.is_full(self.keys);
        for at in self.lanes.step_by(LANES) {
            unsafe {
                let (maximum, total) = (self.maxima.as_mut_ptr().add(at), self.totals.as_mut_ptr().add(at));
                let column =
                    Column { keys: self.keys, at, band: self.band, scores: self.scores.as_mut_ptr().add(at) };
                let before = L::load(maximum);
                let after =
                    if full { column.maximum::<L, false>(before) } else { column.maximum::<L, true>(before) };
                let sum =
                    if full { column.powers::<L, false>(after) } else { column.powers::<L, true>(after) };
                let alpha = exp2::<L>(L::sub(before, after));
                L::store(maximum, after);
                L::store(total, L::fma(L::load(total), alpha, sum));
                L::store(self.alphas.as_mut_ptr().add(at), alpha);
            }
        }
    }
}

/// Sixteen queries of a block.
#[derive(Clone, Copy)]
struct Column {
    keys: usize,
    at: usize,
    band: Band,
    scores: *mut f32,
}

impl Column {
    #[inline(always)]
    unsafe fn maximum<L: Lanes, const MASKED: bool>(self, before: L::V) -> L::V {
        unsafe {
            let mut maximum = before;
            for key in 0..self.keys {
                let score = L::load(self.scores.add(key * BLOCK));
                if MASKED {
                    let bits = self.band.bits(key, self.at);
                    let least = L::keep(!bits, L::splat(f32::MIN));
                    maximum = L::max(L::add(L::keep(bits, score), least), maximum);
                } else {
                    maximum = L::max(score, maximum);
                }
            }
            maximum
        }
    }

    #[inline(always)]
    unsafe fn powers<L: Lanes, const MASKED: bool>(self, maximum: L::V) -> L::V {
        unsafe {
            let mut sum = L::splat(0.0);
            for key in 0..self.keys {
                let place = self.scores.add(key * BLOCK);
                let mut power = exp2::<L>(L::sub(L::load(place), maximum));
                if MASKED {
                    power = L::keep(self.band.bits(key, self.at), power);
                }
                L::store(place, power);
                sum = L::add(sum, power);
            }
            sum
        }
    }
}
