//! What several test modules share.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

use bench::checkpoint::{Checkpoints, Snapshot};
use bench::events::Interrupt;
use bench::run::{Owner, sha256_hex};

/// The folder of real datasets and parity fixtures, where the environment names one.
pub fn shared() -> Option<PathBuf> {
    match std::env::var_os("BENCH_SHARED") {
        Some(path) => Some(PathBuf::from(path)),
        None => {
            println!(
                "skipped: BENCH_SHARED is not set (it names the folder of real datasets and parity fixtures)"
            );
            None
        }
    }
}

/// The file of a claim, written by hand from `docs/formats.md`.
pub fn claim_text(owner: &Owner, token: &str, lease_ms: u64, beat: u64) -> String {
    let mut value = serde_json::to_value(owner).unwrap();
    (value["version"], value["token"], value["lease_ms"]) = (2.into(), token.into(), lease_ms.into());
    let sealed = value.to_string().trim_end_matches('}').to_owned();
    let seal = sha256_hex(sealed.as_bytes());
    format!("{sealed},\"sha256\":\"{seal}\",\"beat\":{beat}}}")
}

/// Keeps states in memory, and asks to stop when it has been asked whether one is due `patience` times.
pub struct Memory {
    kept: Mutex<BTreeMap<String, Snapshot>>,
    left: Mutex<Option<u32>>,
    interrupt: Interrupt,
}

impl Memory {
    /// With nothing in it; `interrupt` is what it stops the work with.
    pub fn new(interrupt: Interrupt) -> Self {
        Self { kept: Mutex::default(), left: Mutex::default(), interrupt }
    }

    /// The same states, for work that `interrupt` stops.
    pub fn with(self, interrupt: Interrupt) -> Self {
        Self { interrupt, left: Mutex::default(), ..self }
    }

    /// Stop the work after so many more occasions to keep something.
    pub fn stop_after(&self, occasions: u32) {
        *self.left.lock().unwrap() = Some(occasions);
    }
}

impl Checkpoints for Memory {
    fn last(&self, part: &str) -> Option<Snapshot> {
        self.kept.lock().unwrap().get(part).cloned()
    }

    fn due(&self) -> bool {
        if let Some(left) = self.left.lock().unwrap().as_mut() {
            match left.checked_sub(1) {
                Some(fewer) => *left = fewer,
                None => self.interrupt.request(),
            }
        }
        true
    }

    fn keep(&self, part: &str, words: &str, arrays: &[(&str, &[f32])]) {
        let arrays = arrays.iter().map(|(name, values)| ((*name).to_owned(), values.to_vec())).collect();
        let snapshot = Snapshot { words: words.to_owned(), arrays };
        self.kept.lock().unwrap().insert(part.to_owned(), snapshot);
    }
}
