//! Kernels for NVIDIA devices, and what runs them.
//!
//! Every kernel of the retriever takes its sums in the order of its CPU twin in [`nn`](crate::nn) and contracts nothing, so both give the
//! same bits: one seed gives the same candidates on a CPU and on a device. Of the decoder's kernels some do and some have an order of their
//! own, always the same one; tensor cores have theirs. `kernels/` has their code in CUDA C++.

mod array;
mod cublas;
mod decoder;
mod device;
mod driver;
mod error;
mod frozen;
mod kernels;
mod machine;
mod ops;
mod rate;
mod staging;

pub use array::{Activation, Array, Element, Slice, SliceMut};
pub use cublas::{Blas, Gemm};
pub use decoder::{DecoderOps, Numbers, Room};
pub use device::{Device, Facts, devices, ptx};
pub use driver::{Driver, Installed};
pub use error::{Absent, Error};
pub use frozen::Frozen;
pub use kernels::{
    Attended, AttentionRoom, BlockScales, Classes, ClassesRoom, Kernels, Matrix, Right, SoftmaxRoom, Spans,
    Start, Turns, Walk, Walked, Which,
};
pub use machine::{Machine, Product, Shape, kernel_names, source, sources};
pub use ops::Ops;
pub use rate::matrix_rate;
