//! A small model of odd sizes and small data that it can learn.

use bench::checkpoint::Nowhere;
use bench::data::{ItemId, Split};
use bench::events::{Interrupt, Silent};
use bench::experiment::{Averaging, DatasetSource, HistoryMask, LruSpec, SelectBy, SelectMetric};
use bench::retrieve::lru::forward::Masks;
use bench::retrieve::{Error, LruRec, TrainOptions, Trained, train};
use bench::seed::Seed;

use crate::nn::tools::{integers, values};

/// Widths that are no multiple of a vector's.
pub fn spec() -> LruSpec {
    let mut spec = LruSpec::paper_default(&DatasetSource::Beauty);
    (spec.hidden_dim, spec.state_dim, spec.feed_forward_dim) = (8, 12, 20);
    (spec.max_len, spec.batch_size) = (7, 8);
    (spec.dropout, spec.lru_dropout) = (0.0, 0.0);
    spec
}

/// No dropout.
pub fn still() -> Masks {
    Masks::new(0, 0.0, 0.0)
}

pub fn ids(raw: &[u32]) -> Vec<ItemId> {
    raw.iter().map(|id| ItemId::new(*id).unwrap()).collect()
}

/// A model whose biases and layer norms are not what they are at the start.
pub fn model(spec: &LruSpec, items: usize, seed: u64) -> LruRec {
    let mut model = LruRec::init(spec, items, Seed::new(seed)).unwrap();
    let slots = model.params.plan.slots.clone();
    model
        .params
        .flat
        .write(|weights| {
            for slot in slots.iter().filter(|slot| !slot.name.ends_with("params_log")) {
                let noise = values(seed + slot.offset as u64, slot.len(), 0.3);
                weights[slot.range()].iter_mut().zip(noise).for_each(|(w, x)| *w += x);
            }
        })
        .unwrap();
    model.refresh();
    model
}

/// Sequences of the given lengths over `items` items.
pub fn sequences(lengths: &[usize], items: u32, seed: u64) -> Vec<Vec<ItemId>> {
    let one = |(s, n): (usize, &usize)| {
        let raw: Vec<u32> = integers(seed + s as u64, *n, items).iter().map(|i| i + 1).collect();
        ids(&raw)
    };
    lengths.iter().enumerate().map(one).collect()
}

/// Users who step through a catalogue of 30 items by 1 or by 2, from anywhere, with a slip now and then.
pub fn split(users: usize) -> Split {
    let (mut train, mut validation, mut test) = (Vec::new(), Vec::new(), Vec::new());
    for user in 0..users {
        let draws = integers(user as u64, 40, 1000);
        let (length, step) = (5 + draws[0] as usize % 20, 1 + draws[1] % 2);
        let mut at = draws[2] % 30;
        let mut sequence = Vec::new();
        for draw in &draws[3..3 + length] {
            at = if draw % 12 == 0 { draw % 30 } else { (at + step) % 30 };
            sequence.push(at + 1);
        }
        let sequence = ids(&sequence);
        train.push(sequence[..length - 2].to_vec());
        validation.push(sequence[length - 2]);
        test.push(sequence[length - 1]);
    }
    Split { train, validation, test, n_items: 30, fingerprint: serde_json::from_str("\"tiny\"").unwrap() }
}

/// Settings under which [`split`] is learnt in seconds.
pub fn training_spec() -> LruSpec {
    let mut spec = spec();
    (spec.dropout, spec.lru_dropout) = (0.1, 0.1);
    (spec.learning_rate, spec.max_epochs, spec.validate_every_steps) = (1e-2, 4, 10);
    spec.select_by = SelectBy { metric: SelectMetric::Mrr, k: 10 };
    spec
}

pub fn run(spec: &LruSpec, split: &Split, seed: u64) -> Result<Trained, Error> {
    run_until(spec, split, seed, &Interrupt::default())
}

pub fn run_until(spec: &LruSpec, split: &Split, seed: u64, interrupt: &Interrupt) -> Result<Trained, Error> {
    let options = TrainOptions {
        averaging: Averaging::Users,
        mask_history: HistoryMask::Window,
        reporter: &Silent,
        interrupt,
        checkpoints: &Nowhere,
    };
    train(spec, split, Seed::new(seed), options)
}
