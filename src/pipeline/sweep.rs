//! All experiments of a command, in turns with other processes on the same store.
//!
//! Each process goes through all cells in their order. What another process computes is put off, the rest goes on, and in the end this
//! one waits for what others compute, reads what they store, and takes over what they leave behind. So a process alone does everything in
//! order, and whatever the number of processes, each of them ends with all cells and writes the same reports.

use std::sync::Arc;
use std::time::Duration;

use super::rebuild::stored_of;
use super::seeds::{Progress, Seeds};
use super::tables::{turn, write};
use super::{Ending, Job, Located, Options, Outcome, Prepared, State, Summary, part, retrieval_key};
use crate::baseline::Baseline;
use crate::events::Event;
use crate::experiment::Experiment;
use crate::paper::Absent;
use crate::run::{Claims, RankingCell, Store};

/// How soon is looked again whether others are done, and how rarely at last. A look costs a few small reads.
const LOOK_EVERY: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(2)];

/// What all experiments share.
pub(super) struct Sweep<'a> {
    options: Options<'a>,
    baselines: Vec<Baseline>,
    store: Store,
    rankings: Store<RankingCell>,
    claims: Claims,
    /// Whether nothing else is to be begun.
    stopped: bool,
}

/// An experiment on its way.
struct Task {
    experiment: Experiment,
    data: Option<Arc<Prepared>>,
    backbone: Option<Arc<Located>>,
    progress: Progress,
    /// Once it has ended.
    outcome: Option<Outcome>,
}

impl<'a> Sweep<'a> {
    pub fn new(options: Options<'a>, baselines: Vec<Baseline>) -> Self {
        let runs = &options.folders.runs;
        let (store, rankings) = (Store::new(runs), Store::rankings(runs));
        Self { options, baselines, store, rankings, claims: Claims::default(), stopped: false }
    }

    /// Run all of them.
    pub fn run(mut self, jobs: Vec<Job>) -> Summary {
        let is_broken = |job: &Job| matches!(job.state, State::Broken(_));
        self.stopped = !self.options.keep_going && jobs.iter().any(is_broken);
        let mut tasks: Vec<Task> = Vec::with_capacity(jobs.len());
        for job in jobs {
            let task = self.begin(job);
            tasks.push(task);
        }
        self.wait(&mut tasks);
        Summary { outcomes: tasks.into_iter().filter_map(|task| task.outcome).collect() }
    }

    /// The cells of one experiment, without a report; what other processes compute of it is waited for.
    pub fn cells(&self, experiment: &Experiment, data: &Prepared, backbone: Option<&Located>) -> Ending {
        let seeds = self.seeds(experiment, data, backbone);
        let mut progress = Progress::new(&experiment.seeds);
        let [first, longest] = LOOK_EVERY;
        let mut pause = first;
        loop {
            let moved = seeds.pass(&mut progress);
            if progress.is_over() {
                return progress.ending();
            }
            if moved {
                pause = first;
            } else {
                self.options.interrupt.pause(pause);
                pause = (2 * pause).min(longest);
            }
        }
    }

    /// Do what can be done of an experiment without waiting.
    fn begin(&mut self, job: Job) -> Task {
        let Options { folders, reporter, .. } = self.options;
        // Cells may have come from a machine that has what is missing here.
        let elsewhere = match &job.state {
            State::Waiting(_) => stored_of(&job, folders, reporter).ok().filter(|cells| !cells.is_empty()),
            _ => None,
        };
        let Job { experiment, data, backbone, state } = job;
        let progress = Progress::new(&experiment.seeds);
        let mut task = Task { experiment, data, backbone, progress, outcome: None };
        let ending = match state {
            State::Waiting(needs) => {
                let Task { experiment, data, .. } = &task;
                let keys = data.as_ref().map(|data| {
                    experiment.seeds.iter().map(|&seed| retrieval_key(experiment, data, seed)).collect()
                });
                Ending::Waiting { needs, keys }
            }
            State::Broken(error) => Ending::Broken(error),
            State::Ready(_) if self.stopped => Ending::NotStarted,
            State::Ready(_) => {
                self.advance(&mut task);
                return task;
            }
        };
        let part = match &elsewhere {
            Some(cells) => part(&task.experiment, cells),
            None => Err(Absent { experiment: task.experiment.name.clone(), why: ending.why_nothing() }),
        };
        task.outcome = Some(Outcome { experiment: task.experiment.name.clone(), ending, report: None, part });
        task
    }

    /// Wait for what others compute, until nothing is open or the run has to stop.
    fn wait(&mut self, tasks: &mut [Task]) {
        let [first, longest] = LOOK_EVERY;
        let (mut pause, mut told) = (first, false);
        while !self.stopped && tasks.iter().any(|task| task.outcome.is_none()) {
            let mut moved = false;
            for task in tasks.iter_mut().filter(|task| task.outcome.is_none()) {
                if !self.stopped {
                    moved |= self.advance(task);
                }
            }
            if moved {
                (pause, told) = (first, false);
                continue;
            }
            let left: usize = tasks.iter().filter(|task| task.outcome.is_none()).map(Task::left).sum();
            if !told && left > 0 {
                let seeds = if left == 1 { "seed is" } else { "seeds are" };
                let text = format!(
                    "waiting: {left} {seeds} with other processes, and nothing else is to be done here"
                );
                self.options.reporter.emit(Event::Note(&text));
                told = true;
            }
            // If somebody asks to stop, the next pass ends it.
            self.options.interrupt.pause(pause);
            pause = (2 * pause).min(longest);
        }
        for task in tasks.iter_mut().filter(|task| task.outcome.is_none()) {
            self.finish(task);
        }
    }

    /// Go through the open seeds of an experiment once; whether anything was done.
    fn advance(&mut self, task: &mut Task) -> bool {
        let Task { experiment, data, backbone, progress, .. } = &mut *task;
        let Some(data) = data.as_deref() else { return false };
        let moved = self.seeds(experiment, data, backbone.as_deref()).pass(progress);
        if progress.is_over() {
            self.finish(task);
        }
        moved
    }

    fn seeds<'s>(
        &'s self,
        experiment: &'s Experiment,
        data: &'s Prepared,
        backbone: Option<&'s Located>,
    ) -> Seeds<'s> {
        let Self { store, rankings, claims, options, .. } = self;
        Seeds { experiment, data, backbone, store, rankings, claims, options: *options }
    }

    /// Write the report of what is there.
    fn finish(&mut self, task: &mut Task) {
        let Task { experiment, data, backbone, progress, .. } = &mut *task;
        let (experiment, data) = (&*experiment, data.as_deref());
        let turn = turn(&self.options.folders.reports, &experiment.name);
        if let Some(data) = data {
            self.seeds(experiment, data, backbone.as_deref()).gather(progress);
        }
        let mut ending = std::mem::replace(progress, Progress::new(&[])).ending();
        let part = match ending.cells() {
            Some(cells) => part(experiment, cells),
            None => Err(Absent { experiment: experiment.name.clone(), why: ending.why_nothing() }),
        };
        let mut report = None;
        if let Some(cells) = ending.cells().filter(|cells| !cells.is_empty()) {
            let reports = &self.options.folders.reports;
            match turn.and_then(|turn| Ok((turn, write(experiment, cells, &self.baselines, data, reports)?)))
            {
                Ok((_, written)) => report = Some(written),
                Err(error) => ending.fail(error),
            }
        }
        self.stopped |= match &ending {
            Ending::Interrupted { .. } => true,
            Ending::Failed { error, .. } => error.is_output() || !self.options.keep_going,
            _ => false,
        };
        task.outcome = Some(Outcome { experiment: experiment.name.clone(), ending, report, part });
        // Others may still need the memory.
        (task.data, task.backbone) = (None, None);
    }
}

impl Task {
    fn left(&self) -> usize {
        self.progress.left().len()
    }
}
