//! The weights of a model of the Llama family.

use super::ModelConfig;
use crate::nn::quant::Frozen;

/// A linear layer: `y = x W^T + b`.
#[derive(Debug, Clone)]
pub struct Projection {
    /// `W` (outputs, inputs).
    pub weight: Frozen,
    /// `b` (outputs), where the model has one.
    pub bias: Option<Vec<f32>>,
}

/// The weights of one decoder layer. Norms are (d), those of queries and keys (head_dim).
#[derive(Debug, Clone)]
pub struct Layer {
    /// RMSNorm before attention.
    pub input_norm: Vec<f32>,
    /// Queries: (heads * head_dim, d).
    pub q: Projection,
    /// Keys: (kv_heads * head_dim, d).
    pub k: Projection,
    /// Values: (kv_heads * head_dim, d).
    pub v: Projection,
    /// Output of attention: (d, heads * head_dim).
    pub o: Projection,
    /// RMSNorm of each head of the queries (Qwen 3).
    pub q_norm: Option<Vec<f32>>,
    /// RMSNorm of each head of the keys (Qwen 3).
    pub k_norm: Option<Vec<f32>>,
    /// RMSNorm before the feed-forward part.
    pub post_norm: Vec<f32>,
    /// Gate of the feed-forward part: (intermediate, d).
    pub gate: Projection,
    /// Input of the feed-forward part: (intermediate, d).
    pub up: Projection,
    /// Output of the feed-forward part: (d, intermediate).
    pub down: Projection,
}

/// All weights of a model.
#[derive(Debug, Clone)]
pub struct Weights {
    /// Its shape.
    pub config: ModelConfig,
    /// Embedding of the tokens: (v, d); never quantized.
    pub embed: Frozen,
    /// The layers, first to last.
    pub layers: Vec<Layer>,
    /// The last RMSNorm: (d).
    pub norm: Vec<f32>,
    /// The output layer (v, d), never quantized; none where it is the embedding.
    pub head: Option<Frozen>,
}

impl Weights {
    /// The output layer (v, d), which may be the embedding.
    #[must_use]
    pub fn output(&self) -> &Frozen {
        self.head.as_ref().unwrap_or(&self.embed)
    }
}
