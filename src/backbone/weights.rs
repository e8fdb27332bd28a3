//! The weights of a model of the Llama family: read from safetensors, drawn at random, written.
//!
//! Linear layers are kept in the [`Storage`] that is asked for. Embedding and output layer are never quantized: they stay
//! bf16 where the file has bf16, and are f32 otherwise (and always where the linear layers are). Norms and biases are f32.

mod build;
mod error;
mod header;
mod load;
mod place;
mod random;
mod save;
mod shards;
mod stand_in;

pub use error::WeightsError;
pub use load::{check, has_wide_tables, load, load_to};
pub use place::{Here, Place};
pub use stand_in::STAND_IN_VERSION;

use super::{Error, ModelConfig};
use crate::nn::quant::{Frozen, Storage};

/// A linear layer: `y = x W^T + b`.
#[derive(Debug, Clone)]
pub struct Projection<M = Frozen, V = Vec<f32>> {
    /// `W` (outputs, inputs).
    pub weight: M,
    /// `b` (outputs), where the model has one.
    pub bias: Option<V>,
}

/// The weights of one decoder layer. Norms are (d), those of queries and keys (head_dim).
#[derive(Debug, Clone)]
pub struct Layer<M = Frozen, V = Vec<f32>> {
    /// RMSNorm before attention.
    pub input_norm: V,
    /// Queries: (heads * head_dim, d).
    pub q: Projection<M, V>,
    /// Keys: (kv_heads * head_dim, d).
    pub k: Projection<M, V>,
    /// Values: (kv_heads * head_dim, d).
    pub v: Projection<M, V>,
    /// Output of attention: (d, heads * head_dim).
    pub o: Projection<M, V>,
    /// RMSNorm of each head of the queries (Qwen 3).
    pub q_norm: Option<V>,
    /// RMSNorm of each head of the keys (Qwen 3).
    pub k_norm: Option<V>,
    /// RMSNorm before the feed-forward part.
    pub post_norm: V,
    /// Gate of the feed-forward part: (intermediate, d).
    pub gate: Projection<M, V>,
    /// Input of the feed-forward part: (intermediate, d).
    pub up: Projection<M, V>,
    /// Output of the feed-forward part: (d, intermediate).
    pub down: Projection<M, V>,
}

/// All weights of a model: matrices `M` and vectors `V`, on the CPU or on a device.
#[derive(Debug, Clone)]
pub struct Weights<M = Frozen, V = Vec<f32>> {
    /// Its shape.
    pub config: ModelConfig,
    /// Embedding of the tokens: (v, d); never quantized.
    pub embed: M,
    /// The layers, first to last.
    pub layers: Vec<Layer<M, V>>,
    /// The last RMSNorm: (d).
    pub norm: V,
    /// The output layer (v, d), never quantized; none where it is the embedding.
    pub head: Option<M>,
}

impl Layer {
    /// Its seven linear layers: q, k, v, o, gate, up, down.
    #[must_use]
    pub fn projections(&self) -> [&Projection; 7] {
        [&self.q, &self.k, &self.v, &self.o, &self.gate, &self.up, &self.down]
    }

    fn vectors(&self) -> impl Iterator<Item = &Vec<f32>> {
        let biases = self.projections().map(|projection| projection.bias.as_ref());
        let norms = [self.q_norm.as_ref(), self.k_norm.as_ref()];
        [&self.input_norm, &self.post_norm].into_iter().chain(biases.into_iter().chain(norms).flatten())
    }
}

/// How embedding and output layer are kept beside linear layers in `storage`.
fn of_tables(storage: Storage, has_wide_tables: bool) -> Storage {
    if has_wide_tables || storage == Storage::F32 { Storage::F32 } else { Storage::Bf16 }
}

/// Bytes of a model of this shape whose linear layers are kept in `storage`, and embedding and output layer in f32 if `has_wide_tables`, else in
/// bf16 (in f32 if the linear layers are).
#[must_use]
pub fn expected_bytes(config: &ModelConfig, storage: Storage, has_wide_tables: bool) -> u64 {
    let of = |(name, shape): &(String, Vec<usize>)| {
        let elements = shape.iter().product();
        let stored = match &shape[..] {
            [_, _] if name != build::EMBED && name != build::HEAD => storage,
            [_, _] => of_tables(storage, has_wide_tables),
            _ => Storage::F32,
        };
        stored.bytes(elements) as u64
    };
    build::plan(config).iter().map(of).sum()
}

impl Weights {
    /// How the linear layers are stored.
    #[must_use]
    pub fn storage(&self) -> Storage {
        self.layers.first().map_or(Storage::F32, |layer| layer.q.weight.storage())
    }

    /// Bytes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let layer = |layer: &Layer| {
            let matrices: usize =
                layer.projections().iter().map(|projection| projection.weight.bytes()).sum();
            matrices + layer.vectors().map(|vector| vector.len() * 4).sum::<usize>()
        };
        let ends = self.embed.bytes() + self.head.as_ref().map_or(0, Frozen::bytes) + self.norm.len() * 4;
        ends + self.layers.iter().map(layer).sum::<usize>()
    }
}

impl Weights {
    /// Bring all of it to where it is computed with.
    ///
    /// # Errors
    /// As [`Place::matrix`].
    pub fn to<P: Place>(self, place: &mut P) -> Result<Weights<P::Matrix, P::Vector>, Error> {
        let embed = place.matrix(self.embed)?;
        let layers = self.layers.into_iter().map(|layer| layer.to(place)).collect::<Result<_, _>>()?;
        let norm = place.vector(self.norm)?;
        let head = self.head.map(|head| place.matrix(head)).transpose()?;
        Ok(Weights { config: self.config, embed, layers, norm, head })
    }
}

impl Layer {
    fn to<P: Place>(self, place: &mut P) -> Result<Layer<P::Matrix, P::Vector>, Error> {
        Ok(Layer {
            input_norm: place.vector(self.input_norm)?,
            q: self.q.to(place)?,
            k: self.k.to(place)?,
            v: self.v.to(place)?,
            o: self.o.to(place)?,
            q_norm: self.q_norm.map(|norm| place.vector(norm)).transpose()?,
            k_norm: self.k_norm.map(|norm| place.vector(norm)).transpose()?,
            post_norm: place.vector(self.post_norm)?,
            gate: self.gate.to(place)?,
            up: self.up.to(place)?,
            down: self.down.to(place)?,
        })
    }
}

impl Projection {
    fn to<P: Place>(self, place: &mut P) -> Result<Projection<P::Matrix, P::Vector>, Error> {
        let bias = self.bias.map(|bias| place.vector(bias)).transpose()?;
        Ok(Projection { weight: place.matrix(self.weight)?, bias })
    }
}

impl<M, V> Weights<M, V> {
    /// The output layer (v, d), which may be the embedding.
    #[must_use]
    pub fn output(&self) -> &M {
        self.head.as_ref().unwrap_or(&self.embed)
    }
}
