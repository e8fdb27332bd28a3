//! The method section as code: experiments to data, data to retrievers, retrievers to stored cells, cells to reports.
//!
//! A cell is one experiment's retrieval stage with one seed. It is computed once for the content that it depends on
//! and stored as soon as it is finished, so whatever stops a run costs at most the cell in work.

mod cell;
mod error;
mod estimate;
mod job;
mod outcome;
mod plan;
mod prepare;
mod rebuild;
mod record;
mod tables;

use crate::events::{Event, Interrupt, Reporter};
use crate::experiment::Experiment;
use crate::run::{Cell, CellKey, Expected, Found, Store, atomic};
use crate::seed::Seed;

pub use error::Error;
pub use estimate::{Cost, METHOD, estimate, matrix_speed, stored_bytes};
pub use job::{Job, Need, State, retrieval_key};
pub use outcome::{Ending, Outcome, Summary};
pub use plan::{Fate, Planned, plan};
pub use prepare::{Prepared, prepare};
pub use rebuild::{Rebuilt, rebuild};
pub use tables::{Folders, build_report, published};

use cell::compute;
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
    let jobs = prepare(experiments, &folders.data, options.reporter);
    let hopeless = !options.keep_going && jobs.iter().any(|job| matches!(job.state, State::Broken(_)));
    let mut summary = Summary::default();
    for Job { experiment, data, state } in jobs {
        let ending = match state {
            State::Waiting(needs) => {
                let key = |data: &Prepared, seed| retrieval_key(&experiment, data, seed);
                let keys = data.map(|data| experiment.seeds.iter().map(|&seed| key(&data, seed)).collect());
                Ending::Waiting { needs, keys }
            }
            State::Broken(error) => Ending::Broken(error),
            State::Ready(_) if hopeless || summary.stopped() => Ending::NotStarted,
            State::Ready(data) => seeds(&experiment, &data, &store, options),
        };
        let mut outcome = Outcome { experiment: experiment.name.clone(), ending, report: None };
        if let Some(cells) = outcome.ending.cells().filter(|cells| !cells.is_empty()) {
            match write(&experiment, cells, &baselines, &folders.reports) {
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
    let cells = Store::new(&folders.runs).cells_dir();
    for folder in reports.chain([cells]).filter(|folder| folder.symlink_metadata().is_ok()) {
        atomic::check_writable(&folder)?;
    }
    Ok(())
}

/// All seeds of an experiment whose data are there.
fn seeds(experiment: &Experiment, data: &Prepared, store: &Store, options: Options<'_>) -> Ending {
    let (name, total) = (&experiment.name, experiment.seeds.len());
    let (mut cells, mut computed) = (Vec::new(), 0);
    let mut failure: Option<(u64, Error)> = None;
    for (at, &seed) in experiment.seeds.iter().enumerate() {
        if options.interrupt.requested() {
            return Ending::Interrupted { cells, computed };
        }
        let of = if total == 1 { String::new() } else { format!(" ({} of {total})", at + 1) };
        match one_seed((experiment, data), seed, &of, store, options) {
            Ok((cell, is_new)) => {
                cells.push(cell);
                computed += usize::from(is_new);
            }
            Err(error) if error.is_interrupt() => return Ending::Interrupted { cells, computed },
            Err(error) => {
                let stop = error.is_output() || !options.keep_going;
                if !stop {
                    options.reporter.emit(Event::Warning(&format!("{name}, seed {seed}: {error}")));
                }
                failure.get_or_insert((seed.get(), error));
                if stop {
                    break;
                }
            }
        }
    }
    match failure {
        None => Ending::Finished { cells, computed },
        Some((seed, error)) => Ending::Failed { cells, computed, seed: Some(seed), error },
    }
}

/// The cell of a seed, and whether it is new.
fn one_seed(
    (experiment, data): (&Experiment, &Prepared),
    seed: Seed,
    of: &str,
    store: &Store,
    options: Options<'_>,
) -> Result<(Cell, bool), Error> {
    let (name, reporter) = (&experiment.name, options.reporter);
    let key = retrieval_key(experiment, data, seed);
    let expected = expected(experiment, data, seed);
    if let Some(cell) = stored(store, &key, Some(&expected), reporter)? {
        reporter.emit(Event::Note(&format!("{name}, seed {seed}{of}: stored already as {key}")));
        return Ok((cell, false));
    }
    // Before the hours of work is the time to know whether there is room for what comes of them.
    atomic::check_room(store.root(), &store.cell_dir(&key), stored_bytes(experiment, &data.split))?;
    reporter.emit(Event::Note(&format!("{name}, seed {seed}{of}")));
    let (cell, weights) = compute(experiment, data, seed, reporter, options.interrupt)?;
    if let Err(source) = store.save(&key, &cell, weights.as_deref()) {
        return Err(keep(&key, (&cell, weights.as_deref()), store, options.folders, source));
    }
    // Read back: with the hashes of its files, as every later run sees it.
    Ok((stored(store, &key, Some(&expected), reporter)?.unwrap_or(cell), true))
}

/// What is known of a cell without it.
fn expected<'a>(experiment: &'a Experiment, data: &'a Prepared, seed: Seed) -> Expected<'a> {
    let retriever = experiment.retriever.kind();
    Expected { seed: seed.get(), retriever, dataset: &data.record }
}

/// Keep a finished cell that the store did not take in the folder of temporary files, and say how that went.
fn keep(
    key: &CellKey,
    (cell, weights): (&Cell, Option<&[u8]>),
    store: &Store,
    folders: &Folders,
    source: crate::run::Error,
) -> Error {
    let seed = cell.manifest.seed;
    let rescue = Store::new(folders.rescue.join(format!("bench-rescued-{key}")));
    match rescue.save(key, cell, weights) {
        Ok(kept) => Error::Kept { seed, kept, place: store.cell_dir(key), source },
        Err(rescue) => Error::Lost { seed, source, rescue },
    }
}

/// The whole cell of a key; a damaged one is set aside with a warning.
fn stored(
    store: &Store,
    key: &CellKey,
    expected: Option<&Expected<'_>>,
    reporter: &dyn Reporter,
) -> Result<Option<Cell>, Error> {
    Ok(match store.load_as(key, expected)? {
        Found::Complete(cell) => Some(*cell),
        Found::Missing => None,
        Found::Damaged(damage) => {
            reporter.emit(Event::Warning(&damage.to_string()));
            None
        }
    })
}
