//! The forward pass: packed tokens to the hidden states of the wanted rows.
//!
//! Layer: `n = rms(x)`, `q, k, v = Wq n, Wk n, Wv n` (biases where there are any), a norm of each head where there is one,
//! rotation, causal attention, `middle = x + Wo attended`, `n = rms(middle)`, `out = middle + Wd (silu(Wg n) * Wu n)`.
//! The last layer computes queries, and all that follows them, for the wanted rows only.

use super::batch::Batch;
use super::view::{LayerView, Linear, View};
use super::workspace::{Keep, Placed, Scratch, State, Workspace};
use crate::nn::ops::decoder::{DecoderOps, Either, Heads, Job};

/// One batch on its way through a model.
pub struct Pass<'a, 'w, O: DecoderOps> {
    pub view: &'a View<'w, O>,
    pub batch: &'a Batch,
}

/// The rows of a layer after its keys and values.
pub struct Queries<'a, O: DecoderOps> {
    /// Which packed rows they are; none means all.
    pub picked: Option<&'a O::Ids>,
    pub count: usize,
    pub positions: &'a O::Ids,
    pub spans: &'a O::Spans,
}

/// What all layers of a pass read.
pub struct Common<'a, O: DecoderOps> {
    pub placed: &'a Placed<O>,
    pub table: &'a O::Rotations,
}

impl<'a, 'w, O: DecoderOps> Pass<'a, 'w, O> {
    /// A batch that the model can take.
    ///
    /// # Panics
    /// When it cannot.
    pub fn new(view: &'a View<'w, O>, batch: &'a Batch) -> Self {
        if let Err(error) = super::check(view.config, batch) {
            panic!("{error}");
        }
        Self { view, batch }
    }

    /// Run all layers. The hidden states after the last norm are in `hidden` of the workspace.
    ///
    /// `# Shapes: hidden (wanted, d)`
    pub fn forward(&self, keep: Keep, workspace: &mut Workspace<O>) -> Result<(), O::Error> {
        let layers = self.view.layers.len();
        let Workspace { ops, placed, inputs, states, out, inverse, hidden, scratch, rotation, .. } =
            workspace;
        placed.set(ops, self.batch)?;
        let table = rotation.table(ops, self.view.config, self.batch.longest())?;
        let common = Common { placed, table };
        let inputs_kept = if keep == Keep::Nothing { 2 } else { layers };
        resize(inputs, inputs_kept);
        resize(states, layers.min(keep.states(layers) + 1));
        ops.embed(self.view.embed, &common.placed.tokens, &mut inputs[0])?;
        for layer in 0..layers {
            let last = layer + 1 == layers;
            let mut next =
                std::mem::take(if last { &mut *out } else { &mut inputs[(layer + 1) % inputs_kept] });
            let state = &mut states[keep.state(layer, layers).0];
            let x = &inputs[layer % inputs_kept];
            let done = self.layer(ops, layer, x, &common, state, Some(&mut next), scratch);
            *(if last { &mut *out } else { &mut inputs[(layer + 1) % inputs_kept] }) = next;
            done?;
        }
        let (weight, eps) = (self.view.norm.weight, self.view.config.rms_eps as f32);
        ops.norm(Either::Floats(out), weight, eps, Either::Floats(hidden), inverse)
    }

    /// The rows of layer `layer` after its keys and values.
    pub fn queries<'p>(&self, layer: usize, placed: &'p Placed<O>) -> Queries<'p, O> {
        if layer + 1 < self.view.layers.len() || self.batch.wants_every_row() {
            let (count, positions, spans) = (self.batch.rows(), &placed.positions, &placed.spans);
            Queries { picked: None, count, positions, spans }
        } else {
            let (positions, spans) = (&placed.wanted_positions, &placed.wanted_spans);
            Queries { picked: Some(&placed.wanted), count: self.batch.wanted().len(), positions, spans }
        }
    }

    /// Run layer `layer` on `x`, filling `state`. Without `out`, the layer's own output is not computed: a backward pass
    /// that computes a layer again does not need it.
    ///
    /// `# Shapes: x (m, d), out (m, d) or (wanted, d)`
    #[allow(clippy::too_many_arguments, reason = "a layer has this many facts")]
    pub fn layer(
        &self,
        ops: &mut O,
        layer: usize,
        x: &O::Floats,
        common: &Common<'_, O>,
        state: &mut State<O>,
        out: Option<&mut O::Floats>,
        scratch: &mut Scratch<O>,
    ) -> Result<(), O::Error> {
        let (config, parts) = (self.view.config, &self.view.layers[layer]);
        let (m, d, eps) = (self.batch.rows(), config.hidden, config.rms_eps as f32);
        let queries = self.queries(layer, common.placed);
        let count = queries.count;
        let Scratch { normed, picked, inner } = scratch;

        let (from, to) = (Either::Floats(x), Either::Activations(&mut *normed));
        ops.norm(from, parts.input_norm.weight, eps, to, &mut state.inverse_input)?;
        self.project_heads(ops, parts, (m, normed, picked), &queries, state)?;
        ops.rotate(&mut state.q, config.head_dim, queries.positions, common.table, false)?;
        ops.rotate(&mut state.k, config.head_dim, &common.placed.positions, common.table, false)?;
        let heads = Heads { q: &state.q, k: &state.k, v: &state.v };
        ops.attention(self.view.shape(), queries.spans, heads, &mut state.attended, &mut state.log_sums)?;
        match queries.picked {
            Some(rows) => ops.gather(x, d, rows, &mut state.middle)?,
            None => ops.copy(x, &mut state.middle)?,
        }
        let low = &mut state.low[parts.o.site];
        project_sum(ops, &parts.o, count, &state.attended, &mut state.middle, low)?;

        let (from, to) = (Either::Floats(&state.middle), Either::Activations(&mut *normed));
        ops.norm(from, parts.post_norm.weight, eps, to, &mut state.inverse_middle)?;
        let [.., gate_low, up_low, _] = &mut state.low;
        let jobs = [(&parts.gate, &mut state.gate, gate_low), (&parts.up, &mut state.up, up_low)];
        project(ops, count, normed, jobs)?;
        // The adapter of `down_proj` keeps `A h` for the backward pass.
        if out.is_some() || parts.down.low.is_some() {
            ops.swiglu(&state.gate, &state.up, inner)?;
            let low = &mut state.low[parts.down.site];
            match out {
                Some(out) => {
                    ops.copy(&state.middle, out)?;
                    project_sum(ops, &parts.down, count, inner, out, low)?;
                }
                None => {
                    if let Some(down) = &parts.down.low {
                        ops.lower(count, inner, down.adapter, low)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Queries, keys and values, the norms of their heads included, before the rotation.
    fn project_heads(
        &self,
        ops: &mut O,
        parts: &LayerView<'_, O>,
        (m, normed, picked): (usize, &O::Activations, &mut O::Activations),
        queries: &Queries<'_, O>,
        state: &mut State<O>,
    ) -> Result<(), O::Error> {
        let eps = self.view.config.rms_eps as f32;
        let [q_low, k_low, v_low, ..] = &mut state.low;
        let q = if parts.q_norm.is_some() { &mut state.q_raw } else { &mut state.q };
        let k = if parts.k_norm.is_some() { &mut state.k_raw } else { &mut state.k };
        let v = &mut state.v;
        match queries.picked {
            None => {
                let jobs = [(&parts.q, q, q_low), (&parts.k, k, k_low), (&parts.v, v, v_low)];
                project(ops, m, normed, jobs)?;
            }
            Some(rows) => {
                project(ops, m, normed, [(&parts.k, k, k_low), (&parts.v, v, v_low)])?;
                ops.gather_activations(normed, self.view.config.hidden, rows, picked)?;
                project(ops, queries.count, picked, [(&parts.q, q, q_low)])?;
            }
        }
        if let Some(norm) = &parts.q_norm {
            let (raw, to) = (Either::Activations(&state.q_raw), Either::Activations(&mut state.q));
            ops.norm(raw, norm.weight, eps, to, &mut state.q_inverse)?;
        }
        if let Some(norm) = &parts.k_norm {
            let (raw, to) = (Either::Activations(&state.k_raw), Either::Activations(&mut state.k));
            ops.norm(raw, norm.weight, eps, to, &mut state.k_inverse)?;
        }
        Ok(())
    }
}

fn resize<T: Default>(list: &mut Vec<T>, least: usize) {
    if list.len() < least {
        list.resize_with(least, T::default);
    }
}

/// `y = W x + b + scale B A dropout(x)` of projections of the same `x`; `low` keeps `scale A dropout(x)`.
///
/// `# Shapes: x (m, inputs), y (m, outputs), low (m, r)`
fn project<O: DecoderOps, const N: usize>(
    ops: &mut O,
    m: usize,
    x: &O::Activations,
    mut outputs: [(&Linear<'_, O>, &mut O::Activations, &mut O::Floats); N],
) -> Result<(), O::Error> {
    let jobs = outputs.each_mut().map(|(linear, y, _)| Job {
        weight: linear.weight,
        bias: linear.bias,
        y: &mut **y,
    });
    ops.linear(m, x, jobs)?;
    for (linear, y, low) in outputs {
        if let Some(found) = &linear.low {
            ops.lower(m, x, found.adapter, low)?;
            ops.raise(m, low, found.adapter, Either::Activations(y))?;
        }
    }
    Ok(())
}

/// The same of one projection, added to what `y` holds.
fn project_sum<O: DecoderOps>(
    ops: &mut O,
    linear: &Linear<'_, O>,
    m: usize,
    x: &O::Activations,
    y: &mut O::Floats,
    low: &mut O::Floats,
) -> Result<(), O::Error> {
    ops.linear_sum(m, x, (linear.weight, linear.bias), y)?;
    if let Some(found) = &linear.low {
        ops.lower(m, x, found.adapter, low)?;
        ops.raise(m, low, found.adapter, Either::Floats(y))?;
    }
    Ok(())
}
