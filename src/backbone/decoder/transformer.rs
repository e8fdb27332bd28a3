//! A frozen model in any memory, with adapters that learn.

use super::batch::Batch;
use super::forward::Pass;
use super::view;
use super::workspace::{Keep, Workspace};
use super::{BatchError, Step, check};
use crate::backbone::adapter::AdapterView;
use crate::backbone::{ModelConfig, Weights};
use crate::nn::ops::decoder::DecoderOps;

/// A model whose weights are frozen and lie in the memory of some operations.
///
/// All that it computes fails if there is not enough memory or the device fails, and panics if the batch does not pass
/// [`Transformer::check`], or the adapter is another model's.
pub struct Transformer<O: DecoderOps> {
    weights: Weights<O::Frozen, O::Vector>,
}

#[allow(clippy::missing_errors_doc, clippy::missing_panics_doc, reason = "all fail for the reasons above")]
impl<O: DecoderOps> Transformer<O> {
    /// A model of these weights.
    #[must_use]
    pub const fn new(weights: Weights<O::Frozen, O::Vector>) -> Self {
        Self { weights }
    }

    /// The model's shape.
    #[must_use]
    pub const fn config(&self) -> &ModelConfig {
        &self.weights.config
    }

    /// The weights.
    #[must_use]
    pub const fn weights(&self) -> &Weights<O::Frozen, O::Vector> {
        &self.weights
    }

    /// Whether `batch` can go through this model.
    ///
    /// # Errors
    /// When a token is unknown, a prompt is empty, or one is longer than the model can take.
    pub fn check(&self, batch: &Batch) -> Result<(), BatchError> {
        check(self.config(), batch)
    }

    /// Hidden states of the wanted rows after the last norm, left in the workspace. `# Shapes: (wanted, d)`
    pub fn hidden<'a, 'w>(
        &'a self,
        batch: &Batch,
        adapter: Option<AdapterView<'a, O>>,
        workspace: &'w mut Workspace<O>,
    ) -> Result<&'w O::Floats, O::Error> {
        let view = view::frozen(&self.weights, adapter, None);
        Pass::new(&view, batch).forward(Keep::Nothing, workspace)?;
        Ok(&workspace.hidden)
    }

    /// Scores of the tokens `ids` for each wanted row: only their rows of the output layer are read, always in f32.
    ///
    /// `# Shapes: gives (wanted, ids)`
    pub fn letter_scores<'a>(
        &'a self,
        batch: &Batch,
        ids: &[u32],
        adapter: Option<AdapterView<'a, O>>,
        workspace: &mut Workspace<O>,
    ) -> Result<Vec<f32>, O::Error> {
        self.hidden(batch, adapter, workspace)?;
        workspace.ops.scores(O::matrix(self.weights.output()), &workspace.hidden, ids)
    }

    /// The sum over the wanted rows of the cross-entropy of their labels, divided by `step.labels`; its gradient is added to
    /// `gradients`, laid out as the adapter's weights. Micro-batches of a step add up.
    ///
    /// `# Shapes: labels (wanted)`
    pub fn loss_and_gradients<'a>(
        &'a self,
        batch: &Batch,
        labels: &[u32],
        adapter: AdapterView<'a, O>,
        step: Step,
        gradients: &mut O::Gradients,
        workspace: &mut Workspace<O>,
    ) -> Result<f64, O::Error> {
        assert_eq!(labels.len(), batch.wanted().len(), "labels of the wanted rows");
        let view = view::frozen(&self.weights, Some(adapter), step.dropout);
        let pass = Pass::new(&view, batch);
        pass.forward(step.keep, workspace)?;
        let loss = self.output(labels, 1.0 / step.labels as f64, workspace)?;
        pass.backward(step.keep, workspace, gradients)?;
        Ok(loss)
    }

    /// The loss of [`Transformer::loss_and_gradients`] alone, nothing dropped.
    pub fn loss<'a>(
        &'a self,
        batch: &Batch,
        labels: &[u32],
        adapter: Option<AdapterView<'a, O>>,
        workspace: &mut Workspace<O>,
    ) -> Result<f64, O::Error> {
        assert_eq!(labels.len(), batch.wanted().len(), "labels of the wanted rows");
        self.hidden(batch, adapter, workspace)?;
        self.output(labels, 1.0 / labels.len() as f64, workspace)
    }

    /// From the hidden states to the loss, and back to their gradient.
    fn output(&self, labels: &[u32], share: f64, workspace: &mut Workspace<O>) -> Result<f64, O::Error> {
        let Workspace { ops, hidden, d_hidden, .. } = workspace;
        ops.loss(O::matrix(self.weights.output()), hidden, labels, share, d_hidden)
    }
}
