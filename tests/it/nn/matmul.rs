//! Products with a large weight beside naive sums, in both precisions.

use bench::nn::gemm::Start;
use bench::nn::matmul::{
    Dense, Matrix, Output, Precision, Scratch, backward, forward, forward_all, weight_gradient,
};
use bench::nn::simd::bf16;
use proptest::prelude::*;

use super::tools::{SETS, assert_same_for_any_number_of_threads, bits, poison, values};

#[derive(Debug, Clone, Copy, PartialEq)]
enum From {
    Zero,
    Sum,
    Columns,
    Rows,
}

const FROM: [From; 4] = [From::Zero, From::Sum, From::Columns, From::Rows];

/// A weight that can only be read in blocks, as quantized ones; what is not asked for is poisoned.
struct Blocks<'a>(Dense<'a>);

impl Matrix for Blocks<'_> {
    fn rows(&self) -> usize {
        self.0.rows
    }
    fn cols(&self) -> usize {
        self.0.cols
    }
    fn read(&self, row0: usize, rows: usize, col0: usize, cols: usize, out: &mut [f32], stride: usize) {
        assert!(rows > 0 && cols > 0 && row0 + rows <= self.0.rows && col0 + cols <= self.0.cols);
        out[..(rows - 1) * stride + cols].fill(f32::NAN);
        self.0.read(row0, rows, col0, cols, out, stride);
    }
}

/// A product of `x` (m, k) with W, which is (n, k) forward and (k, n) backward.
#[derive(Debug)]
struct Problem {
    size: (usize, usize, usize),
    back: bool,
    precision: Precision,
    from: From,
    x: Vec<f32>,
    w: Vec<f32>,
    y: Vec<f32>,
    starts: Vec<f32>,
}

impl Problem {
    fn new(
        (m, n, k): (usize, usize, usize),
        back: bool,
        precision: Precision,
        from: From,
        seed: u64,
    ) -> Self {
        Self {
            size: (m, n, k),
            back,
            precision,
            from,
            x: values(seed, m * k, 1.0),
            w: values(seed + 1, n * k, 1.0),
            y: if from == From::Sum { values(seed + 2, m * n, 1.0) } else { poison(m * n) },
            starts: values(seed + 3, m.max(n), 1.0),
        }
    }

    fn start(&self) -> Start<'_> {
        match self.from {
            From::Zero => Start::Zero,
            From::Sum => Start::Sum,
            From::Columns => Start::Columns(&self.starts[..self.size.1]),
            From::Rows => Start::Rows(&self.starts[..self.size.0]),
        }
    }

    fn weight(&self) -> Dense<'_> {
        let (_, n, k) = self.size;
        let (rows, cols) = if self.back { (k, n) } else { (n, k) };
        Dense { data: &self.w, rows, cols }
    }

    fn run_with<W: Matrix>(&self, w: &W, scratch: &mut Scratch) -> Vec<f32> {
        let mut y = self.y.clone();
        let product = if self.back { backward } else { forward };
        product(self.precision, self.size.0, &self.x, w, &mut y, self.start(), scratch);
        y
    }

    fn run(&self) -> Vec<f32> {
        self.run_with(&self.weight(), &mut Scratch::default())
    }

    /// What an element starts from, and the pairs whose products are added to it.
    fn element(&self, i: usize, j: usize) -> (f32, Vec<(f32, f32)>) {
        let (_, n, k) = self.size;
        let start = match self.from {
            From::Zero => 0.0,
            From::Sum => self.y[i * n + j],
            From::Columns => self.starts[j],
            From::Rows => self.starts[i],
        };
        let w = |p: usize| if self.back { self.w[p * n + j] } else { self.w[j * k + p] };
        (start, (0..k).map(|p| (self.x[i * k + p], w(p))).collect())
    }

    /// The result by one chain of fused multiply-adds an element, in the order of the precision.
    fn chain(&self) -> Vec<f32> {
        let (m, n, _) = self.size;
        let mut y = poison(m * n);
        for i in 0..m {
            for j in 0..n {
                let (start, mut pairs) = self.element(i, j);
                if self.precision == Precision::Bf16 {
                    if pairs.len() % 2 == 1 {
                        pairs.push((0.0, 0.0));
                    }
                    for two in pairs.chunks_mut(2) {
                        two.reverse();
                    }
                    for (a, b) in &mut pairs {
                        (*a, *b) = (bf16::round(*a), bf16::round(*b));
                    }
                }
                y[i * n + j] = pairs.iter().fold(start, |sum, (a, b)| a.mul_add(*b, sum));
            }
        }
        y
    }

    /// Fails when an element is further from its f64 sum than roundings can bring it: each input by half a unit of bf16, which
    /// has 8 bits, and each step of the chain by half a unit of f32.
    fn assert_near_exact_sums(&self, y: &[f32]) {
        let input = if self.precision == Precision::Bf16 { 2f64.powi(-8) } else { 0.0 };
        for i in 0..self.size.0 {
            for j in 0..self.size.1 {
                let (start, pairs) = self.element(i, j);
                let (mut sum, mut size) = (f64::from(start), 0f64);
                for (a, b) in &pairs {
                    sum += f64::from(*a) * f64::from(*b);
                    size += (f64::from(*a) * f64::from(*b)).abs();
                }
                let found = f64::from(y[i * self.size.1 + j]);
                let steps = (pairs.len() + 2) as f64 * f64::from(f32::EPSILON) / 2.0;
                let bound = size * (2.0 * input + input * input)
                    + steps * (size * (1.0 + input).powi(2) + f64::from(start.abs())) * 1.001;
                assert!((found - sum).abs() <= bound, "({i}, {j}): {found}, expected {sum} +- {bound:.1e}");
            }
        }
    }
}

fn problems(m: usize, n: usize, k: usize) -> impl Strategy<Value = Problem> {
    let precision = prop_oneof![Just(Precision::F32), Just(Precision::Bf16)];
    let from = (0usize..4).prop_map(|i| FROM[i]);
    ((1..=m, 1..=n, 0..=k), any::<bool>(), precision, from, 0u64..1 << 40)
        .prop_map(|(size, back, precision, from, seed)| Problem::new(size, back, precision, from, seed))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn products_of_any_shape_and_start_are_near_their_exact_sums(p in problems(40, 200, 60)) {
        p.assert_near_exact_sums(&p.run());
    }

    #[test]
    fn products_of_several_blocks_of_depth_are_near_their_exact_sums(p in problems(20, 130, 1200)) {
        p.assert_near_exact_sums(&p.run());
    }

    #[test]
    fn every_element_is_one_chain_on_every_instruction_set(p in problems(30, 140, 900)) {
        let expected = bits(&p.chain());
        prop_assert_eq!(&bits(&p.run()), &expected);
        for set in SETS {
            let found = p.run_with(&p.weight(), &mut Scratch::on(set));
            prop_assert_eq!(&bits(&found), &expected, "{}", set);
        }
    }

    #[test]
    fn a_weight_that_is_read_in_blocks_gives_what_a_dense_one_gives(p in problems(20, 300, 900)) {
        let found = p.run_with(&Blocks(p.weight()), &mut Scratch::default());
        prop_assert_eq!(bits(&found), bits(&p.run()));
    }

    /// A row does not know its batch: the first rows, the last ones, or all of them give the same bits.
    #[test]
    fn a_row_does_not_depend_on_the_others(p in problems(80, 130, 500), cut in 0.0f64..1.0) {
        let (m, n, k) = p.size;
        let whole = p.run();
        let cut = (m as f64 * cut) as usize;
        for (from, to) in [(0, cut), (cut, m)] {
            let starts = if p.from == From::Rows { p.starts[from..].to_vec() } else { p.starts.clone() };
            let part = Problem {
                size: (to - from, n, k),
                x: p.x[from * k..to * k].to_vec(),
                w: p.w.clone(),
                y: p.y[from * n..to * n].to_vec(),
                starts,
                ..p
            };
            prop_assert_eq!(bits(&part.run()), bits(&whole[from * n..to * n]));
        }
    }
}

#[test]
fn every_height_and_width_of_a_tile_is_right() {
    let mut scratch = Scratch::default();
    for m in 1..=30 {
        for n in [1, 2, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 80, 81, 127, 128, 129, 144, 145, 161] {
            for precision in [Precision::F32, Precision::Bf16] {
                for back in [false, true] {
                    let p =
                        Problem::new((m, n, 5), back, precision, FROM[(m + n) % 4], (m * 1000 + n) as u64);
                    let found = p.run_with(&p.weight(), &mut scratch);
                    assert!(bits(&found) == bits(&p.chain()), "{m} x {n}, {precision:?}, back {back}");
                }
            }
        }
    }
}

#[test]
fn a_depth_at_the_border_of_a_block_is_right() {
    for k in [0, 1, 2, 15, 16, 17, 31, 32, 33, 255, 256, 257, 383, 384, 385, 767, 768, 769, 770, 1153] {
        for from in FROM {
            for precision in [Precision::F32, Precision::Bf16] {
                for back in [false, true] {
                    let p = Problem::new((17, 35, k), back, precision, from, k as u64);
                    assert!(
                        bits(&p.run()) == bits(&p.chain()),
                        "{k} from {from:?}, {precision:?}, back {back}"
                    );
                }
            }
        }
    }
}

#[test]
fn scratch_that_held_a_larger_product_changes_nothing() {
    let mut scratch = Scratch::default();
    for precision in [Precision::F32, Precision::Bf16] {
        let mut large = Problem::new((50, 200, 1000), false, precision, From::Zero, 1);
        large.x.fill(f32::NAN);
        large.w.fill(f32::INFINITY);
        assert!(large.run_with(&large.weight(), &mut scratch).iter().all(|y| y.is_nan()));
        for back in [false, true] {
            let small = Problem::new((5, 91, 33), back, precision, From::Columns, 2);
            let found = small.run_with(&Blocks(small.weight()), &mut scratch);
            assert_eq!(bits(&found), bits(&small.chain()), "{precision:?}, back {back}");
        }
    }
}

#[test]
fn the_number_of_threads_does_not_change_a_product() {
    for precision in [Precision::F32, Precision::Bf16] {
        for (size, back) in [
            ((1201, 70, 300), false),
            ((1201, 70, 300), true),
            ((60, 700, 450), false),
            ((900, 30, 700), false),
        ] {
            let p = Problem::new(size, back, precision, From::Sum, 5);
            assert_same_for_any_number_of_threads("product", || bits(&p.run()));
            p.assert_near_exact_sums(&p.run());
        }
    }
}

#[test]
fn products_of_one_left_side_are_those_of_each_alone() {
    for precision in [Precision::F32, Precision::Bf16] {
        let p = Problem::new((45, 100, 321), false, precision, From::Columns, 7);
        let mut q = Problem::new((45, 20, 321), false, precision, From::Zero, 9);
        q.x = p.x.clone();
        let (mut y, mut z) = (poison(45 * 100), poison(45 * 20));
        let mut outputs = [
            Output { w: &p.weight(), y: &mut y, start: p.start() },
            Output { w: &q.weight(), y: &mut z, start: q.start() },
        ];
        forward_all(precision, 45, &p.x, &mut outputs, &mut Scratch::default());
        assert_eq!(bits(&y), bits(&p.run()));
        assert_eq!(bits(&z), bits(&q.run()));
    }
    forward_all::<Dense<'_>>(Precision::F32, 3, &[1.0], &mut [], &mut Scratch::default());
}

#[test]
fn a_weight_gradient_is_the_product_with_the_transposed_left_side() {
    let mut scratch = Scratch::default();
    for precision in [Precision::F32, Precision::Bf16] {
        // `size` is that of the product: (n, k, m) of the gradient.
        for (i, size) in
            [(1, 1, 1), (29, 40, 65), (64, 17, 130), (100, 300, 801), (300, 20, 64), (90, 80, 70), (3, 5, 0)]
                .into_iter()
                .enumerate()
        {
            let p = Problem::new(size, true, precision, FROM[i % 4], i as u64);
            let (n, k, m) = size;
            let dy: Vec<f32> = (0..m * n).map(|at| p.x[at % n * m + at / n]).collect();
            for set in [None, Some(SETS[0]), Some(SETS[1]), Some(SETS[2])] {
                let mut own = set.map(Scratch::on);
                let scratch = own.as_mut().unwrap_or(&mut scratch);
                let mut dw = p.y.clone();
                weight_gradient(precision, (m, n, k), &dy, &p.w, &mut dw, p.start(), scratch);
                assert!(bits(&dw) == bits(&p.chain()), "{size:?}, {precision:?}, {set:?}");
            }
        }
    }
}

#[test]
fn a_product_without_rows_or_columns_touches_nothing() {
    let mut scratch = Scratch::default();
    let w = Dense { data: &[], rows: 0, cols: 3 };
    forward(Precision::F32, 2, &[1.0; 6], &w, &mut [], Start::Zero, &mut scratch);
    let w = Dense { data: &[1.0; 6], rows: 2, cols: 3 };
    forward(Precision::Bf16, 0, &[], &w, &mut [], Start::Zero, &mut scratch);
    backward(Precision::F32, 0, &[], &w, &mut [], Start::Sum, &mut scratch);
    for precision in [Precision::F32, Precision::Bf16] {
        let w = Blocks(Dense { data: &[], rows: 2, cols: 0 });
        backward(precision, 3, &[1.0; 6], &w, &mut [], Start::Zero, &mut scratch);
        weight_gradient(precision, (3, 2, 0), &[1.0; 6], &[], &mut [], Start::Zero, &mut scratch);
        weight_gradient(precision, (3, 0, 2), &[], &[1.0; 6], &mut [], Start::Zero, &mut scratch);
    }
}

/// Values worked by hand: bf16 keeps 8 bits, so steps between 1 and 2 are 1/128, and ties go to the even neighbour.
#[test]
fn bf16_rounds_to_nearest_and_ties_to_even() {
    let cases = [
        (1.0, 1.0),
        (1.0 + 1.0 / 256.0, 1.0),
        (1.0 + 3.0 / 256.0, 1.0 + 4.0 / 256.0),
        (1.0 + 1.0 / 256.0 + 1.0 / 4096.0, 1.0 + 2.0 / 256.0),
        (-1.0 - 3.0 / 256.0, -1.0 - 4.0 / 256.0),
        (f32::MAX, f32::INFINITY),
        (f32::INFINITY, f32::INFINITY),
        (1e-40, 0.0),
    ];
    for (x, expected) in cases {
        assert_eq!(bf16::round(x), expected, "{x}");
        let w = Dense { data: &[1.0], rows: 1, cols: 1 };
        let mut y = [f32::NAN];
        forward(Precision::Bf16, 1, &[x], &w, &mut y, Start::Zero, &mut Scratch::default());
        assert_eq!(y, [expected], "{x} as an input");
    }
    assert!(bf16::round(f32::NAN).is_nan() && bf16::round(f32::from_bits(0x7f80_0001)).is_nan());
    assert_eq!(bf16::round(-1e-40).to_bits(), (-0.0f32).to_bits());
}

proptest! {
    #[test]
    fn rounding_to_bf16_is_that_of_the_half_crate(pattern in any::<u32>()) {
        let x = f32::from_bits(pattern);
        prop_assume!(!x.is_subnormal() && !x.is_nan());
        prop_assert_eq!(bf16::round(x).to_bits(), half::bf16::from_f32(x).to_f32().to_bits());
    }
}

#[test]
#[should_panic(expected = "the left side has 5 numbers, not (3, 2)")]
fn a_left_side_of_another_shape_is_refused() {
    let w = Dense { data: &[0.0; 4], rows: 2, cols: 2 };
    forward(Precision::F32, 3, &[0.0; 5], &w, &mut [0.0; 6], Start::Zero, &mut Scratch::default());
}

#[test]
#[should_panic(expected = "the result has 5 numbers, not (3, 2)")]
fn a_result_of_another_shape_is_refused() {
    let w = Dense { data: &[0.0; 4], rows: 2, cols: 2 };
    backward(Precision::F32, 3, &[0.0; 6], &w, &mut [0.0; 5], Start::Zero, &mut Scratch::default());
}
