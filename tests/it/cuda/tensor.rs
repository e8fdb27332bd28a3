//! Products and attention of a decoder: sums are in another order than the CPU's, so results are near to its, not the same.

use bench::cuda::{Activation, Array, Attended, AttentionRoom, Gemm, Product, Right, Spans, Start};
use bench::nn::attention::{self, Shape, Span};
use bench::nn::gemm::{self, Left};
use half::bf16;

use super::kernels::{Case, everywhere};

/// What a sum in f32 may differ, for each unit of the magnitudes of its terms.
const F32: f64 = 1e-5;
/// What rounding to bf16 may change, for each unit.
const BF16: f64 = 1.0 / 256.0;

/// A number of a kind that kernels take, and what rounding to it may change.
trait Number: Activation {
    const ROUNDING: f64;
    fn of(x: f32) -> Self;
    fn value(self) -> f32;
}
impl Number for f32 {
    const ROUNDING: f64 = 0.0;
    fn of(x: f32) -> Self {
        x
    }
    fn value(self) -> f32 {
        self
    }
}
impl Number for bf16 {
    const ROUNDING: f64 = BF16;
    fn of(x: f32) -> Self {
        Self::from_f32(x)
    }
    fn value(self) -> f32 {
        self.to_f32()
    }
}

fn rounded<T: Number>(values: &[f32]) -> Vec<T> {
    values.iter().map(|x| T::of(*x)).collect()
}

fn values<T: Number>(numbers: &[T]) -> Vec<f32> {
    numbers.iter().map(|x| x.value()).collect()
}

fn magnitudes(values: &[f32]) -> Vec<f32> {
    values.iter().map(|x| x.abs()).collect()
}

impl Case {
    /// Random numbers that `T` has, and these on the device.
    fn numbers<T: Number>(&mut self, n: usize) -> (Vec<f32>, Array<T>) {
        let numbers: Vec<T> = rounded(&self.floats(n));
        (values(&numbers), self.array(&numbers))
    }

    /// Poison for a result.
    fn poison<T: Number>(&self, n: usize) -> Array<T> {
        self.array(&vec![T::of(f32::NAN); n])
    }
}

/// That numbers are as near as `tolerance` for each unit of `sizes`; where those are NaN, still poison.
#[track_caller]
fn near<T: Number>(found: &Array<T>, expected: &[f32], sizes: &[f64], tolerance: f64, what: &str) {
    let found = found.get().unwrap();
    assert!(found.len() == expected.len() && found.len() == sizes.len(), "{what}");
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let found = found.value();
        let close = f64::from((found - expected).abs()) <= tolerance * sizes[at];
        let untouched = sizes[at].is_nan() && found.is_nan();
        assert!(close || untouched, "{what}[{at}]: {found} is not {expected} (of {})", sizes[at]);
    }
}

fn product<C: Number>(case: &mut Case, (m, n, k): (usize, usize, usize), transposed: bool, mode: usize) {
    let (a, on_a) = case.numbers::<bf16>(m * k);
    let (b, on_b) = case.numbers::<bf16>(k * n);
    let (before, mut c) = if mode == 1 { case.numbers::<C>(m * n) } else { (vec![], case.poison(m * n)) };
    let (columns, rows) = (case.floats(n), case.floats(m));
    let (on_columns, on_rows) = (case.array(&columns), case.array(&rows));
    let (start, first) = match mode {
        0 => (Start::Zero, vec![0.0; m * n]),
        1 => (Start::Sum, before),
        2 => (Start::Columns(on_columns.all()), columns.iter().copied().cycle().take(m * n).collect()),
        _ => {
            let first = rows.iter().flat_map(|x| std::iter::repeat_n(*x, n)).collect();
            (Start::Rows(on_rows.all()), first)
        }
    };
    let right = if transposed { Right::Transposed(on_b.all()) } else { Right::Rows(on_b.all()) };
    case.kernels.matmul((m, n, k), on_a.all(), right, c.all_mut(), start).unwrap();
    let b: Vec<f32> = if transposed { (0..k * n).map(|at| b[at % n * k + at / n]).collect() } else { b };
    let multiply = |a: &[f32], b: &[f32], first: &[f32]| {
        let mut c = first.to_vec();
        gemm::gemm((m, n, k), Left::rows(a, k), b, n, &mut c, n, gemm::Start::Sum);
        c
    };
    let expected = multiply(&a, &b, &first);
    let sizes = multiply(&magnitudes(&a), &magnitudes(&b), &magnitudes(&first));
    // The sum is near to the CPU's in f32, and then rounded once.
    let sizes: Vec<f64> = sizes
        .iter()
        .zip(&expected)
        .map(|(size, x)| f64::from(*size) * F32 + f64::from(x.abs()) * C::ROUNDING * 1.01 + 1e-30)
        .collect();
    near(&c, &expected, &sizes, 1.0, &format!("({m}, {n}, {k}), {transposed}, start {mode}"));
}

#[test]
fn products_of_bf16_matrices_are_those_of_the_cpu_but_for_the_order_of_sums() {
    everywhere(21, |case| {
        for transposed in [false, true] {
            for (sizes, mode) in [
                // Whole tiles, parts of them, one row, no depth; sizes and places that tensor cores do not take.
                ((64, 64, 64), 0),
                ((65, 136, 104), 1),
                ((200, 72, 200), 2),
                ((1, 8, 8), 3),
                ((3, 24, 0), 2),
                ((70, 67, 33), 1),
                ((5, 8, 7), 3),
                ((9, 30, 16), 0),
            ] {
                product::<f32>(case, sizes, transposed, mode);
                product::<bf16>(case, sizes, transposed, mode);
            }
            // Large tiles; blocks in groups of eight rows of tiles, and a last group with fewer.
            product::<f32>(case, (1300, 1160, 40), transposed, 1);
            product::<bf16>(case, (1281, 1288, 72), transposed, 2);
        }
    });
}

#[test]
fn products_of_parts_of_arrays_are_right_wherever_these_begin() {
    everywhere(22, |case| {
        let (m, n, k) = (17, 16, 24);
        let (a, on_a) = case.numbers::<bf16>(m * k + 3);
        let (b, on_b) = case.numbers::<bf16>(k * n);
        for from in 0..4 {
            let mut c = case.poison::<f32>(m * n + 2);
            let (part, right) = (on_a.part(from..from + m * k), Right::Rows(on_b.all()));
            case.kernels.matmul((m, n, k), part, right, c.part_mut(1..m * n + 1), Start::Zero).unwrap();
            let mut expected = vec![f32::NAN; m * n + 2];
            let inside = &mut expected[1..m * n + 1];
            gemm::gemm((m, n, k), Left::rows(&a[from..], k), &b, n, inside, n, gemm::Start::Zero);
            let mut sizes = vec![f64::from(k as u32) * 4.0; m * n + 2];
            (sizes[0], sizes[m * n + 1]) = (f64::NAN, f64::NAN);
            near(&c, &expected, &sizes, F32, &format!("from {from}"));
        }
    });
}

/// `C = beta C + op(A) op(B)` as cuBLAS defines it.
fn column_by_column(gemm: &Gemm, a: &[f32], b: &[f32], c: &mut [f32]) {
    let at = |matrix: &[f32], ld: i32, transposed: bool, i: i32, j: i32| {
        let (i, j) = if transposed { (j, i) } else { (i, j) };
        assert!(i < ld, "a column is longer than the distance to the next");
        matrix[(i + j * ld) as usize]
    };
    let (m, n, k) = gemm.sizes;
    for i in 0..m {
        for j in 0..n {
            let product =
                |p| at(a, gemm.a.1, gemm.transposed.0, i, p) * at(b, gemm.b.1, gemm.transposed.1, p, j);
            let to = &mut c[(i + j * gemm.c.1) as usize];
            *to = gemm.beta * *to + (0..k).map(product).sum::<f32>();
        }
    }
}

#[test]
fn cublas_is_asked_for_the_same_product() {
    let (m, n, k) = (3, 4, 5);
    // Whole numbers: sums are exact.
    let a: Vec<f32> = (0..m * k).map(|i| (i * 7 % 11) as f32).collect();
    let b: Vec<f32> = (0..k * n).map(|i| (i * 5 % 13) as f32).collect();
    for (transposed, sum) in [(false, false), (false, true), (true, false), (true, true)] {
        let asked = Product { sizes: (m, n, k), a: 1, b: 2, transposed, c: 3, half: false, sum };
        let gemm = Gemm::of(&asked).unwrap();
        // Their A is our B.
        assert_eq!((gemm.a.0, gemm.b.0, gemm.c.0), (2, 1, 3));
        let mut found = vec![1.0; m * n];
        column_by_column(&gemm, &b, &a, &mut found);
        for i in 0..m {
            for j in 0..n {
                let right = |p: usize| if transposed { b[j * k + p] } else { b[p * n + j] };
                let product: f32 = (0..k).map(|p| a[i * k + p] * right(p)).sum();
                assert_eq!(found[i * n + j], product + f32::from(u8::from(sum)), "({i}, {j})");
            }
        }
    }
    let empty = Product { sizes: (m, n, 0), a: 1, b: 2, transposed: false, c: 3, half: true, sum: false };
    assert_eq!(Gemm::of(&empty), None);
    assert_eq!(Gemm::of(&Product { sizes: (1 << 31, 1, 1), ..empty }), None);
}

/// Queries, keys, values and the gradient of the output.
struct Inputs {
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    d_out: Vec<f32>,
}

/// Sums of the magnitudes of what the elements of `out`, `d_q`, `d_k` and `d_v` are sums of; NaN where nothing is written.
fn sizes(shape: Shape, spans: &[Span], inputs: &Inputs) -> [Vec<f64>; 4] {
    let Inputs { q, k, v, d_out } = inputs;
    let (d, group) = (shape.head_dim, shape.heads / shape.kv_heads);
    let scale = 1.0 / (d as f64).sqrt();
    let mut out = vec![f64::NAN; q.len()];
    let (mut d_q, mut d_k, mut d_v) = (out.clone(), vec![1e-30; k.len()], vec![1e-30; k.len()]);
    for span in spans {
        let positions = span.prefix + span.keys.len();
        for (i, row) in span.queries.clone().enumerate() {
            let position = positions - span.queries.len() + i;
            let oldest = shape.window.map_or(0, |window| (position + 1).saturating_sub(window));
            for head in 0..shape.heads {
                let query = (row * shape.heads + head) * d;
                let place = |position: usize| {
                    let row = if position < span.prefix {
                        position
                    } else {
                        span.keys.start + position - span.prefix
                    };
                    (row * shape.kv_heads + head / group) * d
                };
                let dot = |a: &[f32], b: &[f32]| -> f64 {
                    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
                };
                let (query_row, d_row) = (&q[query..][..d], &d_out[query..][..d]);
                let mut powers: Vec<f64> = (oldest..=position)
                    .map(|at| (dot(query_row, &k[place(at)..][..d]) * scale).exp())
                    .collect();
                let total: f64 = powers.iter().sum();
                powers.iter_mut().for_each(|power| *power /= total);
                for c in 0..d {
                    let terms =
                        powers.iter().zip(oldest..).map(|(p, at)| p * f64::from(v[place(at) + c].abs()));
                    (out[query + c], d_q[query + c]) = (terms.sum(), 1e-30);
                }
                let whole: f64 = (0..d).map(|c| out[query + c] * f64::from(d_row[c].abs())).sum();
                for (p, at) in powers.iter().zip(oldest..) {
                    let key = place(at);
                    let value: f64 = (0..d).map(|c| f64::from((d_row[c] * v[key + c]).abs())).sum();
                    let slope = p * (value + whole) * scale;
                    for c in 0..d {
                        d_v[key + c] += p * f64::from(d_row[c].abs());
                        d_k[key + c] += slope * f64::from(query_row[c].abs());
                        d_q[query + c] += slope * f64::from(k[key + c].abs());
                    }
                }
            }
        }
    }
    [out, d_q, d_k, d_v]
}

fn attend<T: Number>(case: &mut Case, shape: Shape, spans: &[Span], rows: usize, key_rows: usize) {
    let what = format!("{shape:?}, {} spans", spans.len());
    let (width, kv_width) = (shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim);
    let (q, on_q) = case.numbers::<T>(rows * width);
    let (k, on_k) = case.numbers::<T>(key_rows * kv_width);
    let (v, on_v) = case.numbers::<T>(key_rows * kv_width);
    let (d_out, on_d_out) = case.numbers::<T>(rows * width);
    let (mut out, mut log_sums) = (vec![f32::NAN; q.len()], vec![f32::NAN; rows * shape.heads]);
    attention::forward(shape, spans, &q, &k, &v, &mut out, &mut log_sums);
    let (mut d_q, mut d_k, mut d_v) =
        (vec![f32::NAN; q.len()], vec![f32::NAN; k.len()], vec![f32::NAN; k.len()]);
    let scratch = &mut attention::Scratch::default();
    attention::backward(
        shape, spans, &q, &k, &v, &out, &log_sums, &d_out, &mut d_q, &mut d_k, &mut d_v, scratch,
    );

    let mut list = Spans::new(&case.machine);
    list.set(spans, rows, key_rows).unwrap();
    let (mut on_out, mut on_logs) = (case.poison::<T>(q.len()), case.poison::<f32>(log_sums.len()));
    case.kernels
        .attention_forward(
            shape,
            &list,
            on_q.all(),
            on_k.all(),
            on_v.all(),
            on_out.all_mut(),
            on_logs.all_mut(),
        )
        .unwrap();
    let (mut on_d_q, mut on_d_k, mut on_d_v) =
        (case.poison::<T>(q.len()), case.poison::<T>(k.len()), case.poison::<T>(k.len()));
    let inputs = Attended {
        q: on_q.all(),
        k: on_k.all(),
        v: on_v.all(),
        out: on_out.all(),
        log_sums: on_logs.all(),
        d_out: on_d_out.all(),
    };
    let gradients = (on_d_q.all_mut(), on_d_k.all_mut(), on_d_v.all_mut());
    case.kernels
        .attention_backward(shape, &list, inputs, gradients, &mut AttentionRoom::new(&case.machine))
        .unwrap();

    let [of_out, of_d_q, of_d_k, of_d_v] = sizes(shape, spans, &Inputs { q, k, v, d_out });
    let of_logs: Vec<f64> = log_sums.iter().map(|x| f64::from(x.abs()) + 1.0).collect();
    near(&on_logs, &log_sums, &of_logs, F32, &format!("log_sums, {what}"));
    // In bf16 the probability and the result are rounded.
    let once = F32 + 2.0 * T::ROUNDING;
    near(&on_out, &out, &of_out, once, &format!("out, {what}"));
    near(&on_d_v, &d_v, &of_d_v, once, &format!("d_v, {what}"));
    // And so was the output, of which the gradients of scores are made, and these.
    let twice = F32 + 4.0 * T::ROUNDING;
    near(&on_d_q, &d_q, &of_d_q, twice, &format!("d_q, {what}"));
    near(&on_d_k, &d_k, &of_d_k, twice, &format!("d_k, {what}"));
}

fn span(queries: std::ops::Range<usize>, keys: std::ops::Range<usize>, prefix: usize) -> Span {
    Span { queries, keys, prefix }
}

/// Prompts whose beginning is shared, of all lengths about that of a block; rows that nobody has between and behind them.
fn prompts() -> (Vec<Span>, usize, usize) {
    let spans = vec![
        span(0..70, 0..70, 0),
        span(70..133, 72..135, 70),
        span(133..197, 135..199, 70),
        span(199..264, 199..264, 40),
        span(264..265, 264..265, 70),
    ];
    (spans, 266, 268)
}

/// Only the last rows are asked for; one prompt alone, one longer than two blocks, one with nothing of its own.
fn last_rows() -> (Vec<Span>, usize, usize) {
    let spans = vec![
        span(0..3, 0..130, 0),
        span(3..4, 130..131, 0),
        span(5..10, 131..194, 100),
        span(10..12, 194..194, 30),
        span(12..12, 194..196, 10),
    ];
    (spans, 12, 196)
}

/// A beginning that so many queries share that the gradients of its keys are sums of parts.
fn shared() -> (Vec<Span>, usize, usize) {
    let mut spans = vec![span(0..80, 0..80, 0)];
    spans.extend((0..3).map(|i| 80 + 500 * i..580 + 500 * i).map(|rows| span(rows.clone(), rows, 80)));
    (spans, 1580, 1580)
}

fn windowed(heads: usize, kv_heads: usize, head_dim: usize, window: usize) -> Shape {
    Shape { window: Some(window), ..Shape::new(heads, kv_heads, head_dim) }
}

#[test]
fn attention_in_f32_is_near_to_that_of_the_cpu() {
    everywhere(31, |case| {
        let (spans, rows, key_rows) = prompts();
        attend::<f32>(case, Shape::new(4, 2, 16), &spans, rows, key_rows);
        attend::<f32>(case, windowed(2, 2, 7, 20), &spans, rows, key_rows);
        let (spans, rows, key_rows) = last_rows();
        attend::<f32>(case, Shape::new(3, 1, 64), &spans, rows, key_rows);
        attend::<f32>(case, windowed(2, 1, 150, 65), &spans, rows, key_rows);
        attend::<f32>(case, windowed(1, 1, 8, 1), &spans, rows, key_rows);
        attend::<f32>(case, Shape::new(1, 1, 8), &[], 2, 3);
        let (spans, rows, key_rows) = shared();
        attend::<f32>(case, windowed(1, 1, 8, 100), &spans, rows, key_rows);
    });
}

#[test]
fn attention_in_bf16_is_near_to_that_of_the_cpu_but_for_rounded_probabilities() {
    everywhere(32, |case| {
        let (spans, rows, key_rows) = prompts();
        attend::<bf16>(case, Shape::new(4, 2, 64), &spans, rows, key_rows);
        attend::<bf16>(case, windowed(2, 1, 24, 20), &spans, rows, key_rows);
        let (spans, rows, key_rows) = last_rows();
        attend::<bf16>(case, Shape::new(3, 1, 64), &spans, rows, key_rows);
        attend::<bf16>(case, windowed(2, 2, 48, 65), &spans, rows, key_rows);
        attend::<bf16>(case, windowed(1, 1, 64, 1), &spans, rows, key_rows);
        let (spans, rows, key_rows) = shared();
        attend::<bf16>(case, windowed(1, 1, 32, 100), &spans, rows, key_rows);
    });
}

#[test]
fn attention_in_bf16_is_near_to_that_of_the_cpu_for_wide_heads() {
    everywhere(33, |case| {
        let (spans, rows, key_rows) = prompts();
        attend::<bf16>(case, Shape::new(2, 1, 128), &spans, rows, key_rows);
        let (spans, rows, key_rows) = last_rows();
        attend::<bf16>(case, windowed(2, 1, 80, 30), &spans, rows, key_rows);
        // Widths that tensor cores do not take.
        attend::<bf16>(case, Shape::new(2, 1, 20), &spans, rows, key_rows);
        attend::<bf16>(case, windowed(1, 1, 136, 100), &spans, rows, key_rows);
    });
}
