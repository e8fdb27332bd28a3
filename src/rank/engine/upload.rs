//! Weights on their way to a device.

use std::sync::Arc;

use crate::backbone::weights::Place;
use crate::backbone::{self, Layer, Projection, Weights};
use crate::cuda::{self, Array, Frozen, Machine};
use crate::nn::quant;

/// The memory of a device.
pub struct Upload<'a> {
    machine: &'a Arc<dyn Machine>,
    bytes: u64,
}

impl Place for Upload<'_> {
    type Matrix = Frozen;
    type Vector = Array<f32>;

    fn matrix(&mut self, matrix: quant::Frozen) -> Result<Frozen, backbone::Error> {
        self.bytes += matrix.bytes() as u64;
        Frozen::upload(self.machine, &matrix).map_err(|error| backbone::Error::Place(Arc::new(error)))
    }

    fn vector(&mut self, vector: Vec<f32>) -> Result<Array<f32>, backbone::Error> {
        self.bytes += 4 * vector.len() as u64;
        Array::of(self.machine, &vector).map_err(|error| backbone::Error::Place(Arc::new(error)))
    }
}

impl<'a> Upload<'a> {
    /// Nothing is there yet.
    #[must_use]
    pub const fn new(machine: &'a Arc<dyn Machine>) -> Self {
        Self { machine, bytes: 0 }
    }

    /// Bytes that were brought there.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bring a whole model there.
    ///
    /// # Errors
    /// If there is not so much memory, or the device fails.
    pub fn all(&self, weights: Weights) -> Result<Weights<Frozen, Array<f32>>, cuda::Error> {
        let matrix = |matrix: &quant::Frozen| Frozen::upload(self.machine, matrix);
        let vector = |vector: &Vec<f32>| Array::of(self.machine, vector);
        let projection = |projection: &Projection| {
            let bias = projection.bias.as_ref().map(vector).transpose()?;
            Ok::<_, cuda::Error>(Projection { weight: matrix(&projection.weight)?, bias })
        };
        let layer = |layer: &Layer| {
            Ok::<_, cuda::Error>(Layer {
                input_norm: vector(&layer.input_norm)?,
                q: projection(&layer.q)?,
                k: projection(&layer.k)?,
                v: projection(&layer.v)?,
                o: projection(&layer.o)?,
                q_norm: layer.q_norm.as_ref().map(vector).transpose()?,
                k_norm: layer.k_norm.as_ref().map(vector).transpose()?,
                post_norm: vector(&layer.post_norm)?,
                gate: projection(&layer.gate)?,
                up: projection(&layer.up)?,
                down: projection(&layer.down)?,
            })
        };
        Ok(Weights {
            embed: matrix(&weights.embed)?,
            layers: weights.layers.iter().map(layer).collect::<Result<_, _>>()?,
            norm: vector(&weights.norm)?,
            head: weights.head.as_ref().map(matrix).transpose()?,
            config: weights.config,
        })
    }
}
