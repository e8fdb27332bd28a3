//! The kernels as functions: what they take is held against each other here, so that none reads or writes beyond an array. Each file has
//! those of the `.cu` of its name.

mod adamw;
mod attention;
mod catalogue;
mod cross_entropy;
mod layers;
mod lora;
mod matmul;
mod product;
mod quant;
mod rows;
mod scan;

use std::ffi::c_void;
use std::sync::Arc;

use super::Error;
use super::machine::{Machine, Shape};
use crate::nn::dropout::Dropout;

pub use attention::{Attended, AttentionRoom, Spans};
pub use catalogue::{Walk, Walked};
pub use cross_entropy::{Classes, ClassesRoom};
pub use layers::{SoftmaxRoom, Turns};
pub use matmul::Right;
pub use product::{Matrix, Start};
pub use quant::{BlockScales, Which};

/// `arguments![a, b]`: the values as a launch takes them.
macro_rules! arguments {
    ($($value:expr),* $(,)?) => {
        &mut [$($crate::cuda::kernels::Argument::of($value)),*]
    };
}

use arguments;

/// A value that a kernel takes.
#[derive(Clone, Copy)]
struct Argument([u64; 4]);

impl Argument {
    fn of<T: Copy>(value: T) -> Self {
        const { assert!(size_of::<T>() <= 32 && align_of::<T>() <= 8, "a value of at most 32 bytes") };
        let mut bytes = [0u64; 4];
        // SAFETY: there is room for it, aligned to 8.
        unsafe { bytes.as_mut_ptr().cast::<T>().write(value) };
        Self(bytes)
    }
}

/// A dropout layer as kernels take it.
#[repr(C)]
#[derive(Clone, Copy)]
struct Mask {
    key: u64,
    threshold: u32,
    scale: f32,
}

impl From<Dropout> for Mask {
    fn from(dropout: Dropout) -> Self {
        let (key, threshold, scale) = dropout.parts();
        Self { key, threshold, scale }
    }
}

/// The kernels on one machine.
#[derive(Clone)]
pub struct Kernels {
    machine: Arc<dyn Machine>,
}

impl Kernels {
    /// Those of a machine.
    #[must_use]
    pub const fn new(machine: Arc<dyn Machine>) -> Self {
        Self { machine }
    }

    /// Where they run.
    #[must_use]
    pub const fn machine(&self) -> &Arc<dyn Machine> {
        &self.machine
    }

    fn launch(&self, kernel: &'static str, shape: Shape, arguments: &mut [Argument]) -> Result<(), Error> {
        if shape.grid.contains(&0) {
            return Ok(());
        }
        let mut pointers: Vec<*mut c_void> =
            arguments.iter_mut().map(|value| value.0.as_mut_ptr().cast()).collect();
        // SAFETY: the functions of the modules hold lengths against each other, and write arguments in the kernel's order and with its types.
        unsafe { self.machine.launch(kernel, shape, &mut pointers) }
    }
}
