//! A backbone on a device.

use std::sync::Arc;

use super::{Engine, Error};
use crate::backbone::decoder::{
    Batch, BatchError, Keep, Step, Transformer, Workspace, device_bytes, most_kept,
};
use crate::backbone::{Adapter, AdapterSpec, ModelConfig};
use crate::cuda::{Array, DecoderOps, Machine, Numbers};

/// Memory that is left to others and to what is not counted: small arrays, and what the driver needs.
pub const MARGIN: u64 = 256 << 20;

/// A backbone in a device's memory, with activations of `E`.
pub struct Device<'a, E: Numbers> {
    model: &'a Transformer<DecoderOps<E>>,
    machine: Arc<dyn Machine>,
    workspace: Workspace<DecoderOps<E>>,
    weights: Array<f32>,
    gradients: Array<f32>,
    rate: Option<f64>,
}

impl<'a, E: Numbers> Device<'a, E> {
    /// One that has computed nothing yet, on the machine that the model is on.
    #[must_use]
    pub fn new(model: &'a Transformer<DecoderOps<E>>, machine: &Arc<dyn Machine>) -> Self {
        Self {
            model,
            machine: Arc::clone(machine),
            workspace: Workspace::new(DecoderOps::new(machine)),
            weights: Array::new(machine),
            gradients: Array::new(machine),
            rate: None,
        }
    }

    /// The same, on a device that multiplies matrices with so many multiplications and additions a second.
    #[must_use]
    pub fn with_matrix_rate(self, rate: Option<f64>) -> Self {
        Self { rate, ..self }
    }
}

impl<E: Numbers> Engine for Device<'_, E> {
    fn config(&self) -> &ModelConfig {
        self.model.config()
    }

    fn check(&self, batch: &Batch) -> Result<(), BatchError> {
        self.model.check(batch)
    }

    fn keep(&mut self, batch: &Batch, adapter: &AdapterSpec) -> Result<Option<Keep>, Error> {
        let (free, _) = self.machine.memory()?;
        // What earlier batches have used is used again.
        let most = (free + self.workspace.bytes() as u64).saturating_sub(MARGIN);
        // An output layer that is kept as something else is converted as a whole.
        let head = self.model.weights().output();
        let converted = if E::plain(head).is_some() { 0 } else { head.rows() * head.cols() * size_of::<E>() };
        let most = most.saturating_sub(converted as u64);
        let (sizes, low) = ((batch.rows(), batch.wanted().len()), adapter.r * adapter.targets.len());
        let found = most_kept(self.config(), sizes, low, size_of::<E>(), most);
        let kept = (found.unwrap_or(Keep::Inputs), low);
        // What other batches have left has other sizes: it is used again only where there is room for all of this one beside it.
        if device_bytes(self.config(), sizes, Some(kept), size_of::<E>()) + MARGIN > free {
            self.forget();
        }
        Ok(found)
    }

    fn scores(
        &mut self,
        batch: &Batch,
        letters: &[u32],
        adapter: Option<&Adapter>,
    ) -> Result<Vec<f32>, Error> {
        if let Some(adapter) = adapter {
            self.weights.set(&adapter.weights)?;
        }
        let adapter = adapter.map(|adapter| adapter.view(self.weights.all()));
        Ok(self.model.letter_scores(batch, letters, adapter, &mut self.workspace)?)
    }

    fn learn(
        &mut self,
        batch: &Batch,
        labels: &[u32],
        adapter: &Adapter,
        step: Step,
        gradient: &mut [f32],
    ) -> Result<f64, Error> {
        self.weights.set(&adapter.weights)?;
        self.gradients.zeros(adapter.weights.len())?;
        let view = adapter.view(self.weights.all());
        let (gradients, workspace) = (&mut self.gradients, &mut self.workspace);
        let loss = self.model.loss_and_gradients(batch, labels, view, step, gradients, workspace)?;
        for (sum, part) in gradient.iter_mut().zip(self.gradients.get()?) {
            *sum += part;
        }
        Ok(loss)
    }

    fn matrix_rate(&self) -> Option<f64> {
        self.rate
    }

    fn memory(&self) -> Option<(u64, u64)> {
        let (free, total) = self.machine.memory().ok()?;
        Some((total - free.min(total), total))
    }

    fn forget(&mut self) {
        self.workspace = Workspace::new(DecoderOps::new(&self.machine));
    }
}
