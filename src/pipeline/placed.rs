//! A backbone where it computes: on the processor, or on a device with activations in f32 or bf16.

use std::sync::Arc;
use std::time::{Duration, Instant};

use half::bf16;

use super::devices::Computing;
use crate::backbone::decoder::{Decoder, Transformer};
use crate::backbone::weights::{Here, Place, load_to};
use crate::backbone::{self, Folder, ModelConfig, Weights};
use crate::cuda::{self, DecoderOps, Numbers};
use crate::events::{Interrupt, Reporter};
use crate::experiment::ComputeType;
use crate::nn::matmul::Precision;
use crate::nn::quant::Storage;
use crate::rank::engine::{Device, Engine, Processor, Upload, not_uploaded};

/// Where weights come from.
#[derive(Clone, Copy)]
pub(super) enum Origin<'a> {
    /// Files.
    Files(&'a Folder),
    /// Drawn for a shape; whether its tables are f32.
    Drawn(&'a ModelConfig, bool),
}

impl Origin<'_> {
    fn to<P: Place>(
        self,
        storage: Storage,
        place: &mut P,
        reporter: &dyn Reporter,
        interrupt: &Interrupt,
    ) -> Result<Weights<P::Matrix, P::Vector>, backbone::Error> {
        match self {
            Self::Files(folder) => load_to(folder, storage, place, reporter, interrupt),
            Self::Drawn(config, wide) => {
                Weights::stand_in_at(place, config, (storage, wide), reporter, interrupt)
            }
        }
    }
}

/// How weights came to where they compute.
#[derive(Clone, Copy)]
pub(super) struct Brought {
    /// What they take as they are stored.
    pub bytes: u64,
    /// What they take there.
    pub held: u64,
    /// How long it took.
    pub elapsed: Duration,
}

/// A backbone in some memory.
pub enum Placed {
    /// In this machine's.
    Processor(Decoder),
    /// In a device's, with activations in f32.
    F32(OnDevice<f32>),
    /// In a device's, with activations in bf16.
    Bf16(OnDevice<bf16>),
}

/// A backbone in a device's memory.
pub struct OnDevice<E: Numbers> {
    model: Transformer<DecoderOps<E>>,
    computing: Computing,
}

impl Placed {
    /// Read or draw weights, straight to where they compute: the processor or a device, on which quantized layers may become bf16.
    pub(super) fn bring(
        origin: Origin<'_>,
        (storage, compute): (Storage, ComputeType),
        device: Option<(Computing, bool)>,
        reporter: &dyn Reporter,
        interrupt: &Interrupt,
    ) -> Result<(Self, Brought), backbone::Error> {
        let began = Instant::now();
        let brought = |bytes, held| Brought { bytes, held, elapsed: began.elapsed() };
        let Some((computing, is_dense)) = device else {
            let weights = origin.to(storage, &mut Here, reporter, interrupt)?;
            let precision = match compute {
                ComputeType::Bf16 => Precision::Bf16,
                ComputeType::F32 => Precision::F32,
            };
            let bytes = weights.bytes() as u64;
            return Ok((Self::Processor(Decoder::new(weights, precision)), brought(bytes, bytes)));
        };
        let bring = |is_dense| {
            let upload = Upload::new(&computing.machine);
            let mut upload = if is_dense { upload.dense() } else { upload };
            let weights = origin.to(storage, &mut upload, reporter, interrupt)?;
            Ok((weights, brought(upload.bytes(), upload.held())))
        };
        let (weights, brought) = match bring(is_dense) {
            // What was free when it was asked for is not any more.
            Err(error) if is_dense => match not_uploaded(error)? {
                cuda::Error::Memory { .. } => bring(false)?,
                other => return Err(backbone::Error::Place(Arc::new(other))),
            },
            found => found?,
        };
        let placed = match compute {
            ComputeType::F32 => Self::F32(OnDevice { model: Transformer::new(weights), computing }),
            ComputeType::Bf16 => Self::Bf16(OnDevice { model: Transformer::new(weights), computing }),
        };
        Ok((placed, brought))
    }

    /// The model's shape.
    #[must_use]
    pub const fn config(&self) -> &ModelConfig {
        match self {
            Self::Processor(decoder) => decoder.config(),
            Self::F32(on) => on.model.config(),
            Self::Bf16(on) => on.model.config(),
        }
    }

    /// Something to compute with it.
    #[must_use]
    pub fn engine(&self) -> Box<dyn Engine + '_> {
        match self {
            Self::Processor(decoder) => Box::new(Processor::new(decoder)),
            Self::F32(on) => Box::new(Device::new(&on.model, &on.computing.machine)),
            // The rate is that of bf16.
            Self::Bf16(on) => {
                let device = Device::new(&on.model, &on.computing.machine);
                Box::new(device.with_matrix_rate(on.computing.matrix_rate))
            }
        }
    }

    /// What it computes on, if that is a device.
    #[must_use]
    pub const fn computing(&self) -> Option<&Computing> {
        match self {
            Self::Processor(_) => None,
            Self::F32(on) => Some(&on.computing),
            Self::Bf16(on) => Some(&on.computing),
        }
    }
}
