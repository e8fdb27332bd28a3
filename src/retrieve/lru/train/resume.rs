//! The state of training, to a checkpoint and back.
//!
//! Orders and masks come from streams that are counted, so the number of steps says where they are.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Best, CurvePoint, Done, Trainer, Watch};
use crate::checkpoint;
use crate::retrieve::Error;
use crate::retrieve::catalogue::Walks;
use crate::retrieve::lru::Uploaded;

/// The part of the work that is kept.
const PART: &str = "train";

#[derive(Serialize, Deserialize)]
struct Words {
    steps: u32,
    losses: (f64, u32),
    step_seconds: f64,
    seconds: f64,
    best: Best,
    curve: Vec<CurvePoint>,
}

/// Keep where training is: after a step, before the validation that may follow.
///
/// # Errors
/// If the device fails; one that cannot be kept is only told.
pub(super) fn keep<O: Walks>(trainer: &mut Trainer<O>, watch: &Watch<'_>, done: &Done) -> Result<(), Error>
where
    Error: From<O::Error>,
{
    let words = Words {
        steps: done.steps,
        losses: done.losses,
        step_seconds: done.step_time.as_secs_f64(),
        seconds: watch.elapsed().as_secs_f64(),
        best: watch.best,
        curve: watch.curve.clone(),
    };
    let Trainer { model: Uploaded { ops, weights, .. }, moments, .. } = trainer;
    let [weights, first, second] =
        [&*weights, &moments.0, &moments.1].map(|floats| ops.read(ops.all(floats)));
    let (weights, first, second) = (weights?, first?, second?);
    let arrays = [
        ("weights", &*weights),
        ("first_moments", &*first),
        ("second_moments", &*second),
        ("best_weights", watch.best_weights.as_slice()),
    ];
    watch.options.checkpoints.keep(PART, &checkpoint::words(&words), &arrays);
    Ok(())
}

/// Go back to what was kept, if there is something.
///
/// # Errors
/// When candle refuses.
pub(super) fn restore<O: Walks>(
    trainer: &mut Trainer<O>,
    watch: &mut Watch<'_>,
    done: &mut Done,
) -> Result<bool, Error>
where
    Error: From<O::Error>,
{
    let (options, len) = (watch.options, trainer.model.frame.plan.len);
    let taken = checkpoint::go_back((options.checkpoints, options.reporter), (PART, "training"), |last| {
        let array = |name| last.array(name, len);
        let words: Words = last.words()?;
        let (weights, first) = (array("weights")?, array("first_moments")?);
        let (second, best) = (array("second_moments")?, array("best_weights")?);
        watch.best_weights = best.to_vec();
        let Trainer { model: Uploaded { ops, weights: to, .. }, moments, .. } = &mut *trainer;
        let places = [to, &mut moments.0, &mut moments.1].into_iter();
        let written = places.zip([weights, first, second]).try_for_each(|(to, values)| ops.set(to, values));
        Some((words.steps, written.map(|()| words)))
    });
    let Some(words) = taken.transpose()? else { return Ok(false) };
    trainer.refresh()?;
    trainer.steps = words.steps;
    *done = Done {
        steps: words.steps,
        losses: words.losses,
        step_time: Duration::try_from_secs_f64(words.step_seconds).unwrap_or_default(),
    };
    watch.before = Duration::try_from_secs_f64(words.seconds).unwrap_or_default();
    watch.best = words.best;
    watch.curve = words.curve;
    Ok(true)
}
