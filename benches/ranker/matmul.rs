//! Products with a large weight, against the machine's peak of multiply-adds and candle's product.

use std::hint::black_box;
use std::time::Instant;

use bench::nn::gemm::Start;
use bench::nn::matmul::{Dense, Precision, Scratch, backward, forward, weight_gradient};
use bench::nn::parallel;
use bench::nn::simd::bf16::{Bf16Kernel, Bf16Lanes, dispatch_bf16, has_bf16};
use bench::nn::simd::{Kernel, Lanes, dispatch};
use candle_core::{Device, Tensor};

/// (rows of activations, inputs k, outputs n): a small model's layers, a large one's, low rank, and short batches.
const SHAPES: [(usize, usize, usize); 10] = [
    (4096, 768, 768),
    (4096, 768, 2048),
    (4096, 2048, 768),
    (4096, 4096, 4096),
    (4096, 2048, 16),
    (512, 768, 2048),
    (512, 4096, 4096),
    (64, 768, 768),
    (64, 4096, 4096),
    (16, 4096, 4096),
];
const CHAINS: usize = 12;
const STEPS: usize = 400_000;

struct MultiplyAdds;

impl Kernel for MultiplyAdds {
    type Out = f32;
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) -> f32 {
        unsafe {
            let (a, b) = (L::splat(black_box(0.999)), L::splat(black_box(1e-3)));
            let mut sums = [L::splat(1.0); CHAINS];
            for _ in 0..STEPS {
                for sum in &mut sums {
                    *sum = L::fma(*sum, a, b);
                }
            }
            sums.iter().fold(0.0, |total, sum| total + L::sum(*sum))
        }
    }
}

struct PairDots;

impl Bf16Kernel for PairDots {
    type Out = f32;
    #[inline(always)]
    unsafe fn run<L: Bf16Lanes>(self) -> f32 {
        unsafe {
            let a = L::splat(black_box(1e-3));
            let a = L::pairs(a, a);
            let mut sums = [L::splat(1.0); CHAINS];
            for _ in 0..STEPS {
                for sum in &mut sums {
                    *sum = L::dot(a, a, *sum);
                }
            }
            sums.iter().fold(0.0, |total, sum| total + L::sum(*sum))
        }
    }
}

fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// GFLOP/s of multiply-adds in registers on all threads.
fn peak(precision: Precision) -> f64 {
    let threads = rayon::current_num_threads();
    let pairs = precision == Precision::Bf16 && has_bf16();
    let taken = seconds(|| {
        parallel::each(threads, |_| {
            black_box(if pairs { dispatch_bf16(PairDots).unwrap_or(0.0) } else { dispatch(MultiplyAdds) });
        });
    });
    (threads * CHAINS * STEPS * if pairs { 64 } else { 32 }) as f64 / taken / 1e9
}

/// Best GFLOP/s of some runs in turn, and the median share of the peak measured just before and after.
fn rate(precision: Precision, flops: f64, mut work: impl FnMut()) -> (f64, f64) {
    work();
    let began = Instant::now();
    let (mut best, mut shares) = (0f64, Vec::new());
    let mut before = peak(precision);
    let repeats = (1e9 / flops).ceil();
    while shares.len() < 3 || began.elapsed().as_secs_f64() < 0.2 {
        let taken = seconds(|| (0..repeats as usize).for_each(|_| work())) / repeats;
        let after = peak(precision);
        let found = flops / taken / 1e9;
        best = best.max(found);
        shares.push(2.0 * found / (before + after));
        before = after;
    }
    shares.sort_by(f64::total_cmp);
    (best, shares[shares.len() / 2])
}

fn filled(len: usize) -> Vec<f32> {
    (0..len).map(|i| (i as f32 * 0.618_034).fract() - 0.5).collect()
}

/// Print the table of products.
pub fn report() {
    println!(
        "products of m rows with a weight (n, k), {} threads: GFLOP/s, and share of the peak of {:.0} (f32)",
        rayon::current_num_threads(),
        (0..9).map(|_| peak(Precision::F32)).fold(0.0, f64::max)
    );
    println!(
        "{:<17}{:>5}{:>17}{:>17}{:>17}{:>17}",
        "m, k, n", "", "forward", "backward", "gradient of W", "candle x W^T"
    );
    for (m, k, n) in SHAPES {
        let flops = 2.0 * (m * n * k) as f64;
        let (x, dy, w) = (filled(m * k), filled(m * n), filled(n * k));
        let (mut y, mut dx, mut dw) = (vec![0f32; m * n], vec![0f32; m * k], vec![0f32; n * k]);
        let mut scratch = Scratch::default();
        let dense = Dense { data: &w, rows: n, cols: k };
        for precision in [Precision::F32, Precision::Bf16] {
            let ahead = rate(precision, flops, || {
                forward(precision, m, &x, &dense, &mut y, Start::Zero, &mut scratch);
            });
            let back = rate(precision, flops, || {
                backward(precision, m, &dy, &dense, &mut dx, Start::Zero, &mut scratch);
            });
            let gradient = rate(precision, flops, || {
                weight_gradient(precision, (m, n, k), &dy, &x, &mut dw, Start::Zero, &mut scratch);
            });
            let columns =
                [ahead, back, gradient].map(|(rate, share)| format!("{rate:8.1} ({:3.0} %)", 100.0 * share));
            let shape = format!("{m}, {k}, {n}");
            print!("{shape:<17}{:>5}", format!("{precision:?}"));
            columns.iter().for_each(|column| print!("{column:>17}"));
            if precision == Precision::F32 {
                let tensor =
                    |data: &[f32], shape| Tensor::from_slice(data, shape, &Device::Cpu).expect("a tensor");
                let (x, w) = (tensor(&x, (m, k)), tensor(&w, (n, k)).t().expect("a transpose"));
                let (rate, share) =
                    rate(precision, flops, || drop(black_box(x.matmul(&w).expect("a product"))));
                print!("{:>17}", format!("{rate:8.1} ({:3.0} %)", 100.0 * share));
            }
            println!();
        }
    }
}
