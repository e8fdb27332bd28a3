//! How fast a device multiplies matrices.

use std::sync::Arc;
use std::time::Instant;

use half::bf16;

use super::array::Array;
use super::kernels::{Kernels, Right, Start};
use super::{Error, Machine};

/// Multiplications and additions a second in products of bf16 matrices with sums in f32: those of (n, n) and a transposed (n, n), the best of
/// some runs, where n doubles from 64 on until a product takes two milliseconds or n is `most`. `# Units: 1/s`
///
/// # Errors
/// If there is not so much memory (6 n n bytes), or the device fails.
pub fn matrix_rate(machine: &Arc<dyn Machine>, most: usize) -> Result<f64, Error> {
    const LONG: f64 = 2e-3;
    let mut n = 64;
    loop {
        let rate = rate_at(machine, n)?;
        if 2.0 * (n * n * n) as f64 / rate >= LONG || 2 * n > most {
            return Ok(rate);
        }
        n *= 2;
    }
}

fn rate_at(machine: &Arc<dyn Machine>, n: usize) -> Result<f64, Error> {
    const TIMES: u32 = 4;
    let kernels = Kernels::new(Arc::clone(machine));
    // Zeros would be multiplied with less power, and so faster.
    let numbers: Vec<bf16> = (0..n * n).map(|at| bf16::from_f32((at as f32 * 0.37).sin())).collect();
    let (a, b, mut c) =
        (Array::of(machine, &numbers)?, Array::of(machine, &numbers)?, Array::<bf16>::new(machine));
    c.zeros(n * n)?;
    let mut best = f64::INFINITY;
    // The first one loads the kernel.
    for run in 0..4 {
        c.part(0..1).get()?;
        let began = Instant::now();
        for _ in 0..TIMES {
            kernels.matmul((n, n, n), a.all(), Right::Transposed(b.all()), c.all_mut(), Start::Zero)?;
        }
        c.part(0..1).get()?;
        let seconds = began.elapsed().as_secs_f64() / f64::from(TIMES);
        if run > 0 {
            best = best.min(seconds);
        }
    }
    Ok(2.0 * (n * n * n) as f64 / best)
}
