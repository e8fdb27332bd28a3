//! Published numbers, and what other programs write and read.

use std::path::PathBuf;

use clap::{ArgAction, Args as ClapArgs, ValueEnum};

use super::Selection;
use super::running::parse_override;
use crate::experiment::Override;

/// `bench audit`.
#[derive(Debug, Clone, ClapArgs)]
pub struct AuditArgs {
    /// Files of published numbers, or folders of them [default: those that reports compare with]
    #[arg(value_name = "FILES")]
    pub files: Vec<PathBuf>,
    /// Print everything as JSON
    #[arg(long)]
    pub json: bool,
    /// Exit with 102 if there is a contradiction
    #[arg(long)]
    pub strict: bool,
}

/// `bench export`.
#[derive(Debug, Clone, ClapArgs)]
pub struct ExportArgs {
    #[command(flatten)]
    pub selection: Selection,
    /// What to write; several are separated by commas
    #[arg(long, required = true, value_name = "FORMATS", value_delimiter = ',')]
    pub format: Vec<ExportFormat>,
    /// Folder to write to; each experiment has a folder of its own in it
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// Names of users and items: those of the upstream files, or places in the split
    #[arg(long, value_name = "IDS", default_value = "auto")]
    pub ids: IdNames,
}

/// What `bench export` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum ExportFormat {
    /// Ranks and candidates of every user, as Parquet.
    Parquet,
    /// The same as delimited text.
    Csv,
    /// Runs and judgements for trec_eval, ir-measures and ranx.
    Trec,
    /// Tuned adapters for PEFT.
    Peft,
    /// Learning curves for TensorBoard.
    Tensorboard,
}

/// How users and items are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum IdNames {
    /// Raw where the data are here, else dense.
    Auto,
    /// Ids of the upstream files.
    Raw,
    /// Users by their place in the split from 0, items by their id from 1.
    Dense,
}

/// `bench import`.
#[derive(Debug, Clone, ClapArgs)]
pub struct ImportArgs {
    /// The experiment file whose split the run is of
    #[arg(value_name = "EXPERIMENT")]
    pub experiment: PathBuf,
    /// The run file, plain or .gz: TREC (user Q0 item rank score tag), or delimited text with a header that names user, item, and
    /// score or rank
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// Its name in tables [default: the name of the file]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Its format [default: csv for .csv and .tsv, else trec]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<RunFormat>,
    /// Which held-out item it predicts
    #[arg(long, value_name = "PART", default_value = "test")]
    pub part: HeldOut,
    /// Its names of users and items: those of the upstream files, or places in the split from 0 and item ids from 1
    #[arg(long, value_name = "IDS", default_value = "raw")]
    pub ids: ImportIds,
    /// The seed that the other program used, to tell several runs of it apart
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub seed: u64,
    /// Change a setting of the experiment, such as -S dataset.tie_rule=file-order
    #[arg(short = 'S', value_name = "KEY=VALUE", action = ArgAction::Append, value_parser = parse_override)]
    pub overrides: Vec<Override>,
}

/// The format of a run file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RunFormat {
    /// user Q0 item rank score tag
    Trec,
    /// Delimited text with a header.
    Csv,
}

/// A held-out item of every user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HeldOut {
    /// The last one.
    Test,
    /// The one before it.
    Validation,
}

/// How a run file names users and items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ImportIds {
    /// As the upstream files do.
    Raw,
    /// By place and id.
    Dense,
}
