//! What a ranker takes of a device's memory.

use super::Located;
use super::backbone::storage;
use crate::backbone::decoder::{self, Keep, most_kept};
use crate::backbone::{ModelConfig, weights};
use crate::experiment::{BackboneSpec, Checkpointing, ComputeType, DeviceWeights, Experiment, RankerSpec};
use crate::nn::quant::Storage;
use crate::rank::TAUGHT;
use crate::rank::engine::{MARGIN, Processor};

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

    /// What a training batch of so many rows and prompts keeps for its backward pass, on the processor or on a device of which `free` bytes are
    /// free; on one with too little memory that of a part of it.
    #[must_use]
    pub fn keep(&self, (rows, prompts): (usize, usize), free: Option<u64>) -> Keep {
        let sizes = (rows, TAUGHT * prompts);
        match (self.spec.gradient_checkpointing, free) {
            (Checkpointing::Never, _) => Keep::Everything,
            (Checkpointing::Always, _) => Keep::Inputs,
            (Checkpointing::Auto, None) => Processor::keep(self.config, sizes.0, sizes.1),
            (Checkpointing::Auto, Some(free)) => {
                let most = self.for_work(free);
                most_kept(self.config, sizes, self.low(), self.activation(), most).unwrap_or(Keep::Inputs)
            }
        }
    }

    /// Bytes that will be in use at most where `free` are free, if batches are no larger.
    #[must_use]
    pub fn expected(&self, Largest { taught, asked }: Largest, free: u64) -> u64 {
        let scoring = self.work(asked, None);
        let training = if self.spec.tune {
            self.work((taught.0, TAUGHT * taught.1), Some(self.keep(taught, Some(free))))
        } else {
            0
        };
        // What does not fit goes in halves.
        self.weights(free) + scoring.max(training).min(self.for_work(free))
    }

    /// Bytes of the weights where `free` are free.
    fn weights(&self, free: u64) -> u64 {
        self.dense().filter(|_| self.is_dense(free)).unwrap_or_else(|| self.stored())
    }

    /// Bytes that weights leave for batches.
    fn for_work(&self, free: u64) -> u64 {
        free.saturating_sub(self.weights(free) + MARGIN)
    }

    /// Bytes that the program will hold at most where it computes on the processor, if batches are no larger.
    #[must_use]
    pub fn on_processor(&self, Largest { taught, asked }: Largest) -> u64 {
        let scoring = decoder::expected_bytes(self.config, asked.0, asked.1, None);
        let training = if self.spec.tune {
            let keep = Some(self.keep(taught, None));
            decoder::expected_bytes(self.config, taught.0, TAUGHT * taught.1, keep)
        } else {
            0
        };
        self.stored() + scoring.max(training) as u64 + PROGRAM
    }

    /// Bytes that the program will hold at most where it computes on a device: a table of tokens on its way there, as it is read.
    #[must_use]
    pub fn beside_device(&self) -> u64 {
        PROGRAM + 2 * 4 * (self.config.vocab * self.config.hidden) as u64
    }

    fn least_work(&self) -> u64 {
        let keep = self.spec.tune.then_some(Keep::Inputs);
        self.work((self.spec.max_prompt_tokens as usize, TAUGHT), keep)
    }

    fn work(&self, sizes: (usize, usize), keep: Option<Keep>) -> u64 {
        let keep = keep.map(|keep| (keep, self.low()));
        decoder::device_bytes(self.config, sizes, keep, self.activation()) + self.converted()
    }

    /// An f32 output layer is made bf16 as a whole where products are: in place of a matrix of a layer, of which [`decoder::device_bytes`] knows.
    fn converted(&self) -> u64 {
        let ModelConfig { hidden, intermediate, heads, head_dim, vocab, .. } = self.config;
        let largest = hidden * (*intermediate).max(heads * head_dim);
        match self.backbone.compute_type {
            ComputeType::Bf16 if self.has_wide_tables => 2 * (vocab * hidden).saturating_sub(largest) as u64,
            _ => 0,
        }
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
