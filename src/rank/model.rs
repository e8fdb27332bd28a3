//! What a ranker asks of a model.

use super::Error;
use crate::backbone::decoder::{Step, expected_bytes};
use crate::backbone::{Adapter, AdapterSpec, Batch, Decoder, Keep, Workspace};
use crate::experiment::{Checkpointing, RankerSpec};
use crate::seed::Seed;

/// Scores the letters that may follow a prompt.
pub trait Model {
    /// The logit of each token of `letters` after each prompt. What comes out for a prompt does not depend on the others.
    ///
    /// `# Shapes: gives (prompts, letters)`
    ///
    /// # Errors
    /// If a prompt cannot go through the model.
    fn scores(&mut self, prompts: &[&[u32]], letters: &[u32]) -> Result<Vec<f32>, Error>;
}

/// A model that can be taught the last two tokens of prompts: a letter and the end.
pub trait Tunable: Model {
    /// The weights that training changes.
    fn weights(&mut self) -> &mut [f32];

    /// The cross-entropy of the last two tokens of each prompt, summed and divided by `labels`; its gradient is added to
    /// `gradient`, which is laid out as the weights. `key` numbers the masks of dropout.
    ///
    /// # Errors
    /// If a prompt cannot go through the model.
    fn learn(
        &mut self,
        prompts: &[&[u32]],
        labels: usize,
        key: u64,
        gradient: &mut [f32],
    ) -> Result<f64, Error>;
}

/// Tokens of a training prompt that are taught: the letter and the end.
pub(super) const TAUGHT: usize = 2;
/// Memory of activations from which on they are computed again, where that is left to the program.
const MOST_ACTIVATIONS: usize = 2 << 30;

/// A frozen backbone, with an adapter or without.
pub struct Backbone<'a> {
    decoder: &'a Decoder,
    adapter: Option<Adapter>,
    workspace: Workspace,
    checkpointing: Checkpointing,
}

impl<'a> Backbone<'a> {
    /// The backbone as it is.
    #[must_use]
    pub fn frozen(decoder: &'a Decoder) -> Self {
        Self { decoder, adapter: None, workspace: Workspace::default(), checkpointing: Checkpointing::Auto }
    }

    /// The backbone with a new adapter, which changes nothing before it is trained.
    #[must_use]
    pub fn adapted(decoder: &'a Decoder, spec: &RankerSpec, seed: Seed) -> Self {
        let lora = AdapterSpec {
            r: spec.lora_r as usize,
            alpha: spec.lora_alpha,
            dropout: spec.lora_dropout,
            targets: spec.lora_targets.clone(),
        };
        let adapter = Some(Adapter::new(decoder.config(), &lora, seed));
        Self { adapter, checkpointing: spec.gradient_checkpointing, ..Self::frozen(decoder) }
    }

    /// The adapter.
    #[must_use]
    pub fn adapter(&self) -> Option<&Adapter> {
        self.adapter.as_ref()
    }
}

impl Model for Backbone<'_> {
    fn scores(&mut self, prompts: &[&[u32]], letters: &[u32]) -> Result<Vec<f32>, Error> {
        let batch = Batch::new(prompts, 1);
        self.decoder.check(&batch)?;
        Ok(self.decoder.letter_scores(&batch, letters, self.adapter.as_ref(), &mut self.workspace))
    }
}

impl Tunable for Backbone<'_> {
    fn weights(&mut self) -> &mut [f32] {
        self.adapter.as_mut().map_or(&mut [], |adapter| &mut adapter.weights)
    }

    fn learn(
        &mut self,
        prompts: &[&[u32]],
        labels: usize,
        key: u64,
        gradient: &mut [f32],
    ) -> Result<f64, Error> {
        let Some(adapter) = &self.adapter else { return Ok(0.0) };
        // The last token is only a label.
        let inputs: Vec<&[u32]> = prompts.iter().map(|prompt| &prompt[..prompt.len() - 1]).collect();
        let taught: Vec<u32> =
            prompts.iter().flat_map(|prompt| &prompt[prompt.len() - TAUGHT..]).copied().collect();
        // A shared beginning would share its masks; the reference drops in each prompt by itself.
        let dropout = (adapter.spec().dropout > 0.0).then_some(key);
        let batch =
            if dropout.is_some() { Batch::apart(&inputs, TAUGHT) } else { Batch::new(&inputs, TAUGHT) };
        self.decoder.check(&batch)?;
        let everything = |rows, wanted| {
            expected_bytes(self.decoder.config(), rows, wanted, Some(Keep::Everything)) <= MOST_ACTIVATIONS
        };
        let keep = match self.checkpointing {
            Checkpointing::Never => Keep::Everything,
            Checkpointing::Auto if everything(batch.rows(), batch.wanted().len()) => Keep::Everything,
            Checkpointing::Always | Checkpointing::Auto => Keep::Inputs,
        };
        let step = Step { dropout, labels, keep };
        Ok(self.decoder.loss_and_gradients(&batch, &taught, adapter, step, gradient, &mut self.workspace))
    }
}
