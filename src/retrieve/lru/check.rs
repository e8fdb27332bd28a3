//! Whether a device gives the processor's bits. It is asked once of each, before anything is computed on it.

use std::sync::Arc;

use rand::RngExt;

use super::LruRec;
use super::forward::Masks;
use super::packed::Packed;
use super::train::Trainer;
use crate::cuda::{self, Machine};
use crate::data::ItemId;
use crate::experiment::{DatasetSource, HistoryMask, LruSpec};
use crate::nn::ops::Cpu;
use crate::retrieve::catalogue::Walks;
use crate::retrieve::{Error, Query};
use crate::seed::Seed;

/// With the widths below more than a tile of every kernel and no multiple of one, and enough for the kernel of wide products.
const ITEMS: usize = 300;
const WINDOWS: usize = 40;
const STEPS: usize = 2;

/// Train and retrieve a little on a device and on the processor, with every operation that LRURec has.
///
/// # Errors
/// [`cuda::Error::Differs`] if they differ in one bit; whatever fails on the device.
pub fn check(machine: &Arc<dyn Machine>) -> Result<(), cuda::Error> {
    let device = || machine.name();
    let failed = |error: Error| match error {
        Error::Device(error) => error,
        other => cuda::Error::Device {
            device: device(),
            what: "be held against the processor".to_owned(),
            said: other.to_string(),
        },
    };
    let found = outcome(cuda::Ops::new(machine)).map_err(failed)?;
    let expected = outcome(Cpu::default()).map_err(failed)?;
    let parts = expected.iter().zip(&found);
    match parts.into_iter().find(|(expected, found)| expected != found) {
        None => Ok(()),
        Some(((what, _), _)) => Err(cuda::Error::Differs { device: device(), what }),
    }
}

/// Results by their names, as bits.
type Outcome = Vec<(&'static str, Vec<u32>)>;

fn outcome<O: Walks>(ops: O) -> Result<Outcome, Error>
where
    Error: From<O::Error>,
{
    let mut spec = LruSpec::paper_default(&DatasetSource::Beauty);
    (spec.hidden_dim, spec.state_dim, spec.feed_forward_dim, spec.max_len) = (40, 48, 400, 24);
    // So small a norm that gradients are clipped.
    (spec.dropout, spec.lru_dropout, spec.learning_rate, spec.max_grad_norm) = (0.3, 0.2, 0.01, 0.1);
    let seed = Seed::new(1);
    let mut rng = seed.stream("check/items");
    let mut sequence = |longest: usize| -> Vec<ItemId> {
        let n = rng.random_range(1..=longest);
        (0..n).filter_map(|_| ItemId::new(rng.random_range(1..=ITEMS as u32))).collect()
    };
    let mut trainer = Trainer::on(ops, LruRec::init(&spec, ITEMS, seed)?, &spec)?;
    let mut losses = Vec::new();
    for step in 0..STEPS {
        let mut packed = Packed::default();
        packed.clear();
        for _ in 0..WINDOWS {
            packed.push_window(&sequence(spec.max_len + 6), spec.max_len, true);
        }
        let masks = Masks::new(step as u64 + 1, spec.dropout, spec.lru_dropout);
        let loss = trainer.step(&packed, masks)?.to_bits();
        losses.extend([loss as u32, (loss >> 32) as u32]);
    }
    let histories: Vec<Vec<ItemId>> = (0..2 * WINDOWS).map(|_| sequence(spec.max_len + 6)).collect();
    let targets: Vec<ItemId> = (0..2 * WINDOWS).flat_map(|_| sequence(1)).collect();
    let query = Query { histories: &histories, targets: &targets, k: 20, mask: HistoryMask::Window };
    let retrieved = trainer.retrieve(&query)?;
    let bits = |floats: &[f32]| floats.iter().map(|x| x.to_bits()).collect();
    let weights = trainer.give_back()?.params.flat.read(bits);
    Ok(vec![
        ("the losses of training steps", losses),
        ("the weights after training steps", weights),
        ("candidates", retrieved.candidates),
        ("the scores of candidates", bits(&retrieved.scores)),
        ("ranks", retrieved.ranks.iter().map(|rank| rank.get()).collect()),
    ])
}
