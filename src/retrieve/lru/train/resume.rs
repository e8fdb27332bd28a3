//! The state of training, to a checkpoint and back.
//!
//! Orders and masks come from streams that are counted, so the number of steps says where they are.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Best, CurvePoint, Done, Trainer, Watch};
use crate::checkpoint;
use crate::retrieve::Error;

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
pub(super) fn keep(trainer: &Trainer, watch: &Watch<'_>, done: &Done) {
    let words = Words {
        steps: done.steps,
        losses: done.losses,
        step_seconds: done.step_time.as_secs_f64(),
        seconds: watch.elapsed().as_secs_f64(),
        best: watch.best,
        curve: watch.curve.clone(),
    };
    trainer.model.params.flat.read(|weights| {
        trainer.moments.0.read(|first| {
            trainer.moments.1.read(|second| {
                let arrays = [
                    ("weights", weights),
                    ("first_moments", first),
                    ("second_moments", second),
                    ("best_weights", watch.best_weights.as_slice()),
                ];
                watch.options.checkpoints.keep(PART, &checkpoint::words(&words), &arrays);
            });
        });
    });
}

/// Go back to what was kept, if there is something.
///
/// # Errors
/// When candle refuses.
pub(super) fn restore(trainer: &mut Trainer, watch: &mut Watch<'_>, done: &mut Done) -> Result<bool, Error> {
    let (options, len) = (watch.options, trainer.model.params.plan.len);
    let taken = checkpoint::go_back((options.checkpoints, options.reporter), (PART, "training"), |last| {
        let array = |name| last.array(name, len);
        let words: Words = last.words()?;
        let (weights, first) = (array("weights")?, array("first_moments")?);
        let (second, best) = (array("second_moments")?, array("best_weights")?);
        watch.best_weights = best.to_vec();
        let places = [&trainer.model.params.flat, &trainer.moments.0, &trainer.moments.1].into_iter();
        let written = places
            .zip([weights, first, second])
            .try_for_each(|(flat, values)| flat.write(|flat| flat.copy_from_slice(values)));
        Some((words.steps, written.map(|()| words)))
    });
    let Some(words) = taken.transpose()? else { return Ok(false) };
    trainer.model.refresh();
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
