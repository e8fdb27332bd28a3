//! Settings from outside the files: `-S key.path=value` and environment variables.

use std::fmt;
use std::str::FromStr;

use super::problem::{Place, Problem};
use super::raw::{Entry, Layer, Typed};
use super::settings;

/// What every environment variable of this program begins with.
pub const ENV_PREFIX: &str = "BENCH_";

/// Variables with the prefix that are options of the program, not settings of an experiment.
pub const PROGRAM_VARIABLES: &[&str] = &[
    "BENCH_BASELINES_DIR",
    "BENCH_CHECKPOINT_EVERY",
    "BENCH_COLOR",
    "BENCH_CUBLAS",
    "BENCH_DATA_DIR",
    "BENCH_FETCH_MIRROR",
    "BENCH_PEER_PYTHON",
    "BENCH_QUIET",
    "BENCH_REPORTS_DIR",
    "BENCH_RUNS_DIR",
    "BENCH_SHARED",
    "BENCH_SIMD",
    "BENCH_SLURM",
    "BENCH_SLURM_INSTALL",
    "BENCH_STEPS",
    "BENCH_THREADS",
];

/// An argument of `-S`, `key.path=value`. Strings need no quotes; other values are written as in TOML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    argument: String,
    equals: usize,
}

impl FromStr for Override {
    type Err = Problem;

    fn from_str(argument: &str) -> Result<Self, Problem> {
        match argument.find('=') {
            Some(equals) if !argument[..equals].trim().is_empty() => {
                Ok(Self { argument: argument.to_owned(), equals })
            }
            _ => {
                let place = Place::CommandLine { arg: argument.to_owned() };
                Err(Problem::new(place, "expected key.path=value, such as -S retriever.dropout=0.2"))
            }
        }
    }
}

impl fmt::Display for Override {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.argument)
    }
}

impl Override {
    /// The setting that it changes, as it was typed.
    #[must_use]
    pub fn key(&self) -> &str {
        self.argument[..self.equals].trim()
    }

    fn entry(&self) -> Entry {
        let key = self.key().to_owned();
        let text = self.argument[self.equals + 1..].trim();
        let value = Typed::from_word(text, settings::find(&key).map(|spec| &spec.kind));
        Entry { key, value, place: Place::CommandLine { arg: self.argument.clone() } }
    }
}

/// The layer of the command line. A key given twice is a problem: one of the two would be lost.
pub(super) fn command_line(overrides: &[Override]) -> (Layer, Vec<Problem>) {
    let mut layer = Layer::default();
    let mut problems = Vec::new();
    for entry in overrides.iter().map(Override::entry) {
        match layer.get(&entry.key) {
            Some(first) => {
                let message = format!("{} was already given ({})", entry.key, first.place);
                problems.push(Problem::new(entry.place.clone(), message).help("give it once"));
            }
            None => layer.entries.push(entry),
        }
    }
    (layer, problems)
}

/// The layer of the environment: `BENCH_RETRIEVER__HIDDEN_DIM` is `retriever.hidden_dim`.
pub(super) fn environment(variables: &[(String, String)]) -> Layer {
    let mut entries = Vec::new();
    for (var, text) in variables {
        let Some(name) = var.strip_prefix(ENV_PREFIX) else { continue };
        if PROGRAM_VARIABLES.contains(&var.as_str()) {
            continue;
        }
        let key = name.to_lowercase().replace("__", ".");
        let value = Typed::from_word(text.trim(), settings::find(&key).map(|spec| &spec.kind));
        entries.push(Entry { key, value, place: Place::Env { var: var.clone() } });
    }
    entries.sort_by(|a, b| a.place.cmp(&b.place));
    Layer { entries }
}
