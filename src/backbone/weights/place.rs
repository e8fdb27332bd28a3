//! Where the tensors of a model go.

use crate::backbone::Error;
use crate::nn::quant::Frozen;

/// Brings tensors to where they are computed with, one after the other: only one is on its way at a time.
pub trait Place {
    /// A matrix that is there.
    type Matrix;
    /// A norm or a bias that is there.
    type Vector;

    /// Bring a matrix there.
    ///
    /// # Errors
    /// [`Error::Place`].
    fn matrix(&mut self, matrix: Frozen) -> Result<Self::Matrix, Error>;

    /// Bring a norm or a bias there.
    ///
    /// # Errors
    /// [`Error::Place`].
    fn vector(&mut self, vector: Vec<f32>) -> Result<Self::Vector, Error>;
}

/// This machine's memory, where they are already.
#[derive(Debug, Clone, Copy, Default)]
pub struct Here;

impl Place for Here {
    type Matrix = Frozen;
    type Vector = Vec<f32>;

    fn matrix(&mut self, matrix: Frozen) -> Result<Frozen, Error> {
        Ok(matrix)
    }

    fn vector(&mut self, vector: Vec<f32>) -> Result<Vec<f32>, Error> {
        Ok(vector)
    }
}
