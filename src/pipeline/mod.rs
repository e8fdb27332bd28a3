//! The method section as code: experiments to data, data to retrievers, retrievers to stored cells, cells to reports.
//!
//! A cell is one stage of one experiment with one seed: its retrieval, and its ranking if it names a backbone. It is computed
//! once for the content that it depends on and stored as soon as it is finished, so whatever stops a run costs at most the cell in work.

mod backbone;
mod bundle;
mod cell;
mod clean;
mod compare;
mod devices;
mod error;
mod estimate;
mod footprint;
mod imported;
mod job;
mod needs;
mod outcome;
mod paces;
mod paper;
mod placed;
mod plan;
mod preflight;
mod prepare;
mod pretraining;
mod random;
mod ranking;
mod ranking_cost;
mod rebuild;
mod record;
mod replay;
mod seeds;
mod stages;
mod sweep;
mod tables;
mod why;

use crate::events::{Interrupt, Reporter};
use crate::experiment::Experiment;
use crate::run::{RankingCell, Stage, Store, atomic};

pub use backbone::{Backbone, BackboneSource, Located};
pub use bundle::{Bundle, Gathered, gather};
pub use clean::{Amount, Clean, Cleaning, Removable, Why, clean};
pub use compare::{Compare, methods};
pub use devices::{Computing, Devices, Place, Purpose, is_news};
pub use error::Error;
pub use estimate::{Cost, METHOD, STEPS, estimate, matrix_speed, stored_bytes};
pub use footprint::{Footprint, Largest};
pub use imported::{Import, Kept, import};
pub use job::{Job, Need, State, device_bytes, ranking_key, retrieval_key};
pub use outcome::{Ending, Outcome, Summary};
pub use paces::{Paces, paces};
pub use paper::{Part, Summarize, part, summarize};
pub use plan::{Fate, Planned, Timed, plan};
pub use prepare::{Prepared, prepare};
pub use pretraining::{Made, Pretrained, pretrain};
pub use ranking_cost::ranking_cost;
pub use rebuild::{Rebuilt, Stored, rebuild, stored_seeds};
pub use replay::{Change, Difference, Replay, Replayed, check_empty};
pub use seeds::Finished;
pub use stages::{CellEnding, StageCell, Staged, compute_cell, gpus, stages};
pub use tables::{Folders, build_report, published};
pub use why::{Miss, Nearest};

use sweep::Sweep;

/// What a run is given beside the experiments.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// Where things are and go.
    pub folders: &'a Folders,
    /// Whether a failure leaves the rest running.
    pub keep_going: bool,
    /// Where there is something to compute on.
    pub devices: &'a Devices,
    /// Hears of progress.
    pub reporter: &'a dyn Reporter,
    /// Asks to stop.
    pub interrupt: &'a Interrupt,
}

/// Run every experiment that can run here. What is stored is not computed again; what is finished is kept, whatever
/// happens to the rest. What another process computes is not computed here: it is waited for in the end.
///
/// # Errors
/// Only what concerns all experiments: folders that cannot be written, published numbers that cannot be read. What
/// goes wrong in one experiment is in its [`Outcome`].
pub fn run(experiments: Vec<Experiment>, options: Options<'_>) -> Result<Summary, Error> {
    let folders = options.folders;
    check_folders(&experiments, folders)?;
    let baselines = published(folders.baselines.as_deref())?;
    let jobs = prepare(experiments, &folders.data, options.reporter).into_iter();
    let jobs = jobs.map(|job| job.examined().with_device(options.devices, &folders.runs, None));
    Ok(Sweep::new(options, baselines).run(jobs.collect()))
}

/// Hours of work end in these folders; before them is the time to know whether that will do.
fn check_folders(experiments: &[Experiment], folders: &Folders) -> Result<(), Error> {
    atomic::check_writable(&folders.runs)?;
    atomic::check_writable(&folders.reports)?;
    let reports = experiments.iter().map(|experiment| folders.reports.join(&experiment.name));
    let mut cells = vec![Store::new(&folders.runs).cells_dir()];
    if experiments.iter().any(Experiment::needs_backbone) {
        cells.push(folders.runs.join(RankingCell::NAME));
    }
    for folder in reports.chain(cells).filter(|folder| folder.symlink_metadata().is_ok()) {
        atomic::check_writable(&folder)?;
    }
    Ok(())
}
