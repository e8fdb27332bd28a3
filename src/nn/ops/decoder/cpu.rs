//! The operations on this machine's processor. Activations are f32 as everything else; products may round what they read to bf16.

use std::convert::Infallible;
use std::ops::Range;

use super::{DecoderOps, Either, Gradient, Heads, Job, LowRank, Normed, Read, Write};
use crate::nn::aligned::Buffer;
use crate::nn::attention::{self, Shape, Span};
use crate::nn::dropout::Dropout;
use crate::nn::gemm::Start;
use crate::nn::matmul::{self, Dense, Matrix, Output, Precision};
use crate::nn::quant::Frozen;
use crate::nn::rope::{self, Rope};
use crate::nn::{embedding, rms_norm, rows, softmax, swiglu};

/// Rows whose logits are in memory at once.
const BLOCK: usize = 64;

type Done = Result<(), Infallible>;

/// Scratch memory of the operations, kept between calls.
pub struct Cpu {
    /// What products of layers round their inputs to. Adapters, read-outs and gradients of weights are always f32.
    pub precision: Precision,
    products: matmul::Scratch,
    attention: attention::Scratch,
    dropped: Buffer,
    low: Buffer,
    raw: Buffer,
    letters: Buffer,
    logits: Buffer,
}

impl Default for Cpu {
    fn default() -> Self {
        Self {
            precision: Precision::F32,
            products: matmul::Scratch::default(),
            attention: attention::Scratch::default(),
            dropped: Buffer::default(),
            low: Buffer::default(),
            raw: Buffer::default(),
            letters: Buffer::default(),
            logits: Buffer::default(),
        }
    }
}

impl<'a, T> Either<&'a T, &'a T> {
    const fn any(self) -> &'a T {
        match self {
            Self::Floats(x) | Self::Activations(x) => x,
        }
    }
}

impl<'a, T> Either<&'a mut T, &'a mut T> {
    fn any_mut(self) -> &'a mut T {
        match self {
            Self::Floats(x) | Self::Activations(x) => x,
        }
    }
}

/// `x` through the mask; `x` itself when nothing is dropped.
fn masked<'a>(mask: Dropout, x: &'a [f32], dropped: &'a mut Buffer) -> &'a [f32] {
    if mask.is_off() {
        return x;
    }
    rows::dropout(mask, x, dropped.reset(x.len()));
    dropped
}

/// A (r, k) and B (n, r) of an adapter.
fn matrices<'a>(adapter: &LowRank<'a, Cpu>) -> (Dense<'a>, Dense<'a>) {
    let LowRank { a, b, r, .. } = *adapter;
    (Dense { data: a, rows: r, cols: a.len() / r }, Dense { data: b, rows: b.len() / r, cols: r })
}

impl DecoderOps for Cpu {
    type Error = Infallible;
    type Floats = Buffer;
    type Activations = Buffer;
    type Ids = Vec<u32>;
    type Spans = Vec<Span>;
    type Rotations = Rope;
    type Matrix<'a> = &'a dyn Matrix;
    type Part<'a> = &'a [f32];
    type Gradients = [f32];
    type Frozen = Frozen;
    type Vector = Vec<f32>;

    fn size(matrix: &dyn Matrix) -> (usize, usize) {
        (matrix.rows(), matrix.cols())
    }

    fn matrix(frozen: &Frozen) -> &dyn Matrix {
        frozen
    }

    fn part(vector: &Vec<f32>) -> &[f32] {
        vector
    }

    fn within<'a>(part: Self::Part<'a>, range: Range<usize>) -> Self::Part<'a> {
        &part[range]
    }

    fn floats_bytes(floats: &Buffer) -> usize {
        size_of_val::<[f32]>(floats)
    }

    fn activations_bytes(activations: &Buffer) -> usize {
        size_of_val::<[f32]>(activations)
    }

    fn own_bytes(&self) -> usize {
        [&self.dropped, &self.low, &self.raw, &self.letters, &self.logits]
            .into_iter()
            .map(Self::floats_bytes)
            .sum()
    }

    fn set_ids(&mut self, ids: &mut Vec<u32>, values: &[u32]) -> Done {
        ids.clear();
        ids.extend_from_slice(values);
        Ok(())
    }

    fn set_spans(&mut self, spans: &mut Vec<Span>, values: &[Span], _: usize, _: usize) -> Done {
        spans.clear();
        spans.extend_from_slice(values);
        Ok(())
    }

    fn rotations(&mut self, frequencies: &[f32], factor: f32, positions: usize) -> Result<Rope, Infallible> {
        Ok(Rope::new(frequencies, factor, positions))
    }

    fn clear(&mut self, floats: &mut Buffer, len: usize) -> Done {
        floats.clear(len);
        Ok(())
    }

    fn embed(&mut self, table: &dyn Matrix, ids: &Vec<u32>, to: &mut Buffer) -> Done {
        rows::embed(table, ids, to.reset(ids.len() * table.cols()));
        Ok(())
    }

    fn copy(&mut self, from: &Buffer, to: &mut Buffer) -> Done {
        rows::copy(from, to.reset(from.len()));
        Ok(())
    }

    fn gather(&mut self, from: &Buffer, width: usize, rows: &Vec<u32>, to: &mut Buffer) -> Done {
        rows::gather(from, width, rows, to.reset(rows.len() * width));
        Ok(())
    }

    fn gather_activations(&mut self, from: &Buffer, width: usize, rows: &Vec<u32>, to: &mut Buffer) -> Done {
        self.gather(from, width, rows, to)
    }

    fn scatter_add(&mut self, from: &Buffer, width: usize, rows: &Vec<u32>, to: &mut Buffer) -> Done {
        rows::scatter_add(from, width, rows, to);
        Ok(())
    }

    fn norm(
        &mut self,
        x: Read<'_, Self>,
        weight: &[f32],
        eps: f32,
        y: Write<'_, Self>,
        inverse: &mut Buffer,
    ) -> Done {
        let (x, y) = (x.any(), y.any_mut());
        let inverse = inverse.reset(x.len() / weight.len().max(1));
        rms_norm::forward(x, weight, eps, y.reset(x.len()), inverse);
        Ok(())
    }

    fn norm_backward(
        &mut self,
        norm: Normed<'_, '_, Self>,
        x: &Buffer,
        dy: &Buffer,
        flow: &mut Buffer,
        dw: Option<Gradient<'_, Self>>,
    ) -> Done {
        let dw = dw.map(|(gradients, place)| &mut gradients[place]);
        rms_norm::backward(x, norm.weight, norm.inverse, dy, flow, dw);
        Ok(())
    }

    fn head_norm_backward(
        &mut self,
        norm: Normed<'_, '_, Self>,
        x: &Buffer,
        dy: &mut Buffer,
        dw: Option<Gradient<'_, Self>>,
    ) -> Done {
        let dw = dw.map(|(gradients, place)| &mut gradients[place]);
        let dx = self.raw.clear(dy.len());
        rms_norm::backward(x, norm.weight, norm.inverse, dy, dx, dw);
        rows::copy(dx, dy);
        Ok(())
    }

    fn rotate(
        &mut self,
        x: &mut Buffer,
        head_dim: usize,
        positions: &Vec<u32>,
        table: &Rope,
        inverse: bool,
    ) -> Done {
        rope::apply(x, head_dim, positions, table, inverse);
        Ok(())
    }

    fn swiglu(&mut self, gate: &Buffer, up: &Buffer, out: &mut Buffer) -> Done {
        swiglu::forward(gate, up, out.reset(gate.len()));
        Ok(())
    }

    fn swiglu_backward(
        &mut self,
        gate: &Buffer,
        up: &Buffer,
        d_out: &Buffer,
        d_gate: &mut Buffer,
        d_up: &mut Buffer,
    ) -> Done {
        swiglu::backward(gate, up, d_out, d_gate.reset(gate.len()), d_up.reset(up.len()));
        Ok(())
    }

    fn linear<const N: usize>(&mut self, m: usize, x: &Buffer, jobs: [Job<'_, '_, Self>; N]) -> Done {
        let mut outputs = jobs.map(|Job { weight, bias, y }| {
            let start = bias.map_or(Start::Zero, Start::Columns);
            Output { w: weight, y: y.reset(m * weight.rows()), start }
        });
        matmul::forward_all(self.precision, m, x, &mut outputs, &mut self.products);
        Ok(())
    }

    fn linear_sum(
        &mut self,
        m: usize,
        x: &Buffer,
        (weight, bias): (&dyn Matrix, Option<&[f32]>),
        y: &mut Buffer,
    ) -> Done {
        if let Some(bias) = bias {
            rows::add_to_each(bias, y);
        }
        matmul::forward(self.precision, m, x, weight, y, Start::Sum, &mut self.products);
        Ok(())
    }

    fn linear_backward(
        &mut self,
        m: usize,
        dy: Read<'_, Self>,
        weight: &dyn Matrix,
        dx: Write<'_, Self>,
        sum: bool,
    ) -> Done {
        let dx = dx.any_mut();
        let start = if sum { Start::Sum } else { Start::Zero };
        let dx = if sum { &mut **dx } else { dx.reset(m * weight.cols()) };
        matmul::backward(self.precision, m, dy.any(), weight, dx, start, &mut self.products);
        Ok(())
    }

    fn weight_gradient(
        &mut self,
        shape: (usize, usize, usize),
        dy: Read<'_, Self>,
        x: &Buffer,
        (gradients, place): Gradient<'_, Self>,
    ) -> Done {
        let (to, products) = (&mut gradients[place], &mut self.products);
        matmul::weight_gradient(Precision::F32, shape, dy.any(), x, to, Start::Sum, products);
        Ok(())
    }

    fn bias_gradient(&mut self, dy: Read<'_, Self>, (gradients, place): Gradient<'_, Self>) -> Done {
        rows::sum_rows(dy.any(), &mut gradients[place]);
        Ok(())
    }

    fn embedding_gradient(
        &mut self,
        d: usize,
        tokens: &[u32],
        flow: &Buffer,
        (gradients, place): Gradient<'_, Self>,
    ) -> Done {
        embedding::scatter_add(d, tokens, flow, &mut gradients[place]);
        Ok(())
    }

    fn lower(&mut self, m: usize, x: &Buffer, adapter: LowRank<'_, Self>, low: &mut Buffer) -> Done {
        let (a, _) = matrices(&adapter);
        let x = masked(adapter.mask, x, &mut self.dropped);
        let low = low.reset(m * adapter.r);
        matmul::forward(Precision::F32, m, x, &a, low, Start::Zero, &mut self.products);
        rows::scale(low, adapter.scale);
        Ok(())
    }

    fn raise(&mut self, m: usize, low: &Buffer, adapter: LowRank<'_, Self>, y: Write<'_, Self>) -> Done {
        let (_, b) = matrices(&adapter);
        matmul::forward(Precision::F32, m, low, &b, y.any_mut(), Start::Sum, &mut self.products);
        Ok(())
    }

    fn low_backward(
        &mut self,
        m: usize,
        adapter: LowRank<'_, Self>,
        (x, low): (&Buffer, &Buffer),
        dy: Read<'_, Self>,
        dx: Option<Write<'_, Self>>,
        (gradients, of_a, of_b): (&mut [f32], Range<usize>, Range<usize>),
    ) -> Done {
        let LowRank { r, scale, mask, .. } = adapter;
        let (a, b) = matrices(&adapter);
        let (inputs, outputs, dy) = (a.cols, b.rows, dy.any());
        let Self { products, dropped, low: d_low, .. } = self;
        let to = &mut gradients[of_b];
        matmul::weight_gradient(Precision::F32, (m, outputs, r), dy, low, to, Start::Sum, products);
        let d_low = d_low.reset(m * r);
        matmul::backward(Precision::F32, m, dy, &b, d_low, Start::Zero, products);
        rows::scale(d_low, scale);
        let x = masked(mask, x, dropped);
        let to = &mut gradients[of_a];
        matmul::weight_gradient(Precision::F32, (m, r, inputs), d_low, x, to, Start::Sum, products);
        let Some(dx) = dx.map(Either::any_mut) else { return Ok(()) };
        if mask.is_off() {
            matmul::backward(Precision::F32, m, d_low, &a, dx, Start::Sum, products);
        } else {
            let part = dropped.reset(m * inputs);
            matmul::backward(Precision::F32, m, d_low, &a, part, Start::Zero, products);
            rows::add_dropout(mask, part, dx);
        }
        Ok(())
    }

    fn attention(
        &mut self,
        shape: Shape,
        spans: &Vec<Span>,
        Heads { q, k, v }: Heads<'_, Self>,
        attended: &mut Buffer,
        log_sums: &mut Buffer,
    ) -> Done {
        let log_sums = log_sums.reset(q.len() / shape.head_dim.max(1));
        attention::forward(shape, spans, q, k, v, attended.reset(q.len()), log_sums);
        Ok(())
    }

    fn attention_backward(
        &mut self,
        shape: Shape,
        spans: &Vec<Span>,
        Heads { q, k, v }: Heads<'_, Self>,
        (attended, log_sums, d_attended): (&Buffer, &Buffer, &Buffer),
        [d_q, d_k, d_v]: [&mut Buffer; 3],
    ) -> Done {
        let (d_q, d_k, d_v) = (d_q.reset(q.len()), d_k.reset(k.len()), d_v.reset(v.len()));
        let scratch = &mut self.attention;
        attention::backward(shape, spans, q, k, v, attended, log_sums, d_attended, d_q, d_k, d_v, scratch);
        Ok(())
    }

    fn scores(&mut self, head: &dyn Matrix, hidden: &Buffer, ids: &[u32]) -> Result<Vec<f32>, Infallible> {
        let d = head.cols();
        let m = hidden.len() / d;
        let letters = self.letters.reset(ids.len() * d);
        rows::embed(head, ids, letters);
        let mut scores = vec![0.0; m * ids.len()];
        let letters = Dense { data: letters, rows: ids.len(), cols: d };
        matmul::forward(Precision::F32, m, hidden, &letters, &mut scores, Start::Zero, &mut self.products);
        Ok(scores)
    }

    fn loss(
        &mut self,
        head: &dyn Matrix,
        hidden: &Buffer,
        labels: &[u32],
        share: f64,
        d_hidden: &mut Buffer,
    ) -> Result<f64, Infallible> {
        let (v, d, precision) = (head.rows(), head.cols(), self.precision);
        let products = &mut self.products;
        d_hidden.reset(hidden.len());
        let mut total = 0.0;
        for (block, labels) in labels.chunks(BLOCK).enumerate() {
            let (at, m) = (block * BLOCK * d, labels.len());
            let logits = self.logits.reset(m * v);
            matmul::forward(precision, m, &hidden[at..][..m * d], head, logits, Start::Zero, products);
            total += softmax::cross_entropy(v, logits, labels, share as f32);
            matmul::backward(precision, m, logits, head, &mut d_hidden[at..][..m * d], Start::Zero, products);
        }
        Ok(total)
    }
}
