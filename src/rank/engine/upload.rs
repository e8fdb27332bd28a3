//! Weights on their way to a device.

use std::sync::Arc;

use crate::backbone::weights::Place;
use crate::backbone::{self, Layer, Projection, Weights};
use crate::cuda::{self, Array, Frozen, Machine};
use crate::nn::quant;

/// The memory of a device.
pub struct Upload<'a>(pub &'a Arc<dyn Machine>);

impl Place for Upload<'_> {
    type Matrix = Frozen;
    type Vector = Array<f32>;

    fn matrix(&mut self, matrix: quant::Frozen) -> Result<Frozen, backbone::Error> {
        Frozen::upload(self.0, &matrix).map_err(|error| backbone::Error::Place(Arc::new(error)))
    }

    fn vector(&mut self, vector: Vec<f32>) -> Result<Array<f32>, backbone::Error> {
        Array::of(self.0, &vector).map_err(|error| backbone::Error::Place(Arc::new(error)))
    }
}

impl Upload<'_> {
    /// Bring a whole model there.
    ///
    /// # Errors
    /// If there is not so much memory, or the device fails.
    pub fn all(&self, weights: Weights) -> Result<Weights<Frozen, Array<f32>>, cuda::Error> {
        let matrix = |matrix: &quant::Frozen| Frozen::upload(self.0, matrix);
        let vector = |vector: &Vec<f32>| Array::of(self.0, vector);
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
