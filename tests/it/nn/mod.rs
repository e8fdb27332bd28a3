//! The kernels beside plain twins: naive loops in f64, or candle's automatic differentiation.

mod adamw;
mod attention;
mod cross_entropy;
mod dropout;
mod embedding;
mod gelu;
mod gemm;
mod init;
mod instruction_sets;
mod math;
mod matmul;
pub mod norm;
mod params;
mod quant;
mod rms_norm;
mod rope;
mod rows;
mod scan;
mod softmax;
mod swiglu;
pub mod tools;
