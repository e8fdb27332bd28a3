//! The numerical core: kernels on slices, written once over sixteen lanes and run on all threads.
//!
//! Shape legend of the crate: b batch, l length, m packed positions (rows), d hidden, c state channels, f feed-forward,
//! v vocabulary, n items, k candidates or depth of a product, r LoRA rank.

pub mod adamw;
pub mod aligned;
pub mod attention;
pub mod cross_entropy;
pub mod dropout;
pub mod embedding;
pub mod gelu;
pub mod gemm;
pub mod init;
pub mod math;
pub mod matmul;
pub mod norm;
pub mod ops;
pub mod parallel;
pub mod params;
pub mod quant;
pub mod rms_norm;
pub mod rope;
pub mod rows;
pub mod scan;
pub mod simd;
pub mod softmax;
pub mod swiglu;
