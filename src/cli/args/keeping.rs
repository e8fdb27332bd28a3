//! What is stored: replayed, packed, looked after.

use std::path::PathBuf;

use clap::{ArgAction, Args as ClapArgs};

use super::running::{parse_device, parse_override};
use crate::experiment::{DeviceChoice, Override};

/// `bench replay`.
#[derive(Debug, Clone, ClapArgs)]
pub struct ReplayArgs {
    /// A cell of the run store (bench ls lists them), or the folder of a report
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Compute all stages of a ranking again: its candidates and a built-in backbone too, instead of taking them from the store
    #[arg(long)]
    pub all: bool,
    /// Keep what is computed in this folder, which must be empty [default: a temporary folder, removed afterwards]
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// Change a setting that decides nothing, such as -S backbone.name=FOLDER where the backbone lies elsewhere now
    #[arg(short = 'S', value_name = "KEY=VALUE", action = ArgAction::Append, value_parser = parse_override)]
    pub overrides: Vec<Override>,
    /// Where to compute: auto, cpu or cuda:N, whatever computed it then [default: auto]
    #[arg(long, value_name = "DEVICE", value_parser = parse_device)]
    pub device: Option<DeviceChoice>,
}

/// `bench bundle`.
#[derive(Debug, Clone, ClapArgs)]
pub struct BundleArgs {
    /// Experiment files, folders of them, or folders of reports
    #[arg(value_name = "FILES", required_unless_present = "check", conflicts_with = "check")]
    pub files: Vec<PathBuf>,
    /// The archive to write
    #[arg(short, long, value_name = "FILE", required_unless_present = "check", conflicts_with = "check")]
    pub output: Option<PathBuf>,
    /// Pack a report over several experiments too: a folder of reports by its name, such as summary
    #[arg(long, value_name = "NAME", conflicts_with = "check")]
    pub summary: Option<String>,
    /// Pack what is there although a seed or a report is missing; a warning says what is
    #[arg(long, conflicts_with = "check")]
    pub partial: bool,
    /// Pack weights and adapters too
    #[arg(long, conflicts_with = "check")]
    pub weights: bool,
    /// Verify every hash of a bundle instead
    #[arg(long, value_name = "FILE")]
    pub check: Option<PathBuf>,
    /// Change a setting of every file, such as -S retriever.dropout=0.2
    #[arg(short = 'S', value_name = "KEY=VALUE", action = ArgAction::Append, value_parser = parse_override)]
    pub overrides: Vec<Override>,
}

/// `bench doctor`.
#[derive(Debug, Clone, Copy, ClapArgs)]
pub struct DoctorArgs {
    /// Ask the Hugging Face hub too, with the token if there is one
    #[arg(long)]
    pub online: bool,
}

/// `bench clean`.
#[derive(Debug, Clone, ClapArgs)]
pub struct CleanArgs {
    /// Experiment files, or folders of them: what none of them needs can go [default: only what nothing can use, such as damaged cells]
    #[arg(value_name = "FILES")]
    pub files: Vec<PathBuf>,
    /// Remove it
    #[arg(long)]
    pub yes: bool,
    /// Cells of an older version of their stage can go too: no run of this bench finds them, but a replay with the bench that made them does
    #[arg(long)]
    pub older: bool,
    /// Imported runs can go too
    #[arg(long)]
    pub imported: bool,
    /// Change a setting of every file, such as -S retriever.dropout=0.2
    #[arg(short = 'S', value_name = "KEY=VALUE", action = ArgAction::Append, value_parser = parse_override)]
    pub overrides: Vec<Override>,
}
