//! A backbone on the processor.

use super::{Engine, Error};
use crate::backbone::decoder::{Batch, BatchError, Decoder, Keep, Step, Workspace, expected_bytes};
use crate::backbone::{Adapter, AdapterSpec, ModelConfig};

/// Memory of activations from which on they are computed again, where that is left to the program.
const MOST_ACTIVATIONS: usize = 2 << 30;

/// A backbone in this machine's memory.
pub struct Processor<'a> {
    decoder: &'a Decoder,
    workspace: Workspace,
}

impl Processor<'_> {
    /// What a training step of so many rows keeps, where that is left to the program.
    #[must_use]
    pub fn keep(config: &ModelConfig, rows: usize, wanted: usize) -> Keep {
        let everything = expected_bytes(config, rows, wanted, Some(Keep::Everything));
        if everything > MOST_ACTIVATIONS { Keep::Inputs } else { Keep::Everything }
    }
}

impl<'a> Processor<'a> {
    /// One that has computed nothing yet.
    #[must_use]
    pub fn new(decoder: &'a Decoder) -> Self {
        Self { decoder, workspace: Workspace::default() }
    }
}

impl Engine for Processor<'_> {
    fn config(&self) -> &ModelConfig {
        self.decoder.config()
    }

    fn check(&self, batch: &Batch) -> Result<(), BatchError> {
        self.decoder.check(batch)
    }

    fn keep(&mut self, batch: &Batch, _: &AdapterSpec) -> Result<Option<Keep>, Error> {
        Ok(Some(Self::keep(self.config(), batch.rows(), batch.wanted().len())))
    }

    fn scores(
        &mut self,
        batch: &Batch,
        letters: &[u32],
        adapter: Option<&Adapter>,
    ) -> Result<Vec<f32>, Error> {
        Ok(self.decoder.letter_scores(batch, letters, adapter, &mut self.workspace))
    }

    fn learn(
        &mut self,
        batch: &Batch,
        labels: &[u32],
        adapter: &Adapter,
        step: Step,
        gradient: &mut [f32],
    ) -> Result<f64, Error> {
        Ok(self.decoder.loss_and_gradients(batch, labels, adapter, step, gradient, &mut self.workspace))
    }

    fn forget(&mut self) {
        self.workspace = Workspace::default();
    }
}
