//! What training and retrieval hold in a device's memory.

use super::packed::windows;
use super::plan::{Shape, lay_out};
use crate::data::{Part, Split};
use crate::experiment::{LruSpec, WindowRemainder};
use crate::nn::cross_entropy::chunk_of;
use crate::nn::ops::Ops;
use crate::nn::scan;

/// What [`check`](super::check) holds, and what is too small to be counted.
const LEAST: u64 = 16 << 20;

/// Bytes that a device needs at most to train on `split` and to retrieve `k` candidates of every user.
#[must_use]
pub fn device_bytes<O: Ops>(spec: &LruSpec, split: &Split, k: usize) -> u64 {
    let shape = Shape::of(spec, split.n_items);
    let floats = training(shape, spec, split) + evaluation(shape, spec, split, k, O::ROWS);
    // A pool rounds, and keeps what was too small when something grew.
    LEAST + 44 * floats as u64 / 10
}

/// Activations of so many positions.
fn activations(Shape { hidden: d, state: c, feed_forward: f, blocks, .. }: Shape, positions: usize) -> usize {
    let block = 4 * c + 2 * f + 6 * d + 2;
    positions * (3 * d + 1 + blocks * block)
}

/// Weights, gradient and moments, and a step on the longest windows.
fn training(shape: Shape, spec: &LruSpec, split: &Split) -> usize {
    let Shape { hidden: d, state: c, feed_forward: f, blocks, .. } = shape;
    let (_, plan) = lay_out(shape);
    let windows = windows(&split.train, spec.max_len, spec.window_remainder == WindowRemainder::Keep);
    let mut lengths: Vec<usize> =
        windows.iter().map(|(_, from, to)| (to - from).min(spec.max_len as u32 + 1) as usize).collect();
    lengths.sort_unstable_by(|a, b| b.cmp(a));
    let m: usize = lengths.iter().take(spec.batch_size).sum();
    let chunks = shape.vocabulary().div_ceil(chunk_of(shape.vocabulary()));
    // Tokens, labels, starts, ends, groups and the lists of the scatter.
    let ids = 8 * m + 8;
    let turned = blocks * (2 * c * d + 3 * c);
    let gradients = m * (5 * d + f + 2 * c) + 2 * c * d + (m / scan::ROWS + 2) * 3 * c;
    let classes = m * (chunks * (3 + d) + 3);
    // The sums of the gradient's norm, and its parts.
    let norm = plan.len / 512 + 64;
    4 * plan.len + ids + turned + activations(shape, m) + gradients + classes + norm
}

/// The states of all users and the widest batch of them, and the walk over the catalogue.
fn evaluation(shape: Shape, spec: &LruSpec, split: &Split, k: usize, rows: usize) -> usize {
    let Shape { hidden: d, state: c, .. } = shape;
    let histories = split.histories(Part::Test);
    let (users, seen) = (histories.len(), histories.iter().map(Vec::len).sum::<usize>());
    let positions: usize = histories.iter().map(|history| history.len().clamp(1, spec.max_len)).sum();
    let m = positions.min(rows + spec.max_len);
    let ids = 8 * m + 8;
    let last = m.min(users) * (d + 2 * c);
    users * d + ids + activations(shape, m) + last + users * (2 * k + 6) + seen
}
