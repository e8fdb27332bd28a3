//! Weights on their way to a device.

use std::sync::Arc;

use crate::backbone::weights::Place;
use crate::backbone::{self, Error};
use crate::cuda::{self, Array, Frozen, Kernels, Machine};
use crate::nn::quant;

/// The memory of a device.
pub struct Upload<'a> {
    machine: &'a Arc<dyn Machine>,
    /// What makes them dense there, where they are to be.
    dense: Option<Kernels>,
    bytes: u64,
    held: u64,
}

impl Place for Upload<'_> {
    type Matrix = Frozen;
    type Vector = Array<f32>;

    fn matrix(&mut self, matrix: quant::Frozen) -> Result<Frozen, Error> {
        let placed = Frozen::upload(self.machine, &matrix).and_then(|placed| match &self.dense {
            Some(kernels) => placed.into_bf16(kernels),
            None => Ok(placed),
        });
        let placed = placed.map_err(not_placed)?;
        self.bytes += matrix.bytes() as u64;
        self.held += placed.bytes() as u64;
        Ok(placed)
    }

    fn vector(&mut self, vector: Vec<f32>) -> Result<Array<f32>, Error> {
        self.bytes += 4 * vector.len() as u64;
        self.held += 4 * vector.len() as u64;
        Array::of(self.machine, &vector).map_err(not_placed)
    }
}

/// The failure of a device, if that is why weights could not be brought to it.
///
/// # Errors
/// The error, if it is another one.
pub fn not_uploaded(error: Error) -> Result<cuda::Error, Error> {
    match error {
        Error::Place(source) => source.downcast_ref::<cuda::Error>().cloned().ok_or(Error::Place(source)),
        other => Err(other),
    }
}

fn not_placed(error: cuda::Error) -> Error {
    backbone::Error::Place(Arc::new(error))
}

impl<'a> Upload<'a> {
    /// Nothing is there yet; what comes stays as it is stored.
    #[must_use]
    pub const fn new(machine: &'a Arc<dyn Machine>) -> Self {
        Self { machine, dense: None, bytes: 0, held: 0 }
    }

    /// What is quantized becomes bf16 there: the numbers that products with bf16 activations would get from it each time.
    #[must_use]
    pub fn dense(self) -> Self {
        Self { dense: Some(Kernels::new(Arc::clone(self.machine))), ..self }
    }

    /// Bytes that came, as they are stored.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes that they take there.
    #[must_use]
    pub const fn held(&self) -> u64 {
        self.held
    }
}
