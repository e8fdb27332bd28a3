//! `bench`: a declarative benchmark harness for two-stage LLM recommendation.
//!
//! An experiment file says what is learnt from, by what, and with which seeds; [`pipeline`] runs it; the run store
//! ([`run`]) keeps every result under the content that it depends on; [`report`] makes tables of what is stored.

pub mod audit;
pub mod backbone;
pub mod baseline;
pub mod bundle;
pub mod checkpoint;
pub mod cli;
pub mod compare;
pub mod cuda;
pub mod data;
pub mod document;
pub mod eval;
pub mod events;
pub mod experiment;
pub mod export;
pub mod fetch;
pub mod import;
pub mod nn;
pub mod paper;
pub mod pipeline;
pub mod pretrain;
pub mod prompt;
pub mod rank;
pub mod report;
pub mod retrieve;
pub mod run;
pub mod seed;
pub mod significance;
pub mod slurm;

/// Training allocates and frees in every step; this allocator does so faster than most systems' own.
#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;
