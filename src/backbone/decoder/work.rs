//! What passes cannot do without.

use super::Batch;
use crate::backbone::ModelConfig;

/// Multiplications and additions of a forward pass over a batch, as the field counts them: two for each element of a product's sum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Work {
    /// Of products with weights.
    pub products: f64,
    /// Of scores and of sums of values, causal: what is masked is not counted.
    pub attention: f64,
    /// Of the output layer over a vocabulary, for one row.
    head: f64,
}

impl Work {
    /// Of a forward pass. Adapters, norms and gates are left out: they are less than a hundredth.
    #[must_use]
    pub fn of(config: &ModelConfig, batch: &Batch) -> Self {
        let ModelConfig { hidden: d, intermediate: f, layers, heads, kv_heads, head_dim, vocab, .. } =
            *config;
        let (q, kv) = (heads * head_dim, kv_heads * head_dim);
        let (rows, wanted) = (batch.rows() as f64, batch.wanted().len() as f64);
        let (of_all, of_wanted) = ((2 * d * kv) as f64, (2 * d * q + 3 * d * f) as f64);
        let inner = layers.saturating_sub(1) as f64;
        // Of the last layer most is needed for the wanted rows alone.
        let products = 2.0 * (inner * rows * (of_all + of_wanted) + rows * of_all + wanted * of_wanted);
        let attention = inner * 4.0 * batch.pairs() as f64 * q as f64;
        Self { products, attention, head: 2.0 * (vocab * d) as f64 }
    }

    /// Of scores of a few letters.
    #[must_use]
    pub fn scores(&self) -> f64 {
        self.products + self.attention
    }

    /// Of a training step with so many labels and frozen weights: gradients of inputs are products as large as those of the forward pass,
    /// and the backward pass of attention has five where the forward pass has two. What is computed again is not counted.
    #[must_use]
    pub fn step(&self, labels: usize) -> f64 {
        2.0 * self.products + 3.5 * self.attention + 2.0 * self.head * labels as f64
    }
}
