//! The operations.

use std::ops::Range;

use super::numbers::{Numbers, Target};
use super::{DecoderOps, Prompts, Room, Rotations};
use crate::cuda::Error;
use crate::cuda::array::{Array, Slice};
use crate::cuda::frozen::Frozen;
use crate::cuda::kernels::{Attended, Kernels, Matrix, Spans, Start, Turns};
use crate::nn::attention::{Shape, Span};
use crate::nn::embedding;
use crate::nn::ops::decoder::{self, Either, Gradient, Heads, Job, LowRank, Normed, Read, Write};
use crate::nn::rope::Rope;

/// Rows whose logits are in memory at once.
const BLOCK: usize = 64;

type Done = Result<(), Error>;

/// A matrix as dense numbers, in `scratch` if it is not there as such.
fn dense<'a, E: Numbers>(
    kernels: &Kernels,
    matrix: &'a Frozen,
    scratch: &'a mut Array<E>,
) -> Result<Slice<'a, E>, Error> {
    if let Some(plain) = E::plain(matrix) {
        return Ok(plain);
    }
    matrix.dequantize(kernels, 0..matrix.rows(), scratch)?;
    Ok(scratch.all())
}

/// Either kind as f32, in `scratch` if it has to be widened.
fn floats<'a, E: Numbers>(
    kernels: &Kernels,
    from: Read<'a, DecoderOps<E>>,
    scratch: &'a mut Array<f32>,
) -> Result<Slice<'a, f32>, Error> {
    match from {
        Either::Floats(from) => Ok(from.all()),
        Either::Activations(from) => E::widened(kernels, from.all(), scratch),
    }
}

/// To write `len` numbers, or to add to those that are there.
fn target<'a, E: Numbers>(
    kernels: &Kernels,
    to: Write<'a, DecoderOps<E>>,
    len: usize,
    sum: bool,
) -> Result<Target<'a, E>, Error> {
    let machine = kernels.machine();
    Ok(match to {
        Either::Floats(to) if sum => Either::Floats(to.held()),
        Either::Activations(to) if sum => Either::Activations(to.held()),
        Either::Floats(to) => Either::Floats(to.room(machine, len)?),
        Either::Activations(to) => Either::Activations(to.room(machine, len)?),
    })
}

impl<E: Numbers> decoder::DecoderOps for DecoderOps<E> {
    type Error = Error;
    type Floats = Room<f32>;
    type Activations = Room<E>;
    type Ids = Room<u32>;
    type Spans = Prompts;
    type Rotations = Rotations;
    type Matrix<'a> = &'a Frozen;
    type Part<'a> = Slice<'a, f32>;
    type Gradients = Array<f32>;
    type Frozen = Frozen;
    type Vector = Array<f32>;

    fn size(matrix: &Frozen) -> (usize, usize) {
        (matrix.rows(), matrix.cols())
    }

    fn matrix(frozen: &Frozen) -> &Frozen {
        frozen
    }

    fn part(vector: &Array<f32>) -> Slice<'_, f32> {
        vector.all()
    }

    fn within<'a>(part: Self::Part<'a>, range: Range<usize>) -> Self::Part<'a> {
        part.part(range)
    }

    fn floats_bytes(floats: &Room<f32>) -> usize {
        floats.bytes()
    }

    fn activations_bytes(activations: &Room<E>) -> usize {
        activations.bytes()
    }

    fn own_bytes(&self) -> usize {
        let floats = [&self.low, &self.partial, &self.letters, &self.logits];
        let floats = floats.into_iter().chain(&self.wide).map(Array::bytes).sum::<usize>();
        self.attention.bytes() + floats + self.dense.bytes() + self.narrow.bytes()
    }

    fn set_ids(&mut self, ids: &mut Room<u32>, values: &[u32]) -> Done {
        ids.on(self.kernels.machine()).set(values)
    }

    fn set_spans(&mut self, spans: &mut Prompts, values: &[Span], rows: usize, key_rows: usize) -> Done {
        let machine = self.kernels.machine();
        spans.0.get_or_insert_with(|| Spans::new(machine)).set(values, rows, key_rows)
    }

    fn rotations(&mut self, frequencies: &[f32], factor: f32, positions: usize) -> Result<Rotations, Error> {
        let (table, machine) = (Rope::new(frequencies, factor, positions), self.kernels.machine());
        let (mut cos, mut sin) = (Vec::new(), Vec::new());
        for position in 0..positions {
            let (c, s) = table.at(position);
            cos.extend_from_slice(c);
            sin.extend_from_slice(s);
        }
        let (cos, sin) = (Array::of(machine, &cos)?, Array::of(machine, &sin)?);
        Ok(Rotations { cos, sin, half: table.half() })
    }

    fn clear(&mut self, floats: &mut Room<f32>, len: usize) -> Done {
        floats.on(self.kernels.machine()).zeros(len)
    }

    fn embed(&mut self, table: &Frozen, ids: &Room<u32>, to: &mut Room<f32>) -> Done {
        table.embed(&self.kernels, ids.all(), to.on(self.kernels.machine()))
    }

    fn copy(&mut self, from: &Room<f32>, to: &mut Room<f32>) -> Done {
        let to = to.room(self.kernels.machine(), from.len())?;
        self.kernels.convert(from.all(), to)
    }

    fn gather(&mut self, from: &Room<f32>, width: usize, rows: &Room<u32>, to: &mut Room<f32>) -> Done {
        let to = to.room(self.kernels.machine(), rows.len() * width)?;
        self.kernels.pick_rows(from.all(), rows.all(), width, to)
    }

    fn gather_activations(
        &mut self,
        from: &Room<E>,
        width: usize,
        rows: &Room<u32>,
        to: &mut Room<E>,
    ) -> Done {
        let to = to.room(self.kernels.machine(), rows.len() * width)?;
        self.kernels.pick_rows(from.all(), rows.all(), width, to)
    }

    fn scatter_add(&mut self, from: &Room<f32>, width: usize, rows: &Room<u32>, to: &mut Room<f32>) -> Done {
        self.kernels.add_rows(from.all(), width, rows.all(), to.held())
    }

    fn norm(
        &mut self,
        x: Read<'_, Self>,
        weight: Slice<'_, f32>,
        eps: f32,
        y: Write<'_, Self>,
        inverse: &mut Room<f32>,
    ) -> Done {
        let (kernels, machine) = (&self.kernels, self.kernels.machine());
        let len = match x {
            Either::Floats(x) => x.len(),
            Either::Activations(x) => x.len(),
        };
        let inverse = inverse.room(machine, len / weight.len().max(1))?;
        match (x, target(kernels, y, len, false)?) {
            (Either::Floats(x), Either::Floats(y)) => kernels.rms_norm(x.all(), weight, eps, y, inverse),
            (Either::Floats(x), Either::Activations(y)) => kernels.rms_norm(x.all(), weight, eps, y, inverse),
            (Either::Activations(x), Either::Floats(y)) => kernels.rms_norm(x.all(), weight, eps, y, inverse),
            (Either::Activations(x), Either::Activations(y)) => {
                kernels.rms_norm(x.all(), weight, eps, y, inverse)
            }
        }
    }

    fn norm_backward(
        &mut self,
        norm: Normed<'_, '_, Self>,
        x: &Room<f32>,
        dy: &Room<f32>,
        flow: &mut Room<f32>,
        dw: Option<Gradient<'_, Self>>,
    ) -> Done {
        let (kernels, inverse) = (&self.kernels, norm.inverse.all());
        if let Some((gradients, place)) = dw {
            let dw = gradients.part_mut(place);
            kernels.rms_norm_weight(x.all(), inverse, dy.all(), dw, &mut self.partial)?;
        }
        kernels.rms_norm_backward(x.all(), norm.weight, inverse, dy.all(), flow.held())
    }

    fn head_norm_backward(
        &mut self,
        norm: Normed<'_, '_, Self>,
        x: &Room<E>,
        dy: &mut Room<E>,
        dw: Option<Gradient<'_, Self>>,
    ) -> Done {
        let (kernels, inverse) = (&self.kernels, norm.inverse.all());
        if let Some((gradients, place)) = dw {
            let dw = gradients.part_mut(place);
            kernels.rms_norm_weight(x.all(), inverse, dy.all(), dw, &mut self.partial)?;
        }
        kernels.rms_norm_unnormalize(x.all(), norm.weight, inverse, dy.held())
    }

    fn rotate(
        &mut self,
        x: &mut Room<E>,
        head_dim: usize,
        positions: &Room<u32>,
        table: &Rotations,
        inverse: bool,
    ) -> Done {
        let turns = Turns { cos: table.cos.all(), sin: table.sin.all(), half: table.half };
        self.kernels.rope(x.held(), head_dim, positions.all(), turns, inverse)
    }

    fn swiglu(&mut self, gate: &Room<E>, up: &Room<E>, out: &mut Room<E>) -> Done {
        let out = out.room(self.kernels.machine(), gate.len())?;
        self.kernels.swiglu(gate.all(), up.all(), out)
    }

    fn swiglu_backward(
        &mut self,
        gate: &Room<E>,
        up: &Room<E>,
        d_out: &Room<E>,
        d_gate: &mut Room<E>,
        d_up: &mut Room<E>,
    ) -> Done {
        let machine = self.kernels.machine();
        let (d_gate, d_up) = (d_gate.room(machine, gate.len())?, d_up.room(machine, up.len())?);
        self.kernels.swiglu_backward(gate.all(), up.all(), d_out.all(), d_gate, d_up)
    }

    fn linear<const N: usize>(&mut self, m: usize, x: &Room<E>, jobs: [Job<'_, '_, Self>; N]) -> Done {
        let kernels = &self.kernels;
        for Job { weight, bias, y } in jobs {
            let (n, k) = (weight.rows(), weight.cols());
            let y = Either::Activations(y.room(kernels.machine(), m * n)?);
            let w = dense(kernels, weight, &mut self.dense)?;
            E::forward(kernels, (m, n, k), x.all(), w, y, bias.map_or(Start::Zero, Start::Columns))?;
        }
        Ok(())
    }

    fn linear_sum(
        &mut self,
        m: usize,
        x: &Room<E>,
        (weight, bias): (&Frozen, Option<Slice<'_, f32>>),
        y: &mut Room<f32>,
    ) -> Done {
        let kernels = &self.kernels;
        if let Some(bias) = bias {
            kernels.add_to_each(bias, y.held())?;
        }
        let w = dense(kernels, weight, &mut self.dense)?;
        let shape = (m, weight.rows(), weight.cols());
        E::forward(kernels, shape, x.all(), w, Either::Floats(y.held()), Start::Sum)
    }

    fn linear_backward(
        &mut self,
        m: usize,
        dy: Read<'_, Self>,
        weight: &Frozen,
        dx: Write<'_, Self>,
        sum: bool,
    ) -> Done {
        let (kernels, shape) = (&self.kernels, (m, weight.rows(), weight.cols()));
        let dy = match dy {
            Either::Floats(dy) => E::rounded(kernels, dy.all(), &mut self.narrow)?,
            Either::Activations(dy) => dy.all(),
        };
        let dx = target(kernels, dx, m * weight.cols(), sum)?;
        let w = dense(kernels, weight, &mut self.dense)?;
        E::backward(kernels, shape, dy, w, dx, if sum { Start::Sum } else { Start::Zero })
    }

    fn weight_gradient(
        &mut self,
        (m, n, k): (usize, usize, usize),
        dy: Read<'_, Self>,
        x: &Room<E>,
        (gradients, place): Gradient<'_, Self>,
    ) -> Done {
        let (kernels, [left, right]) = (&self.kernels, &mut self.wide);
        let dy = floats(kernels, dy, left)?;
        let x = E::widened(kernels, x.all(), right)?;
        let to = gradients.part_mut(place);
        kernels.product((n, k, m), Matrix::transposed(dy, n), Matrix::rows(x, k), to, Start::Sum)
    }

    fn bias_gradient(&mut self, dy: Read<'_, Self>, (gradients, place): Gradient<'_, Self>) -> Done {
        let (kernels, [scratch, _]) = (&self.kernels, &mut self.wide);
        let dy = floats(kernels, dy, scratch)?;
        kernels.column_sums(place.len(), dy, None, gradients.part_mut(place))
    }

    fn embedding_gradient(
        &mut self,
        d: usize,
        tokens: &[u32],
        flow: &Room<f32>,
        (gradients, place): Gradient<'_, Self>,
    ) -> Done {
        let (lists, machine) = (embedding::lists(tokens), self.kernels.machine());
        let [ids, offsets, rows] =
            [&lists.ids, &lists.offsets, &lists.rows].map(|values| Array::of(machine, values));
        let (ids, offsets, rows) = (ids?, offsets?, rows?);
        let lists = (ids.all(), offsets.all(), rows.all());
        self.kernels.scatter_rows(flow.all(), lists, d, gradients.part_mut(place))
    }

    fn lower(&mut self, m: usize, x: &Room<E>, adapter: LowRank<'_, Self>, low: &mut Room<f32>) -> Done {
        let LowRank { a, r, scale, mask, .. } = adapter;
        let low = low.room(self.kernels.machine(), m * r)?;
        self.kernels.lora_lower((a.len() / r, r), x.all(), a, mask, scale, low)
    }

    fn raise(&mut self, _: usize, low: &Room<f32>, adapter: LowRank<'_, Self>, y: Write<'_, Self>) -> Done {
        let LowRank { b, r, .. } = adapter;
        let shape = (b.len() / r, r);
        match y {
            Either::Floats(y) => self.kernels.lora_raise(shape, low.all(), b, y.held()),
            Either::Activations(y) => self.kernels.lora_raise(shape, low.all(), b, y.held()),
        }
    }

    fn low_backward(
        &mut self,
        m: usize,
        adapter: LowRank<'_, Self>,
        (x, low): (&Room<E>, &Room<f32>),
        dy: Read<'_, Self>,
        dx: Option<Write<'_, Self>>,
        (gradients, of_a, of_b): (&mut Array<f32>, Range<usize>, Range<usize>),
    ) -> Done {
        let Self { kernels, low: d_low, partial, .. } = self;
        let LowRank { a, b, r, scale, mask } = adapter;
        let (k, n) = (a.len() / r, b.len() / r);
        d_low.reset(m * r)?;
        let (d_b, low) = (gradients.part_mut(of_b), low.all());
        match dy {
            Either::Floats(dy) => {
                kernels.lora_gradient_b((n, r), dy.all(), low, d_b, partial)?;
                kernels.lora_backward_low((n, r), dy.all(), b, scale, d_low.all_mut())?;
            }
            Either::Activations(dy) => {
                kernels.lora_gradient_b((n, r), dy.all(), low, d_b, partial)?;
                kernels.lora_backward_low((n, r), dy.all(), b, scale, d_low.all_mut())?;
            }
        }
        kernels.lora_gradient_a((k, r), d_low.all(), x.all(), mask, gradients.part_mut(of_a), partial)?;
        match dx {
            None => Ok(()),
            Some(Either::Floats(dx)) => kernels.lora_backward_input((k, r), d_low.all(), a, mask, dx.held()),
            Some(Either::Activations(dx)) => {
                kernels.lora_backward_input((k, r), d_low.all(), a, mask, dx.held())
            }
        }
    }

    fn attention(
        &mut self,
        shape: Shape,
        spans: &Prompts,
        Heads { q, k, v }: Heads<'_, Self>,
        attended: &mut Room<E>,
        log_sums: &mut Room<f32>,
    ) -> Done {
        let machine = self.kernels.machine();
        let out = attended.room(machine, q.len())?;
        let log_sums = log_sums.room(machine, q.len() / shape.head_dim)?;
        self.kernels.attention_forward(shape, spans.get(), q.all(), k.all(), v.all(), out, log_sums)
    }

    fn attention_backward(
        &mut self,
        shape: Shape,
        spans: &Prompts,
        Heads { q, k, v }: Heads<'_, Self>,
        (attended, log_sums, d_attended): (&Room<E>, &Room<f32>, &Room<E>),
        [d_q, d_k, d_v]: [&mut Room<E>; 3],
    ) -> Done {
        let machine = self.kernels.machine();
        let to = (d_q.room(machine, q.len())?, d_k.room(machine, k.len())?, d_v.room(machine, v.len())?);
        let inputs = Attended {
            q: q.all(),
            k: k.all(),
            v: v.all(),
            out: attended.all(),
            log_sums: log_sums.all(),
            d_out: d_attended.all(),
        };
        self.kernels.attention_backward(shape, spans.get(), inputs, to, &mut self.attention)
    }

    fn scores(&mut self, head: &Frozen, hidden: &Room<f32>, ids: &[u32]) -> Result<Vec<f32>, Error> {
        let (kernels, d) = (&self.kernels, head.cols());
        assert!(ids.iter().all(|id| (*id as usize) < head.rows()), "ids of {} classes", head.rows());
        self.ids.set(ids)?;
        head.embed(kernels, self.ids.all(), &mut self.letters)?;
        let m = hidden.len() / d;
        self.logits.reset(m * ids.len())?;
        let letters = Matrix::transposed(self.letters.all(), d);
        let shape = (m, ids.len(), d);
        kernels.product(shape, Matrix::rows(hidden.all(), d), letters, self.logits.all_mut(), Start::Zero)?;
        self.logits.get()
    }

    fn loss(
        &mut self,
        head: &Frozen,
        hidden: &Room<f32>,
        labels: &[u32],
        share: f64,
        d_hidden: &mut Room<f32>,
    ) -> Result<f64, Error> {
        let Self { kernels, dense: scratch, narrow, ids, logits, softmax, .. } = self;
        let (v, d) = (head.rows(), head.cols());
        assert!(labels.iter().all(|label| (*label as usize) < v), "labels of {v} classes");
        let to = d_hidden.on(kernels.machine());
        to.reset(hidden.len())?;
        let head = dense(kernels, head, scratch)?;
        let mut total = 0.0;
        for (block, labels) in labels.chunks(BLOCK).enumerate() {
            let (m, rows) = (labels.len(), block * BLOCK * d..(block * BLOCK + labels.len()) * d);
            logits.reset(m * v)?;
            ids.set(labels)?;
            let x = E::rounded(kernels, hidden.all().part(rows.clone()), narrow)?;
            E::forward(kernels, (m, v, d), x, head, Either::Floats(logits.all_mut()), Start::Zero)?;
            let losses =
                kernels.softmax_cross_entropy(v, logits.all_mut(), ids.all(), share as f32, softmax)?;
            total += losses.get()?.iter().sum::<f64>();
            let dy = E::rounded(kernels, logits.all(), narrow)?;
            E::backward(kernels, (m, v, d), dy, head, Either::Floats(to.part_mut(rows)), Start::Zero)?;
        }
        Ok(total * f64::from(share as f32))
    }
}

impl Prompts {
    const fn get(&self) -> &Spans {
        self.0.as_ref().expect("prompts that were set")
    }
}
