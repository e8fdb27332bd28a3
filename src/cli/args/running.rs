//! Which experiments, and how they are run and reported.

use std::path::PathBuf;

use clap::{ArgAction, Args as ClapArgs};

use crate::experiment::{DeviceChoice, Override};

/// Which experiments, and how they are changed.
#[derive(Debug, Clone, Default, ClapArgs)]
pub struct Selection {
    /// Experiment files, or folders of them; for `report` also files called results.json
    #[arg(required = true, value_name = "FILES")]
    pub files: Vec<PathBuf>,
    /// Change a setting of every file, such as -S retriever.dropout=0.2
    #[arg(short = 'S', value_name = "KEY=VALUE", action = ArgAction::Append, value_parser = parse_override)]
    pub overrides: Vec<Override>,
    /// Where to compute: auto, cpu or cuda:N; the same as -S device=DEVICE
    #[arg(long, value_name = "DEVICE", value_parser = parse_device)]
    pub device: Option<DeviceChoice>,
}

/// What `plan` takes.
#[derive(Debug, Clone, ClapArgs)]
pub struct PlanArgs {
    #[command(flatten)]
    pub selection: Selection,
    /// Time a few layers of each backbone where it would compute (seconds on a device, up to a minute or so on a processor), for times that are right
    /// within a fifth or so; built-in backbones are estimated
    #[arg(long)]
    pub measure: bool,
}

impl Selection {
    /// What the command line changes of every file.
    pub fn overrides(&self) -> Vec<Override> {
        with_device(&self.overrides, self.device)
    }
}

/// What `-S` and `--device` change.
pub fn with_device(overrides: &[Override], device: Option<DeviceChoice>) -> Vec<Override> {
    let device = device.and_then(|device| format!("device={device}").parse().ok());
    overrides.iter().cloned().chain(device).collect()
}

pub(super) fn parse_device(text: &str) -> Result<DeviceChoice, String> {
    text.parse().map_err(|expected: String| format!("expected {expected}"))
}

/// `bench run`.
#[derive(Debug, Clone, ClapArgs)]
pub struct RunArgs {
    #[command(flatten)]
    pub selection: Selection,
    /// Only show what would be done, as `bench plan`
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Go on with the rest after a failure; the default where there are several experiments
    #[arg(short, long, overrides_with = "fail_fast")]
    pub keep_going: bool,
    /// Stop at the first failure; the default for one experiment
    #[arg(long, overrides_with = "keep_going")]
    pub fail_fast: bool,
    /// Exit with 106 if anything could not run for want of data, weights or a GPU
    #[arg(long)]
    pub strict: bool,
    #[command(flatten)]
    pub summary: SummaryArgs,
}

/// `bench report`.
#[derive(Debug, Clone, ClapArgs)]
pub struct ReportArgs {
    #[command(flatten)]
    pub selection: Selection,
    #[command(flatten)]
    pub summary: SummaryArgs,
}

/// The report over several experiments.
#[derive(Debug, Clone, ClapArgs)]
#[command(next_help_heading = "Report over several experiments")]
pub struct SummaryArgs {
    /// Its name: a folder in that of reports [default: summary, where there are two experiments or more]
    #[arg(long, value_name = "NAME")]
    pub summary: Option<String>,
    /// Do not make it
    #[arg(long, conflicts_with_all = ["summary", "reference", "imported"])]
    pub no_summary: bool,
    /// What percent improvements are of: an experiment, a backbone or a method of its tables [default: Llama-2-7b where Llama-3.1-8B
    /// is there too, else the first experiment of each dataset]
    #[arg(long, value_name = "NAME")]
    pub reference: Option<String>,
    /// Show an imported run too, by its name
    #[arg(long, value_name = "NAME", action = ArgAction::Append)]
    pub imported: Vec<String>,
}

/// `bench fetch`.
#[derive(Debug, Clone, ClapArgs)]
pub struct FetchArgs {
    /// Datasets (ml-100k, beauty, games), or backbones as ORGANISATION/NAME or ORGANISATION/NAME@REVISION
    #[arg(required = true, value_name = "NAMES")]
    pub names: Vec<String>,
    /// Download again what is there, and replace what differs
    #[arg(long)]
    pub force: bool,
    /// Only print the addresses and where the files belong
    #[arg(long)]
    pub print: bool,
}

pub(super) fn parse_override(text: &str) -> Result<Override, String> {
    text.parse().map_err(|problem: crate::experiment::Problem| problem.message)
}
