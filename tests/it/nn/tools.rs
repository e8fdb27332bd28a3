//! What the tests of kernels and of the model share.

use bench::nn::simd::InstructionSet;
use bench::seed::Seed;
use candle_core::{Device, Tensor, Var};
use rand::RngExt;

/// Every instruction set; one that this processor lacks runs as the widest below it.
pub const SETS: [InstructionSet; 3] =
    [InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512];

/// `n` values uniform on `(-scale, scale)`, a function of `seed` and `n` alone.
pub fn values(seed: u64, n: usize, scale: f32) -> Vec<f32> {
    let mut rng = Seed::new(seed).stream("test/values");
    (0..n).map(|_| scale * rng.random_range(-1.0f32..1.0)).collect()
}

/// `n` integers below `end`.
pub fn integers(seed: u64, n: usize, end: u32) -> Vec<u32> {
    let mut rng = Seed::new(seed).stream("test/integers");
    (0..n).map(|_| rng.random_range(0..end)).collect()
}

/// Memory that nobody has written: a kernel that overwrites it leaves no NaN.
pub fn poison(n: usize) -> Vec<f32> {
    vec![f32::NAN; n]
}

/// The bits, so that -0 differs from 0 and NaN equals itself.
pub fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

/// Run `work` in a pool of `threads` threads.
pub fn with_threads<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

/// Fails unless `work` gives equal results in pools of 1, 2 and 3 threads.
pub fn assert_same_for_any_number_of_threads<R: Send + PartialEq>(
    what: &str,
    work: impl Fn() -> R + Send + Sync,
) {
    let alone = with_threads(1, &work);
    for threads in [2, 3] {
        assert!(with_threads(threads, &work) == alone, "{what}: {threads} threads differ from one");
    }
}

/// The largest error, relative to the largest value expected. NaN where anything found is NaN.
pub fn error(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len(), "lengths");
    let scale = expected.iter().fold(0f64, |m, x| m.max(x.abs())).max(1e-30);
    let mut largest = 0f64;
    for (found, expected) in found.iter().zip(expected) {
        let error = (f64::from(*found) - expected).abs() / scale;
        if error.is_nan() {
            return f64::NAN;
        }
        largest = largest.max(error);
    }
    largest
}

/// Fails unless [`error`] is at most `tolerance`.
pub fn assert_close(what: &str, found: &[f32], expected: &[f64], tolerance: f64) {
    let error = error(found, expected);
    assert!(error <= tolerance, "{what}: relative error {error:.2e} is not within {tolerance:.0e}");
}

/// A differentiable f64 tensor.
pub fn var(values: &[f32], shape: &[usize]) -> Var {
    Var::from_tensor(&constant(values, shape)).unwrap()
}

/// An f64 tensor.
pub fn constant(values: &[f32], shape: &[usize]) -> Tensor {
    let values: Vec<f64> = values.iter().map(|x| f64::from(*x)).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// Its elements.
pub fn elements(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}
