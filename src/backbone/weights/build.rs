//! The names and shapes of a model's tensors as Hugging Face has them, and the one walk that puts a model together.

use std::collections::BTreeMap;

use super::place::Place;
use super::{Layer, Projection, Weights};
use crate::backbone::{Error, ModelConfig};
use crate::nn::quant::Frozen;

/// The embedding of the tokens.
pub(super) const EMBED: &str = "model.embed_tokens.weight";
/// The output layer.
pub(super) const HEAD: &str = "lm_head.weight";
/// The last norm.
pub(super) const NORM: &str = "model.norm.weight";

/// Every tensor of the model with its shape, in the order of computation.
pub(super) fn plan(config: &ModelConfig) -> Vec<(String, Vec<usize>)> {
    let [d, f, dim] = [config.hidden, config.intermediate, config.head_dim];
    let (q, kv) = (config.heads * dim, config.kv_heads * dim);
    let mut plan = vec![(EMBED.to_owned(), vec![config.vocab, d])];
    for layer in 0..config.layers {
        let mut push = |name: &str, shape: &[usize]| {
            plan.push((format!("model.layers.{layer}.{name}"), shape.to_vec()));
        };
        push("input_layernorm.weight", &[d]);
        for (name, outputs) in [("q", q), ("k", kv), ("v", kv)] {
            push(&format!("self_attn.{name}_proj.weight"), &[outputs, d]);
            if config.qkv_bias {
                push(&format!("self_attn.{name}_proj.bias"), &[outputs]);
            }
        }
        if config.qk_norm {
            push("self_attn.q_norm.weight", &[dim]);
            push("self_attn.k_norm.weight", &[dim]);
        }
        push("self_attn.o_proj.weight", &[d, q]);
        push("post_attention_layernorm.weight", &[d]);
        push("mlp.gate_proj.weight", &[f, d]);
        push("mlp.up_proj.weight", &[f, d]);
        push("mlp.down_proj.weight", &[d, f]);
    }
    plan.push((NORM.to_owned(), vec![d]));
    if !config.tied {
        plan.push((HEAD.to_owned(), vec![config.vocab, d]));
    }
    plan
}

/// Where the tensors come from.
pub(super) trait Source {
    /// A matrix; `frozen` ones are the linear layers inside the model, which may be quantized.
    fn matrix(&mut self, name: &str, rows: usize, cols: usize, frozen: bool) -> Result<Frozen, Error>;
    /// A norm or a bias.
    fn vector(&mut self, name: &str, len: usize) -> Result<Vec<f32>, Error>;
}

/// Put a model together, tensor by tensor in the order of [`plan`], each brought to its place before the next one is made.
pub(super) fn build<P: Place>(
    config: &ModelConfig,
    source: &mut impl Source,
    place: &mut P,
) -> Result<Weights<P::Matrix, P::Vector>, Error> {
    let (mut matrices, mut vectors) = (BTreeMap::new(), BTreeMap::new());
    for (name, shape) in plan(config) {
        match shape[..] {
            [rows, cols] => {
                let frozen = name != EMBED && name != HEAD;
                let matrix = source.matrix(&name, rows, cols, frozen)?;
                matrices.insert(name, place.matrix(matrix)?);
            }
            _ => {
                let vector = source.vector(&name, shape[0])?;
                vectors.insert(name, place.vector(vector)?);
            }
        }
    }
    // What `plan` lists is there; what it does not list is not.
    let mut matrix = |name: &str| matrices.remove(name);
    let mut vector = |name: &str| vectors.remove(name);
    let embed = matrix(EMBED).expect("a tensor of the plan");
    let layers = (0..config.layers).map(|layer| {
        let mut projection = |name: &str| {
            let name = format!("model.layers.{layer}.{name}");
            let weight = matrix(&format!("{name}.weight")).expect("a tensor of the plan");
            Projection { weight, bias: vector(&format!("{name}.bias")) }
        };
        let [q, k, v, o] = ["q", "k", "v", "o"].map(|name| projection(&format!("self_attn.{name}_proj")));
        let [gate, up, down] = ["gate", "up", "down"].map(|name| projection(&format!("mlp.{name}_proj")));
        let mut norm = |name: &str| vector(&format!("model.layers.{layer}.{name}.weight"));
        Layer {
            input_norm: norm("input_layernorm").expect("a tensor of the plan"),
            q,
            k,
            v,
            o,
            q_norm: norm("self_attn.q_norm"),
            k_norm: norm("self_attn.k_norm"),
            post_norm: norm("post_attention_layernorm").expect("a tensor of the plan"),
            gate,
            up,
            down,
        }
    });
    let layers = layers.collect();
    let norm = vector(NORM).expect("a tensor of the plan");
    Ok(Weights { config: config.clone(), embed, layers, norm, head: matrix(HEAD) })
}
