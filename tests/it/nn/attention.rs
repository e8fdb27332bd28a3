//! Attention beside a plain twin in f64 and candle's automatic differentiation.

use bench::nn::attention::{Scratch, Shape, Span, backward, forward};
use candle_core::{D, Device, Tensor, Var};
use proptest::prelude::*;

use super::tools::{
    assert_close, assert_same_for_any_number_of_threads, bits, constant, elements, integers, poison, values,
    var,
};

/// A batch with everything that attention reads.
struct Case {
    shape: Shape,
    spans: Vec<Span>,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    d_out: Vec<f32>,
}

/// What attention writes, from memory that was poisoned.
struct Found {
    out: Vec<f32>,
    log_sums: Vec<f32>,
    dq: Vec<f32>,
    dk: Vec<f32>,
    dv: Vec<f32>,
}

impl Found {
    fn bits(&self) -> [Vec<u32>; 5] {
        [&self.out, &self.log_sums, &self.dq, &self.dk, &self.dv].map(|values| bits(values))
    }
}

impl Case {
    /// Random rows for spans that end where the batch ends.
    fn new(seed: u64, shape: Shape, spans: Vec<Span>) -> Self {
        let rows = spans.last().map_or(0, |span| span.queries.end);
        let key_rows = spans.last().map_or(0, |span| span.keys.end);
        let (width, key_width) = (shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim);
        Self {
            shape,
            spans,
            q: values(seed, rows * width, 2.0),
            k: values(seed + 1, key_rows * key_width, 2.0),
            v: values(seed + 2, key_rows * key_width, 1.0),
            d_out: values(seed + 3, rows * width, 1.0),
        }
    }

    fn rows(&self) -> usize {
        self.q.len() / (self.shape.heads * self.shape.head_dim)
    }

    fn run(&self) -> Found {
        let rows = self.rows();
        let mut found = Found {
            out: poison(self.q.len()),
            log_sums: poison(rows * self.shape.heads),
            dq: poison(self.q.len()),
            dk: poison(self.k.len()),
            dv: poison(self.v.len()),
        };
        let Case { shape, spans, q, k, v, d_out } = self;
        forward(*shape, spans, q, k, v, &mut found.out, &mut found.log_sums);
        let Found { out, log_sums, dq, dk, dv } = &mut found;
        backward(*shape, spans, q, k, v, out, log_sums, d_out, dq, dk, dv, &mut Scratch::default());
        found
    }

    /// The rows of keys that a span has, in the order of positions.
    fn key_rows(&self, span: &Span) -> Vec<u32> {
        (0..span.prefix).chain(span.keys.clone()).map(|row| row as u32).collect()
    }

    /// Outputs and logarithms of the sums by plain loops in f64.
    fn twin(&self) -> (Vec<f64>, Vec<f64>) {
        let Shape { heads, kv_heads, head_dim: d, window } = self.shape;
        let (mut out, mut logs) = (vec![0.0; self.q.len()], vec![0.0; self.rows() * heads]);
        for span in &self.spans {
            let rows = self.key_rows(span);
            for (i, row) in span.queries.clone().enumerate() {
                let position = rows.len() - span.queries.len() + i;
                let oldest = window.map_or(0, |window| (position + 1).saturating_sub(window));
                for head in 0..heads {
                    let kv_head = head / (heads / kv_heads);
                    let number = |all: &[f32], key: usize, x: usize| {
                        f64::from(all[(rows[key] as usize * kv_heads + kv_head) * d + x])
                    };
                    let place = (row * heads + head) * d;
                    let weights: Vec<f64> = (oldest..=position)
                        .map(|key| {
                            let score: f64 =
                                (0..d).map(|x| f64::from(self.q[place + x]) * number(&self.k, key, x)).sum();
                            (score / (d as f64).sqrt()).exp()
                        })
                        .collect();
                    let total: f64 = weights.iter().sum();
                    logs[row * heads + head] = total.log2();
                    for x in 0..d {
                        let sum: f64 = (oldest..=position)
                            .zip(&weights)
                            .map(|(key, w)| w * number(&self.v, key, x))
                            .sum();
                        out[place + x] = sum / total;
                    }
                }
            }
        }
        (out, logs)
    }

    /// The gradients of q, k and v by candle in f64.
    fn gradients(&self) -> [Vec<f64>; 3] {
        let Shape { heads, kv_heads, head_dim: d, window } = self.shape;
        let q = var(&self.q, &[self.rows(), heads, d]);
        let key_rows = self.k.len() / (kv_heads * d);
        let (k, v) = (var(&self.k, &[key_rows, kv_heads, d]), var(&self.v, &[key_rows, kv_heads, d]));
        let d_out = constant(&self.d_out, &[self.rows(), heads, d]);
        let mut loss = Tensor::new(0f64, &Device::Cpu).unwrap();
        for span in self.spans.iter().filter(|span| !span.queries.is_empty()) {
            let rows = self.key_rows(span);
            let (n, keys) = (span.queries.len(), rows.len());
            let gathered = |all: &Var| {
                let rows = Tensor::from_slice(&rows, rows.len(), &Device::Cpu).unwrap();
                let group = heads / kv_heads;
                let all = all.index_select(&rows, 0).unwrap().transpose(0, 1).unwrap().contiguous().unwrap();
                let shape = (kv_heads, group, keys, d);
                all.unsqueeze(1).unwrap().broadcast_as(shape).unwrap().reshape((heads, keys, d)).unwrap()
            };
            let mask: Vec<f64> = (0..n)
                .flat_map(|i| (0..keys).map(move |key| (keys - n + i, key)))
                .map(
                    |(i, key)| {
                        if key <= i && window.is_none_or(|w| i - key < w) { 0.0 } else { f64::NEG_INFINITY }
                    },
                )
                .collect();
            let mask = Tensor::from_vec(mask, (1, n, keys), &Device::Cpu).unwrap();
            let rows_of_span = |all: &Tensor| {
                all.narrow(0, span.queries.start, n).unwrap().transpose(0, 1).unwrap().contiguous().unwrap()
            };
            let scores = rows_of_span(q.as_tensor()).matmul(&gathered(&k).t().unwrap()).unwrap();
            let scores = (scores / (d as f64).sqrt()).unwrap().broadcast_add(&mask).unwrap();
            let probabilities = candle_nn::ops::softmax(&scores, D::Minus1).unwrap();
            let out = probabilities.matmul(&gathered(&v)).unwrap();
            loss = (loss + (out * rows_of_span(&d_out)).unwrap().sum_all().unwrap()).unwrap();
        }
        let gradients = loss.backward().unwrap();
        [&q, &k, &v].map(|x| gradients.get(x).map_or_else(|| vec![0.0; x.elem_count()], elements))
    }

    fn assert_right(&self, what: &str) {
        let found = self.run();
        let (out, logs) = self.twin();
        assert_close(&format!("out of {what}"), &found.out, &out, 2e-6);
        assert_close(&format!("log sums of {what}"), &found.log_sums, &logs, 2e-6);
        // Gradients are differences of numbers near 1, which may all be 0 (where there is one key): errors count relative to
        // at least 1.
        for (name, mut found, mut expected) in ["dq", "dk", "dv"]
            .into_iter()
            .zip([found.dq, found.dk, found.dv])
            .zip(self.gradients())
            .map(|((name, found), expected)| (name, found, expected))
        {
            found.push(1.0);
            expected.push(1.0);
            assert_close(&format!("{name} of {what}"), &found, &expected, 5e-6);
        }
    }
}

/// Spans behind a shared prefix, which is the first of them: (own keys, queries) each.
fn packed(prefix: usize, prompts: &[(usize, usize)]) -> Vec<Span> {
    let mut spans = Vec::new();
    if prefix > 0 {
        spans.push(Span { queries: 0..prefix, keys: 0..prefix, prefix: 0 });
    }
    let (mut query, mut key) = (prefix, prefix);
    for &(keys, queries) in prompts {
        spans.push(Span { queries: query..query + queries, keys: key..key + keys, prefix });
        (query, key) = (query + queries, key + keys);
    }
    spans
}

fn shape(heads: usize, kv_heads: usize, head_dim: usize, window: Option<usize>) -> Shape {
    Shape { window, ..Shape::new(heads, kv_heads, head_dim) }
}

#[test]
fn forward_equals_plain_loops_and_every_gradient_automatic_differentiation() {
    let shapes = [
        shape(1, 1, 8, None),
        shape(2, 2, 16, None),
        shape(4, 2, 20, None),
        shape(3, 1, 33, Some(5)),
        shape(2, 1, 64, Some(70)),
        shape(4, 4, 48, Some(1)),
        shape(2, 2, 80, None),
        shape(2, 1, 128, None),
        shape(1, 1, 256, Some(100)),
        shape(2, 1, 7, None),
    ];
    let batches = [
        packed(0, &[(1, 1)]),
        packed(0, &[(2, 2), (63, 63), (64, 64), (65, 65)]),
        packed(0, &[(130, 130)]),
        packed(1, &[(1, 1), (5, 5)]),
        packed(37, &[(100, 100), (3, 3), (64, 1)]),
        packed(64, &[(64, 64), (1, 1), (200, 2)]),
        packed(0, &[(150, 1), (10, 3), (70, 0), (4, 4)]),
        packed(70, &[(0, 3), (10, 60), (9, 79)]),
    ];
    for (i, shape) in shapes.into_iter().enumerate() {
        for (j, spans) in batches.iter().enumerate() {
            Case::new((100 * i + 10 * j) as u64, shape, spans.clone())
                .assert_right(&format!("{shape:?}, batch {j}"));
        }
    }
}

#[test]
fn an_empty_batch_writes_only_the_gradients_of_keys_which_are_zero() {
    let shape = Shape::new(2, 1, 4);
    let (q, k) = (values(1, 3 * 8, 1.0), values(2, 5 * 4, 1.0));
    let (mut out, mut logs, mut dq) = (vec![3.0; 24], vec![4.0; 6], vec![5.0; 24]);
    let (mut dk, mut dv) = (poison(20), poison(20));
    forward(shape, &[], &q, &k, &k, &mut out, &mut logs);
    backward(shape, &[], &q, &k, &k, &out, &logs, &q, &mut dq, &mut dk, &mut dv, &mut Scratch::default());
    assert_eq!((out, logs, dq), (vec![3.0; 24], vec![4.0; 6], vec![5.0; 24]));
    assert_eq!((dk, dv), (vec![0.0; 20], vec![0.0; 20]));
}

#[test]
fn rows_between_spans_stay_and_gradients_of_keys_without_a_span_are_zero() {
    let shape = Shape::new(1, 1, 3);
    let spans =
        [Span { queries: 1..3, keys: 2..4, prefix: 1 }, Span { queries: 4..5, keys: 5..6, prefix: 0 }];
    let (q, k) = (values(1, 6 * 3, 1.0), values(2, 7 * 3, 1.0));
    let (mut out, mut logs, mut dq) = (vec![3.0; 18], vec![4.0; 6], vec![5.0; 18]);
    let (mut dk, mut dv) = (poison(21), poison(21));
    forward(shape, &spans, &q, &k, &k, &mut out, &mut logs);
    backward(shape, &spans, &q, &k, &k, &out, &logs, &q, &mut dq, &mut dk, &mut dv, &mut Scratch::default());
    for row in [0, 3, 5] {
        assert_eq!(
            (&out[row * 3..][..3], logs[row], &dq[row * 3..][..3]),
            (&[3.0; 3][..], 4.0, &[5.0; 3][..])
        );
    }
    // The last sees one key, so its output is that key's value and no score has a gradient.
    assert_eq!((&out[12..15], &dq[12..15]), (&k[15..18], &[0.0; 3][..]));
    assert_eq!(dv[15..18], q[12..15]);
    for row in [1, 4, 6] {
        assert_eq!((&dk[row * 3..][..3], &dv[row * 3..][..3]), (&[0.0; 3][..], &[0.0; 3][..]), "key {row}");
    }
    assert!(dv[..3].iter().all(|x| x.is_finite() && *x != 0.0), "{dv:?}");
}

#[test]
fn large_scores_neither_overflow_nor_lose_the_largest() {
    let mut case = Case::new(5, Shape::new(2, 2, 16), packed(0, &[(150, 150)]));
    for x in &mut case.q {
        *x *= 300.0;
    }
    let found = case.run();
    for values in [&found.out, &found.log_sums, &found.dq, &found.dk, &found.dv] {
        assert!(values.iter().all(|x| x.is_finite()));
    }
    let largest = case.v.iter().fold(0f32, |m, x| m.max(x.abs()));
    assert!(found.out.iter().all(|x| x.abs() <= largest * 1.000_01), "an average is beyond all values");
}

#[test]
fn a_query_that_is_no_number_stays_visible() {
    let mut case = Case::new(6, Shape::new(1, 1, 16), packed(0, &[(100, 100)]));
    case.q[70 * 16] = f32::NAN;
    let found = case.run();
    for row in 0..100 {
        assert_eq!(found.out[row * 16..][..16].iter().any(|x| x.is_nan()), row == 70, "row {row}");
    }
    assert!(found.dk.iter().any(|x| x.is_nan()));
}

/// One prompt's part of what was found: its rows of output, logarithms and gradients of queries.
fn of_queries(case: &Case, found: &Found, rows: std::ops::Range<usize>) -> [Vec<u32>; 3] {
    let (heads, width) = (case.shape.heads, case.shape.heads * case.shape.head_dim);
    let wide = rows.start * width..rows.end * width;
    [
        bits(&found.out[wide.clone()]),
        bits(&found.log_sums[rows.start * heads..rows.end * heads]),
        bits(&found.dq[wide]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn splitting_keys_into_prefix_and_own_changes_no_bit(
        seed in 0u64..1000,
        prefix in 0usize..140,
        own in 1usize..140,
        asked in 1usize..140,
        dims in prop::sample::select(vec![(1, 1, 8), (4, 2, 20), (2, 1, 64)]),
        window in prop::option::of(1usize..200),
    ) {
        let shape = shape(dims.0, dims.1, dims.2, window);
        let queries = 0..asked.min(own);
        let split = Case::new(seed, shape, vec![Span { queries: queries.clone(), keys: prefix..prefix + own, prefix }]);
        let whole = Case { spans: vec![Span { queries, keys: 0..prefix + own, prefix: 0 }], ..Case::new(seed, shape, split.spans.clone()) };
        prop_assert!(split.run().bits() == whole.run().bits());
    }

    #[test]
    fn a_prompt_has_the_same_bits_alone_and_in_a_batch(
        seed in 0u64..1000,
        prefix in 0usize..100,
        lengths in prop::collection::vec(1usize..150, 1..4),
        which in 0usize..4,
    ) {
        let shape = Shape::new(4, 2, 24);
        let prompts: Vec<_> = lengths.iter().map(|&n| (n, n)).collect();
        let batch = Case::new(seed, shape, packed(prefix, &prompts));
        let found = batch.run();
        let span = batch.spans[which.min(batch.spans.len() - 1)].clone();
        // The same prompt, its keys in one piece; the rows of the prefix are asked for too.
        let (width, key_width) = (4 * 24, 2 * 24);
        let gather = |all: &[f32]| -> Vec<f32> {
            batch.key_rows(&span).iter().flat_map(|row| &all[*row as usize * key_width..][..key_width]).copied().collect()
        };
        let n = span.prefix + span.keys.len();
        let rows = |all: &[f32]| -> Vec<f32> {
            [&all[..span.prefix * width], &all[span.queries.start * width..span.queries.end * width]].concat()
        };
        let alone = Case {
            shape,
            spans: vec![Span { queries: 0..n, keys: 0..n, prefix: 0 }],
            q: rows(&batch.q),
            k: gather(&batch.k),
            v: gather(&batch.v),
            d_out: rows(&batch.d_out),
        };
        let found_alone = alone.run();
        prop_assert!(
            of_queries(&batch, &found, span.queries.clone()) == of_queries(&alone, &found_alone, span.prefix..n)
        );
        if span.prefix > 0 {
            prop_assert!(of_queries(&batch, &found, 0..prefix) == of_queries(&alone, &found_alone, 0..prefix));
        }
    }

    #[test]
    fn asking_for_the_last_rows_gives_the_bits_of_all_rows(
        seed in 0u64..1000,
        n in 1usize..200,
        asked in 1usize..200,
        window in prop::option::of(1usize..100),
    ) {
        let (shape, asked) = (shape(2, 1, 17, window), asked.min(n));
        let all = Case::new(seed, shape, vec![Span { queries: 0..n, keys: 0..n, prefix: 0 }]);
        let from = (n - asked) * 2 * 17;
        let last = Case {
            shape,
            spans: vec![Span { queries: 0..asked, keys: 0..n, prefix: 0 }],
            q: all.q[from..].to_vec(),
            k: all.k.clone(),
            v: all.v.clone(),
            d_out: all.d_out[from..].to_vec(),
        };
        prop_assert!(of_queries(&all, &all.run(), n - asked..n) == of_queries(&last, &last.run(), 0..asked));
    }
}

#[test]
fn what_spans_add_to_a_shared_prefix_is_the_sum_over_them_in_order() {
    let shape = Shape::new(2, 1, 12);
    let prompts = [(70, 70), (5, 5), (130, 1)];
    let batch = Case::new(8, shape, packed(80, &prompts));
    let found = batch.run();
    let mut dk = vec![0f32; 80 * 12];
    for span in &batch.spans {
        let alone = Case { spans: vec![span.clone()], ..Case::new(8, shape, batch.spans.clone()) }.run();
        for (sum, x) in dk.iter_mut().zip(&alone.dk) {
            *sum += x;
        }
    }
    assert_eq!(bits(&dk), bits(&found.dk[..80 * 12]));
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let case = Case::new(9, Shape::new(6, 3, 40), packed(50, &[(300, 300), (65, 65), (1, 1), (700, 2)]));
    assert_same_for_any_number_of_threads("attention", || case.run().bits());
}

/// Every bit of a batch with everything in it.
pub fn bits_of_a_batch() -> Vec<Vec<u32>> {
    let spans = packed(50, &[(200, 200), (65, 30), (1, 1)]);
    Case::new(11, shape(6, 2, 40, Some(150)), spans).run().bits().to_vec()
}

#[test]
fn random_batches_equal_the_twins() {
    for seed in 0..30 {
        let draws = integers(seed, 12, 1 << 30);
        let kv_heads = 1 + draws[0] as usize % 3;
        let window = draws[3].is_multiple_of(2).then_some(1 + draws[4] as usize % 150);
        let shape =
            shape(kv_heads * (1 + draws[1] as usize % 3), kv_heads, 1 + draws[2] as usize % 70, window);
        let prompts: Vec<_> = draws[5..9]
            .iter()
            .map(|x| (1 + *x as usize % 160, *x as usize / 160))
            .map(|(keys, x)| (keys, 1 + x % keys))
            .collect();
        let case = Case::new(1000 + seed, shape, packed(draws[9] as usize % 100, &prompts));
        case.assert_right(&format!("seed {seed}, {shape:?}, {:?}", case.spans));
    }
}
