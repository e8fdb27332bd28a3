//! The backward pass, layer by layer, written out: only what the adapters (or all weights) need.

use super::forward::{Common, Pass};
use super::view::{Depth, LayerView, Linear, Norm};
use super::workspace::{BackScratch, Keep, Scratch, State, Workspace};
use crate::nn::ops::decoder::{DecoderOps, Either, Heads, Normed, Read, Write};

/// One layer's backward pass: what it reads.
struct Work<'a, 'w, O: DecoderOps> {
    pass: &'a Pass<'a, 'w, O>,
    parts: &'a LayerView<'w, O>,
    depth: Depth,
    layer: usize,
    x: &'a O::Floats,
    common: &'a Common<'a, O>,
}

impl<O: DecoderOps> Pass<'_, '_, O> {
    /// From the gradient of the states after the last norm, in `d_hidden` of the workspace, to all gradients, which are
    /// added to `gradients`. Needs what `forward` kept of the same batch.
    ///
    /// `# Shapes: d_hidden (wanted, d)`
    pub fn backward(
        &self,
        keep: Keep,
        workspace: &mut Workspace<O>,
        gradients: &mut O::Gradients,
    ) -> Result<(), O::Error> {
        let Workspace {
            ops,
            placed,
            inputs,
            states,
            out,
            inverse,
            scratch,
            back,
            flow,
            d_hidden,
            rotation,
            ..
        } = workspace;
        let table = rotation.table(ops, self.view.config, self.batch.longest())?;
        let common = Common { placed, table };
        let (d, layers) = (self.view.config.hidden, self.view.layers.len());
        ops.clear(flow, self.batch.wanted().len() * d)?;
        norm_backward(ops, (&self.view.norm, inverse), out, d_hidden, flow, gradients)?;
        for (layer, parts) in self.view.layers.iter().enumerate().rev() {
            let x = &inputs[layer];
            let (at, kept) = keep.state(layer, layers);
            let state = &mut states[at];
            if !kept {
                self.layer(ops, layer, x, &common, state, None, scratch)?;
            }
            let depth = if layer == 0 { self.view.depth() } else { Depth::Input };
            let work = Work { pass: self, parts, depth, layer, x, common: &common };
            work.feed_forward(ops, state, scratch, back, flow, gradients)?;
            if depth >= Depth::Output {
                work.attention(ops, state, scratch, back, flow, gradients)?;
            }
        }
        if let Some(place) = &self.view.embed_place {
            ops.embedding_gradient(d, self.batch.tokens(), flow, (gradients, place.clone()))?;
        }
        Ok(())
    }
}

impl<O: DecoderOps> Work<'_, '_, O> {
    fn eps(&self) -> f32 {
        self.pass.view.config.rms_eps as f32
    }

    /// Through the feed-forward part: `flow` is the gradient of the layer's output, and becomes that of `middle`.
    fn feed_forward(
        &self,
        ops: &mut O,
        state: &mut State<O>,
        scratch: &mut Scratch<O>,
        back: &mut BackScratch<O>,
        flow: &mut O::Floats,
        gradients: &mut O::Gradients,
    ) -> Result<(), O::Error> {
        let parts = self.parts;
        let count = self.pass.queries(self.layer, self.common.placed).count;
        let Scratch { normed, inner, .. } = scratch;
        if learns(&parts.down) {
            ops.swiglu(&state.gate, &state.up, inner)?;
        }
        let kept = (&*inner, &state.low[parts.down.site]);
        if self.depth == Depth::Down {
            return project(ops, &parts.down, count, kept, Either::Floats(flow), None, gradients);
        }
        let to = (Either::Activations(&mut back.inner), false);
        project(ops, &parts.down, count, kept, Either::Floats(flow), Some(to), gradients)?;
        ops.swiglu_backward(&state.gate, &state.up, &back.inner, &mut back.gate, &mut back.up)?;

        if learns(&parts.gate) || learns(&parts.up) {
            // The first pass has kept the same roots, to the bit.
            let (from, to) = (Either::Floats(&state.middle), Either::Activations(&mut *normed));
            ops.norm(from, parts.post_norm.weight, self.eps(), to, &mut state.inverse_middle)?;
        }
        let gate = (&*normed, &state.low[parts.gate.site]);
        let up = (&*normed, &state.low[parts.up.site]);
        let (d_gate, d_up) = (Either::Activations(&back.gate), Either::Activations(&back.up));
        if self.depth == Depth::Feed {
            project(ops, &parts.gate, count, gate, d_gate, None, gradients)?;
            return project(ops, &parts.up, count, up, d_up, None, gradients);
        }
        let to = (Either::Floats(&mut back.normed), false);
        project(ops, &parts.gate, count, gate, d_gate, Some(to), gradients)?;
        let to = (Either::Floats(&mut back.normed), true);
        project(ops, &parts.up, count, up, d_up, Some(to), gradients)?;
        let norm = (&parts.post_norm, &state.inverse_middle);
        norm_backward(ops, norm, &state.middle, &back.normed, flow, gradients)
    }

    /// Through attention: `flow` is the gradient of `middle`, and becomes that of the layer's input.
    fn attention(
        &self,
        ops: &mut O,
        state: &mut State<O>,
        scratch: &mut Scratch<O>,
        back: &mut BackScratch<O>,
        flow: &mut O::Floats,
        gradients: &mut O::Gradients,
    ) -> Result<(), O::Error> {
        let (config, parts, placed) = (self.pass.view.config, self.parts, self.common.placed);
        let queries = self.pass.queries(self.layer, placed);
        let (m, count, d) = (self.pass.batch.rows(), queries.count, config.hidden);
        let Scratch { normed, picked, .. } = scratch;

        let kept = (&state.attended, &state.low[parts.o.site]);
        if self.depth == Depth::Output {
            return project(ops, &parts.o, count, kept, Either::Floats(flow), None, gradients);
        }
        let to = (Either::Activations(&mut back.attended), false);
        project(ops, &parts.o, count, kept, Either::Floats(flow), Some(to), gradients)?;
        let heads = Heads { q: &state.q, k: &state.k, v: &state.v };
        let output = (&state.attended, &state.log_sums, &back.attended);
        let to = [&mut back.q, &mut back.k, &mut back.v];
        ops.attention_backward(self.pass.view.shape(), queries.spans, heads, output, to)?;
        ops.rotate(&mut back.q, config.head_dim, queries.positions, self.common.table, true)?;
        ops.rotate(&mut back.k, config.head_dim, &placed.positions, self.common.table, true)?;
        if let Some(norm) = &parts.q_norm {
            unnormalize(ops, (norm, &state.q_inverse), &state.q_raw, &mut back.q, gradients)?;
        }
        if let Some(norm) = &parts.k_norm {
            unnormalize(ops, (norm, &state.k_inverse), &state.k_raw, &mut back.k, gradients)?;
        }

        if [&parts.q, &parts.k, &parts.v].into_iter().any(learns) {
            let (from, to) = (Either::Floats(self.x), Either::Activations(&mut *normed));
            ops.norm(from, parts.input_norm.weight, self.eps(), to, &mut state.inverse_input)?;
            if let Some(rows) = queries.picked {
                ops.gather_activations(normed, d, rows, picked)?;
            }
        }
        let (normed, picked) = (&*normed, &*picked);
        let query_input = if queries.picked.is_some() { picked } else { normed };
        let [q, k, v] = [(&parts.q, query_input), (&parts.k, normed), (&parts.v, normed)]
            .map(|(linear, input)| (input, &state.low[linear.site]));
        let (d_q, d_k, d_v) =
            (Either::Activations(&back.q), Either::Activations(&back.k), Either::Activations(&back.v));
        if self.depth == Depth::Attention {
            project(ops, &parts.q, count, q, d_q, None, gradients)?;
            project(ops, &parts.k, m, k, d_k, None, gradients)?;
            return project(ops, &parts.v, m, v, d_v, None, gradients);
        }
        let d_normed = &mut back.normed;
        project(ops, &parts.k, m, k, d_k, Some((Either::Floats(d_normed), false)), gradients)?;
        project(ops, &parts.v, m, v, d_v, Some((Either::Floats(d_normed), true)), gradients)?;
        match queries.picked {
            None => project(ops, &parts.q, m, q, d_q, Some((Either::Floats(d_normed), true)), gradients)?,
            Some(rows) => {
                let part = &mut back.flow;
                project(ops, &parts.q, count, q, d_q, Some((Either::Floats(part), false)), gradients)?;
                ops.scatter_add(part, d, rows, d_normed)?;
                // From here on every row has a gradient.
                ops.clear(part, m * d)?;
                ops.scatter_add(flow, d, rows, part)?;
                std::mem::swap(flow, part);
            }
        }
        let norm = (&parts.input_norm, &state.inverse_input);
        norm_backward(ops, norm, self.x, d_normed, flow, gradients)
    }
}

/// Whether a projection's input is needed for a gradient.
fn learns<O: DecoderOps>(linear: &Linear<'_, O>) -> bool {
    linear.low.is_some() || linear.place.is_some()
}

/// `flow += ` the gradient of a norm's input; that of its weight where it is wanted.
fn norm_backward<O: DecoderOps>(
    ops: &mut O,
    (norm, inverse): (&Norm<'_, O>, &O::Floats),
    x: &O::Floats,
    dy: &O::Floats,
    flow: &mut O::Floats,
    gradients: &mut O::Gradients,
) -> Result<(), O::Error> {
    let dw = norm.place.as_ref().map(|place| (gradients, place.clone()));
    ops.norm_backward(Normed { weight: norm.weight, inverse }, x, dy, flow, dw)
}

/// `dy`, the gradient of normed heads, becomes that of the heads.
fn unnormalize<O: DecoderOps>(
    ops: &mut O,
    (norm, inverse): (&Norm<'_, O>, &O::Floats),
    raw: &O::Activations,
    dy: &mut O::Activations,
    gradients: &mut O::Gradients,
) -> Result<(), O::Error> {
    let dw = norm.place.as_ref().map(|place| (gradients, place.clone()));
    ops.head_norm_backward(Normed { weight: norm.weight, inverse }, raw, dy, dw)
}

/// `dx = dy W + scale (dy B A) * mask`, its product added to what `dx` holds if that is said, and what the gradients of weight, bias, A and
/// B gain. `x` and `low` are what the forward pass read and kept.
///
/// `# Shapes: x (m, inputs), dy (m, outputs), dx (m, inputs), low (m, r)`
fn project<O: DecoderOps>(
    ops: &mut O,
    linear: &Linear<'_, O>,
    m: usize,
    (x, low): (&O::Activations, &O::Floats),
    dy: Read<'_, O>,
    mut dx: Option<(Write<'_, O>, bool)>,
    gradients: &mut O::Gradients,
) -> Result<(), O::Error> {
    if let Some((dx, sum)) = &mut dx {
        ops.linear_backward(m, dy, linear.weight, dx.again(), *sum)?;
    }
    if let Some((weight, bias)) = &linear.place {
        let (outputs, inputs) = O::size(linear.weight);
        ops.weight_gradient((m, outputs, inputs), dy, x, (&mut *gradients, weight.clone()))?;
        if let Some(bias) = bias {
            ops.bias_gradient(dy, (&mut *gradients, bias.clone()))?;
        }
    }
    let Some(found) = &linear.low else { return Ok(()) };
    let (of_a, of_b) = found.places.clone();
    let dx = dx.map(|(dx, _)| dx);
    ops.low_backward(m, found.adapter, (x, low), dy, dx, (gradients, of_a, of_b))
}
