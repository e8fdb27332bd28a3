//! Layers of a decoder: norms, rotations, SwiGLU, rows, the softmax cross-entropy of logits (`layers.cu`).

use super::{Kernels, arguments};
use crate::cuda::Error;
use crate::cuda::array::{Activation, Array, Slice, SliceMut};
use crate::cuda::machine::Shape;
use crate::nn::rms_norm::rows_of_task;

/// Columns up to which several rows share a block in a norm (`RMS_NARROW`).
const NARROW: usize = 512;
/// Logits of a block of the softmax (`SOFTMAX_PART`).
const SOFTMAX_PART: usize = 4096;

/// Neighbours that a thread has: sixteen bytes of the narrower of two types.
const fn each<X, Y>() -> usize {
    if size_of::<X>() == 2 || size_of::<Y>() == 2 { 8 } else { 4 }
}

/// A thread for each `each` neighbours of `rows` rows of `width`.
fn neighbours(rows: usize, width: usize, each: usize) -> Shape {
    let threads = rows * width.div_ceil(each);
    // Those of the last block that are too many have numbers too.
    assert!(threads <= (u32::MAX - 255) as usize, "{rows} rows of {width} are too many");
    Shape::threads(threads as u64)
}

/// How many rows of `width` there are.
fn rows(len: usize, width: usize) -> usize {
    assert!(width > 0 && len.is_multiple_of(width), "{len} elements are no rows of {width}");
    assert!(u32::try_from(len / width).is_ok() && u32::try_from(width).is_ok(), "{len} elements");
    len / width
}

/// Cosines and sines of [`nn::rope::Rope`](crate::nn::rope::Rope) on a device. `# Shapes: cos, sin (positions, half)`
#[derive(Clone, Copy)]
pub struct Turns<'a> {
    /// Cosines.
    pub cos: Slice<'a, f32>,
    /// Sines.
    pub sin: Slice<'a, f32>,
    /// How many pairs of a head turn.
    pub half: usize,
}

/// Room of a softmax cross-entropy, kept from call to call.
pub struct SoftmaxRoom {
    parts: Array<f32>,
    losses: Array<f64>,
}

impl SoftmaxRoom {
    /// None yet.
    #[must_use]
    pub fn new(machine: &std::sync::Arc<dyn crate::cuda::Machine>) -> Self {
        Self { parts: Array::new(machine), losses: Array::new(machine) }
    }
}

impl Kernels {
    /// [`nn::rms_norm::forward`](crate::nn::rms_norm::forward), with its bits in f32.
    /// `# Shapes: x, y (m, d); w (d); inverse (m)`
    ///
    /// # Errors
    /// If the device fails, as all functions here.
    pub fn rms_norm<X: Activation, Y: Activation>(
        &self,
        x: Slice<'_, X>,
        w: Slice<'_, f32>,
        eps: f32,
        y: SliceMut<'_, Y>,
        inverse: SliceMut<'_, f32>,
    ) -> Result<(), Error> {
        let d = w.len();
        let m = rows(x.len(), d);
        assert!(y.len() == x.len() && inverse.len() == m, "y {} inverse {}", y.len(), inverse.len());
        let kernel = X::kernel([
            Y::kernel(["rms_norm_f32_f32", "rms_norm_f32_bf16"]),
            Y::kernel(["rms_norm_bf16_f32", "rms_norm_bf16_bf16"]),
        ]);
        let shape = if d <= NARROW {
            Shape::threads((m * 64 / each::<X, Y>()) as u64)
        } else {
            Shape::blocks(m, 1, 1)
        };
        let (y, inverse) = (y.at(), inverse.at());
        self.launch(kernel, shape, arguments![x.at(), w.at(), eps, m as u32, d as u32, y, inverse])
    }

    /// `flow += ` the gradient of a norm's input, as [`nn::rms_norm::backward`](crate::nn::rms_norm::backward) but for the order of a sum.
    /// `# Shapes: x, dy, flow (m, d); w (d); inverse (m)`
    ///
    /// # Errors
    /// As all functions here.
    pub fn rms_norm_backward(
        &self,
        x: Slice<'_, f32>,
        w: Slice<'_, f32>,
        inverse: Slice<'_, f32>,
        dy: Slice<'_, f32>,
        flow: SliceMut<'_, f32>,
    ) -> Result<(), Error> {
        assert_eq!(dy.len(), flow.len(), "flow");
        self.rms_norm_back("rms_norm_add", x, w, inverse, dy.at(), flow)
    }

    /// `dy`, the gradient of normed heads, becomes that of the heads.
    /// `# Shapes: x, dy (m, d); w (d); inverse (m)`
    ///
    /// # Errors
    /// As all functions here.
    pub fn rms_norm_unnormalize<E: Activation>(
        &self,
        x: Slice<'_, E>,
        w: Slice<'_, f32>,
        inverse: Slice<'_, f32>,
        dy: SliceMut<'_, E>,
    ) -> Result<(), Error> {
        let kernel = E::kernel(["rms_norm_back_f32", "rms_norm_back_bf16"]);
        let at = dy.at();
        self.rms_norm_back(kernel, x, w, inverse, at, dy)
    }

    fn rms_norm_back<E: Activation>(
        &self,
        kernel: &'static str,
        x: Slice<'_, E>,
        w: Slice<'_, f32>,
        inverse: Slice<'_, f32>,
        dy: u64,
        dx: SliceMut<'_, E>,
    ) -> Result<(), Error> {
        let d = w.len();
        let m = rows(x.len(), d);
        assert!(dx.len() == x.len() && inverse.len() == m, "dx {} inverse {}", dx.len(), inverse.len());
        let shape = if d <= NARROW { Shape::threads((m * 16) as u64) } else { Shape::blocks(m, 1, 1) };
        let arguments = arguments![x.at(), w.at(), inverse.at(), dy, m as u32, d as u32, dx.at()];
        self.launch(kernel, shape, arguments)
    }

    /// `dw += ` the gradient of a norm's weight, as [`nn::rms_norm::backward`](crate::nn::rms_norm::backward), with its bits in f32.
    /// `# Shapes: x, dy (m, d); inverse (m); dw (d)`
    ///
    /// # Errors
    /// As all functions here.
    pub fn rms_norm_weight<E: Activation>(
        &self,
        x: Slice<'_, E>,
        inverse: Slice<'_, f32>,
        dy: Slice<'_, E>,
        dw: SliceMut<'_, f32>,
        partial: &mut Array<f32>,
    ) -> Result<(), Error> {
        let d = dw.len();
        let m = rows(x.len(), d);
        assert!(dy.len() == x.len() && inverse.len() == m, "dy {} inverse {}", dy.len(), inverse.len());
        let each = rows_of_task(d);
        let parts = m.div_ceil(each);
        partial.reset(parts * d)?;
        let (x, inverse, dy, to) = (x.at(), inverse.at(), dy.at(), partial.all().at());
        let arguments = arguments![x, inverse, dy, m as u32, d as u32, each as u32, parts as u32, to];
        let kernel = E::kernel(["rms_norm_weight_f32", "rms_norm_weight_bf16"]);
        self.launch(kernel, neighbours(parts, d, 1), arguments)?;
        self.add_splits(partial.all(), parts, dw)
    }

    /// `to += ` the parts, one after the other. `# Shapes: partial (parts, n), to (n)`
    ///
    /// # Errors
    /// As all functions here.
    pub fn add_splits(
        &self,
        partial: Slice<'_, f32>,
        parts: usize,
        to: SliceMut<'_, f32>,
    ) -> Result<(), Error> {
        let n = to.len();
        assert_eq!(partial.len(), parts * n, "parts");
        let arguments = arguments![partial.at(), parts as u32, n as u64, to.at()];
        self.launch("add_splits", Shape::threads(n as u64), arguments)
    }

    /// [`nn::rope::apply`](crate::nn::rope::apply), with its bits in f32. Positions are below those of the tables; that is not checked.
    /// `# Shapes: x (m, heads * head_dim), positions (m)`
    ///
    /// # Errors
    /// As all functions here.
    pub fn rope<E: Activation>(
        &self,
        x: SliceMut<'_, E>,
        head_dim: usize,
        positions: Slice<'_, u32>,
        turns: Turns<'_>,
        inverse: bool,
    ) -> Result<(), Error> {
        let (m, half) = (positions.len(), turns.half);
        let heads = rows(x.len(), head_dim);
        assert!(m == 0 && heads == 0 || m > 0 && heads.is_multiple_of(m), "{heads} heads in {m} rows");
        assert!(2 * half <= head_dim && turns.cos.len() == turns.sin.len(), "half {half} of {head_dim}");
        assert!(half == 0 || turns.cos.len().is_multiple_of(half), "tables of {}", turns.cos.len());
        if m == 0 || half == 0 {
            return Ok(());
        }
        let shape = neighbours(heads, half, each::<E, E>());
        let (cos, sin) = (turns.cos.at(), turns.sin.at());
        let (per_row, dim, half, back) =
            ((heads / m) as u32, head_dim as u32, half as u32, u32::from(inverse));
        let arguments = arguments![x.at(), m as u32, per_row, dim, positions.at(), cos, sin, half, back];
        self.launch(E::kernel(["rope_f32", "rope_bf16"]), shape, arguments)
    }

    /// [`nn::swiglu::forward`](crate::nn::swiglu::forward), with its bits in f32.
    ///
    /// # Errors
    /// As all functions here.
    pub fn swiglu<E: Activation>(
        &self,
        gate: Slice<'_, E>,
        up: Slice<'_, E>,
        out: SliceMut<'_, E>,
    ) -> Result<(), Error> {
        let n = gate.len();
        assert!(up.len() == n && out.len() == n, "gate {n} up {} out {}", up.len(), out.len());
        let shape = Shape::threads(n.div_ceil(each::<E, E>()) as u64);
        let arguments = arguments![gate.at(), up.at(), n as u64, out.at()];
        self.launch(E::kernel(["swiglu_f32", "swiglu_bf16"]), shape, arguments)
    }

    /// [`nn::swiglu::backward`](crate::nn::swiglu::backward), with its bits in f32.
    ///
    /// # Errors
    /// As all functions here.
    pub fn swiglu_backward<E: Activation>(
        &self,
        gate: Slice<'_, E>,
        up: Slice<'_, E>,
        d_out: Slice<'_, E>,
        d_gate: SliceMut<'_, E>,
        d_up: SliceMut<'_, E>,
    ) -> Result<(), Error> {
        let n = gate.len();
        assert!(up.len() == n && d_out.len() == n, "gate {n} up {} d_out {}", up.len(), d_out.len());
        assert!(d_gate.len() == n && d_up.len() == n, "d_gate {} d_up {}", d_gate.len(), d_up.len());
        let shape = Shape::threads(n.div_ceil(each::<E, E>()) as u64);
        let arguments = arguments![gate.at(), up.at(), d_out.at(), n as u64, d_gate.at(), d_up.at()];
        self.launch(E::kernel(["swiglu_back_f32", "swiglu_back_bf16"]), shape, arguments)
    }

    /// `to[i] = from[rows[i]]`, [`nn::rows::gather`](crate::nn::rows::gather). Rows lie inside `from`; that is not checked.
    /// `# Shapes: from (., width), rows (m), to (m, width)`
    ///
    /// # Errors
    /// As all functions here.
    pub fn pick_rows<E: Activation>(
        &self,
        from: Slice<'_, E>,
        rows: Slice<'_, u32>,
        width: usize,
        to: SliceMut<'_, E>,
    ) -> Result<(), Error> {
        let kernel = E::kernel(["pick_rows_f32", "pick_rows_bf16"]);
        self.pick(kernel, from, rows, width, to)
    }

    /// `to[i] = table[ids[i]]` in f32, [`nn::rows::embed`](crate::nn::rows::embed). Ids lie inside the table; that is not checked.
    /// `# Shapes: table (., width), ids (m), to (m, width)`
    ///
    /// # Errors
    /// As all functions here.
    pub fn embed<E: Activation>(
        &self,
        table: Slice<'_, E>,
        ids: Slice<'_, u32>,
        width: usize,
        to: SliceMut<'_, f32>,
    ) -> Result<(), Error> {
        self.pick(E::kernel(["pick_rows_f32", "embed_bf16"]), table, ids, width, to)
    }

    fn pick<X: Activation, Y: Activation>(
        &self,
        kernel: &'static str,
        from: Slice<'_, X>,
        picked: Slice<'_, u32>,
        width: usize,
        to: SliceMut<'_, Y>,
    ) -> Result<(), Error> {
        rows(from.len(), width);
        let m = picked.len();
        assert_eq!(to.len(), m * width, "to");
        let shape = neighbours(m, width, each::<X, Y>());
        self.launch(kernel, shape, arguments![from.at(), picked.at(), m as u32, width as u32, to.at()])
    }

    /// `to[rows[i]] += from[i]`, [`nn::rows::scatter_add`](crate::nn::rows::scatter_add). All rows differ and lie inside `to`; that is not
    /// checked. `# Shapes: from (m, width), rows (m), to (., width)`
    ///
    /// # Errors
    /// As all functions here.
    pub fn add_rows(
        &self,
        from: Slice<'_, f32>,
        width: usize,
        picked: Slice<'_, u32>,
        to: SliceMut<'_, f32>,
    ) -> Result<(), Error> {
        rows(to.len(), width);
        let m = picked.len();
        assert_eq!(from.len(), m * width, "from");
        let shape = neighbours(m, width, 4);
        let arguments = arguments![from.at(), picked.at(), m as u32, width as u32, to.at()];
        self.launch("add_rows", shape, arguments)
    }

    /// [`nn::rows::add_to_each`](crate::nn::rows::add_to_each). `# Shapes: from (width), to (m, width)`
    ///
    /// # Errors
    /// As all functions here.
    pub fn add_to_each(&self, from: Slice<'_, f32>, to: SliceMut<'_, f32>) -> Result<(), Error> {
        let width = from.len();
        let m = rows(to.len(), width);
        let arguments = arguments![from.at(), m as u32, width as u32, to.at()];
        self.launch("add_to_each", neighbours(m, width, 4), arguments)
    }

    /// `to = from`; from f32 to the nearest bf16, ties to even.
    ///
    /// # Errors
    /// As all functions here.
    pub fn convert<X: Activation, Y: Activation>(
        &self,
        from: Slice<'_, X>,
        to: SliceMut<'_, Y>,
    ) -> Result<(), Error> {
        let n = from.len();
        assert_eq!(to.len(), n, "to");
        let kernel = X::kernel([Y::kernel(["", "narrow"]), Y::kernel(["widen", ""])]);
        if n == 0 || kernel.is_empty() {
            let bytes = n * size_of::<X>();
            return if n == 0 { Ok(()) } else { self.machine.copy(from.at(), to.at(), bytes) };
        }
        let shape = Shape::threads(n.div_ceil(8) as u64);
        self.launch(kernel, shape, arguments![from.at(), n as u64, to.at()])
    }

    /// [`nn::softmax::cross_entropy`](crate::nn::softmax::cross_entropy) but for the order of sums: the logits become `share` times the
    /// gradient, and the losses of the rows, not yet times `share`, stay on the device; that of a label that is no class is NaN.
    /// `# Shapes: logits (m, v), labels (m), gives (m)`
    ///
    /// # Errors
    /// As all functions here.
    pub fn softmax_cross_entropy<'a>(
        &self,
        v: usize,
        logits: SliceMut<'_, f32>,
        labels: Slice<'_, u32>,
        share: f32,
        room: &'a mut SoftmaxRoom,
    ) -> Result<&'a Array<f64>, Error> {
        let (m, parts) = (labels.len(), v.div_ceil(SOFTMAX_PART));
        assert!(logits.len() == m * v && u32::try_from(v).is_ok(), "{} logits of {m} rows", logits.len());
        assert!(u32::try_from(m * parts).is_ok(), "{m} rows of {v} are too many");
        room.parts.reset(2 * m * parts + m)?;
        room.losses.reset(m)?;
        let of = room.parts.all();
        let maxima = of.part(0..m * parts).at();
        let sums = of.part(m * parts..2 * m * parts).at();
        let labelled = of.part(2 * m * parts..of.len()).at();
        let (shape, logits, labels) = (Shape::blocks(m * parts, 1, 1), logits.at(), labels.at());
        let (v, parts) = (v as u32, parts as u32);
        self.launch("softmax_parts", shape, arguments![logits, labels, v, parts, maxima, sums, labelled])?;
        let losses = room.losses.all().at();
        let arguments = arguments![logits, labels, v, parts, share, maxima, sums, labelled, losses];
        self.launch("softmax_gradient", shape, arguments)?;
        Ok(&room.losses)
    }
}
