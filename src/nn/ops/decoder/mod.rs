//! The operations that language models are written in: for the CPU ([`Cpu`]), and for devices (`cuda::DecoderOps`).
//!
//! There are two kinds of numbers. The residual stream, norms' roots, gradients of weights and everything of an adapter are `Floats`, f32.
//! What products read and write is `Activations`, which a device may keep in bf16. What is written is a whole array, which is made as long
//! as it has to be, unless it says that something is added. Rows are packed: see `backbone::decoder::Batch`.

mod cpu;

use std::ops::Range;

pub use cpu::Cpu;

use crate::nn::attention::{Shape, Span};
use crate::nn::dropout::Dropout;

/// An array of one of the two kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Either<F, A> {
    /// f32.
    Floats(F),
    /// What products read and write.
    Activations(A),
}

/// An array that is read.
pub type Read<'a, O> = Either<&'a <O as DecoderOps>::Floats, &'a <O as DecoderOps>::Activations>;
/// An array that is written.
pub type Write<'a, O> = Either<&'a mut <O as DecoderOps>::Floats, &'a mut <O as DecoderOps>::Activations>;
/// Gradients of weights, and a place in them.
pub type Gradient<'a, O> = (&'a mut <O as DecoderOps>::Gradients, Range<usize>);

/// A low-rank adapter of a linear layer: `scale B A dropout(x)`.
pub struct LowRank<'a, O: DecoderOps + ?Sized> {
    /// A (r, inputs).
    pub a: O::Part<'a>,
    /// B (outputs, r).
    pub b: O::Part<'a>,
    /// Rank.
    pub r: usize,
    /// alpha / r.
    pub scale: f32,
    /// What is dropped of x.
    pub mask: Dropout,
}

impl<O: DecoderOps + ?Sized> Clone for LowRank<'_, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<O: DecoderOps + ?Sized> Copy for LowRank<'_, O> {}

/// A linear layer `y = W x + b` whose `y` is overwritten.
pub struct Job<'a, 'w, O: DecoderOps + ?Sized> {
    /// W (n, k).
    pub weight: O::Matrix<'w>,
    /// b (n).
    pub bias: Option<O::Part<'w>>,
    /// y (m, n).
    pub y: &'a mut O::Activations,
}

/// A norm's weight and what its forward pass kept.
pub struct Normed<'a, 'w, O: DecoderOps + ?Sized> {
    /// w (d).
    pub weight: O::Part<'w>,
    /// `1 / sqrt(mean x^2 + eps)` of each row.
    pub inverse: &'a O::Floats,
}

/// What attention reads. `# Shapes: q (rows, heads * head_dim), k, v (key rows, kv_heads * head_dim)`
pub struct Heads<'a, O: DecoderOps + ?Sized> {
    /// Queries.
    pub q: &'a O::Activations,
    /// Keys.
    pub k: &'a O::Activations,
    /// Values.
    pub v: &'a O::Activations,
}

/// Operations on arrays of one kind of memory.
///
/// Every method fails if there is not so much memory, or the device fails.
#[allow(clippy::missing_errors_doc, reason = "all fail for the reasons above")]
pub trait DecoderOps {
    /// What can go wrong.
    type Error: std::error::Error + Send + Sync + 'static;
    /// f32 numbers.
    type Floats: Default;
    /// Numbers that products read and write.
    type Activations: Default;
    /// u32 numbers.
    type Ids: Default;
    /// The prompts of a batch, as attention wants them.
    type Spans: Default;
    /// Tables of a rotary embedding.
    type Rotations;
    /// A weight matrix, stored in any way.
    type Matrix<'a>: Copy;
    /// f32 weights: a norm's, a bias, an adapter's.
    type Part<'a>: Copy;
    /// Gradients of all weights that learn.
    type Gradients: ?Sized;
    /// A matrix of frozen weights.
    type Frozen;
    /// A frozen norm or bias.
    type Vector;

    /// Rows and columns.
    fn size(matrix: Self::Matrix<'_>) -> (usize, usize);
    /// To read it.
    fn matrix(frozen: &Self::Frozen) -> Self::Matrix<'_>;
    /// To read it.
    fn part(vector: &Self::Vector) -> Self::Part<'_>;
    /// A range of weights.
    fn within<'a>(part: Self::Part<'a>, range: Range<usize>) -> Self::Part<'a>;
    /// Bytes of an array.
    fn floats_bytes(floats: &Self::Floats) -> usize;
    /// Bytes of an array.
    fn activations_bytes(activations: &Self::Activations) -> usize;
    /// Bytes of the memory that the operations keep for themselves and that grows with the batch.
    fn own_bytes(&self) -> usize;

    /// Give it the values of a slice.
    fn set_ids(&mut self, ids: &mut Self::Ids, values: &[u32]) -> Result<(), Self::Error>;
    /// Prompts, in `rows` rows of queries and `key_rows` of keys.
    fn set_spans(
        &mut self,
        spans: &mut Self::Spans,
        values: &[Span],
        rows: usize,
        key_rows: usize,
    ) -> Result<(), Self::Error>;
    /// Tables for positions from 0 on: [`Rope::new`](crate::nn::rope::Rope::new).
    fn rotations(
        &mut self,
        frequencies: &[f32],
        factor: f32,
        positions: usize,
    ) -> Result<Self::Rotations, Self::Error>;
    /// Make it zeros.
    fn clear(&mut self, floats: &mut Self::Floats, len: usize) -> Result<(), Self::Error>;

    /// Rows of a table: [`rows::embed`](crate::nn::rows::embed). `# Shapes: table (., d), to (ids, d)`
    fn embed(
        &mut self,
        table: Self::Matrix<'_>,
        ids: &Self::Ids,
        to: &mut Self::Floats,
    ) -> Result<(), Self::Error>;
    /// `to = from`.
    fn copy(&mut self, from: &Self::Floats, to: &mut Self::Floats) -> Result<(), Self::Error>;
    /// `to[i] = from[rows[i]]`, rows of `width`.
    fn gather(
        &mut self,
        from: &Self::Floats,
        width: usize,
        rows: &Self::Ids,
        to: &mut Self::Floats,
    ) -> Result<(), Self::Error>;
    /// The same of activations.
    fn gather_activations(
        &mut self,
        from: &Self::Activations,
        width: usize,
        rows: &Self::Ids,
        to: &mut Self::Activations,
    ) -> Result<(), Self::Error>;
    /// `to[rows[i]] += from[i]`, rows of `width`, each named once.
    fn scatter_add(
        &mut self,
        from: &Self::Floats,
        width: usize,
        rows: &Self::Ids,
        to: &mut Self::Floats,
    ) -> Result<(), Self::Error>;

    /// RMSNorm of rows as wide as the weight: [`rms_norm::forward`](crate::nn::rms_norm::forward).
    fn norm(
        &mut self,
        x: Read<'_, Self>,
        weight: Self::Part<'_>,
        eps: f32,
        y: Write<'_, Self>,
        inverse: &mut Self::Floats,
    ) -> Result<(), Self::Error>;
    /// `flow += ` the gradient of x, and `dw += ` that of the weight: [`rms_norm::backward`](crate::nn::rms_norm::backward).
    fn norm_backward(
        &mut self,
        norm: Normed<'_, '_, Self>,
        x: &Self::Floats,
        dy: &Self::Floats,
        flow: &mut Self::Floats,
        dw: Option<Gradient<'_, Self>>,
    ) -> Result<(), Self::Error>;
    /// The same of a norm of each head; `dy` becomes the gradient of x.
    fn head_norm_backward(
        &mut self,
        norm: Normed<'_, '_, Self>,
        x: &Self::Activations,
        dy: &mut Self::Activations,
        dw: Option<Gradient<'_, Self>>,
    ) -> Result<(), Self::Error>;
    /// The rotary embedding of heads, or its inverse: [`rope::apply`](crate::nn::rope::apply).
    fn rotate(
        &mut self,
        x: &mut Self::Activations,
        head_dim: usize,
        positions: &Self::Ids,
        table: &Self::Rotations,
        inverse: bool,
    ) -> Result<(), Self::Error>;
    /// [`swiglu::forward`](crate::nn::swiglu::forward).
    fn swiglu(
        &mut self,
        gate: &Self::Activations,
        up: &Self::Activations,
        out: &mut Self::Activations,
    ) -> Result<(), Self::Error>;
    /// [`swiglu::backward`](crate::nn::swiglu::backward).
    fn swiglu_backward(
        &mut self,
        gate: &Self::Activations,
        up: &Self::Activations,
        d_out: &Self::Activations,
        d_gate: &mut Self::Activations,
        d_up: &mut Self::Activations,
    ) -> Result<(), Self::Error>;

    /// Linear layers of the same x. `# Shapes: x (m, k)`
    fn linear<const N: usize>(
        &mut self,
        m: usize,
        x: &Self::Activations,
        jobs: [Job<'_, '_, Self>; N],
    ) -> Result<(), Self::Error>;
    /// `y += W x + b`. `# Shapes: x (m, k), W (n, k), b (n), y (m, n)`
    fn linear_sum(
        &mut self,
        m: usize,
        x: &Self::Activations,
        layer: (Self::Matrix<'_>, Option<Self::Part<'_>>),
        y: &mut Self::Floats,
    ) -> Result<(), Self::Error>;
    /// `dx = dy W`, added to what `dx` holds if `sum`. `# Shapes: dy (m, n), W (n, k), dx (m, k)`
    fn linear_backward(
        &mut self,
        m: usize,
        dy: Read<'_, Self>,
        weight: Self::Matrix<'_>,
        dx: Write<'_, Self>,
        sum: bool,
    ) -> Result<(), Self::Error>;
    /// `to += dy^T x`. `# Shapes: dy (m, n), x (m, k), to (n, k)`
    fn weight_gradient(
        &mut self,
        shape: (usize, usize, usize),
        dy: Read<'_, Self>,
        x: &Self::Activations,
        to: Gradient<'_, Self>,
    ) -> Result<(), Self::Error>;
    /// `to += ` the sum of the rows of `dy`, which are as wide as `to`.
    fn bias_gradient(&mut self, dy: Read<'_, Self>, to: Gradient<'_, Self>) -> Result<(), Self::Error>;
    /// `to[tokens[i]] += flow[i]`. `# Shapes: flow (m, d), to (., d)`
    fn embedding_gradient(
        &mut self,
        d: usize,
        tokens: &[u32],
        flow: &Self::Floats,
        to: Gradient<'_, Self>,
    ) -> Result<(), Self::Error>;

    /// `low = scale A dropout(x)`. `# Shapes: x (m, k), low (m, r)`
    fn lower(
        &mut self,
        m: usize,
        x: &Self::Activations,
        adapter: LowRank<'_, Self>,
        low: &mut Self::Floats,
    ) -> Result<(), Self::Error>;
    /// `y += B low`. `# Shapes: low (m, r), y (m, n)`
    fn raise(
        &mut self,
        m: usize,
        low: &Self::Floats,
        adapter: LowRank<'_, Self>,
        y: Write<'_, Self>,
    ) -> Result<(), Self::Error>;
    /// Through an adapter whose forward pass had `kept` x and low: `dB += dy^T low`, `dA += (scale dy B)^T dropout(x)`, and `dx += ((scale dy B) A) * mask`.
    ///
    /// `# Shapes: x (m, k), low (m, r), dy (m, n), dx (m, k)`
    fn low_backward(
        &mut self,
        m: usize,
        adapter: LowRank<'_, Self>,
        kept: (&Self::Activations, &Self::Floats),
        dy: Read<'_, Self>,
        dx: Option<Write<'_, Self>>,
        to: (&mut Self::Gradients, Range<usize>, Range<usize>),
    ) -> Result<(), Self::Error>;

    /// [`attention::forward`](crate::nn::attention::forward). `# Shapes: attended as q, log_sums (rows, heads)`
    fn attention(
        &mut self,
        shape: Shape,
        spans: &Self::Spans,
        heads: Heads<'_, Self>,
        attended: &mut Self::Activations,
        log_sums: &mut Self::Floats,
    ) -> Result<(), Self::Error>;
    /// [`attention::backward`](crate::nn::attention::backward). `# Shapes: gradients as q, k and v`
    fn attention_backward(
        &mut self,
        shape: Shape,
        spans: &Self::Spans,
        heads: Heads<'_, Self>,
        output: (&Self::Activations, &Self::Floats, &Self::Activations),
        gradients: [&mut Self::Activations; 3],
    ) -> Result<(), Self::Error>;

    /// Logits of the classes `ids`, in f32 whatever activations are kept as. `# Shapes: head (v, d), hidden (m, d); gives (m, ids)`
    fn scores(
        &mut self,
        head: Self::Matrix<'_>,
        hidden: &Self::Floats,
        ids: &[u32],
    ) -> Result<Vec<f32>, Self::Error>;
    /// The sum of the cross-entropies of the rows of `hidden`; `share` times its gradient goes to `d_hidden`. Gives `share` times the sum.
    ///
    /// `# Shapes: head (v, d), hidden (m, d), labels (m)`
    fn loss(
        &mut self,
        head: Self::Matrix<'_>,
        hidden: &Self::Floats,
        labels: &[u32],
        share: f64,
        d_hidden: &mut Self::Floats,
    ) -> Result<f64, Self::Error>;
}

impl<F, A> Either<&mut F, &mut A> {
    /// To write it, and to write it again later.
    pub fn again(&mut self) -> Either<&mut F, &mut A> {
        match self {
            Self::Floats(x) => Either::Floats(x),
            Self::Activations(x) => Either::Activations(x),
        }
    }
}
