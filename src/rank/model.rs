//! What a ranker asks of a model.

use super::Error;
use super::engine::{Engine, Processor};
use crate::backbone::decoder::{Masks, Step, Work};
use crate::backbone::{Adapter, AdapterSpec, Batch, Decoder, Keep};
use crate::cuda;
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

    /// Multiplications and additions that its passes could not do without so far, and the rate at which its device multiplies matrices
    /// (1/s), if that was measured.
    fn effort(&self) -> Option<(f64, f64)> {
        None
    }

    /// Bytes in use and all bytes of the memory of its own in which it computes, if it has one.
    fn memory(&self) -> Option<(u64, u64)> {
        None
    }
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
pub const TAUGHT: usize = 2;
/// A frozen backbone, with an adapter or without.
///
/// Where a device has not enough memory for a batch, it goes through the backbone in halves, and so do later ones of its size: the results
/// are those of the whole, up to the order of sums.
pub struct Backbone<'a> {
    engine: Box<dyn Engine + 'a>,
    adapter: Option<Adapter>,
    checkpointing: Checkpointing,
    /// Rows from which on there was not enough memory.
    too_many: usize,
    /// What passes could not do without so far.
    operations: f64,
}

impl<'a> Backbone<'a> {
    /// The backbone as it is, on the processor.
    #[must_use]
    pub fn frozen(decoder: &'a Decoder) -> Self {
        Self::on(Box::new(Processor::new(decoder)))
    }

    /// The backbone as it is, on whatever computes it.
    #[must_use]
    pub fn on(engine: Box<dyn Engine + 'a>) -> Self {
        Self {
            engine,
            adapter: None,
            checkpointing: Checkpointing::Auto,
            too_many: usize::MAX,
            operations: 0.0,
        }
    }

    /// The backbone with a new adapter, which changes nothing before it is trained, on the processor.
    #[must_use]
    pub fn adapted(decoder: &'a Decoder, spec: &RankerSpec, seed: Seed) -> Self {
        Self::frozen(decoder).with_adapter(spec, seed)
    }

    /// With a new adapter, which changes nothing before it is trained.
    #[must_use]
    pub fn with_adapter(self, spec: &RankerSpec, seed: Seed) -> Self {
        let lora = AdapterSpec {
            r: spec.lora_r as usize,
            alpha: spec.lora_alpha,
            dropout: spec.lora_dropout,
            targets: spec.lora_targets.clone(),
        };
        let adapter = Some(Adapter::new(self.engine.config(), &lora, seed));
        Self { adapter, checkpointing: spec.gradient_checkpointing, ..self }
    }

    /// The adapter.
    #[must_use]
    pub fn adapter(&self) -> Option<&Adapter> {
        self.adapter.as_ref()
    }

    /// Whether so many rows are known to be too many.
    const fn is_too_large(&self, prompts: usize, rows: usize) -> bool {
        prompts > 1 && rows >= self.too_many
    }

    /// There is not enough memory for so many rows.
    fn shrink(&mut self, rows: usize) {
        self.too_many = rows;
        self.engine.forget();
    }
}

/// Whether it may go with fewer prompts.
fn is_memory(error: &Error) -> bool {
    matches!(error, Error::Device(cuda::Error::Memory { .. }))
}

/// What `compute` gives; where memory is not enough, once more without what is left of earlier batches.
fn again<T>(
    engine: &mut dyn Engine,
    compute: &mut dyn FnMut(&mut dyn Engine) -> Result<T, Error>,
) -> Result<T, Error> {
    match compute(engine) {
        Err(error) if is_memory(&error) => {
            engine.forget();
            compute(engine)
        }
        other => other,
    }
}

impl Model for Backbone<'_> {
    fn scores(&mut self, prompts: &[&[u32]], letters: &[u32]) -> Result<Vec<f32>, Error> {
        let batch = Batch::new(prompts, 1);
        self.engine.check(&batch)?;
        if !self.is_too_large(prompts.len(), batch.rows()) {
            let adapter = self.adapter.as_ref();
            match again(&mut *self.engine, &mut |engine| engine.scores(&batch, letters, adapter)) {
                Err(error) if is_memory(&error) && prompts.len() > 1 => self.shrink(batch.rows()),
                scores => {
                    let work = Work::of(self.engine.config(), &batch).scores();
                    return scores.inspect(|_| self.operations += work);
                }
            }
        }
        let (first, second) = prompts.split_at(prompts.len() / 2);
        let mut scores = self.scores(first, letters)?;
        scores.extend(self.scores(second, letters)?);
        Ok(scores)
    }

    fn effort(&self) -> Option<(f64, f64)> {
        Some((self.operations, self.engine.matrix_rate()?))
    }

    fn memory(&self) -> Option<(u64, u64)> {
        self.engine.memory()
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
        self.learn_part((0, 0), prompts, labels, key, gradient)
    }
}

impl Backbone<'_> {
    /// As [`Tunable::learn`], of prompts that are part of a batch, with so many rows and wanted rows before them.
    fn learn_part(
        &mut self,
        before: (usize, usize),
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
        let dropout = (adapter.spec().dropout > 0.0).then_some(Masks { key, before });
        let batch =
            if dropout.is_some() { Batch::apart(&inputs, TAUGHT) } else { Batch::new(&inputs, TAUGHT) };
        self.engine.check(&batch)?;
        let rows = batch.rows();
        if !self.is_too_large(prompts.len(), rows) {
            let most = self.engine.keep(&batch, adapter.spec())?;
            let keep = match self.checkpointing {
                Checkpointing::Never => Some(Keep::Everything),
                Checkpointing::Always => Some(Keep::Inputs),
                Checkpointing::Auto => most,
            };
            // One prompt is tried: what is said then has numbers.
            if keep.is_some() || prompts.len() == 1 {
                let keep = keep.unwrap_or(Keep::Inputs);
                let step = Step { dropout, labels, keep };
                let mut learn =
                    |engine: &mut dyn Engine| engine.learn(&batch, &taught, adapter, step, gradient);
                match again(&mut *self.engine, &mut learn) {
                    Err(error) if is_memory(&error) && prompts.len() > 1 => self.shrink(rows),
                    loss => {
                        let work = Work::of(self.engine.config(), &batch).step(batch.wanted().len());
                        return loss.inspect(|_| self.operations += work);
                    }
                }
            } else {
                self.shrink(rows);
            }
        }
        let (first, second) = prompts.split_at(prompts.len() / 2);
        let rows: usize = first.iter().map(|prompt| prompt.len() - 1).sum();
        let behind = (before.0 + rows, before.1 + TAUGHT * first.len());
        let loss = self.learn_part(before, first, labels, key, gradient)?;
        Ok(loss + self.learn_part(behind, second, labels, key, gradient)?)
    }
}
