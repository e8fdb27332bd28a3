//! Kernels for NVIDIA devices, and what runs them.
//!
//! Every kernel takes its sums in the order of its CPU twin in [`nn`](crate::nn) and contracts nothing, so both give the same bits: one
//! seed gives the same candidates on a CPU and on a device. `kernels/` has their code in CUDA C++. Products of bf16 matrices and attention
//! are near to their twins only: tensor cores have an order of their own.

mod array;
mod cublas;
mod device;
mod driver;
mod error;
mod kernels;
mod machine;
mod ops;

pub use array::{Activation, Array, Element, Slice, SliceMut};
pub use cublas::{Blas, Gemm};
pub use device::{Device, Facts, devices, ptx};
pub use driver::{Driver, Installed};
pub use error::{Absent, Error};
pub use kernels::{
    Attended, AttentionRoom, Classes, ClassesRoom, Kernels, Matrix, Right, Spans, Start, Walk, Walked,
};
pub use machine::{Machine, Product, SOURCE, Shape, kernel_names};
pub use ops::Ops;
