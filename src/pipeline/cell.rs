//! One cell: train, retrieve for validation and test, and write down what happened.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::devices::{Computing, Purpose};
use super::record::setting_records;
use super::{Error, Options, Prepared, device_bytes};
use crate::checkpoint::Checkpoints;
use crate::cuda;
use crate::data::{Part, Split};
use crate::events::Event;
use crate::experiment::{DeviceChoice, EvaluationSpec, Experiment, LruSpec, RetrieverSpec};
use crate::nn::ops::Cpu;
use crate::retrieve::lru::Uploaded;
use crate::retrieve::lru::train::train_on;
use crate::retrieve::{
    self, LruRec, Popularity, Query, RandomOrder, Retrieved, Retriever, StopReason, TrainOptions, Trained,
};
use crate::run::{
    self, Cell, CellCheckpoints, CodeRecord, CurvePoint, MANIFEST_VERSION, Machine, Manifest,
    RETRIEVAL_STAGE_VERSION, StoredPart, StoredRetrieval, Times, TrainingRecord,
};
use crate::seed::Seed;

/// The weights of a cell as its file.
pub(super) fn files(weights: Option<Vec<u8>>) -> Vec<(String, Vec<u8>)> {
    weights.map(|bytes| (run::WEIGHTS.to_owned(), bytes)).into_iter().collect()
}

/// What a retriever finds, wherever it computes.
type Find<'a> = Box<dyn FnMut(&Query<'_>) -> Result<Retrieved, retrieve::Error> + 'a>;

/// A finished stage and the bytes of its weights.
type Computed = (Cell, Option<Vec<u8>>);

/// Compute the retrieval stage of an experiment with one seed.
pub(super) fn compute(
    (experiment, data): (&Experiment, &Prepared),
    seed: Seed,
    Options { reporter, interrupt, devices, .. }: Options<'_>,
    checkpoints: &CellCheckpoints<'_>,
) -> Result<Computed, Error> {
    let (split, evaluation) = (&data.split, &experiment.evaluation);
    run::reset_peak_memory();
    let effort = run::Effort::begin();
    let started = run::now();
    let mut wall_seconds = BTreeMap::new();
    let clock = Instant::now();
    let (mut find, trained): (Find<'_>, _) = match &experiment.retriever {
        RetrieverSpec::Lru(spec) => {
            let (averaging, mask_history) = (evaluation.averaging, evaluation.mask_history);
            let options = TrainOptions { averaging, mask_history, reporter, interrupt, checkpoints };
            let needed = device_bytes(experiment, split).unwrap_or(0);
            let failed = |error| failure(error, checkpoints);
            let opened = devices.open(experiment.device, (Purpose::Retriever, needed), reporter);
            let mut computing = opened.map_err(|error| failed(error.into()))?;
            let mut trained = None;
            if let Some(Computing { facts, machine, .. }) = &computing {
                reporter.emit(Event::Note(&format!("the retriever computes on {facts}")));
                checkpoints.computes_on(Some(facts.describe()));
                match train_on(cuda::Ops::new(machine), spec, split, seed, options) {
                    // Nobody asked for this device, and the processor goes on from what it reached.
                    Err(retrieve::Error::Device(error)) if experiment.device == DeviceChoice::Auto => {
                        reporter.emit(Event::Warning(&format!("{error}; going on without it")));
                        computing = None;
                    }
                    result => trained = Some(result.map_err(failed)?),
                }
            }
            let trained = match trained {
                Some(trained) => trained,
                None => {
                    checkpoints.computes_on(None);
                    train_on(Cpu::default(), spec, split, seed, options)?
                }
            };
            let outcome =
                (training_record(spec, &trained), curve(&trained), trained.model.params.to_safetensors()?);
            wall_seconds.insert("train".to_owned(), clock.elapsed().as_secs_f64());
            let model = trained.model;
            // The weights go there once, for both parts.
            let mut on = computing.map(|Computing { machine, .. }| (machine, None));
            let find: Find<'_> = Box::new(move |query| {
                if let Some((machine, uploaded)) = &mut on {
                    match find_on(machine, uploaded, &model, query) {
                        Err(retrieve::Error::Device(error)) => {
                            // The model is here, and gives the same.
                            reporter.emit(Event::Warning(&format!("{error}; retrieving without it")));
                            checkpoints.computes_on(None);
                            on = None;
                        }
                        found => return found,
                    }
                }
                model.retrieve(query)
            });
            (find, Some(outcome))
        }
        RetrieverSpec::Popularity => (finder(Popularity::fit(split)), None),
        RetrieverSpec::Random => (finder(RandomOrder::new(seed, split.n_items)), None),
    };
    let clock = Instant::now();
    reporter.emit(Event::Started {
        stage: "retrieve",
        total: Some(2 * split.test.len() as u64),
        unit: "users",
    });
    let validation = part(&mut find, split, Part::Validation, evaluation)?;
    reporter.emit(Event::Advanced { done: split.test.len() as u64, detail: "" });
    let test = part(&mut find, split, Part::Test, evaluation)?;
    wall_seconds.insert("evaluate".to_owned(), clock.elapsed().as_secs_f64());
    wall_seconds.extend(run::earlier(checkpoints));
    let (k, users) = (evaluation.candidates, split.test.len());
    let hits = test.ranks.iter().filter(|rank| **rank <= k).count();
    let summary = format!("the held-out item of {hits} of {users} test users is among their {k} candidates");
    reporter.emit(Event::Finished { summary: &summary });
    let (training, curve, weights) = match trained {
        Some((record, curve, weights)) => (Some(record), curve, Some(weights)),
        None => (None, Vec::new(), None),
    };
    let manifest = Manifest {
        version: MANIFEST_VERSION,
        stage: String::new(),
        key: String::new(),
        experiments: vec![experiment.name.clone()],
        retriever: experiment.retriever.kind().to_owned(),
        seed: seed.get(),
        dataset: data.record.clone(),
        code: CodeRecord::here(RETRIEVAL_STAGE_VERSION),
        machine: Machine { device: checkpoints.devices(), ..Machine::here(rayon::current_num_threads()) },
        times: Times { started, finished: run::now(), wall_seconds },
        process: effort.finished(checkpoints.resumed()),
        peak_memory_bytes: run::peak_memory_bytes(),
        training,
        ranker: None,
        limit: None,
        files: BTreeMap::new(),
        left_out: BTreeMap::new(),
    };
    let retrieval = StoredRetrieval { k: k as usize, validation, test };
    let cell = Cell { manifest, retrieval, curve, settings: setting_records(experiment) };
    Ok((cell, weights))
}

/// A failure of a device comes with what is kept.
fn failure(error: retrieve::Error, checkpoints: &CellCheckpoints<'_>) -> Error {
    match error {
        retrieve::Error::Device(source) => Error::Device { source, kept: checkpoints.any() },
        other => other.into(),
    }
}

/// What a model finds on a device, which has its weights from the first query on.
fn find_on(
    machine: &Arc<dyn cuda::Machine>,
    uploaded: &mut Option<Uploaded<cuda::Ops>>,
    model: &LruRec,
    query: &Query<'_>,
) -> Result<Retrieved, retrieve::Error> {
    let uploaded = match uploaded {
        Some(uploaded) => uploaded,
        None => uploaded.insert(Uploaded::new(cuda::Ops::new(machine), model)?),
    };
    uploaded.retrieve(query)
}

fn finder<'a>(retriever: impl Retriever + 'a) -> Find<'a> {
    Box::new(move |query| retriever.retrieve(query))
}

fn part(
    find: &mut Find<'_>,
    split: &Split,
    part: Part,
    evaluation: &EvaluationSpec,
) -> Result<StoredPart, Error> {
    let (histories, targets) = (split.histories(part), split.targets(part));
    let k = evaluation.candidates as usize;
    let query = Query { histories: &histories, targets, k, mask: evaluation.mask_history };
    let Retrieved { candidates, scores, ranks, tied_users, .. } = find(&query)?;
    Ok(StoredPart {
        candidates,
        scores,
        ranks: ranks.into_iter().map(|rank| rank.get()).collect(),
        targets: targets.iter().map(|item| item.get()).collect(),
        tied_users,
    })
}

fn training_record(spec: &LruSpec, trained: &Trained) -> TrainingRecord {
    let best = trained.curve.iter().find(|point| point.step == trained.best_step);
    TrainingRecord {
        selected_by: spec.select_by.to_string(),
        best_step: trained.best_step,
        best_metric: best.map_or(0.0, |point| point.metric),
        steps: trained.steps,
        epochs: trained.steps.div_ceil(trained.steps_per_epoch.max(1)),
        stop_reason: match trained.stopped {
            StopReason::NoImprovement => format!("{} validations without a better one", spec.patience),
            StopReason::Epochs => format!("all {} epochs are done", spec.max_epochs),
        },
        last_loss: trained.curve.iter().rev().find_map(|point| point.train_loss),
        parameters: Some(trained.model.params.plan.slots.iter().map(|slot| slot.len() as u64).sum()),
    }
}

fn curve(trained: &Trained) -> Vec<CurvePoint> {
    let point = |point: &retrieve::CurvePoint| CurvePoint {
        step: point.step,
        epoch: point.epoch.ceil() as u32,
        train_loss: point.train_loss,
        metric: point.metric,
        wall_seconds: point.wall_seconds,
    };
    trained.curve.iter().map(point).collect()
}
