//! The matrix product beside naive sums.

use bench::nn::gemm::{Left, Start, gemm, gemm_on};
use bench::nn::simd::{Kernel, Lanes, dispatch_on};
use proptest::prelude::*;

use super::tools::{SETS, assert_same_for_any_number_of_threads, bits, values};

#[derive(Debug, Clone, Copy, PartialEq)]
enum From {
    Zero,
    Sum,
    Columns,
    Rows,
}

/// A product whose matrices lie in memory with gaps of NaN between their rows.
#[derive(Debug)]
struct Problem {
    size: (usize, usize, usize),
    transposed: bool,
    strides: (usize, usize, usize),
    a: Vec<f32>,
    b: Vec<f32>,
    c: Vec<f32>,
    from: From,
    starts: Vec<f32>,
}

/// `rows` rows of `width` values, `stride` apart, NaN between them, and no more memory than that.
fn gapped(seed: u64, rows: usize, width: usize, stride: usize) -> Vec<f32> {
    if rows == 0 || width == 0 {
        return Vec::new();
    }
    let mut all = values(seed, (rows - 1) * stride + width, 1.0);
    for (at, x) in all.iter_mut().enumerate() {
        if at % stride >= width {
            *x = f32::NAN;
        }
    }
    all
}

impl Problem {
    fn new(
        size: (usize, usize, usize),
        transposed: bool,
        gaps: (usize, usize, usize),
        from: From,
        seed: u64,
    ) -> Self {
        let (m, n, k) = size;
        let (rows, width) = if transposed { (k, m) } else { (m, k) };
        let strides = (width + gaps.0, n + gaps.1, n + gaps.2);
        let mut c = gapped(seed + 2, m, n, strides.2);
        if from != From::Sum {
            c.fill(f32::NAN);
        }
        Self {
            size,
            transposed,
            strides,
            a: gapped(seed, rows, width, strides.0),
            b: gapped(seed + 1, k, n, strides.1),
            c,
            from,
            starts: values(seed + 3, m.max(n), 1.0),
        }
    }

    fn left(&self) -> Left<'_> {
        if self.transposed {
            Left::transposed(&self.a, self.strides.0)
        } else {
            Left::rows(&self.a, self.strides.0)
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

    /// What one element starts from, and the pairs whose products are added to it.
    fn element(&self, i: usize, j: usize) -> (f32, impl Iterator<Item = (f32, f32)>) {
        let start = match self.from {
            From::Zero => 0.0,
            From::Sum => self.c[i * self.strides.2 + j],
            From::Columns => self.starts[j],
            From::Rows => self.starts[i],
        };
        let a = move |p: usize| if self.transposed { p * self.strides.0 + i } else { i * self.strides.0 + p };
        (start, (0..self.size.2).map(move |p| (self.a[a(p)], self.b[p * self.strides.1 + j])))
    }

    /// The result by one chain of fused multiply-adds an element; gaps stay as they are.
    fn chain(&self) -> Vec<f32> {
        let mut c = self.c.clone();
        for i in 0..self.size.0 {
            for j in 0..self.size.1 {
                let (start, pairs) = self.element(i, j);
                c[i * self.strides.2 + j] = pairs.fold(start, |sum, (a, b)| a.mul_add(b, sum));
            }
        }
        c
    }

    fn on_all_threads(&self) -> Vec<f32> {
        let mut c = self.c.clone();
        gemm(self.size, self.left(), &self.b, self.strides.1, &mut c, self.strides.2, self.start());
        c
    }

    /// Fails when an element is further from its f64 sum than `k + 1` roundings of a chain can bring it.
    fn assert_near_naive_sums(&self, c: &[f32]) {
        for i in 0..self.size.0 {
            for j in 0..self.size.1 {
                let (start, pairs) = self.element(i, j);
                let (mut sum, mut size) = (f64::from(start), f64::from(start.abs()));
                for (a, b) in pairs {
                    sum += f64::from(a) * f64::from(b);
                    size += (f64::from(a) * f64::from(b)).abs();
                }
                let found = f64::from(c[i * self.strides.2 + j]);
                let bound = (self.size.2 + 1) as f64 * size * f64::from(f32::EPSILON) / 2.0 * 1.001;
                assert!((found - sum).abs() <= bound, "({i}, {j}): {found}, expected {sum} +- {bound:.1e}");
            }
        }
    }
}

struct OnOneThread<'a> {
    problem: &'a Problem,
    c: &'a mut [f32],
}

impl Kernel for OnOneThread<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let p = self.problem;
        gemm_on::<L>(p.size, p.left(), &p.b, p.strides.1, self.c, p.strides.2, p.start());
    }
}

fn problems(m: usize, n: usize, k: usize) -> impl Strategy<Value = Problem> {
    let from = prop_oneof![Just(From::Zero), Just(From::Sum), Just(From::Columns), Just(From::Rows)];
    let gaps = (0usize..5, 0usize..5, 0usize..5);
    ((1..=m, 1..=n, 0..=k), any::<bool>(), gaps, from, 0u64..1 << 40)
        .prop_map(|(size, transposed, gaps, from, seed)| Problem::new(size, transposed, gaps, from, seed))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn products_of_any_shape_start_and_stride_are_near_their_naive_sums(p in problems(20, 150, 40)) {
        p.assert_near_naive_sums(&p.on_all_threads());
    }

    #[test]
    fn deep_products_are_near_their_naive_sums(p in problems(8, 20, 800)) {
        p.assert_near_naive_sums(&p.on_all_threads());
    }

    #[test]
    fn every_element_is_one_chain_of_fused_multiply_adds_on_every_instruction_set(p in problems(14, 140, 300)) {
        let expected = bits(&p.chain());
        prop_assert_eq!(&bits(&p.on_all_threads()), &expected);
        for set in SETS {
            let mut c = p.c.clone();
            dispatch_on(set, OnOneThread { problem: &p, c: &mut c });
            prop_assert_eq!(&bits(&c), &expected, "{}", set);
        }
    }
}

#[test]
fn every_width_and_height_of_a_tile_is_right() {
    for m in 1..=13 {
        for n in (1..=82).chain([127, 128, 129]) {
            let from = [From::Zero, From::Sum, From::Columns, From::Rows][(m + n) % 4];
            let p = Problem::new((m, n, 5), n % 2 == 0, (1, 2, 3), from, (m * 1000 + n) as u64);
            assert!(bits(&p.on_all_threads()) == bits(&p.chain()), "{m} x {n}");
        }
    }
}

#[test]
fn a_depth_at_the_border_of_a_block_is_right() {
    for k in [0, 1, 255, 256, 257, 511, 512, 513] {
        for from in [From::Zero, From::Sum, From::Columns, From::Rows] {
            let p = Problem::new((7, 33, k), false, (0, 0, 0), from, k as u64);
            assert!(bits(&p.on_all_threads()) == bits(&p.chain()), "depth {k} from {from:?}");
        }
    }
}

#[test]
fn a_product_without_rows_or_columns_touches_nothing() {
    let mut c = [7f32; 4];
    gemm((0, 2, 2), Left::rows(&[], 2), &[1.0; 4], 2, &mut c, 2, Start::Zero);
    gemm((2, 0, 2), Left::rows(&[1.0; 4], 2), &[], 0, &mut c, 2, Start::Zero);
    assert_eq!(c, [7.0; 4]);
}

#[test]
fn the_number_of_threads_does_not_change_a_product() {
    for from in [From::Zero, From::Sum, From::Columns, From::Rows] {
        for transposed in [false, true] {
            let p = Problem::new((501, 70, 300), transposed, (3, 0, 2), from, 5);
            assert_same_for_any_number_of_threads("product", || bits(&p.on_all_threads()));
            p.assert_near_naive_sums(&p.on_all_threads());
        }
    }
}

#[test]
#[should_panic(expected = "A is too short for (3, 2)")]
fn a_left_side_that_is_too_short_is_refused() {
    gemm((3, 2, 2), Left::rows(&[0.0; 5], 2), &[0.0; 4], 2, &mut [0.0; 6], 2, Start::Zero);
}

#[test]
#[should_panic(expected = "B is too short for (2, 2)")]
fn a_right_side_that_is_too_short_is_refused() {
    gemm((3, 2, 2), Left::rows(&[0.0; 6], 2), &[0.0; 3], 2, &mut [0.0; 6], 2, Start::Zero);
}

#[test]
#[should_panic(expected = "C is too short for (3, 2)")]
fn a_result_that_is_too_short_is_refused() {
    gemm((3, 2, 2), Left::rows(&[0.0; 6], 2), &[0.0; 4], 2, &mut [0.0; 5], 2, Start::Zero);
}
