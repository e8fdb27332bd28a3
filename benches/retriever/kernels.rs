//! Each hot kernel of a training step against the machine's own peaks.

use std::hint::black_box;
use std::time::Instant;

use bench::nn::aligned::Buffer;
use bench::nn::cross_entropy::{self, Inputs};
use bench::nn::dropout::Dropout;
use bench::nn::gemm::{Left, Start, gemm};
use bench::nn::simd::{dispatch, instruction_set};
use bench::nn::{adamw, gelu, norm, parallel, scan};
use candle_core::{Device, Tensor};

use crate::multiply_adds::MultiplyAdds;

/// The best of many runs, in seconds: a kernel's speed where nothing else disturbs it.
fn best(mut work: impl FnMut()) -> f64 {
    work();
    let began = Instant::now();
    let mut best = f64::INFINITY;
    let mut runs = 0;
    while runs < 5 || (began.elapsed().as_secs_f64() < 0.5 && runs < 200) {
        let start = Instant::now();
        work();
        best = best.min(start.elapsed().as_secs_f64());
        runs += 1;
    }
    best
}

/// (GFLOP/s of fused multiply-adds in registers, GFLOP/s of candle's 2048 x 2048 x 2048 product, GB/s of a copy), on all threads.
fn peaks() -> (f64, f64, f64) {
    let threads = rayon::current_num_threads();
    let registers = best(|| {
        parallel::each(threads, |_| {
            black_box(dispatch(MultiplyAdds));
        })
    });
    let side = 2048;
    let a = Tensor::from_vec(vec![0.5f32; side * side], (side, side), &Device::Cpu).expect("a tensor");
    let product = best(|| drop(black_box(a.matmul(&a).expect("a product"))));
    let from = vec![1f32; 32 << 20];
    let mut to = vec![0f32; 32 << 20];
    let copy = best(|| {
        let parts = parallel::Shared::new(&mut to);
        let part = from.len() / threads;
        parallel::each(threads, |t| {
            // SAFETY: parts are disjoint.
            unsafe { parts.part(t * part, part) }.copy_from_slice(&from[t * part..][..part]);
        });
    });
    let flops = (threads * MultiplyAdds::OPERATIONS) as f64;
    (
        flops / registers / 1e9,
        2.0 * (side as f64).powi(3) / product / 1e9,
        2.0 * 4.0 * from.len() as f64 / copy / 1e9,
    )
}

fn filled(len: usize, scale: f32) -> Buffer {
    let mut buffer = Buffer::zeros(len);
    for (i, x) in buffer.iter_mut().enumerate() {
        *x = ((i as f32 * 0.618_034).fract() - 0.5) * scale;
    }
    buffer
}

/// Print the table of kernels.
pub fn table() {
    let (registers, product, copy) = peaks();
    println!("{} threads, {}", rayon::current_num_threads(), instruction_set());
    println!("fused multiply-adds in registers  {registers:7.1} GFLOP/s  (the peak of products below)");
    println!("candle matmul 2048^3 f32          {product:7.1} GFLOP/s");
    println!(
        "copy of 128 MiB                   {copy:7.1} GB/s      (the peak of passes over memory below)\n"
    );
    println!("{:<52}{:>10}{:>12}{:>10}", "kernel", "ms", "rate", "of peak");
    for (name, m, v) in [("beauty", 440, 12_087), ("games", 490, 7_677), ("ml-100k", 2_384, 3_651)] {
        let (d, c2, f) = (64, 256, 256);
        let flops = |name: &str, flops: usize, seconds: f64| {
            let rate = flops as f64 / seconds / 1e9;
            println!("{name:<52}{:>10.3}{:>6.1} GF/s{:>9.0}%", seconds * 1e3, rate, 100.0 * rate / registers);
        };
        let bytes = |name: &str, bytes: usize, seconds: f64| {
            let rate = bytes as f64 / seconds / 1e9;
            println!("{name:<52}{:>10.3}{:>6.1} GB/s{:>9.0}%", seconds * 1e3, rate, 100.0 * rate / copy);
        };
        let (h, e, bias) = (filled(m * d, 1.0), filled(v * d, 0.1), filled(v, 0.1));
        let labels: Vec<u32> = (0..m).map(|i| (i * 7919 % v) as u32).collect();
        let (mut dh, mut de, mut db) = (Buffer::zeros(m * d), Buffer::zeros(v * d), Buffer::zeros(v));
        let mut workspace = cross_entropy::Workspace::default();
        let seconds = best(|| {
            let inputs = Inputs { width: d, hidden: &h, weight: &e, bias: &bias, labels: &labels };
            let gradients = cross_entropy::Gradients { hidden: &mut dh, weight: &mut de, bias: &mut db };
            black_box(cross_entropy::loss_and_gradients(inputs, gradients, &mut workspace));
        });
        flops(&format!("{name}: linear + softmax cross-entropy [{m}, {d}] x [{v}]"), 6 * m * d * v, seconds);
        let (x, w, wide) = (filled(m * d, 1.0), filled(d * c2, 0.1), filled(m * c2, 1.0));
        let (mut out, mut thin, mut dw) =
            (Buffer::zeros(m * c2), Buffer::zeros(m * d), Buffer::zeros(c2 * d));
        let one = 2 * m * d * c2;
        let seconds = best(|| gemm((m, c2, d), Left::rows(&x, d), &w, c2, &mut out, c2, Start::Zero));
        flops(&format!("{name}: product [{m}, {d}] x [{d}, {c2}]"), one, seconds);
        let seconds = best(|| gemm((m, d, c2), Left::rows(&wide, c2), &w, d, &mut thin, d, Start::Zero));
        flops(&format!("{name}: product [{m}, {c2}] x [{c2}, {d}]"), one, seconds);
        let seconds = best(|| gemm((c2, d, m), Left::transposed(&wide, c2), &x, d, &mut dw, d, Start::Zero));
        flops(&format!("{name}: weight gradient [{c2}, {m}] x [{m}, {d}]"), one, seconds);
        let length = if name == "ml-100k" { 149 } else { 7 };
        let mut starts: Vec<u32> = (0..m as u32).step_by(length).collect();
        starts.push(m as u32);
        let coefficients = filled(3 * 128, 0.9);
        let (real, rest) = coefficients.split_at(128);
        let (imag, gamma) = rest.split_at(128);
        let recurrence = scan::Coefficients { real, imag, gamma };
        let (u, mut state) = (filled(m * c2, 1.0), Buffer::zeros(m * c2));
        let seconds = best(|| scan::forward(128, &starts, recurrence, &u, &mut state));
        bytes(&format!("{name}: linear recurrence, forward"), 2 * 4 * m * c2, seconds);
        let mut d_state = filled(m * c2, 1.0);
        let mut sums = [vec![0f32; 128], vec![0f32; 128], vec![0f32; 128]];
        let seconds = best(|| {
            let [real, imag, gamma] = &mut sums;
            let gradients = scan::Gradients { real, imag, gamma };
            scan::backward(128, &starts, recurrence, &u, &state, &mut d_state, gradients);
        });
        bytes(&format!("{name}: linear recurrence, backward"), 4 * 4 * m * c2, seconds);
        let dropout = Dropout::new(1, 2, 0.5);
        let (f1, mut g) = (filled(m * f, 4.0), Buffer::zeros(m * f));
        let seconds = best(|| gelu::forward(&f1, dropout, &mut g));
        bytes(&format!("{name}: GELU and dropout, forward"), 2 * 4 * m * f, seconds);
        let (weight, shift) = (filled(d, 1.0), filled(d, 1.0));
        let (mut normal, mut inverse) = (Buffer::zeros(m * d), Buffer::zeros(m));
        let seconds = best(|| {
            let saved = norm::Saved { normal: &mut normal, inverse: &mut inverse };
            norm::forward(d, &x, Some(&h), dropout, (&weight, &shift), &mut thin, saved);
        });
        bytes(&format!("{name}: dropout, residual and layer norm, forward"), 4 * 4 * m * d, seconds);
        let len = v * d + v + 133_000;
        let (gradient, mut p) = (filled(len, 1e-3), filled(len, 0.1));
        let (mut first, mut second) = (Buffer::zeros(len), Buffer::zeros(len));
        let adam =
            adamw::AdamW { learning_rate: 1e-3, weight_decay: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-9 };
        let seconds = best(|| {
            let factor = adamw::clip_factor(adamw::norm(&gradient), 5.0);
            let state = adamw::State { weights: &mut p, first: &mut first, second: &mut second };
            adamw::step(&adam, 1, factor, &gradient, &[(0, v * d)], state);
        });
        bytes(&format!("{name}: gradient norm and AdamW, {len} weights"), 8 * 4 * len, seconds);
        println!();
    }
}
