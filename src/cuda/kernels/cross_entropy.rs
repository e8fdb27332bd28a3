//! A linear layer with a softmax cross-entropy (`cross_entropy.cu`).

use std::sync::Arc;

use super::{Kernels, arguments};
use crate::cuda::Error;
use crate::cuda::array::{Array, Slice, SliceMut};
use crate::cuda::machine::{Machine, Shape};

/// Rows of a tile: as many as the CPU has in a block.
const TILE: usize = 64;

/// The inputs of a linear layer with a softmax cross-entropy. `# Shapes: hidden (m, d), weight (v, d), bias (v), labels (m) in 0..v`
#[derive(Clone, Copy)]
pub struct Classes<'a> {
    /// d.
    pub width: usize,
    /// H.
    pub hidden: Slice<'a, f32>,
    /// E.
    pub weight: Slice<'a, f32>,
    /// The output bias.
    pub bias: Slice<'a, f32>,
    /// The class of each position.
    pub labels: Slice<'a, u32>,
}

/// Room of the cross-entropy, kept between steps.
pub struct ClassesRoom {
    tops: Array<f32>,
    factors: Array<f32>,
    sums: Array<f32>,
    rows: Array<f32>,
    partial: Array<f32>,
}

impl ClassesRoom {
    /// With nothing in it.
    #[must_use]
    pub fn new(machine: &Arc<dyn Machine>) -> Self {
        let array = || Array::new(machine);
        Self { tops: array(), factors: array(), sums: array(), rows: array(), partial: array() }
    }
}

impl Kernels {
    /// [`nn::cross_entropy::loss_and_gradients`](crate::nn::cross_entropy::loss_and_gradients). The gradients of weight and bias are added
    /// to. What comes back is each position's largest logit, its sum of exponentials relative to that, and the logit of its label (3, m): the
    /// mean loss is that of `largest + ln(sum) - label`.
    ///
    /// # Errors
    /// As all functions here.
    pub fn cross_entropy<'r>(
        &self,
        inputs: Classes<'_>,
        chunk: usize,
        d_hidden: SliceMut<'_, f32>,
        (d_weight, d_bias): (SliceMut<'_, f32>, SliceMut<'_, f32>),
        room: &'r mut ClassesRoom,
    ) -> Result<Slice<'r, f32>, Error> {
        let Classes { width: d, hidden, weight, bias, labels } = inputs;
        let (m, v) = (labels.len(), bias.len());
        assert!(hidden.len() == m * d && weight.len() == v * d, "hidden or weight");
        assert!(d_hidden.len() == m * d && d_weight.len() == v * d && d_bias.len() == v, "gradients");
        let (chunks, blocks, share) = (v.div_ceil(chunk), m.div_ceil(TILE), 1.0 / m as f32);
        let ClassesRoom { tops, factors, sums, rows, partial } = room;
        if m == 0 {
            rows.reset(0)?;
            return Ok(rows.all());
        }
        for array in [&mut *tops, &mut *factors, &mut *sums] {
            array.reset(chunks * m)?;
        }
        rows.reset(3 * m)?;
        partial.reset(chunks * m * d)?;
        let (h, e, b, l) = (hidden.at(), weight.at(), bias.at(), labels.at());
        let (m32, v32, d32, chunk32) = (m as u32, v as u32, d as u32, chunk as u32);
        let (t, f, s) = (tops.all().at(), factors.all().at(), sums.all().at());
        let by_chunk = Shape::blocks(blocks, chunks, 1);
        self.launch("ce_maxima", by_chunk, arguments![h, e, b, m32, v32, d32, chunk32, t])?;
        self.launch("ce_sums", by_chunk, arguments![h, e, b, m32, v32, d32, chunk32, t, s])?;
        self.machine.copy(t, f, chunks * m * 4)?;
        let arguments = arguments![h, e, b, l, m32, d32, chunks as u32, share, f, s, rows.all().at()];
        self.launch("ce_combine", Shape::threads(m as u64), arguments)?;
        let by_tile = Shape::blocks(chunks * chunk.div_ceil(TILE), d.div_ceil(TILE), 1);
        let (w, w_bias) = (d_weight.at(), d_bias.at());
        let arguments = arguments![h, e, b, l, m32, v32, d32, chunk32, share, t, f, w, w_bias];
        self.launch("ce_weight", by_tile, arguments)?;
        let by_column = Shape::blocks(blocks, chunks, d.div_ceil(TILE));
        let parts = partial.all().at();
        let arguments = arguments![h, e, b, l, m32, v32, d32, chunk32, share, t, f, parts];
        self.launch("ce_hidden", by_column, arguments)?;
        let n = (m * d) as u64;
        self.launch("add_parts", Shape::threads(n), arguments![parts, chunks as u32, n, d_hidden.at()])?;
        Ok(rows.all())
    }
}
