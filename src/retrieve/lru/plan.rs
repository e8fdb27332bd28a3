//! Names, shapes and places of LRURec's weights.

use std::ops::Range;

use crate::experiment::LruSpec;
use crate::nn::params::Plan;

/// The sizes of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Items; ids run from 1, the embedding has one row more for id 0, the padding.
    pub items: usize,
    /// d, the width of embeddings and layers.
    pub hidden: usize,
    /// c, complex state channels.
    pub state: usize,
    /// f, inner width of the feed-forward layer.
    pub feed_forward: usize,
    /// Blocks.
    pub blocks: usize,
}

impl Shape {
    /// What the settings ask for, with so many items.
    #[must_use]
    pub const fn of(spec: &LruSpec, items: usize) -> Self {
        Self {
            items,
            hidden: spec.hidden_dim,
            state: spec.state_dim,
            feed_forward: spec.feed_forward_dim,
            blocks: spec.blocks,
        }
    }

    /// Rows of the embedding.
    #[must_use]
    pub fn vocabulary(&self) -> usize {
        self.items + 1
    }
}

/// Places of one block's weights. Real and imaginary parts of the input projection lie one behind the other, so the pair is
/// one real matrix (2c, d).
#[derive(Debug, Clone)]
pub struct BlockPlan {
    pub in_weight: Range<usize>,
    pub in_bias: Range<usize>,
    pub out_real: Range<usize>,
    pub out_imag: Range<usize>,
    pub out_bias: Range<usize>,
    pub logs: Range<usize>,
    pub norm1: (Range<usize>, Range<usize>),
    pub w1: Range<usize>,
    pub b1: Range<usize>,
    pub w2: Range<usize>,
    pub b2: Range<usize>,
    pub norm2: (Range<usize>, Range<usize>),
}

/// Places of all weights.
#[derive(Debug, Clone)]
pub struct LruPlan {
    pub embedding: Range<usize>,
    pub norm: (Range<usize>, Range<usize>),
    pub blocks: Vec<BlockPlan>,
    pub bias: Range<usize>,
    /// Elements in all, gaps included.
    pub len: usize,
}

/// Lay out a model's weights under the reference's names. Biases and layer norms do not decay; everything else does.
#[must_use]
pub fn lay_out(shape: Shape) -> (Plan, LruPlan) {
    let Shape { hidden: d, state: c, feed_forward: f, .. } = shape;
    let v = shape.vocabulary();
    let mut plan = Plan::default();
    let embedding = one(&mut plan, "embedding.token.weight", &[v, d]);
    let norm = layer_norm(&mut plan, "embedding.layer_norm", d);
    let blocks = (0..shape.blocks).map(|block| {
        let lru = format!("model.lru_blocks.{block}.lru_layer");
        let feed = format!("model.lru_blocks.{block}.feed_forward");
        let in_weight = complex(&mut plan, &format!("{lru}.in_proj.weight"), &[c, d]);
        let in_bias = complex(&mut plan, &format!("{lru}.in_proj.bias"), &[c]);
        let out_weight = complex(&mut plan, &format!("{lru}.out_proj.weight"), &[d, c]);
        let out_bias = complex(&mut plan, &format!("{lru}.out_proj.bias"), &[d]);
        BlockPlan {
            in_weight: in_weight.0.start..in_weight.1.end,
            in_bias: in_bias.0.start..in_bias.1.end,
            out_real: out_weight.0,
            out_imag: out_weight.1,
            out_bias: out_bias.0,
            logs: one(&mut plan, &format!("{lru}.params_log"), &[3, c]),
            norm1: layer_norm(&mut plan, &format!("{lru}.layer_norm"), d),
            w1: one(&mut plan, &format!("{feed}.w_1.weight"), &[f, d]),
            b1: one(&mut plan, &format!("{feed}.w_1.bias"), &[f]),
            w2: one(&mut plan, &format!("{feed}.w_2.weight"), &[d, f]),
            b2: one(&mut plan, &format!("{feed}.w_2.bias"), &[d]),
            norm2: layer_norm(&mut plan, &format!("{feed}.layer_norm"), d),
        }
    });
    let blocks = blocks.collect();
    let bias = one(&mut plan, "model.bias", &[v]);
    plan.align();
    let len = plan.len;
    (plan, LruPlan { embedding, norm, blocks, bias, len })
}

fn decays(name: &str) -> bool {
    !name.contains("bias") && !name.contains("layer_norm")
}

fn one(plan: &mut Plan, name: &str, dims: &[usize]) -> Range<usize> {
    plan.align();
    plan.push(name, dims, decays(name))
}

fn layer_norm(plan: &mut Plan, name: &str, d: usize) -> (Range<usize>, Range<usize>) {
    (one(plan, &format!("{name}.weight"), &[d]), one(plan, &format!("{name}.bias"), &[d]))
}

/// Real parts, and directly behind them (no gap) the imaginary parts.
fn complex(plan: &mut Plan, name: &str, dims: &[usize]) -> (Range<usize>, Range<usize>) {
    let real = one(plan, &format!("{name}.real"), dims);
    let imag = plan.push(format!("{name}.imag"), dims, decays(name));
    (real, imag)
}
