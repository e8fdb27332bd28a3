//! LRURec backwards: loss and every gradient of a packed batch.

use super::forward::{BlockState, Masks, State, Turned, View, Wanted};
use super::packed::Batch;
use super::plan::{BlockPlan, Shape};
use crate::nn::ops::{Classes, Ops, Side, Start};

/// Scratch of the backward pass, reused from step to step.
pub struct Scratch<O: Ops> {
    d_out: O::Floats,
    d_y: O::Floats,
    d_f2: O::Floats,
    d_f1: O::Floats,
    d_h: O::Floats,
    d_mixed: O::Floats,
    d_x: O::Floats,
    wide: O::Floats,
}

impl<O: Ops> Scratch<O> {
    /// With nothing in it.
    pub fn new(ops: &O) -> Self {
        let floats = || ops.floats();
        Self {
            d_out: floats(),
            d_y: floats(),
            d_f2: floats(),
            d_f1: floats(),
            d_h: floats(),
            d_mixed: floats(),
            d_x: floats(),
            wide: floats(),
        }
    }
}

impl<O: Ops> View<'_, O> {
    /// Mean cross-entropy over the labels, all gradients written to `gradient` (laid out as the weights).
    ///
    /// # Errors
    /// If the device fails, as all functions here.
    pub fn loss_and_gradients(
        &self,
        ops: &mut O,
        batch: &Batch<O::Ids>,
        masks: Masks,
        (state, scratch): (&mut State<O>, &mut Scratch<O>),
        gradient: &mut O::Floats,
    ) -> Result<f64, O::Error> {
        let d = self.shape.hidden;
        self.forward(ops, batch, masks, Wanted::Every, state)?;
        ops.zeros(gradient, self.plan.len)?;
        let hidden = &state.blocks[self.shape.blocks - 1].out;
        let inputs = Classes {
            width: d,
            hidden: ops.all(hidden),
            weight: self.part(ops, &self.plan.embedding),
            bias: self.part(ops, &self.plan.bias),
            labels: &batch.labels,
        };
        let layer = (&mut *gradient, self.plan.embedding.clone(), self.plan.bias.clone());
        let loss = ops.cross_entropy(inputs, &mut scratch.d_out, layer)?;
        for block in (0..self.shape.blocks).rev() {
            let (before, rest) = state.blocks.split_at(block);
            let layer = Layer {
                shape: self.shape,
                view: self,
                plan: &self.plan.blocks[block],
                turned: &self.turned[block],
                x: before.last().map_or(&state.x, |before| &before.out),
                saved: &rest[0],
                masks,
                block,
                m: batch.rows,
            };
            layer.backward(ops, batch, scratch, gradient)?;
        }
        // d_out now holds the gradient of the normed embeddings.
        let Scratch { d_out, d_y, d_x, .. } = scratch;
        let weight = self.part(ops, &self.plan.norm.0);
        let affine = (&mut *gradient, self.plan.norm.0.clone(), self.plan.norm.1.clone());
        ops.norm_backward(d, ops.all(d_out), &state.norm, weight, masks.embedding(), d_y, d_x, affine)?;
        // In order of the positions: deterministic, and small beside the products.
        ops.scatter(ops.all(d_x), &batch.lists, d, (gradient, self.plan.embedding.clone()))?;
        Ok(loss)
    }
}

struct Layer<'a, 'v, O: Ops> {
    shape: Shape,
    view: &'a View<'v, O>,
    plan: &'a BlockPlan,
    turned: &'a Turned<O>,
    x: &'a O::Floats,
    saved: &'a BlockState<O>,
    masks: Masks,
    block: usize,
    m: usize,
}

impl<O: Ops> Layer<'_, '_, O> {
    /// From `scratch.d_out`, the gradient of this block's output, to that of its input, in the same place.
    fn backward(
        &self,
        ops: &mut O,
        batch: &Batch<O::Ids>,
        scratch: &mut Scratch<O>,
        gradient: &mut O::Floats,
    ) -> Result<(), O::Error> {
        let Shape { hidden: d, state: c, feed_forward: f, .. } = self.shape;
        let (saved, plan, view, m) = (self.saved, self.plan, self.view, self.m);
        let Scratch { d_out, d_y, d_f2, d_f1, d_h, d_mixed, wide, .. } = scratch;
        // out = norm2(dropout(f2) + y): d_y takes the residual's share.
        let weight = view.part(ops, &plan.norm2.0);
        let affine = (&mut *gradient, plan.norm2.0.clone(), plan.norm2.1.clone());
        ops.norm_backward(
            d,
            ops.all(d_out),
            &saved.norm2,
            weight,
            self.masks.outer(self.block),
            d_y,
            d_f2,
            affine,
        )?;
        // f2 = W2 g + b2
        let (left, g) = (Side::Transposed(ops.all(d_f2)), ops.all(&saved.g));
        ops.product((d, f, m), left, g, (gradient, plan.w2.clone()), Start::Zero)?;
        ops.column_sums(d, ops.all(d_f2), (gradient, plan.b2.clone()))?;
        ops.room(d_f1, m * f)?;
        let w2 = view.part(ops, &plan.w2);
        ops.product((m, f, d), Side::Rows(ops.all(d_f2)), w2, (d_f1, 0..m * f), Start::Zero)?;
        // g = dropout(gelu(f1)), f1 = W1 y + b1
        ops.gelu_backward(ops.all(&saved.f1), self.masks.inner(self.block), d_f1)?;
        let (left, y) = (Side::Transposed(ops.all(d_f1)), ops.all(&saved.y));
        ops.product((f, d, m), left, y, (gradient, plan.w1.clone()), Start::Zero)?;
        ops.column_sums(f, ops.all(d_f1), (gradient, plan.b1.clone()))?;
        let w1 = view.part(ops, &plan.w1);
        ops.product((m, d, f), Side::Rows(ops.all(d_f1)), w1, (d_y, 0..m * d), Start::Sum)?;
        // y = norm1(dropout(mixed) + x): d_out takes the residual's share and becomes the gradient of x.
        let weight = view.part(ops, &plan.norm1.0);
        let affine = (&mut *gradient, plan.norm1.0.clone(), plan.norm1.1.clone());
        ops.norm_backward(
            d,
            ops.all(d_y),
            &saved.norm1,
            weight,
            self.masks.mixed(self.block),
            d_out,
            d_mixed,
            affine,
        )?;
        // mixed = Re(C h + b_C) = `[Re C | -Im C] [Re h; Im h]` + Re b_C. The imaginary bias has no effect and no gradient.
        ops.room(wide, d * 2 * c)?;
        let (left, h) = (Side::Transposed(ops.all(d_mixed)), ops.all(&saved.h));
        ops.product((d, 2 * c, m), left, h, (wide, 0..d * 2 * c), Start::Zero)?;
        ops.unpair(d, ops.all(wide), (gradient, plan.out_real.clone(), plan.out_imag.clone()))?;
        ops.column_sums(d, ops.all(d_mixed), (gradient, plan.out_bias.clone()))?;
        ops.room(d_h, m * 2 * c)?;
        let out = ops.all(&self.turned.out);
        ops.product((m, 2 * c, d), Side::Rows(ops.all(d_mixed)), out, (d_h, 0..m * 2 * c), Start::Zero)?;
        let sequences = (&batch.starts, &batch.groups);
        let coefficients = (ops.all(&self.turned.coefficients), self.turned.nu_theta.as_slice());
        let states = (ops.all(&saved.u), ops.all(&saved.h));
        ops.scan_backward(c, sequences, coefficients, states, d_h, (gradient, plan.logs.clone()))?;
        // u = B x + b_B
        let (left, x) = (Side::Transposed(ops.all(d_h)), ops.all(self.x));
        ops.product((2 * c, d, m), left, x, (gradient, plan.in_weight.clone()), Start::Zero)?;
        ops.column_sums(2 * c, ops.all(d_h), (gradient, plan.in_bias.clone()))?;
        let b = view.part(ops, &plan.in_weight);
        ops.product((m, d, 2 * c), Side::Rows(ops.all(d_h)), b, (d_out, 0..m * d), Start::Sum)
    }
}
