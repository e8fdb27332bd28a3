//! The table of settings: the one place that says which exist.

mod dataset;
mod pretrain;
mod ranker;
mod retriever;

use super::schema::{
    Default::{Is, Required},
    Kind::{self, Ascending, Choice, Device, Distinct, FolderName, Integer, Number, Prose},
    Lit::{self, Int, Ints},
    Range, Spec, When,
};

/// The datasets that `dataset.name` can name.
pub(super) const DATASETS: &[&str] = &["ml-100k", "beauty", "games", "synthetic", "csv", "recbole"];

/// The sections of a file, in the order in which they are printed.
pub(super) const SECTIONS: &[&str] =
    &["dataset", "retriever", "evaluation", "backbone", "ranker", "pretrain"];

/// Settings of one file, not of the experiment: they are not inherited, and the environment and the command
/// line cannot give them.
pub(super) const FILE_ONLY: &[&str] = &["inherits", "abstract"];

/// TOML's integers are signed.
const SEED_MAX: u64 = i64::MAX as u64;

const LRU: When = When::Is("retriever.kind", "lru");

/// The settings outside of sections.
const TOP: &[Spec] = &[
    Spec::new("name", FolderName, Required, "Names the folder of results. Not inherited."),
    Spec::new("description", Prose, Is(word("")), "A sentence for the report. Not inherited."),
    Spec::new("seeds", Distinct { max: SEED_MAX }, Required, "One run of the experiment for each seed."),
    Spec::new(
        "protocol",
        Choice(&["default", "reference"]),
        Is(word("default")),
        "What the quirk settings start from: \"reference\" sets each to what the reference implementation does. \
         Typed settings win over it.",
    ),
    Spec::new(
        "device",
        Device,
        Is(word("auto")),
        "Where it computes: \"cpu\", an NVIDIA device such as \"cuda:0\", or \"auto\": the first device that can, \
         and the processor where there is none. Results of the retriever do not depend on it, to the bit; those of the ranker differ by \
         rounding.",
    ),
];

/// `[evaluation]`.
const EVALUATION: &[Spec] = &[
    Spec::new("evaluation.cutoffs", Ascending { max: 1000 }, Is(Ints(&[5, 10])), "The k of every metric."),
    Spec::new(
        "evaluation.candidates",
        count(1000),
        Is(Int(20)),
        "Best-scored items of every user that are saved and re-ranked.",
    ),
    Spec::new(
        "evaluation.averaging",
        Choice(&["users", "batches"]),
        Is(word("users")),
        "Over what the retriever's metrics are averaged: users, or means of batches of retriever.batch_size, of \
         which a short last one weighs too much.",
    )
    .quirk_when(LRU, word("batches")),
    Spec::new(
        "evaluation.mask_history",
        Choice(&["window", "all", "none"]),
        Is(word("window")),
        "Which items of a history cannot be retrieved: those among the last max_len, all, or none.",
    )
    .quirk(word("window")),
];

/// Every setting, in the order in which they are printed.
pub(super) fn all() -> impl Iterator<Item = &'static Spec> {
    [TOP, dataset::ROWS, retriever::ROWS, EVALUATION, ranker::ROWS, pretrain::ROWS].into_iter().flatten()
}

/// The row of a dotted key.
pub(super) fn find(key: &str) -> Option<&'static Spec> {
    all().find(|spec| spec.key == key)
}

const YES: Lit = Lit::Bool(true);
const NO: Lit = Lit::Bool(false);

const fn word(text: &'static str) -> Lit {
    Lit::Text(text)
}

/// An integer from 1.
const fn count(max: u64) -> Kind {
    Integer { min: 1, max }
}

/// Both ends belong to it.
const fn closed(min: f64, max: f64) -> Kind {
    Number(Range { min, max, min_open: false, max_open: false })
}

/// The upper end does not belong to it.
const fn below(min: f64, max: f64) -> Kind {
    Number(Range { min, max, min_open: false, max_open: true })
}

/// The lower end does not belong to it.
const fn above(min: f64, max: f64) -> Kind {
    Number(Range { min, max, min_open: true, max_open: false })
}
