//! The backward pass, layer by layer, written out: only what the adapters (or all weights) need.

use super::forward::{Pass, Tools, masked};
use super::view::{Depth, LayerView, Linear, Norm};
use super::workspace::{BackScratch, Keep, Scratch, State, Workspace};
use crate::nn::aligned::Buffer;
use crate::nn::gemm::Start;
use crate::nn::matmul::{self, Dense, Precision};
use crate::nn::rope::Rope;
use crate::nn::{attention, embedding, rms_norm, rope, rows, swiglu};

/// One layer's backward pass: what it reads.
struct Work<'a, 'b> {
    pass: &'a Pass<'b>,
    parts: &'a LayerView<'b>,
    depth: Depth,
    layer: usize,
    x: &'a [f32],
    table: &'a Rope,
}

impl<'b> Pass<'b> {
    /// From the gradient of the states after the last norm, in `d_hidden` of the workspace, to all gradients, which are
    /// added to `gradients`. Needs what `forward` kept.
    ///
    /// `# Shapes: d_hidden (wanted, d)`
    pub fn backward(&self, keep: Keep, workspace: &mut Workspace, gradients: &mut [f32]) {
        let Workspace { inputs, states, out, inverse, scratch, back, flow, d_hidden, rope, .. } = workspace;
        let table = rope.table(self.view.config, self.batch.longest());
        let d = self.view.config.hidden;
        flow.clear(self.batch.wanted().len() * d);
        norm_backward(&self.view.norm, out, inverse, d_hidden, flow, gradients);
        for (layer, parts) in self.view.layers.iter().enumerate().rev() {
            let x = &inputs[layer];
            let state = if keep == Keep::Everything {
                &mut states[layer]
            } else {
                self.layer(layer, x, table, &mut states[0], None, scratch);
                &mut states[0]
            };
            let depth = if layer == 0 { self.view.depth() } else { Depth::Input };
            let work = Work { pass: self, parts, depth, layer, x, table };
            work.feed_forward(state, scratch, back, flow, gradients);
            if depth >= Depth::Output {
                work.attention(state, scratch, back, flow, gradients);
            }
        }
        if let Some(place) = &self.view.embed_place {
            embedding::scatter_add(d, self.batch.tokens(), flow, &mut gradients[place.clone()]);
        }
    }
}

impl Work<'_, '_> {
    fn eps(&self) -> f32 {
        self.pass.view.config.rms_eps as f32
    }

    /// Through the feed-forward part: `flow` is the gradient of the layer's output, and becomes that of `middle`.
    fn feed_forward(
        &self,
        state: &mut State,
        scratch: &mut Scratch,
        back: &mut BackScratch,
        flow: &mut Buffer,
        gradients: &mut [f32],
    ) {
        let (config, parts) = (self.pass.view.config, self.parts);
        let count = self.pass.queries(self.layer).count;
        let (d, f) = (config.hidden, config.intermediate);
        let Scratch { normed, inner, dropped, products, .. } = scratch;
        let tools = Tools { precision: self.pass.precision, dropped, products };
        let mut learner = Learner { tools, d_low: &mut back.low, raw: &mut back.raw, gradients };

        let input = if learns(&parts.down) {
            swiglu::forward(&state.gate, &state.up, inner.reset(count * f));
            &**inner
        } else {
            &[]
        };
        let low = &state.low[parts.down.site];
        if self.depth == Depth::Down {
            learner.project(&parts.down, count, input, flow, None, low);
            return;
        }
        let to = (back.inner.reset(count * f), Start::Zero);
        learner.project(&parts.down, count, input, flow, Some(to), low);
        let (d_gate, d_up) = (back.gate.reset(count * f), back.up.reset(count * f));
        swiglu::backward(&state.gate, &state.up, &back.inner, d_gate, d_up);

        let input = if learns(&parts.gate) || learns(&parts.up) {
            // The first pass has kept the same roots, to the bit.
            let (normed, inverse) = (normed.reset(count * d), state.inverse_middle.reset(count));
            rms_norm::forward(&state.middle, parts.post_norm.weight, self.eps(), normed, inverse);
            &*normed
        } else {
            &[]
        };
        let (gate_low, up_low) = (&state.low[parts.gate.site], &state.low[parts.up.site]);
        if self.depth == Depth::Feed {
            learner.project(&parts.gate, count, input, d_gate, None, gate_low);
            learner.project(&parts.up, count, input, d_up, None, up_low);
            return;
        }
        let d_normed = back.normed.reset(count * d);
        learner.project(&parts.gate, count, input, d_gate, Some((d_normed, Start::Zero)), gate_low);
        learner.project(&parts.up, count, input, d_up, Some((d_normed, Start::Sum)), up_low);
        let (norm, inverse) = (&parts.post_norm, &state.inverse_middle);
        norm_backward(norm, &state.middle, inverse, d_normed, flow, learner.gradients);
    }

    /// Through attention: `flow` is the gradient of `middle`, and becomes that of the layer's input.
    fn attention(
        &self,
        state: &mut State,
        scratch: &mut Scratch,
        back: &mut BackScratch,
        flow: &mut Buffer,
        gradients: &mut [f32],
    ) {
        let (config, parts, pass) = (self.pass.view.config, self.parts, self.pass);
        let queries = pass.queries(self.layer);
        let (m, count, d) = (pass.batch.rows(), queries.count, config.hidden);
        let (wide, narrow) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
        let Scratch { normed, picked, dropped, products, .. } = scratch;
        let tools = Tools { precision: pass.precision, dropped, products };
        let mut learner = Learner { tools, d_low: &mut back.low, raw: &mut back.raw, gradients };

        let low = &state.low[parts.o.site];
        if self.depth == Depth::Output {
            learner.project(&parts.o, count, &state.attended, flow, None, low);
            return;
        }
        let d_attended = back.attended.reset(count * wide);
        learner.project(&parts.o, count, &state.attended, flow, Some((d_attended, Start::Zero)), low);
        let (d_q, d_k) = (back.q.reset(count * wide), back.k.reset(m * narrow));
        let d_v = back.v.reset(m * narrow);
        attention::backward(
            pass.view.shape(),
            queries.spans,
            &state.q,
            &state.k,
            &state.v,
            &state.attended,
            &state.log_sums,
            d_attended,
            d_q,
            d_k,
            d_v,
            &mut back.attention,
        );
        rope::apply(d_q, config.head_dim, queries.positions, self.table, true);
        rope::apply(d_k, config.head_dim, pass.batch.positions(), self.table, true);
        if let Some(norm) = &parts.q_norm {
            learner.unnormalize(norm, &state.q_raw, &state.q_inverse, d_q);
        }
        if let Some(norm) = &parts.k_norm {
            learner.unnormalize(norm, &state.k_raw, &state.k_inverse, d_k);
        }

        let learning = [&parts.q, &parts.k, &parts.v].into_iter().any(learns);
        let (mut input, mut query_input): (&[f32], &[f32]) = (&[], &[]);
        if learning {
            let (normed, inverse) = (normed.reset(m * d), state.inverse_input.reset(m));
            rms_norm::forward(self.x, parts.input_norm.weight, self.eps(), normed, inverse);
            input = normed;
            query_input = normed;
            if let Some(rows) = queries.picked {
                rows::gather(input, d, rows, picked.reset(rows.len() * d));
                query_input = picked;
            }
        }
        let [q_low, k_low, v_low] = [&parts.q, &parts.k, &parts.v].map(|linear| &state.low[linear.site]);
        if self.depth == Depth::Attention {
            learner.project(&parts.q, count, query_input, d_q, None, q_low);
            learner.project(&parts.k, m, input, d_k, None, k_low);
            learner.project(&parts.v, m, input, d_v, None, v_low);
            return;
        }
        let d_normed = back.normed.reset(m * d);
        learner.project(&parts.k, m, input, d_k, Some((d_normed, Start::Zero)), k_low);
        learner.project(&parts.v, m, input, d_v, Some((d_normed, Start::Sum)), v_low);
        match queries.picked {
            None => learner.project(&parts.q, m, input, d_q, Some((d_normed, Start::Sum)), q_low),
            Some(rows) => {
                let part = back.flow.reset(count * d);
                learner.project(&parts.q, count, query_input, d_q, Some((part, Start::Zero)), q_low);
                rows::scatter_add(part, d, rows, d_normed);
                // From here on every row has a gradient.
                rows::scatter_add(flow, d, rows, back.flow.clear(m * d));
                std::mem::swap(flow, &mut back.flow);
            }
        }
        let inverse = &state.inverse_input;
        norm_backward(&parts.input_norm, self.x, inverse, d_normed, flow, learner.gradients);
    }
}

/// Whether a projection's input is needed for a gradient.
fn learns(linear: &Linear<'_>) -> bool {
    linear.low.is_some() || linear.place.is_some()
}

/// `flow += ` the gradient of a norm's input; that of its weight where it is wanted.
fn norm_backward(
    norm: &Norm<'_>,
    x: &[f32],
    inverse: &[f32],
    dy: &[f32],
    flow: &mut [f32],
    gradients: &mut [f32],
) {
    let dw = norm.place.as_ref().map(|place| &mut gradients[place.clone()]);
    rms_norm::backward(x, norm.weight, inverse, dy, flow, dw);
}

/// What a projection's backward pass needs beside its inputs.
struct Learner<'a> {
    tools: Tools<'a>,
    d_low: &'a mut Buffer,
    raw: &'a mut Buffer,
    gradients: &'a mut [f32],
}

impl Learner<'_> {
    /// `dx = start + dy W + scale (dy B A) * mask`, and what the gradients of weight, bias, A and B gain.
    ///
    /// `# Shapes: x (m, inputs), dy (m, outputs), dx (m, inputs), low (m, r)`
    fn project(
        &mut self,
        linear: &Linear<'_>,
        m: usize,
        x: &[f32],
        dy: &[f32],
        dx: Option<(&mut [f32], Start<'_>)>,
        low: &[f32],
    ) {
        let (outputs, inputs) = (linear.weight.rows(), linear.weight.cols());
        let dx = dx.map(|(dx, start)| {
            matmul::backward(self.tools.precision, m, dy, linear.weight, dx, start, self.tools.products);
            dx
        });
        if let Some((weight, bias)) = &linear.place {
            let to = &mut self.gradients[weight.clone()];
            let products = &mut *self.tools.products;
            matmul::weight_gradient(Precision::F32, (m, outputs, inputs), dy, x, to, Start::Sum, products);
            if let Some(bias) = bias {
                rows::sum_rows(dy, &mut self.gradients[bias.clone()]);
            }
        }
        let Some(adapter) = &linear.low else { return };
        let r = adapter.r;
        let to = &mut self.gradients[adapter.places.1.clone()];
        let products = &mut *self.tools.products;
        matmul::weight_gradient(Precision::F32, (m, outputs, r), dy, low, to, Start::Sum, products);
        let d_low = self.d_low.reset(m * r);
        let b = Dense { data: adapter.b, rows: outputs, cols: r };
        matmul::backward(Precision::F32, m, dy, &b, d_low, Start::Zero, products);
        rows::scale(d_low, adapter.scale);
        let x = masked(adapter.mask, x, self.tools.dropped);
        let to = &mut self.gradients[adapter.places.0.clone()];
        matmul::weight_gradient(Precision::F32, (m, r, inputs), d_low, x, to, Start::Sum, products);
        let Some(dx) = dx else { return };
        let a = Dense { data: adapter.a, rows: r, cols: inputs };
        if adapter.mask.is_off() {
            matmul::backward(Precision::F32, m, d_low, &a, dx, Start::Sum, self.tools.products);
        } else {
            let part = self.tools.dropped.reset(m * inputs);
            matmul::backward(Precision::F32, m, d_low, &a, part, Start::Zero, self.tools.products);
            rows::add_dropout(adapter.mask, part, dx);
        }
    }

    /// `dy`, the gradient of normed heads, becomes that of the heads.
    fn unnormalize(&mut self, norm: &Norm<'_>, raw: &[f32], inverse: &[f32], dy: &mut [f32]) {
        let dx = self.raw.clear(dy.len());
        norm_backward(norm, raw, inverse, dy, dx, self.gradients);
        rows::copy(dx, dy);
    }
}
