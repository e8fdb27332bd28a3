//! The method section as code: experiments to data, data to retrievers, retrievers to stored cells, cells to reports.
//!
//! A cell is one stage of one experiment with one seed: its retrieval, and its ranking if it names a backbone. It is computed
//! once for the content that it depends on and stored as soon as it is finished, so whatever stops a run costs at most the cell in work.

mod backbone;
mod cell;
mod compare;
mod error;
mod estimate;
mod imported;
mod job;
mod needs;
mod outcome;
mod paper;
mod plan;
mod preflight;
mod prepare;
mod pretraining;
mod ranking;
mod ranking_cost;
mod rebuild;
mod record;
mod seeds;
mod stages;
mod tables;

use crate::events::{Interrupt, Reporter};
use crate::experiment::Experiment;
use crate::paper::Absent;
use crate::run::{RankingCell, Stage, Store, atomic};

pub use backbone::{Backbone, BackboneSource, Located};
pub use compare::{Compare, methods};
pub use error::Error;
pub use estimate::{Cost, METHOD, estimate, matrix_speed, stored_bytes};
pub use imported::{Import, Kept, import};
pub use job::{Job, Need, State, ranking_key, retrieval_key};
pub use outcome::{Ending, Outcome, Summary};
pub use paper::{Part, Summarize, part, summarize};
pub use plan::{Fate, Planned, plan};
pub use prepare::{Prepared, prepare};
pub use pretraining::{Made, Pretrained, pretrain};
pub use ranking_cost::ranking_cost;
pub use rebuild::{Rebuilt, Stored, rebuild, stored_seeds};
pub use seeds::Finished;
pub use stages::{CellEnding, StageCell, Staged, compute_cell, gpus, stages};
pub use tables::{Folders, build_report, published};

use rebuild::stored_of;
use seeds::Seeds;
use tables::write;

/// What a run is given beside the experiments.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// Where things are and go.
    pub folders: &'a Folders,
    /// Whether a failure leaves the rest running.
    pub keep_going: bool,
    /// Hears of progress.
    pub reporter: &'a dyn Reporter,
    /// Asks to stop.
    pub interrupt: &'a Interrupt,
}

/// Run every experiment that can run here. What is stored is not computed again; what is finished is kept, whatever
/// happens to the rest.
///
/// # Errors
/// Only what concerns all experiments: folders that cannot be written, published numbers that cannot be read. What
/// goes wrong in one experiment is in its [`Outcome`].
pub fn run(experiments: Vec<Experiment>, options: Options<'_>) -> Result<Summary, Error> {
    let folders = options.folders;
    check_folders(&experiments, folders)?;
    let baselines = published(folders.baselines.as_deref())?;
    let store = Store::new(&folders.runs);
    let jobs = prepare(experiments, &folders.data, options.reporter).into_iter().map(Job::examined);
    let jobs: Vec<Job> = jobs.collect();
    let hopeless = !options.keep_going && jobs.iter().any(|job| matches!(job.state, State::Broken(_)));
    let mut summary = Summary::default();
    for Job { experiment, data, backbone, state } in jobs {
        let here = data.clone();
        let mut elsewhere = None;
        let ending = match state {
            State::Waiting(needs) => {
                let job = Job {
                    experiment: experiment.clone(),
                    data: data.clone(),
                    backbone,
                    state: State::Waiting(needs.clone()),
                };
                // Cells may have come from a machine that has what is missing here.
                elsewhere = stored_of(&job, folders, options.reporter).ok().filter(|cells| !cells.is_empty());
                let key = |data: &Prepared, seed| retrieval_key(&experiment, data, seed);
                let keys = data.map(|data| experiment.seeds.iter().map(|&seed| key(&data, seed)).collect());
                Ending::Waiting { needs, keys }
            }
            State::Broken(error) => Ending::Broken(error),
            State::Ready(_) if hopeless || summary.stopped() => Ending::NotStarted,
            State::Ready(data) => {
                let rankings = Store::rankings(&folders.runs);
                let (store, backbone) = (&store, backbone.as_deref());
                Seeds { experiment: &experiment, data: &data, backbone, store, rankings, options }.run()
            }
        };
        let part = match ending.cells().or(elsewhere.as_deref()) {
            Some(cells) => part(&experiment, cells),
            None => Err(Absent { experiment: experiment.name.clone(), why: ending.why_nothing() }),
        };
        let mut outcome = Outcome { experiment: experiment.name.clone(), ending, report: None, part };
        if let Some(cells) = outcome.ending.cells().filter(|cells| !cells.is_empty()) {
            match write(&experiment, cells, &baselines, here.as_deref(), &folders.reports) {
                Ok(written) => outcome.report = Some(written),
                Err(error) => outcome.ending.fail(error),
            }
        }
        summary.add(outcome, options.keep_going);
    }
    Ok(summary)
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
