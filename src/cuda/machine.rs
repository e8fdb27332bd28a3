//! What runs kernels: a CUDA device, or whatever stands for one.

use std::ffi::c_void;

use super::Error;

/// What all kernels share.
const COMMON: &str = include_str!("kernels/common.cuh");
/// Kernels of the retriever, some of which the ranker uses too.
const RETRIEVER: &str = concat!(
    include_str!("kernels/rows.cu"),
    include_str!("kernels/scan.cu"),
    include_str!("kernels/product.cu"),
    include_str!("kernels/cross_entropy.cu"),
    include_str!("kernels/adamw.cu"),
    include_str!("kernels/catalogue.cu"),
);
/// Kernels of the ranker.
const RANKER: &str = concat!(
    include_str!("kernels/layers.cu"),
    include_str!("kernels/lora.cu"),
    include_str!("kernels/quant.cu"),
    include_str!("kernels/matmul.cu"),
    include_str!("kernels/attention.cu"),
);

/// The kernels in CUDA C++, each file of them that is compiled for itself, in the order of [`ptx`](super::ptx).
#[must_use]
pub fn sources() -> [String; 2] {
    [RETRIEVER, RANKER].map(|kernels| format!("{COMMON}{kernels}"))
}

/// All kernels in one file, for whatever stands for a device.
#[must_use]
pub fn source() -> String {
    format!("{COMMON}{RETRIEVER}{RANKER}")
}

/// The names of the kernels in a source.
pub(super) fn names_in(source: &'static str) -> impl Iterator<Item = &'static str> {
    const HEAD: &str = "extern \"C\" __global__ void ";
    source.split(HEAD).skip(1).filter_map(|text| text.split('(').next())
}

/// The names of the kernels of the retriever.
pub(super) fn of_retriever() -> impl Iterator<Item = &'static str> {
    names_in(RETRIEVER)
}

/// The names of the kernels of the ranker.
pub(super) fn of_ranker() -> impl Iterator<Item = &'static str> {
    names_in(RANKER)
}

/// The names of all kernels.
pub fn kernel_names() -> impl Iterator<Item = &'static str> {
    of_retriever().chain(of_ranker())
}

/// Blocks of a launch, and threads of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Blocks in x, y and z.
    pub grid: [u32; 3],
    /// Threads of a block in x.
    pub block: u32,
}

impl Shape {
    /// So many threads in blocks of 256.
    #[must_use]
    pub fn threads(n: u64) -> Self {
        Self { grid: [u32::try_from(n.div_ceil(256)).unwrap_or(u32::MAX), 1, 1], block: 256 }
    }

    /// A grid of blocks of 256 threads.
    ///
    /// # Panics
    /// If a device takes no such grid: 2^31 blocks or more in x, 2^16 or more in y or z (a programming error of this crate).
    #[must_use]
    pub fn blocks(x: usize, y: usize, z: usize) -> Self {
        assert!(x < 1 << 31 && y < 1 << 16 && z < 1 << 16, "a grid of {x} x {y} x {z} blocks");
        Self { grid: [x as u32, y as u32, z as u32], block: 256 }
    }
}

/// A product of bf16 matrices with contiguous rows, `C = A B` or `C += A B`, by places on a device. `# Shapes: A (m, k), B (k, n), C (m, n)`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Product {
    /// m, n and k.
    pub sizes: (usize, usize, usize),
    /// A.
    pub a: u64,
    /// B.
    pub b: u64,
    /// Whether B is there as (n, k).
    pub transposed: bool,
    /// C.
    pub c: u64,
    /// Whether C is bf16, and not f32.
    pub half: bool,
    /// Whether it is added to what C holds.
    pub sum: bool,
}

/// Memory and kernels of a device. Calls are done in the order in which they are made; a download returns when it is done, all others may
/// return before.
pub trait Machine: Send + Sync {
    /// Which device it is, such as `cuda:0 (NVIDIA H100 80GB HBM3)`.
    fn name(&self) -> String;

    /// Free bytes and all bytes of its memory.
    ///
    /// # Errors
    /// If the device fails.
    fn memory(&self) -> Result<(u64, u64), Error>;

    /// Memory of so many bytes, whatever is in it.
    ///
    /// # Errors
    /// [`Error::Memory`] if there is not so much.
    fn allocate(&self, bytes: usize) -> Result<u64, Error>;

    /// Give memory back that was allocated here.
    fn free(&self, at: u64);

    /// Copy to the device. The bytes may change when this returns.
    ///
    /// # Errors
    /// If the device fails.
    fn upload(&self, to: u64, bytes: &[u8]) -> Result<(), Error>;

    /// Copy from the device, after all that was launched before.
    ///
    /// # Errors
    /// If the device fails, also in a kernel that was launched before.
    fn download(&self, from: u64, bytes: &mut [u8]) -> Result<(), Error>;

    /// Copy from one place of the device to another.
    ///
    /// # Errors
    /// If the device fails.
    fn copy(&self, from: u64, to: u64, bytes: usize) -> Result<(), Error>;

    /// Fill with zeros.
    ///
    /// # Errors
    /// If the device fails.
    fn zero(&self, at: u64, bytes: usize) -> Result<(), Error>;

    /// Start a kernel of [`sources`].
    ///
    /// # Safety
    /// `arguments` point to values of the types that the kernel takes, and what these point to on the device is as long as the kernel
    /// expects.
    ///
    /// # Errors
    /// If the device fails.
    unsafe fn launch(
        &self,
        kernel: &'static str,
        shape: Shape,
        arguments: &mut [*mut c_void],
    ) -> Result<(), Error>;

    /// Take a product by a library that knows the device better than [`sources`] does. Whether there was one; else a kernel takes it.
    ///
    /// # Safety
    /// The matrices of the product are on the device.
    ///
    /// # Errors
    /// If the device fails.
    unsafe fn product(&self, product: &Product) -> Result<bool, Error> {
        let _ = product;
        Ok(false)
    }
}
