//! LRURec backwards: loss and every gradient of a packed batch.

use super::forward::{BlockState, Masks, State, Turned, View, Wanted};
use super::packed::Packed;
use super::plan::{BlockPlan, Shape};
use crate::nn::aligned::Buffer;
use crate::nn::cross_entropy::{self, Inputs};
use crate::nn::gemm::{Left, Start, gemm};
use crate::nn::norm::product_sums;
use crate::nn::{gelu, norm, scan};

/// Scratch of the backward pass, reused from step to step.
#[derive(Default)]
pub struct Scratch {
    loss: cross_entropy::Workspace,
    d_out: Buffer,
    d_y: Buffer,
    d_f2: Buffer,
    d_f1: Buffer,
    d_h: Buffer,
    d_mixed: Buffer,
    d_x: Buffer,
    wide: Buffer,
}

impl View<'_> {
    /// Mean cross-entropy over the labels, all gradients written to `gradient` (laid out as the weights).
    pub fn loss_and_gradients(
        &self,
        packed: &Packed,
        masks: Masks,
        state: &mut State,
        scratch: &mut Scratch,
        gradient: &mut [f32],
    ) -> f64 {
        let (m, d) = (packed.tokens.len(), self.shape.hidden);
        self.forward(packed, masks, Wanted::Every, state);
        gradient.fill(0.0);
        let hidden = &state.blocks[self.shape.blocks - 1].out;
        let inputs = Inputs {
            width: d,
            hidden,
            weight: &self.weights[self.plan.embedding.clone()],
            bias: &self.weights[self.plan.bias.clone()],
            labels: &packed.labels,
        };
        let d_out = scratch.d_out.reset(m * d);
        let (d_embedding, rest) = gradient.split_at_mut(self.plan.embedding.end);
        let offset = self.plan.embedding.end;
        let d_bias = &mut rest[self.plan.bias.start - offset..self.plan.bias.end - offset];
        let gradients = cross_entropy::Gradients {
            hidden: d_out,
            weight: &mut d_embedding[self.plan.embedding.clone()],
            bias: d_bias,
        };
        let loss = cross_entropy::loss_and_gradients(inputs, gradients, &mut scratch.loss);
        for block in (0..self.shape.blocks).rev() {
            let (before, rest) = state.blocks.split_at(block);
            let x = before.last().map_or(&state.x, |before| &before.out);
            let layer = Layer {
                shape: self.shape,
                weights: self.weights,
                plan: &self.plan.blocks[block],
                turned: &self.turned[block],
                x,
                saved: &rest[0],
                masks,
                block,
            };
            layer.backward(packed, scratch, gradient);
        }
        // d_out now holds the gradient of the normed embeddings.
        let (d_z, d_rows) = (scratch.d_y.reset(m * d), scratch.d_x.reset(m * d));
        norm::backward(
            d,
            &scratch.d_out,
            (&state.norm.normal, &state.norm.inverse),
            &self.weights[self.plan.norm.0.clone()],
            masks.embedding(),
            d_z,
            d_rows,
            two(gradient, &self.plan.norm),
        );
        // A scatter in order of the positions: deterministic, and small beside the products.
        let table = &mut gradient[self.plan.embedding.clone()];
        for (row, &token) in d_rows.chunks_exact(d).zip(&packed.tokens) {
            for (to, x) in table[token as usize * d..][..d].iter_mut().zip(row) {
                *to += x;
            }
        }
        loss
    }
}

/// The weight and bias ranges of a layer norm in the gradient.
fn two<'a>(
    gradient: &'a mut [f32],
    (weight, bias): &(std::ops::Range<usize>, std::ops::Range<usize>),
) -> (&'a mut [f32], &'a mut [f32]) {
    let (left, right) = gradient.split_at_mut(bias.start);
    (&mut left[weight.clone()], &mut right[..bias.len()])
}

struct Layer<'a> {
    shape: Shape,
    weights: &'a [f32],
    plan: &'a BlockPlan,
    turned: &'a Turned,
    x: &'a [f32],
    saved: &'a BlockState,
    masks: Masks,
    block: usize,
}

impl Layer<'_> {
    /// From `scratch.d_out`, the gradient of this block's output, to that of its input, in the same place.
    fn backward(&self, packed: &Packed, scratch: &mut Scratch, gradient: &mut [f32]) {
        let Shape { hidden: d, state: c, feed_forward: f, .. } = self.shape;
        let (saved, plan, weights) = (self.saved, self.plan, self.weights);
        let m = packed.tokens.len();
        // out = norm2(dropout(f2) + y): d_y takes the residual's share.
        let (d_y, d_f2) = (scratch.d_y.reset(m * d), scratch.d_f2.reset(m * d));
        norm::backward(
            d,
            &scratch.d_out,
            (&saved.norm2.normal, &saved.norm2.inverse),
            &weights[plan.norm2.0.clone()],
            self.masks.outer(self.block),
            d_y,
            d_f2,
            two(gradient, &plan.norm2),
        );
        // f2 = W2 g + b2
        let d_w2 = &mut gradient[plan.w2.clone()];
        gemm((d, f, m), Left::transposed(d_f2, d), &saved.g, f, d_w2, f, Start::Zero);
        product_sums(d, d_f2, None, &mut gradient[plan.b2.clone()]);
        let d_f1 = scratch.d_f1.reset(m * f);
        gemm((m, f, d), Left::rows(d_f2, d), &weights[plan.w2.clone()], f, d_f1, f, Start::Zero);
        // g = dropout(gelu(f1)), f1 = W1 y + b1
        gelu::backward(&saved.f1, self.masks.inner(self.block), d_f1);
        gemm(
            (f, d, m),
            Left::transposed(d_f1, f),
            &saved.y,
            d,
            &mut gradient[plan.w1.clone()],
            d,
            Start::Zero,
        );
        product_sums(f, d_f1, None, &mut gradient[plan.b1.clone()]);
        gemm((m, d, f), Left::rows(d_f1, f), &weights[plan.w1.clone()], d, d_y, d, Start::Sum);
        // y = norm1(dropout(mixed) + x): d_out takes the residual's share and becomes the gradient of x.
        let (d_out, d_mixed) = (&mut scratch.d_out, scratch.d_mixed.reset(m * d));
        norm::backward(
            d,
            d_y,
            (&saved.norm1.normal, &saved.norm1.inverse),
            &weights[plan.norm1.0.clone()],
            self.masks.mixed(self.block),
            d_out,
            d_mixed,
            two(gradient, &plan.norm1),
        );
        self.out_projection(m, d_mixed, &mut scratch.wide, gradient);
        let d_h = scratch.d_h.reset(m * 2 * c);
        gemm((m, 2 * c, d), Left::rows(d_mixed, d), &self.turned.out, 2 * c, d_h, 2 * c, Start::Zero);
        self.recurrence(packed, d_h, gradient);
        // u = B x + b_B
        let d_in = &mut gradient[plan.in_weight.clone()];
        gemm((2 * c, d, m), Left::transposed(d_h, 2 * c), self.x, d, d_in, d, Start::Zero);
        product_sums(2 * c, d_h, None, &mut gradient[plan.in_bias.clone()]);
        gemm(
            (m, d, 2 * c),
            Left::rows(d_h, 2 * c),
            &weights[plan.in_weight.clone()],
            d,
            d_out,
            d,
            Start::Sum,
        );
    }

    /// mixed = Re(C h + b_C) = `[Re C | -Im C] [Re h; Im h]` + Re b_C. The imaginary bias has no effect and no gradient.
    fn out_projection(&self, m: usize, d_mixed: &[f32], wide: &mut Buffer, gradient: &mut [f32]) {
        let Shape { hidden: d, state: c, .. } = self.shape;
        let d_pair = wide.reset(d * 2 * c);
        gemm((d, 2 * c, m), Left::transposed(d_mixed, d), &self.saved.h, 2 * c, d_pair, 2 * c, Start::Zero);
        for row in 0..d {
            let pair = &d_pair[row * 2 * c..][..2 * c];
            gradient[self.plan.out_real.start + row * c..][..c].copy_from_slice(&pair[..c]);
            for (to, x) in gradient[self.plan.out_imag.start + row * c..][..c].iter_mut().zip(&pair[c..]) {
                *to = -x;
            }
        }
        product_sums(d, d_mixed, None, &mut gradient[self.plan.out_bias.clone()]);
    }

    /// The scan's backward, and the chain rule from lambda and gamma to their logarithms:
    /// `lambda = exp(-nu + i theta)`, `nu = exp(nu_log)`, `theta = exp(theta_log)`, `gamma = exp(gamma_log)`.
    fn recurrence(&self, packed: &Packed, d_h: &mut [f32], gradient: &mut [f32]) {
        let c = self.shape.state;
        let mut d = vec![0f32; 3 * c];
        {
            let (real, rest) = d.split_at_mut(c);
            let (imag, gamma) = rest.split_at_mut(c);
            let gradients = scan::Gradients { real, imag, gamma };
            let (u, h) = (&self.saved.u, &self.saved.h);
            scan::backward(c, &packed.starts, self.turned.recurrence(c), u, h, d_h, gradients);
        }
        let logs = &self.weights[self.plan.logs.clone()];
        let coefficients = self.turned.recurrence(c);
        let d_logs = &mut gradient[self.plan.logs.clone()];
        for channel in 0..c {
            let (d_real, d_imag) = (f64::from(d[channel]), f64::from(d[c + channel]));
            let (real, imag) = (f64::from(coefficients.real[channel]), f64::from(coefficients.imag[channel]));
            let d_nu = -(d_real * real + d_imag * imag);
            let d_theta = d_imag * real - d_real * imag;
            d_logs[channel] = (d_nu * f64::from(logs[channel]).exp()) as f32;
            d_logs[c + channel] = (d_theta * f64::from(logs[c + channel]).exp()) as f32;
            d_logs[2 * c + channel] = d[2 * c + channel] * coefficients.gamma[channel];
        }
    }
}
