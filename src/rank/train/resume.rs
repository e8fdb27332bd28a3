//! The state of training, to a checkpoint and back.
//!
//! Samples, orders and masks come from streams that are named or counted, so the number of steps says where they are.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Best, CurvePoint, Done, Optimizer, StopReason, Watch};
use crate::checkpoint::{self, Snapshot};
use crate::prompt::Truncation;
use crate::rank::Tunable;

/// The part of the work that is kept.
const PART: &str = "train";

#[derive(Serialize, Deserialize)]
struct Words {
    steps: u32,
    /// Steps that changed weights.
    optimizer_steps: u32,
    #[serde(with = "crate::checkpoint::bits")]
    loss: f64,
    losses: u32,
    shown: Truncation,
    step_seconds: f64,
    seconds: f64,
    best: Best,
    curve: Vec<CurvePoint>,
    /// Sets of letters.
    sets: usize,
    stopped: Option<StopReason>,
}

/// Keep where training is: after a step, before the validation that may follow, or at its end.
pub(super) fn keep(model: &mut dyn Tunable, optimizer: &Optimizer, watch: &Watch<'_>, done: &Done) {
    let words = Words {
        steps: done.steps,
        optimizer_steps: optimizer.steps,
        loss: done.losses.0,
        losses: done.losses.1,
        shown: done.shown,
        step_seconds: done.step_time.as_secs_f64(),
        seconds: watch.elapsed().as_secs_f64(),
        best: watch.best,
        curve: watch.curve.clone(),
        sets: watch.first_scores.len(),
        stopped: done.stopped,
    };
    let (first, best) = (watch.first_scores.concat(), watch.best_scores.concat());
    let arrays = [
        ("weights", &*model.weights()),
        ("first_moments", optimizer.first.as_slice()),
        ("second_moments", optimizer.second.as_slice()),
        ("best_weights", watch.best_weights.as_slice()),
        ("first_scores", first.as_slice()),
        ("best_scores", best.as_slice()),
    ];
    watch.options.checkpoints.keep(PART, &checkpoint::words(&words), &arrays);
}

/// Go back to what was kept, if there is something.
pub(super) fn restore(
    model: &mut dyn Tunable,
    optimizer: &mut Optimizer,
    watch: &mut Watch<'_>,
    done: &mut Done,
) -> bool {
    let options = watch.options;
    let taken = checkpoint::go_back((options.checkpoints, options.reporter), (PART, "training"), |last| {
        take(last, model, optimizer, watch).map(|words| (words.steps, words))
    });
    let Some(words) = taken else { return false };
    optimizer.steps = words.optimizer_steps;
    *done = Done {
        steps: words.steps,
        losses: (words.loss, words.losses),
        shown: words.shown,
        step_time: Duration::try_from_secs_f64(words.step_seconds).unwrap_or_default(),
        stopped: words.stopped,
    };
    watch.before = Duration::try_from_secs_f64(words.seconds).unwrap_or_default();
    watch.best = words.best;
    watch.curve = words.curve;
    true
}

/// The arrays, if all of them are there.
fn take(
    last: &Snapshot,
    model: &mut dyn Tunable,
    optimizer: &mut Optimizer,
    watch: &mut Watch<'_>,
) -> Option<Words> {
    let words: Words = last.words()?;
    let len = model.weights().len();
    let scores = watch.questions.len() * watch.questions.k;
    let (first_scores, best_scores) =
        (last.array("first_scores", words.sets * scores)?, last.array("best_scores", words.sets * scores)?);
    let (weights, best) = (last.array("weights", len)?, last.array("best_weights", len)?);
    let (first, second) = (last.array("first_moments", len)?, last.array("second_moments", len)?);
    model.weights().copy_from_slice(weights);
    optimizer.first.copy_from_slice(first);
    optimizer.second.copy_from_slice(second);
    watch.best_weights = best.to_vec();
    let sets = |scores_of: &[f32]| scores_of.chunks(scores.max(1)).map(<[f32]>::to_vec).collect();
    watch.first_scores = sets(first_scores);
    watch.best_scores = sets(best_scores);
    Some(words)
}
