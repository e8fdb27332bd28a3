//! Where a backbone computes.

pub mod check;
mod device;
mod processor;
mod upload;

pub use device::{Device, MARGIN};
pub use processor::Processor;
pub use upload::{Upload, not_uploaded};

use super::Error;
use crate::backbone::decoder::{Batch, BatchError, Keep, Step};
use crate::backbone::{Adapter, AdapterSpec, ModelConfig};

/// A frozen backbone somewhere, and the memory in which it computes. Adapters and their gradients are on the host.
pub trait Engine {
    /// The backbone's shape.
    fn config(&self) -> &ModelConfig;

    /// Whether `batch` can go through the backbone.
    ///
    /// # Errors
    /// As [`Transformer::check`](crate::backbone::decoder::Transformer::check).
    fn check(&self, batch: &Batch) -> Result<(), BatchError>;

    /// What a training step on `batch` can keep in the memory that there is; `None` if it cannot even keep the inputs of layers. Gives back
    /// what the step does not need.
    ///
    /// # Errors
    /// If the device fails.
    fn keep(&mut self, batch: &Batch, adapter: &AdapterSpec) -> Result<Option<Keep>, Error>;

    /// Scores of the tokens `letters` after each prompt. `# Shapes: gives (wanted, letters)`
    ///
    /// # Errors
    /// If the device fails, or has not enough memory.
    fn scores(
        &mut self,
        batch: &Batch,
        letters: &[u32],
        adapter: Option<&Adapter>,
    ) -> Result<Vec<f32>, Error>;

    /// As [`Transformer::loss_and_gradients`](crate::backbone::decoder::Transformer::loss_and_gradients). Where it fails, nothing was added.
    ///
    /// # Errors
    /// As [`Engine::scores`].
    fn learn(
        &mut self,
        batch: &Batch,
        labels: &[u32],
        adapter: &Adapter,
        step: Step,
        gradient: &mut [f32],
    ) -> Result<f64, Error>;

    /// Multiplications and additions a second at which its device multiplies matrices, if that was measured.
    fn matrix_rate(&self) -> Option<f64> {
        None
    }

    /// Bytes in use and all bytes of its device's memory, if it is on one.
    fn memory(&self) -> Option<(u64, u64)> {
        None
    }

    /// Give back the memory of earlier batches.
    fn forget(&mut self);
}
