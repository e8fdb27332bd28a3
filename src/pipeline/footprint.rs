//! What a ranker takes of a device's memory.

use super::Located;
use super::backbone::storage;
use crate::backbone::decoder::{self, Keep, most_kept};
use crate::backbone::{ModelConfig, weights};
use crate::experiment::{BackboneSpec, Checkpointing, ComputeType, DeviceWeights, Experiment, RankerSpec};
use crate::nn::quant::Storage;
use crate::rank::engine::{MARGIN, Processor};

/// Tokens of a training prompt that are taught.
const TAUGHT: usize = 2;
/// What the program holds beside a backbone and its work: its own pages, data and prompts.
const PROGRAM: u64 = 96 << 20;

/// The largest batches: rows, and prompts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Largest {
    /// In training.
    pub taught: (usize, usize),
    /// Where prompts are scored.
    pub asked: (usize, usize),
}

/// The ranker of an experiment, as far as memory goes.
pub struct Footprint<'a> {
    config: &'a ModelConfig,
    spec: &'a RankerSpec,
    backbone: &'a BackboneSpec,
    /// Whether embedding and output layer are f32.
    has_wide_tables: bool,
}

impl<'a> Footprint<'a> {
    /// `None` of an experiment without a ranker.
    #[must_use]
    pub fn of(experiment: &'a Experiment, located: &'a Located) -> Option<Self> {
        Some(Self {
            config: &located.config,
            spec: experiment.ranker.as_ref()?,
            backbone: experiment.backbone.as_ref()?,
            has_wide_tables: located.has_wide_tables(),
        })
    }

    /// Bytes of the weights as they are stored.
    #[must_use]
    pub fn stored(&self) -> u64 {
        weights::expected_bytes(self.config, storage(self.backbone), self.has_wide_tables)
    }

    /// Bytes of the weights where quantized layers become bf16, if the settings ask for that.
    fn dense(&self) -> Option<u64> {
        let asked = self.spec.device_weights == DeviceWeights::Bf16;
        let quantized = matches!(storage(self.backbone), Storage::Nf4 { .. } | Storage::Int8);
        let is_asked = asked && quantized && self.backbone.compute_type == ComputeType::Bf16;
        is_asked.then(|| weights::expected_bytes(self.config, Storage::Bf16, self.has_wide_tables))
    }

    /// Bytes that are needed at least: the weights as they are stored, and one prompt of the greatest length with the inputs of layers kept.
    #[must_use]
    pub fn least(&self) -> u64 {
        self.stored() + self.least_work() + MARGIN
    }

    /// Whether quantized layers are to become bf16 where so many bytes are free.
    #[must_use]
    pub fn is_dense(&self, free: u64) -> bool {
        self.dense().is_some_and(|dense| dense + self.least_work() + MARGIN <= free)
    }

    /// The largest batches if all prompts have `tokens` tokens.
    #[must_use]
    pub fn largest(&self, tokens: usize) -> Largest {
        let (most, tokens) = (self.spec.micro_batch_tokens as usize, tokens.max(1));
        let fitting = (most / tokens).max(1);
        let taught = fitting.min(self.spec.batch_size as usize);
        Largest { taught: (taught * tokens, taught), asked: (fitting * tokens, fitting) }
    }

    /// Bytes that will be in use at most where `free` are free, if batches are no larger.
    #[must_use]
    pub fn expected(&self, Largest { taught, asked }: Largest, free: u64) -> u64 {
        let weights = self.dense().filter(|_| self.is_dense(free)).unwrap_or_else(|| self.stored());
        let scoring = self.work(asked, None);
        let training = if self.spec.tune {
            let (rows, wanted) = (taught.0, TAUGHT * taught.1);
            let most = free.saturating_sub(weights + MARGIN);
            let kept = match self.spec.gradient_checkpointing {
                Checkpointing::Never => Some(Keep::Everything),
                Checkpointing::Always => Some(Keep::Inputs),
                Checkpointing::Auto => {
                    most_kept(self.config, (rows, wanted), self.low(), self.activation(), most)
                }
            };
            // What does not fit goes in halves.
            kept.map_or(most, |keep| self.work((rows, wanted), Some(keep)))
        } else {
            0
        };
        weights + scoring.max(training)
    }

    /// Bytes that the program will hold at most where it computes on the processor, if batches are no larger.
    #[must_use]
    pub fn on_processor(&self, Largest { taught, asked }: Largest) -> u64 {
        let scoring = decoder::expected_bytes(self.config, asked.0, asked.1, None);
        let training = if self.spec.tune {
            let (rows, wanted) = (taught.0, TAUGHT * taught.1);
            let keep = match self.spec.gradient_checkpointing {
                Checkpointing::Never => Keep::Everything,
                Checkpointing::Always => Keep::Inputs,
                Checkpointing::Auto => Processor::keep(self.config, rows, wanted),
            };
            decoder::expected_bytes(self.config, rows, wanted, Some(keep))
        } else {
            0
        };
        self.stored() + scoring.max(training) as u64 + PROGRAM
    }

    fn least_work(&self) -> u64 {
        let keep = self.spec.tune.then_some(Keep::Inputs);
        self.work((self.spec.max_prompt_tokens as usize, TAUGHT), keep)
    }

    fn work(&self, sizes: (usize, usize), keep: Option<Keep>) -> u64 {
        let keep = keep.map(|keep| (keep, self.low()));
        decoder::device_bytes(self.config, sizes, keep, self.activation())
    }

    /// The ranks of all adapters of a layer together.
    const fn low(&self) -> usize {
        self.spec.lora_r as usize * self.spec.lora_targets.len()
    }

    const fn activation(&self) -> usize {
        match self.backbone.compute_type {
            ComputeType::Bf16 => 2,
            ComputeType::F32 => 4,
        }
    }
}
