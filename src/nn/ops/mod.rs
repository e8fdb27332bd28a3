//! The operations that the retriever is written in: for the CPU ([`Cpu`]), and for devices (`cuda::Ops`).
//!
//! Both give the same bits: a model that is written over [`Ops`] trains to the same weights wherever it runs. An operation has its CPU
//! kernel in a module of [`nn`](crate::nn), its CUDA kernel in `cuda/kernels/`, and a test that holds one against the other.
//!
//! Numbers lie in `Floats`, arrays that keep their memory when they get shorter. A [`Part`](Ops::Part) is read. What is written is a whole
//! array, which is made as long as it has to be, or a range of one.

mod cpu;
pub mod decoder;

use std::borrow::Cow;
use std::ops::Range;

pub use cpu::Cpu;

use super::adamw::Constants;
use super::dropout::Dropout;
pub use super::embedding::Lists;

/// What a layer norm leaves for the backward pass.
#[derive(Debug, Default)]
pub struct Normed<F> {
    /// `(z - mean) / sqrt(var + eps)`, (m, d).
    pub normal: F,
    /// `1 / sqrt(var + eps)`, (m).
    pub inverse: F,
}

/// A matrix that is read by rows, or as the transpose of what lies there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side<P> {
    /// Rows are contiguous.
    Rows(P),
    /// The transpose of a matrix whose rows are contiguous.
    Transposed(P),
}

/// What a product's sums start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// 0.
    Zero,
    /// What is there.
    Sum,
}

/// A linear layer with a softmax cross-entropy. `# Shapes: hidden (m, d), weight (v, d), bias (v), labels (m)`
#[derive(Clone, Copy)]
pub struct Classes<'a, H, P, I> {
    /// d.
    pub width: usize,
    /// H.
    pub hidden: H,
    /// E.
    pub weight: P,
    /// The output bias.
    pub bias: P,
    /// The class of each position.
    pub labels: &'a I,
}

/// Operations on arrays of one kind of memory.
pub trait Ops {
    /// Packed positions of an evaluation batch: enough to keep every core busy, little enough for the memory that is near.
    const ROWS: usize;
    /// What can go wrong.
    type Error: std::error::Error + Send + Sync + 'static;
    /// f32 numbers.
    type Floats;
    /// u32 numbers.
    type Ids;
    /// f32 numbers that are read.
    type Part<'a>: Copy;

    /// An empty array.
    fn floats(&self) -> Self::Floats;
    /// An empty array.
    fn ids(&self) -> Self::Ids;
    /// To read all of an array.
    fn all<'a>(&self, floats: &'a Self::Floats) -> Self::Part<'a>;
    /// A part of a part.
    fn within<'a>(&self, part: Self::Part<'a>, range: Range<usize>) -> Self::Part<'a>;
    /// Make it so long, with whatever is in it.
    ///
    /// # Errors
    /// If there is not so much memory, or the device fails; as all that follow.
    fn room(&mut self, floats: &mut Self::Floats, len: usize) -> Result<(), Self::Error>;
    /// Make it zeros.
    ///
    /// # Errors
    /// As [`Ops::room`].
    fn zeros(&mut self, floats: &mut Self::Floats, len: usize) -> Result<(), Self::Error>;
    /// Give it the values of a slice.
    ///
    /// # Errors
    /// As [`Ops::room`].
    fn set(&mut self, floats: &mut Self::Floats, values: &[f32]) -> Result<(), Self::Error>;
    /// The same of ids.
    ///
    /// # Errors
    /// As [`Ops::room`].
    fn set_ids(&mut self, ids: &mut Self::Ids, values: &[u32]) -> Result<(), Self::Error>;
    /// The values of a part: as they lie there, or a copy.
    ///
    /// # Errors
    /// As [`Ops::room`].
    fn read<'a>(&mut self, part: Self::Part<'a>) -> Result<Cow<'a, [f32]>, Self::Error>;

    /// Copy a part to a range of another array. `# Shapes: both of one length`
    ///
    /// # Errors
    /// As [`Ops::room`].
    fn copy(
        &mut self,
        from: Self::Part<'_>,
        to: (&mut Self::Floats, Range<usize>),
    ) -> Result<(), Self::Error>;

    /// `out[i] = table[index[i]]`. `# Shapes: table (., d), out (m, d)`
    ///
    /// # Errors
    /// As [`Ops::room`].
    fn gather(
        &mut self,
        table: Self::Part<'_>,
        index: &Self::Ids,
        d: usize,
        out: &mut Self::Floats,
    ) -> Result<(), Self::Error>;

    /// The rows of `rows` added to those of a table that their ids name, in their order: [`embedding::scatter`](super::embedding::scatter). `# Shapes: rows (m, d)`
    ///
    /// # Errors
    /// As [`Ops::room`].
    fn scatter(
        &mut self,
        rows: Self::Part<'_>,
        lists: &Lists<Self::Ids>,
        d: usize,
        table: (&mut Self::Floats, Range<usize>),
    ) -> Result<(), Self::Error>;

    /// Dropout, residual sum and layer norm: [`norm::forward`](super::norm::forward).
    ///
    /// # Errors
    /// As [`Ops::room`].
    #[allow(clippy::too_many_arguments, reason = "a layer has this many facts")]
    fn norm_forward(
        &mut self,
        d: usize,
        x: Self::Part<'_>,
        residual: Option<Self::Part<'_>>,
        dropout: Dropout,
        affine: (Self::Part<'_>, Self::Part<'_>),
        y: &mut Self::Floats,
        saved: &mut Normed<Self::Floats>,
    ) -> Result<(), Self::Error>;

    /// Its backward pass; the gradients of weight and bias are added to two ranges of one array.
    ///
    /// # Errors
    /// As [`Ops::room`].
    #[allow(clippy::too_many_arguments, reason = "a layer's backward has this many facts")]
    fn norm_backward(
        &mut self,
        d: usize,
        dy: Self::Part<'_>,
        saved: &Normed<Self::Floats>,
        weight: Self::Part<'_>,
        dropout: Dropout,
        dz: &mut Self::Floats,
        dx: &mut Self::Floats,
        affine: (&mut Self::Floats, Range<usize>, Range<usize>),
    ) -> Result<(), Self::Error>;

    /// [`gelu::forward`](super::gelu::forward).
    ///
    /// # Errors
    /// As [`Ops::room`].
    fn gelu_forward(
        &mut self,
        x: Self::Part<'_>,
        dropout: Dropout,
        y: &mut Self::Floats,
    ) -> Result<(), Self::Error>;

    /// [`gelu::backward`](super::gelu::backward), written over `dy`.
    ///
    /// # Errors
    /// As [`Ops::room`].
    fn gelu_backward(
        &mut self,
        x: Self::Part<'_>,
        dropout: Dropout,
        dy: &mut Self::Floats,
    ) -> Result<(), Self::Error>;

    /// A linear layer: `out = x W^T + bias`. `# Shapes: x (m, k), W (n, k), bias (n), out (m, n)`
    ///
    /// # Errors
    /// As [`Ops::room`].
    fn linear(
        &mut self,
        shape: (usize, usize, usize),
        x: Self::Part<'_>,
        layer: (Self::Part<'_>, Self::Part<'_>),
        out: &mut Self::Floats,
    ) -> Result<(), Self::Error>;

    /// `C = start + A B`: [`gemm`](super::gemm::gemm). With [`Start::Zero`] a range is written, with [`Start::Sum`] added to.
    /// `# Shapes: A (m, k), B (k, n), C (m, n)`
    ///
    /// # Errors
    /// As [`Ops::room`].
    fn product(
        &mut self,
        shape: (usize, usize, usize),
        a: Side<Self::Part<'_>>,
        b: Self::Part<'_>,
        c: (&mut Self::Floats, Range<usize>),
        start: Start,
    ) -> Result<(), Self::Error>;

    /// `sums[j] += sum_i a[i, j]`, rows in order: the gradient of a bias. `# Shapes: a (m, n)`
    ///
    /// # Errors
    /// As [`Ops::room`].
    fn column_sums(
        &mut self,
        n: usize,
        a: Self::Part<'_>,
        sums: (&mut Self::Floats, Range<usize>),
    ) -> Result<(), Self::Error>;

    /// `out = [real | -imag]`, row by row. `# Shapes: real, imag (d, c), out (d, 2c)`
    ///
    /// # Errors
    /// As [`Ops::room`].
    fn pair(
        &mut self,
        d: usize,
        real: Self::Part<'_>,
        imag: Self::Part<'_>,
        out: &mut Self::Floats,
    ) -> Result<(), Self::Error>;

    /// The two halves of [`Ops::pair`] to two ranges of one array.
    ///
    /// # Errors
    /// As [`Ops::room`].
    fn unpair(
        &mut self,
        d: usize,
        pair: Self::Part<'_>,
        halves: (&mut Self::Floats, Range<usize>, Range<usize>),
    ) -> Result<(), Self::Error>;

    /// [`scan::forward`](super::scan::forward). `# Shapes: coefficients (3, c), u, h (m, 2c)`
    ///
    /// # Errors
    /// As [`Ops::room`].
    fn scan_forward(
        &mut self,
        c: usize,
        starts: &Self::Ids,
        coefficients: Self::Part<'_>,
        u: Self::Part<'_>,
        h: &mut Self::Floats,
    ) -> Result<(), Self::Error>;

    /// [`scan::backward`](super::scan::backward) over `dh`, and the chain rule to the logarithms of the coefficients, of which `nu_theta` has
    /// the exponentials of the first two, (2, c). `groups` are those of [`scan::groups`](super::scan::groups): the first sequence of each,
    /// and the end.
    ///
    /// # Errors
    /// As [`Ops::room`].
    #[allow(clippy::too_many_arguments, reason = "a layer's backward has this many facts")]
    fn scan_backward(
        &mut self,
        c: usize,
        sequences: (&Self::Ids, &Self::Ids),
        coefficients: (Self::Part<'_>, &[f64]),
        states: (Self::Part<'_>, Self::Part<'_>),
        dh: &mut Self::Floats,
        logs: (&mut Self::Floats, Range<usize>),
    ) -> Result<(), Self::Error>;

    /// [`cross_entropy::loss_and_gradients`](super::cross_entropy::loss_and_gradients): the mean loss; the gradients of weight and bias are
    /// added to two ranges of one array.
    ///
    /// # Errors
    /// As [`Ops::room`].
    fn cross_entropy(
        &mut self,
        inputs: Classes<'_, Self::Part<'_>, Self::Part<'_>, Self::Ids>,
        d_hidden: &mut Self::Floats,
        d_layer: (&mut Self::Floats, Range<usize>, Range<usize>),
    ) -> Result<f64, Self::Error>;

    /// [`adamw::norm`](super::adamw::norm).
    ///
    /// # Errors
    /// As [`Ops::room`].
    fn norm(&mut self, gradient: Self::Part<'_>) -> Result<f64, Self::Error>;

    /// [`adamw::step`](super::adamw::step) on weights and their two moments.
    ///
    /// # Errors
    /// As [`Ops::room`].
    fn adamw(
        &mut self,
        constants: Constants,
        gradient: Self::Part<'_>,
        decayed: &[(usize, usize)],
        state: (&mut Self::Floats, &mut Self::Floats, &mut Self::Floats),
    ) -> Result<(), Self::Error>;
}
