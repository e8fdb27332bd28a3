//! The forward pass: packed tokens to the hidden states of the wanted rows.
//!
//! Layer: `n = rms(x)`, `q, k, v = Wq n, Wk n, Wv n` (biases where there are any), a norm of each head where there is one,
//! rotation, causal attention, `middle = x + Wo attended`, `n = rms(middle)`, `out = middle + Wd (silu(Wg n) * Wu n)`.
//! The last layer computes queries, and all that follows them, for the wanted rows only.

use super::batch::Batch;
use super::view::{LayerView, Linear, Norm, View};
use super::workspace::{Keep, Scratch, State, Workspace};
use crate::nn::aligned::Buffer;
use crate::nn::attention::{self, Span};
use crate::nn::gemm::Start;
use crate::nn::matmul::{self, Dense, Output, Precision};
use crate::nn::rope::Rope;
use crate::nn::{rms_norm, rope, rows, swiglu};

/// One batch on its way through a model.
pub struct Pass<'a> {
    pub view: &'a View<'a>,
    pub batch: &'a Batch,
    pub precision: Precision,
}

/// The rows of a layer after its keys and values.
#[derive(Clone, Copy)]
pub struct Queries<'a> {
    /// Which packed rows they are; none means all.
    pub picked: Option<&'a [u32]>,
    pub count: usize,
    pub positions: &'a [u32],
    pub spans: &'a [Span],
}

impl<'a> Pass<'a> {
    /// A batch that the model can take.
    ///
    /// # Panics
    /// When it cannot.
    pub fn new(view: &'a View<'a>, batch: &'a Batch, precision: Precision) -> Self {
        if let Err(error) = super::check(view.config, batch) {
            panic!("{error}");
        }
        Self { view, batch, precision }
    }

    /// Run all layers. The hidden states after the last norm are in `hidden` of the workspace.
    ///
    /// `# Shapes: hidden (wanted, d)`
    pub fn forward(&self, keep: Keep, workspace: &mut Workspace) {
        let (m, d) = (self.batch.rows(), self.view.config.hidden);
        let layers = self.view.layers.len();
        let Workspace { inputs, states, out, inverse, hidden, scratch, rope, .. } = workspace;
        let table = rope.table(self.view.config, self.batch.longest());
        let inputs_kept = if keep == Keep::Nothing { 2 } else { layers };
        let states_kept = if keep == Keep::Everything { layers } else { 1 };
        resize(inputs, inputs_kept);
        resize(states, states_kept);
        rows::embed(self.view.embed, self.batch.tokens(), inputs[0].reset(m * d));
        for layer in 0..layers {
            let mut next = std::mem::take(if layer + 1 == layers {
                &mut *out
            } else {
                &mut inputs[(layer + 1) % inputs_kept]
            });
            let state = &mut states[layer % states_kept];
            self.layer(layer, &inputs[layer % inputs_kept], table, state, Some(&mut next), scratch);
            *(if layer + 1 == layers { &mut *out } else { &mut inputs[(layer + 1) % inputs_kept] }) = next;
        }
        let wanted = self.batch.wanted().len();
        let eps = self.view.config.rms_eps;
        rms_norm::forward(
            out,
            self.view.norm.weight,
            eps as f32,
            hidden.reset(wanted * d),
            inverse.reset(wanted),
        );
    }

    /// The rows of layer `layer` after its keys and values.
    pub fn queries(&self, layer: usize) -> Queries<'_> {
        let batch = self.batch;
        if layer + 1 < self.view.layers.len() || batch.wants_every_row() {
            let (count, positions, spans) = (batch.rows(), batch.positions(), batch.spans());
            Queries { picked: None, count, positions, spans }
        } else {
            let (positions, spans) = (batch.wanted_positions(), batch.wanted_spans());
            Queries { picked: Some(batch.wanted()), count: batch.wanted().len(), positions, spans }
        }
    }

    /// Run layer `layer` on `x`, filling `state`. Without `out`, the layer's own output is not computed: a backward pass
    /// that computes a layer again does not need it.
    ///
    /// `# Shapes: x (m, d), out (m, d) or (wanted, d)`
    pub fn layer(
        &self,
        layer: usize,
        x: &[f32],
        table: &Rope,
        state: &mut State,
        out: Option<&mut Buffer>,
        scratch: &mut Scratch,
    ) {
        let (config, parts) = (self.view.config, &self.view.layers[layer]);
        let (m, d, f) = (self.batch.rows(), config.hidden, config.intermediate);
        let eps = config.rms_eps as f32;
        let queries = self.queries(layer);
        let count = queries.count;
        let Scratch { normed, picked, inner, dropped, products } = scratch;
        let mut tools = Tools { precision: self.precision, dropped, products };

        let inverse = state.inverse_input.reset(m);
        rms_norm::forward(x, parts.input_norm.weight, eps, normed.reset(m * d), inverse);
        self.project_heads(parts, normed, picked, queries, state, &mut tools);
        rope::apply(&mut state.q, config.head_dim, queries.positions, table, false);
        rope::apply(&mut state.k, config.head_dim, self.batch.positions(), table, false);
        let attended = state.attended.reset(count * config.heads * config.head_dim);
        let log_sums = state.log_sums.reset(count * config.heads);
        attention::forward(
            self.view.shape(),
            queries.spans,
            &state.q,
            &state.k,
            &state.v,
            attended,
            log_sums,
        );
        copy_rows(x, d, queries.picked, state.middle.reset(count * d));
        let low = &mut state.low[parts.o.site];
        tools.project(&parts.o, count, &state.attended, &mut state.middle, true, low);

        let (normed, inverse) = (normed.reset(count * d), state.inverse_middle.reset(count));
        rms_norm::forward(&state.middle, parts.post_norm.weight, eps, normed, inverse);
        let [.., gate_low, up_low, _] = &mut state.low;
        let (gate, up) = (state.gate.reset(count * f), state.up.reset(count * f));
        tools.project_all(count, normed, [(&parts.gate, gate, gate_low), (&parts.up, up, up_low)]);
        // The adapter of `down_proj` keeps `A h` for the backward pass.
        if out.is_some() || parts.down.low.is_some() {
            let inner = inner.reset(count * f);
            swiglu::forward(&state.gate, &state.up, inner);
            let low = &mut state.low[parts.down.site];
            match out {
                Some(out) => {
                    copy_rows(&state.middle, d, None, out.reset(count * d));
                    tools.project(&parts.down, count, inner, out, true, low);
                }
                None => tools.lower(&parts.down, count, inner, low),
            }
        }
    }

    /// Queries, keys and values, the norms of their heads included, before the rotation.
    fn project_heads(
        &self,
        parts: &LayerView<'_>,
        normed: &[f32],
        picked: &mut Buffer,
        queries: Queries<'_>,
        state: &mut State,
        tools: &mut Tools<'_>,
    ) {
        let config = self.view.config;
        let (m, d, eps) = (self.batch.rows(), config.hidden, config.rms_eps as f32);
        let (wide, narrow) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
        let [q_low, k_low, v_low, ..] = &mut state.low;
        let q = if parts.q_norm.is_some() { &mut state.q_raw } else { &mut state.q };
        let k = if parts.k_norm.is_some() { &mut state.k_raw } else { &mut state.k };
        let (k, v) = (k.reset(m * narrow), state.v.reset(m * narrow));
        let q = q.reset(queries.count * wide);
        match queries.picked {
            None => {
                let outputs = [(&parts.q, q, q_low), (&parts.k, k, k_low), (&parts.v, v, v_low)];
                tools.project_all(m, normed, outputs);
            }
            Some(rows) => {
                tools.project_all(m, normed, [(&parts.k, k, k_low), (&parts.v, v, v_low)]);
                rows::gather(normed, d, rows, picked.reset(rows.len() * d));
                tools.project(&parts.q, rows.len(), picked, q, false, q_low);
            }
        }
        if let Some(norm) = &parts.q_norm {
            normalize(norm, eps, &state.q_raw, &mut state.q, &mut state.q_inverse);
        }
        if let Some(norm) = &parts.k_norm {
            normalize(norm, eps, &state.k_raw, &mut state.k, &mut state.k_inverse);
        }
    }
}

/// RMSNorm of each head.
fn normalize(norm: &Norm<'_>, eps: f32, raw: &[f32], to: &mut Buffer, inverse: &mut Buffer) {
    let heads = raw.len() / norm.weight.len();
    rms_norm::forward(raw, norm.weight, eps, to.reset(raw.len()), inverse.reset(heads));
}

/// The `picked` rows of `from`, or all of it.
fn copy_rows(from: &[f32], width: usize, picked: Option<&[u32]>, to: &mut [f32]) {
    match picked {
        Some(rows) => rows::gather(from, width, rows, to),
        None => rows::copy(from, to),
    }
}

fn resize<T: Default>(list: &mut Vec<T>, least: usize) {
    if list.len() < least {
        list.resize_with(least, T::default);
    }
}

/// What a projection needs beside its inputs.
pub struct Tools<'a> {
    pub precision: Precision,
    pub dropped: &'a mut Buffer,
    pub products: &'a mut matmul::Scratch,
}

impl Tools<'_> {
    /// [`Tools::project`] of several projections of the same `x`, into outputs that they overwrite.
    pub fn project_all<const N: usize>(
        &mut self,
        m: usize,
        x: &[f32],
        mut jobs: [(&Linear<'_>, &mut [f32], &mut Buffer); N],
    ) {
        let mut outputs = jobs.each_mut().map(|(linear, y, _)| {
            let start = linear.bias.map_or(Start::Zero, Start::Columns);
            Output { w: linear.weight, y, start }
        });
        matmul::forward_all(self.precision, m, x, &mut outputs, self.products);
        for (linear, y, low) in jobs {
            self.adapt(linear, m, x, y, low);
        }
    }

    /// `y = W x + b + scale B A dropout(x)`, added to what `y` holds if `sum`; `low` keeps `scale A dropout(x)`.
    ///
    /// `# Shapes: x (m, inputs), y (m, outputs), low (m, r)`
    pub fn project(
        &mut self,
        linear: &Linear<'_>,
        m: usize,
        x: &[f32],
        y: &mut [f32],
        sum: bool,
        low: &mut Buffer,
    ) {
        let start = match (sum, linear.bias) {
            (true, _) => Start::Sum,
            (false, Some(bias)) => Start::Columns(bias),
            (false, None) => Start::Zero,
        };
        if let (true, Some(bias)) = (sum, linear.bias) {
            rows::add_to_each(bias, y);
        }
        matmul::forward(self.precision, m, x, linear.weight, y, start, self.products);
        self.adapt(linear, m, x, y, low);
    }

    /// `y += scale B A dropout(x)`, where there is an adapter.
    fn adapt(&mut self, linear: &Linear<'_>, m: usize, x: &[f32], y: &mut [f32], low: &mut Buffer) {
        let Some(adapter) = &linear.low else { return };
        self.lower(linear, m, x, low);
        let b = Dense { data: adapter.b, rows: adapter.b.len() / adapter.r, cols: adapter.r };
        matmul::forward(Precision::F32, m, low, &b, y, Start::Sum, self.products);
    }

    /// `low = scale A dropout(x)`, where there is an adapter.
    pub fn lower(&mut self, linear: &Linear<'_>, m: usize, x: &[f32], low: &mut Buffer) {
        let Some(adapter) = &linear.low else { return };
        let x = masked(adapter.mask, x, self.dropped);
        let a = Dense { data: adapter.a, rows: adapter.r, cols: adapter.a.len() / adapter.r };
        let low = low.reset(m * adapter.r);
        matmul::forward(Precision::F32, m, x, &a, low, Start::Zero, self.products);
        rows::scale(low, adapter.scale);
    }
}

/// `x` through the mask; `x` itself when nothing is dropped.
pub fn masked<'a>(mask: crate::nn::dropout::Dropout, x: &'a [f32], dropped: &'a mut Buffer) -> &'a [f32] {
    if mask.is_off() {
        return x;
    }
    rows::dropout(mask, x, dropped.reset(x.len()));
    dropped
}
