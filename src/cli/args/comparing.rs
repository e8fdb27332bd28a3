//! Runs against a reference.

use std::path::PathBuf;

use clap::{ArgAction, Args as ClapArgs, ValueEnum};

use super::running::parse_override;
use crate::compare::Gate;
use crate::experiment::Override;

/// `bench compare`.
#[derive(Debug, Clone, ClapArgs)]
pub struct CompareArgs {
    /// Experiment files (FILE: the tuned ranker if there is one, else the retriever; FILE:retriever, FILE:zero-shot, FILE:tuned), or
    /// imported runs (imported:NAME)
    #[arg(required = true, num_args = 2.., value_name = "METHODS")]
    pub methods: Vec<String>,
    /// The name of the method that the others are compared with, as the table has it [default: the first]
    #[arg(long, value_name = "NAME")]
    pub reference: Option<String>,
    /// Exit with 101 if a method fails this, such as 'NDCG@10 >= -1%' (of the reference) or 'NDCG@10 >= -0.001'
    #[arg(long = "gate", value_name = "GATE", action = ArgAction::Append)]
    pub gates: Vec<Gate>,
    /// Hold the interval's worse end against gates, not the difference itself
    #[arg(long, requires = "gates")]
    pub gate_interval: bool,
    /// The format [default: that of the --output's ending, else a table for the terminal]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<CompareFormat>,
    /// Write to a file instead of the standard output
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Change a setting of every file, such as -S retriever.dropout=0.2
    #[arg(short = 'S', value_name = "KEY=VALUE", action = ArgAction::Append, value_parser = parse_override)]
    pub overrides: Vec<Override>,
}

/// What `bench compare` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CompareFormat {
    /// Markdown.
    Md,
    /// JSON with all digits.
    Json,
    /// The table with all digits, as delimited text.
    Csv,
    /// One page that needs no other file.
    Html,
}
