//! The kernels beside plain twins: naive loops in f64, or candle's automatic differentiation.

mod adamw;
mod attention;
mod cross_entropy;
mod dropout;
mod gelu;
mod gemm;
mod init;
mod math;
mod matmul;
pub mod norm;
mod params;
mod quant;
mod scan;
pub mod tools;
