//! Attention against the machine's multiply-adds, and the passes over memory of a decoder against its copies.

use std::hint::black_box;
use std::time::Instant;

use bench::nn::aligned::Buffer;
use bench::nn::attention::{Scratch, Shape, Span, backward, forward};
use bench::nn::rope::Rope;
use bench::nn::simd::dispatch;
use bench::nn::{embedding, parallel, rms_norm, rope, softmax, swiglu};

use crate::multiply_adds::MultiplyAdds;

/// The best of many runs, in seconds: a kernel's speed where nothing else disturbs it.
fn best(mut work: impl FnMut()) -> f64 {
    work();
    let began = Instant::now();
    let mut best = f64::INFINITY;
    let mut runs = 0;
    while runs < 5 || (began.elapsed().as_secs_f64() < 1.0 && runs < 200) {
        let start = Instant::now();
        work();
        best = best.min(start.elapsed().as_secs_f64());
        runs += 1;
    }
    best
}

/// GFLOP/s of fused multiply-adds in registers on all threads.
fn multiply_adds() -> f64 {
    let threads = rayon::current_num_threads();
    let seconds = best(|| {
        parallel::each(threads, |_| {
            black_box(dispatch(MultiplyAdds));
        });
    });
    (threads * MultiplyAdds::OPERATIONS) as f64 / seconds / 1e9
}

/// GB/s of a copy of 128 MiB on all threads, read and written bytes.
fn copy() -> f64 {
    let threads = rayon::current_num_threads();
    let from = vec![1f32; 32 << 20];
    let mut to = vec![0f32; 32 << 20];
    let part = from.len() / threads;
    let seconds = best(|| {
        let parts = parallel::Shared::new(&mut to);
        parallel::each(threads, |t| {
            // SAFETY: parts are disjoint.
            unsafe { parts.part(t * part, part) }.copy_from_slice(&from[t * part..][..part]);
        });
    });
    2.0 * 4.0 * from.len() as f64 / seconds / 1e9
}

fn filled(len: usize, scale: f32) -> Buffer {
    let mut buffer = Buffer::zeros(len);
    for (i, x) in buffer.iter_mut().enumerate() {
        *x = ((i as f32 * 0.618_034).fract() - 0.5) * scale;
    }
    buffer
}

/// Spans of prompts of `length` that share their first `prefix` positions.
fn packed(prompts: usize, length: usize, prefix: usize) -> Vec<Span> {
    let mut spans = vec![Span { queries: 0..prefix, keys: 0..prefix, prefix: 0 }];
    for prompt in 0..prompts {
        let rows = prefix + prompt * (length - prefix)..prefix + (prompt + 1) * (length - prefix);
        spans.push(Span { queries: rows.clone(), keys: rows, prefix });
    }
    spans
}

/// Multiply-adds of one product of all queries with the keys that they see, over the width of a head.
fn pairs(shape: Shape, spans: &[Span]) -> usize {
    let seen: usize = spans
        .iter()
        .map(|span| {
            let positions = span.prefix + span.keys.len();
            let first = positions - span.queries.len();
            (first + 1..=positions).sum::<usize>()
        })
        .sum();
    seen * shape.heads * shape.head_dim
}

fn attention(peak: f64) {
    println!("{:<52}{:>10}{:>12}{:>10}", "attention, causal half only", "ms", "rate", "of peak");
    let geometries = [
        ("134M: 12 heads of 64", Shape::new(12, 12, 64), packed(4, 1024, 60)),
        ("8B: 32 heads of 128 on 8", Shape::new(32, 8, 128), packed(1, 1024, 60)),
        ("8B, only the last rows", Shape::new(32, 8, 128), {
            let mut spans = packed(4, 1024, 60);
            for (row, span) in spans.iter_mut().enumerate() {
                span.queries = row..row + 1;
            }
            spans
        }),
    ];
    for (name, shape, spans) in geometries {
        let rows = spans.last().map_or(0, |span| span.queries.end);
        let keys = spans.last().map_or(0, |span| span.keys.end);
        let (wide, narrow) = (rows * shape.heads * shape.head_dim, keys * shape.kv_heads * shape.head_dim);
        let (q, k, v, d_out) =
            (filled(wide, 2.0), filled(narrow, 2.0), filled(narrow, 1.0), filled(wide, 1.0));
        let (mut out, mut logs) = (Buffer::zeros(wide), Buffer::zeros(rows * shape.heads));
        let (mut dq, mut dk, mut dv) = (Buffer::zeros(wide), Buffer::zeros(narrow), Buffer::zeros(narrow));
        let mut scratch = Scratch::default();
        let pairs = pairs(shape, &spans) as f64;
        let line = |what: &str, flops: f64, seconds: f64| {
            let rate = flops / seconds / 1e9;
            let name = format!("{name}, {} spans, {what}", spans.len());
            println!("{name:<52}{:>10.3}{rate:>7.1} GF/s{:>9.0}%", seconds * 1e3, 100.0 * rate / peak);
        };
        let seconds = best(|| forward(shape, &spans, &q, &k, &v, &mut out, &mut logs));
        line("forward", 2.0 * 2.0 * pairs, seconds);
        let seconds = best(|| {
            backward(shape, &spans, &q, &k, &v, &out, &logs, &d_out, &mut dq, &mut dk, &mut dv, &mut scratch);
        });
        line("backward", 5.0 * 2.0 * pairs, seconds);
    }
}

fn passes(peak: f64) {
    println!("\n{:<52}{:>10}{:>12}{:>10}", "passes over memory", "ms", "rate", "of copy");
    let line = |name: &str, floats: usize, seconds: f64| {
        let rate = 4.0 * floats as f64 / seconds / 1e9;
        println!("{name:<52}{:>10.3}{rate:>7.1} GB/s{:>9.0}%", seconds * 1e3, 100.0 * rate / peak);
    };
    for (name, m, d, f, head_dim) in [("134M", 4096, 768, 2048, 64), ("8B", 2048, 4096, 14_336, 128)] {
        let (x, dy, w) = (filled(m * d, 1.0), filled(m * d, 1.0), filled(d, 1.0));
        let (mut y, mut inverse, mut dw) = (Buffer::zeros(m * d), Buffer::zeros(m), Buffer::zeros(d));
        let seconds = best(|| rms_norm::forward(&x, &w, 1e-6, &mut y, &mut inverse));
        line(&format!("{name}: RMSNorm forward"), 2 * m * d, seconds);
        let seconds = best(|| rms_norm::backward(&x, &w, &inverse, &dy, &mut y, None));
        line(&format!("{name}: RMSNorm backward, frozen weight"), 4 * m * d, seconds);
        let seconds = best(|| rms_norm::backward(&x, &w, &inverse, &dy, &mut y, Some(&mut dw)));
        line(&format!("{name}: RMSNorm backward"), 4 * m * d, seconds);
        let frequencies: Vec<f32> = (0..head_dim / 2).map(|i| 0.9f32.powi(i)).collect();
        let table = Rope::new(&frequencies, 1.0, 1024);
        let positions: Vec<u32> = (0..m as u32).map(|i| i % 1024).collect();
        let seconds = best(|| rope::apply(&mut y, head_dim as usize, &positions, &table, false));
        line(&format!("{name}: rotary embedding"), 2 * m * d, seconds);
        let (gate, up, d_out) = (filled(m * f, 4.0), filled(m * f, 1.0), filled(m * f, 1.0));
        let (mut out, mut other) = (Buffer::zeros(m * f), Buffer::zeros(m * f));
        let seconds = best(|| swiglu::forward(&gate, &up, &mut out));
        line(&format!("{name}: SwiGLU forward"), 3 * m * f, seconds);
        let seconds = best(|| swiglu::backward(&gate, &up, &d_out, &mut out, &mut other));
        line(&format!("{name}: SwiGLU backward"), 5 * m * f, seconds);
        let (vocabulary, labels) = (128_256, [7u32; 32]);
        let mut logits = filled(32 * vocabulary, 4.0);
        let seconds = best(|| {
            black_box(softmax::cross_entropy(vocabulary, &mut logits, &labels, 1.0 / 32.0));
        });
        line(&format!("{name}: cross-entropy, 32 rows of 128256"), 4 * 32 * vocabulary, seconds);
        let ids: Vec<u32> = (0..m as u32).map(|i| i * 7919 % 30_000).collect();
        let mut table = Buffer::zeros(30_000 * d);
        let seconds = best(|| embedding::scatter_add(d, &ids, &dy, &mut table));
        line(&format!("{name}: embedding gradient"), 3 * m * d, seconds);
    }
}

/// Print both tables.
pub fn report() {
    let (peak, copied) = (multiply_adds(), copy());
    println!("fused multiply-adds in registers  {peak:7.1} GFLOP/s");
    println!("copy of 128 MiB                   {copied:7.1} GB/s\n");
    attention(peak);
    passes(copied);
}
