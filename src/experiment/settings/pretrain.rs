//! `[pretrain]`.

use super::{SEED_MAX, above, count};
use crate::experiment::schema::{
    Default::{self, Absent, Is},
    Kind::{self, Integer},
    Lit::{Int, Num},
    Spec, When,
};

const fn pretrain(key: &'static str, kind: Kind, default: Default, doc: &'static str) -> Spec {
    Spec::new(key, kind, default, doc).when(When::Embedded)
}

pub(super) const ROWS: &[Spec] = &[
    pretrain(
        "pretrain.seed",
        Integer { min: 0, max: SEED_MAX },
        Is(Int(42)),
        "Seed of the built-in backbone; all seeds of an experiment tune the same one.",
    ),
    pretrain(
        "pretrain.vocabulary",
        Integer { min: 300, max: 65_536 },
        Is(Int(1024)),
        "The most tokens that its tokenizer may have; 256 of them are bytes.",
    ),
    pretrain(
        "pretrain.tokens",
        count(1_000_000_000_000),
        Absent,
        "Tokens of the dataset's prompts to read; without it 300 thousand.",
    ),
    pretrain("pretrain.step_tokens", count(10_000_000), Is(Int(1024)), "Tokens of a step, roughly."),
    pretrain("pretrain.learning_rate", above(0.0, 10.0), Is(Num(3e-4)), "Peak step size of AdamW."),
    pretrain(
        "pretrain.warmup_steps",
        Integer { min: 0, max: 10_000_000 },
        Is(Int(40)),
        "Steps in which the step size rises to its peak.",
    ),
];
