//! The operations of language models on a device, with activations in f32 or bf16.
//!
//! Sums are f32 in both. A stored weight becomes a dense matrix of the activations' type in scratch memory, and is multiplied from there,
//! unless it lies dense on the device already.

mod numbers;
mod ops;
mod room;

use std::sync::Arc;

pub use numbers::Numbers;
pub use room::Room;

use super::array::Array;
use super::kernels::{AttentionRoom, Kernels, SoftmaxRoom, Spans};
use super::machine::Machine;

/// Kernels with the room that they need between calls.
pub struct DecoderOps<E: Numbers> {
    kernels: Kernels,
    /// A weight matrix.
    dense: Array<E>,
    /// Floats as activations.
    narrow: Array<E>,
    /// Activations as floats.
    wide: [Array<f32>; 2],
    ids: Array<u32>,
    low: Array<f32>,
    partial: Array<f32>,
    attention: AttentionRoom,
    letters: Array<f32>,
    logits: Array<f32>,
    softmax: SoftmaxRoom,
}

impl<E: Numbers> DecoderOps<E> {
    /// On a machine.
    #[must_use]
    pub fn new(machine: &Arc<dyn Machine>) -> Self {
        let floats = || Array::new(machine);
        Self {
            kernels: Kernels::new(Arc::clone(machine)),
            dense: Array::new(machine),
            narrow: Array::new(machine),
            wide: [floats(), floats()],
            ids: Array::new(machine),
            low: floats(),
            partial: floats(),
            attention: AttentionRoom::new(machine),
            letters: floats(),
            logits: floats(),
            softmax: SoftmaxRoom::new(machine),
        }
    }
}

/// The prompts of a batch on a device.
#[derive(Default)]
pub struct Prompts(Option<Spans>);

/// Cosines and sines of a rotary embedding on a device. `# Shapes: (positions, half)`
pub struct Rotations {
    cos: Array<f32>,
    sin: Array<f32>,
    half: usize,
}
