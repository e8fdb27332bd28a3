//! Slurm.

use std::path::PathBuf;

use clap::{ArgAction, Args as ClapArgs};

use super::running::{parse_device, parse_override};
use crate::experiment::{DeviceChoice, Override};
use crate::slurm::{Mebibytes, Minutes, is_name};

/// `bench submit`.
#[derive(Debug, Clone, ClapArgs)]
pub struct SubmitArgs {
    /// Experiment files, or folders of them
    #[arg(required_unless_present = "resubmit", value_name = "FILES")]
    pub files: Vec<PathBuf>,
    /// Change a setting of every file, such as -S retriever.dropout=0.2
    #[arg(short = 'S', value_name = "KEY=VALUE", action = ArgAction::Append, value_parser = parse_override)]
    pub overrides: Vec<Override>,
    /// Where to compute: auto, cpu or cuda:0, for which each cell gets a GPU; the same as -S device=DEVICE
    #[arg(long, value_name = "DEVICE", value_parser = parse_device, conflicts_with = "resubmit")]
    pub device: Option<DeviceChoice>,
    /// Submit again what failed of an earlier submission, with twice the memory or time where it lacked that
    #[arg(long, value_name = "SUBMISSION", conflicts_with_all = ["files", "overrides"])]
    pub resubmit: Option<String>,
    /// Print the scripts and submit nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// The name of the submission [default: the time]
    #[arg(long, value_name = "NAME", value_parser = parse_submission)]
    pub name: Option<String>,
    /// Slurm's partition
    #[arg(long, value_name = "NAME", value_parser = parse_word)]
    pub partition: Option<String>,
    /// Slurm's account
    #[arg(long, value_name = "NAME", value_parser = parse_word)]
    pub account: Option<String>,
    /// Slurm's quality of service
    #[arg(long, value_name = "NAME", value_parser = parse_word)]
    pub qos: Option<String>,
    /// Time limit of every cell, as Slurm writes it [default: twice the estimate with all epochs, and 10 minutes]
    #[arg(long, value_name = "TIME")]
    pub time: Option<Minutes>,
    /// Memory of every cell, as Slurm writes it [default: twice the estimate, and 256M]
    #[arg(long, value_name = "SIZE")]
    pub mem: Option<Mebibytes>,
    /// Processors of every cell, and the threads that it computes with [default: those here, 8 at most]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub cpus: Option<u16>,
    /// Generic resources of every cell, such as gpu:a100:1 [default: a GPU where the experiment asks for one]
    #[arg(long, value_name = "LIST", value_parser = parse_word)]
    pub gres: Option<String>,
    /// The most cells of an array that run at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub array_limit: Option<u32>,
    /// Try a cell again whose node was lost; the default
    #[arg(long, overrides_with = "no_requeue")]
    pub requeue: bool,
    /// Do not
    #[arg(long, overrides_with = "requeue")]
    pub no_requeue: bool,
    /// An argument of sbatch, passed as it is, such as --sbatch-arg=--constraint=avx512; it holds for the report too
    #[arg(long, value_name = "ARG", action = ArgAction::Append, allow_hyphen_values = true)]
    pub sbatch_arg: Vec<String>,
}

/// `bench status`.
#[derive(Debug, Clone, ClapArgs)]
pub struct StatusArgs {
    /// The name of a submission, or the path of its folder [default: the latest]
    #[arg(value_name = "SUBMISSION")]
    pub submission: Option<String>,
    /// Look again every so many seconds, until nothing is left to wait for
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub watch: Option<u64>,
}

/// `bench cell`.
#[derive(Debug, Clone, ClapArgs)]
pub struct CellArgs {
    /// The manifest of the submission
    #[arg(value_name = "SUBMISSION.json")]
    pub submission: PathBuf,
    /// The array
    #[arg(value_name = "ARRAY")]
    pub batch: String,
    /// The index of the task in it
    #[arg(value_name = "INDEX")]
    pub index: u32,
}

fn parse_submission(text: &str) -> Result<String, String> {
    if is_name(text) {
        return Ok(text.to_owned());
    }
    Err("expected a name for a folder: at most 60 letters, digits, `.`, `_` and `-`, with no point or dash in front".to_owned())
}

/// A word that a line of a script can hold as it is.
fn parse_word(text: &str) -> Result<String, String> {
    let sound = |c: char| c.is_ascii_graphic() && !"\"'\\#`$;&|<>".contains(c);
    if !text.is_empty() && text.chars().all(sound) {
        return Ok(text.to_owned());
    }
    Err("expected a word without spaces, quotes and the like".to_owned())
}
