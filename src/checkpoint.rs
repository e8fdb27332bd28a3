//! Work in progress, kept so that a killed run goes on where it was and ends with the same bits.
//!
//! A loop tells [`Checkpoints`] its state at a place where nothing else is in flight; after a kill it is given the last state back
//! and goes on from there. What a state is made of is the loop's business: a few words of JSON, and named arrays.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::events::{Event, Reporter};

/// The state of a loop.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Snapshot {
    /// What is not an array, as JSON.
    pub words: String,
    /// Arrays by name.
    pub arrays: Vec<(String, Vec<f32>)>,
}

impl Snapshot {
    /// The words as what they were; `None` if they are something else.
    #[must_use]
    pub fn words<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(&self.words).ok()
    }

    /// An array, if it has `len` elements.
    #[must_use]
    pub fn array(&self, name: &str, len: usize) -> Option<&[f32]> {
        let found = self.arrays.iter().find(|(known, _)| known == name);
        found.map(|(_, values)| values.as_slice()).filter(|values| values.len() == len)
    }
}

/// Where states are kept. Keeping one never fails the work: what goes wrong is told, and the work goes on without.
pub trait Checkpoints: Send + Sync {
    /// The last state of a part of the work, such as `train`; `None` if there is none.
    fn last(&self, part: &str) -> Option<Snapshot>;

    /// Whether it is time to keep a state.
    fn due(&self) -> bool;

    /// Keep a state in place of the last one of this part.
    fn keep(&self, part: &str, words: &str, arrays: &[(&str, &[f32])]);

    /// How often the work was taken up again where a process had left it.
    fn resumed(&self) -> u32 {
        0
    }

    /// How long the processes worked from which this one went on, up to their last state.
    fn earlier(&self) -> Duration {
        Duration::ZERO
    }
}

/// Keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nowhere;

impl Checkpoints for Nowhere {
    fn last(&self, _part: &str) -> Option<Snapshot> {
        None
    }

    fn due(&self) -> bool {
        false
    }

    fn keep(&self, _part: &str, _words: &str, _arrays: &[(&str, &[f32])]) {}
}

/// What `take` makes of the last state of `part`, with the step that it is of; `None` if there is no state, or none of the form that
/// `take` knows. `work`, such as `training`, is what goes on or begins anew: somebody is told which.
pub fn go_back<T>(
    (checkpoints, reporter): (&dyn Checkpoints, &dyn Reporter),
    (part, work): (&str, &str),
    take: impl FnOnce(&Snapshot) -> Option<(u32, T)>,
) -> Option<T> {
    let last = checkpoints.last(part)?;
    let Some((step, taken)) = take(&last) else {
        let text = format!("a checkpoint of another form is left aside, and {work} begins anew");
        reporter.emit(Event::Warning(&text));
        return None;
    };
    reporter.emit(Event::Note(&format!("{work} goes on after step {step}")));
    Some(taken)
}

/// The words of a state.
///
/// # Panics
/// If `words` has no JSON, such as a map whose keys are no text.
#[must_use]
pub fn words<T: Serialize>(words: &T) -> String {
    serde_json::to_string(words).expect("states of loops are plain data")
}

/// A number that need not be finite, to the last bit; for `#[serde(with = "checkpoint::bits")]`.
pub mod bits {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// Write the bits.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        value.to_bits().serialize(serializer)
    }

    /// Read them back.
    ///
    /// # Errors
    /// Those of the deserializer.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        u64::deserialize(deserializer).map(f64::from_bits)
    }
}
