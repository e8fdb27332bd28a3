//! The backward pass: probabilities are made again from queries, keys and the logarithms of the sums.

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

/// How many elements of partial sums of shared rows may be in memory at once, if no span has more.
const PARTIAL: usize = 16 << 20;

/// Reusable memory of [`backward`].
#[derive(Default)]
pub struct Scratch {
    /// What spans add to rows of their prefix, keys then values: (spans of a round, 2, prefix, kv_heads * head_dim).
    partial: Buffer,
}

/// The gradients of `q`, `k` and `v` from that of `out`. What spans add to a shared prefix is summed in the order of the spans.
/// Rows of keys that no span has become 0; rows of queries that no span has are left as they are.
///
/// `# Shapes: q, out, d_out, dq (m_q, heads * head_dim); k, v, dk, dv (m_k, kv_heads * head_dim); log_sums (m_q, heads)`
///
/// # Panics
/// As [`forward`](super::forward).
#[allow(clippy::too_many_arguments, reason = "the gradient of attention has this many facts")]
pub fn backward(
    shape: Shape,
    spans: &[Span],
    q: &[f32],
    k: &[f32],
    v: &[f32],
    out: &[f32],
    log_sums: &[f32],
    d_out: &[f32],
    dq: &mut [f32],
    dk: &mut [f32],
    dv: &mut [f32],
    scratch: &mut Scratch,
) {
    let width = shape.kv_heads * shape.head_dim;
    let m = rows("q", q, shape.heads * shape.head_dim);
    let key_rows = rows("k", k, width);
    check(shape, spans, m, key_rows);
    assert!(k.len() == v.len() && k.len() == dk.len() && k.len() == dv.len(), "k {} v {}", k.len(), v.len());
    assert!(
        q.len() == out.len() && q.len() == d_out.len() && q.len() == dq.len(),
        "q {} out {}",
        q.len(),
        out.len()
    );
    assert!(log_sums.len() == m * shape.heads, "log_sums {} for {m} rows", log_sums.len());
    let ends = std::iter::once(0).chain(spans.iter().map(|span| span.keys.end));
    let starts = spans.iter().map(|span| span.keys.start).chain(std::iter::once(key_rows));
    for (end, next) in ends.zip(starts) {
        dk[end * width..next * width].fill(0.0);
        dv[end * width..next * width].fill(0.0);
    }
    let mut left = spans;
    while !left.is_empty() {
        let mut size = 0;
        let count = left
            .iter()
            .take_while(|span| {
                let first = size == 0;
                size += 2 * span.prefix * width;
                first || size <= PARTIAL
            })
            .count();
        let (round, rest) = left.split_at(count);
        left = rest;
        let starts: Vec<usize> = round
            .iter()
            .scan(0, |at, span| {
                *at += 2 * span.prefix * width;
                Some(*at - 2 * span.prefix * width)
            })
            .collect();
        let size = round.iter().map(|span| 2 * span.prefix * width).sum();
        let partial = scratch.partial.reset(size);
        {
            let (dq, dk, dv) = (Shared::new(dq), Shared::new(dk), Shared::new(dv));
            let partial = Shared::new(partial);
            parallel::each(round.len() * shape.kv_heads, |task| {
                let (index, head) = (task / shape.kv_heads, task % shape.kv_heads);
                let task = Task {
                    shape,
                    span: &round[index],
                    head,
                    inputs: [q, k, v, out, log_sums, d_out],
                    dq: &dq,
                    dk: &dk,
                    dv: &dv,
                    partial: &partial,
                    partial_start: starts[index],
                };
                LOCAL.with_borrow_mut(|local| task.run(local));
            });
        }
        add_partials(width, round, &starts, partial, dk, dv);
    }
}

/// Add what the spans of a round have for the rows of their prefixes, in the order of the spans.
fn add_partials(
    width: usize,
    round: &[Span],
    starts: &[usize],
    partial: &[f32],
    dk: &mut [f32],
    dv: &mut [f32],
) {
    let longest = round.iter().map(|span| span.prefix).max().unwrap_or(0);
    let (dk, dv) = (Shared::new(dk), Shared::new(dv));
    parallel::each(longest, |row| {
        // SAFETY: tasks own disjoint rows.
        let (dk, dv) = unsafe { (dk.part(row * width, width), dv.part(row * width, width)) };
        for (span, start) in round.iter().zip(starts).filter(|(span, _)| row < span.prefix) {
            let (keys, values) = partial[*start..][..2 * span.prefix * width].split_at(span.prefix * width);
            add(dk, &keys[row * width..][..width]);
            add(dv, &values[row * width..][..width]);
        }
    });
}

fn add(to: &mut [f32], from: &[f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += from;
    }
}

thread_local! {
    static LOCAL: RefCell<Local> = RefCell::default();
}

#[derive(Default)]
struct Local {
    /// Keys, values and their gradients: (positions, padded) each.
    keys: Buffer,
    values: Buffer,
    d_keys: Buffer,
    d_values: Buffer,
    /// Queries and `d_out` of a block, turned and as lines, and the gradient of the queries.
    turned: Buffer,
    lines: Buffer,
    d_turned: Buffer,
    d_lines: Buffer,
    d_queries: Buffer,
    scores: Buffer,
    d_scores: Buffer,
    statistics: Buffer,
}

struct Task<'a> {
    shape: Shape,
    span: &'a Span,
    head: usize,
    inputs: [&'a [f32]; 6],
    dq: &'a Shared<'a, f32>,
    dk: &'a Shared<'a, f32>,
    dv: &'a Shared<'a, f32>,
    partial: &'a Shared<'a, f32>,
    partial_start: usize,
}

impl Task<'_> {
    fn run(&self, local: &mut Local) {
        let Self { shape, span, inputs: [q, k, v, out, log_sums, d_out], .. } = *self;
        let (d, padded, reach) = (shape.head_dim, shape.padded(), shape.reach());
        let positions = span.positions();
        let keys = local.keys.reset(positions * padded);
        pack::keys(shape, span, self.head, 0..positions, k, keys);
        let values = local.values.reset(positions * padded);
        pack::keys(shape, span, self.head, 0..positions, v, values);
        let (d_keys, d_values) =
            (local.d_keys.clear(positions * padded), local.d_values.clear(positions * padded));
        let (turned, d_turned) = (local.turned.reset(d * BLOCK), local.d_turned.reset(d * BLOCK));
        let (lines, d_lines) = (local.lines.clear(BLOCK * padded), local.d_lines.clear(BLOCK * padded));
        let d_queries = local.d_queries.reset(BLOCK * padded);
        let (scores, d_scores) = (local.scores.reset(BLOCK * BLOCK), local.d_scores.reset(BLOCK * BLOCK));
        let statistics = local.statistics.reset(2 * BLOCK);
        let factor = (f64::from(shape.scale()) * LOG2_E) as f32;
        let first = span.first() / BLOCK * BLOCK;
        for head in self.head * shape.group()..(self.head + 1) * shape.group() {
            for block in (first..if span.queries.is_empty() { first } else { positions }).step_by(BLOCK) {
                let queries = Queries::of(span, block);
                let rows = queries.from..queries.to;
                queries.turned(shape, head, factor, q, turned);
                queries.turned(shape, head, 1.0, d_out, d_turned);
                queries.lines(shape, head, q, lines);
                queries.lines(shape, head, d_out, d_lines);
                d_queries.fill(0.0);
                let (logs, dots) = statistics.split_at_mut(BLOCK);
                // Places without a query get probabilities of 0.
                logs.fill(f32::MAX);
                dots.fill(0.0);
                for (i, place) in rows.clone().enumerate() {
                    let at = (queries.row + i) * shape.heads + head;
                    logs[place] = log_sums[at];
                    dots[place] = dispatch(Dot { a: &out[at * d..][..d], b: &d_out[at * d..][..d] });
                }
                let visible = Band::new(0, block, reach).keys(queries.from, queries.to, queries.to + block);
                for at in (visible.start / BLOCK * BLOCK..visible.end).step_by(BLOCK) {
                    let count = BLOCK.min(visible.end - at);
                    let band = Band::new(at, block, reach);
                    let place = at * padded..(at + count) * padded;
                    for (left, right, to) in [
                        (&keys[place.clone()], &*turned, &mut *scores),
                        (&values[place.clone()], &*d_turned, &mut *d_scores),
                    ] {
                        dispatch(Product {
                            roles: Roles::Scores,
                            band,
                            rows: 0..count,
                            columns: queries.lanes(),
                            depth: 0..d,
                            left,
                            left_row: padded,
                            left_depth: 1,
                            right,
                            right_row: BLOCK,
                            to,
                            to_row: BLOCK,
                            start: Start::Zero,
                        });
                    }
                    dispatch(Gradient {
                        band,
                        keys: count,
                        lanes: queries.lanes(),
                        scores,
                        d_scores,
                        logs,
                        dots,
                    });
                    for (left, right, to) in [
                        (&*scores, &*d_lines, &mut d_values[place.clone()]),
                        (&*d_scores, &*lines, &mut d_keys[place.clone()]),
                    ] {
                        dispatch(Product {
                            roles: Roles::Keys,
                            band,
                            rows: 0..count,
                            columns: 0..padded,
                            depth: rows.clone(),
                            left,
                            left_row: BLOCK,
                            left_depth: 1,
                            right,
                            right_row: padded,
                            to,
                            to_row: padded,
                            start: Start::Sum,
                        });
                    }
                    dispatch(Product {
                        roles: Roles::Queries,
                        band,
                        rows: rows.clone(),
                        columns: 0..padded,
                        depth: 0..count,
                        left: d_scores,
                        left_row: 1,
                        left_depth: BLOCK,
                        right: &keys[place],
                        right_row: padded,
                        to: d_queries,
                        to_row: padded,
                        start: Start::Sum,
                    });
                }
                for (i, place) in rows.enumerate() {
                    // SAFETY: a query and head belong to one task.
                    let to = unsafe { self.dq.part(((queries.row + i) * shape.heads + head) * d, d) };
                    scaled(&d_queries[place * padded..][..d], shape.scale(), to);
                }
            }
        }
        self.store(d_keys, d_values);
    }

    /// The gradients of own keys to their rows, those of the prefix to the partial sums.
    fn store(&self, d_keys: &[f32], d_values: &[f32]) {
        let Self { shape, span, .. } = *self;
        let (d, padded, width) = (shape.head_dim, shape.padded(), shape.kv_heads * shape.head_dim);
        for (position, (key, value)) in
            d_keys.chunks_exact(padded).zip(d_values.chunks_exact(padded)).enumerate()
        {
            // SAFETY: a position and head belong to one task.
            let (dk, dv) = unsafe {
                if position < span.prefix {
                    let at = self.partial_start + position * width + self.head * d;
                    (self.partial.part(at, d), self.partial.part(at + span.prefix * width, d))
                } else {
                    let at = span.key_row(position) * width + self.head * d;
                    (self.dk.part(at, d), self.dv.part(at, d))
                }
            };
            scaled(&key[..d], shape.scale(), dk);
            dv.copy_from_slice(&value[..d]);
        }
    }
}

fn scaled(from: &[f32], factor: f32, to: &mut [f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = from * factor;
    }
}

/// `sum a b`.
struct Dot<'a> {
    a: &'a [f32],
    b: &'a [f32],
}

impl Kernel for Dot<'_> {
    type Out = f32;
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) -> f32 {
        let n = self.a.len().min(self.b.len());
        unsafe {
            let mut sum = L::splat(0.0);
            super::super::simd::vectors!(n, at, n => {
                let b = L::load_first(self.b.as_ptr().add(at), n);
                sum = L::fma(L::load_first(self.a.as_ptr().add(at), n), b, sum);
            });
            L::sum(sum)
        }
    }
}

/// Scores become probabilities `p = 2^(score - log)`, and their gradients `p (d_score - dot)`.
struct Gradient<'a> {
    band: Band,
    keys: usize,
    lanes: Range<usize>,
    scores: &'a mut [f32],
    d_scores: &'a mut [f32],
    logs: &'a [f32],
    dots: &'a [f32],
}

impl Kernel for Gradient<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let size = self.keys * BLOCK;
        assert!(
            self.scores.len() >= size && self.d_scores.len() >= size && self.lanes.end <= BLOCK,
            "scores"
        );
        assert!(self.logs.len() >= BLOCK && self.dots.len() >= BLOCK, "rows");
        let full = self.band.is_full(self.keys);
        for key in 0..self.keys {
            for at in self.lanes.clone().step_by(LANES) {
                unsafe {
                    let p = self.scores.as_mut_ptr().add(key * BLOCK + at);
                    let d = self.d_scores.as_mut_ptr().add(key * BLOCK + at);
                    let mut power = exp2::<L>(L::sub(L::load(p), L::load(self.logs.as_ptr().add(at))));
                    let mut slope = L::sub(L::load(d), L::load(self.dots.as_ptr().add(at)));
                    if !full {
                        let bits = self.band.bits(key, at);
                        power = L::keep(bits, power);
                        slope = L::keep(bits, slope);
                    }
                    L::store(p, power);
                    L::store(d, L::mul(power, slope));
                }
            }
        }
    }
}
