//! Training prompts, and their making while a step is computed.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

use super::Error;
use crate::prompt::Prompt;

/// Training prompts, made when they are needed, on another thread than the one that trains.
pub trait Lessons: Sync {
    /// How many an epoch has.
    fn len(&self) -> usize;

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The order of an epoch: a permutation.
    fn order(&self, epoch: u32) -> Vec<u32>;

    /// The prompt at `index` with its answer: the letter and the end are its last two tokens.
    ///
    /// # Errors
    /// If it cannot be made.
    fn prompt(&self, epoch: u32, index: usize) -> Result<Prompt, Error>;
}

/// The prompts of a step.
pub(super) type Step = Result<Vec<Prompt>, Error>;

/// The prompts of step `first` (from 1) and those that follow, up to step `last`, in order; those of the next step are made while one is
/// computed. It ends when nobody takes them any more.
pub(super) fn ahead<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    lessons: &'env dyn Lessons,
    batch: usize,
    (first, last): (u32, u32),
) -> Receiver<Step> {
    let (give, take) = sync_channel(1);
    let make = move || {
        let mut step = 0u32;
        for epoch in 0.. {
            for indices in lessons.order(epoch).chunks(batch) {
                step += 1;
                if step > last {
                    return;
                }
                if step < first {
                    continue;
                }
                let prompts = indices.iter().map(|&index| lessons.prompt(epoch, index as usize)).collect();
                if give.send(prompts).is_err() {
                    return;
                }
            }
        }
    };
    if first <= last && !lessons.is_empty() {
        scope.spawn(make);
    }
    take
}
