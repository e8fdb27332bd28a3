//! One cell: train, retrieve for validation and test, and write down what happened.

use std::collections::BTreeMap;
use std::time::Instant;

use super::record::setting_records;
use super::{Error, Options, Prepared};
use crate::checkpoint::Checkpoints;
use crate::data::{Part, Split};
use crate::events::Event;
use crate::experiment::{EvaluationSpec, Experiment, LruSpec, RetrieverSpec};
use crate::retrieve::{
    self, Popularity, Query, RandomOrder, Retrieved, Retriever, StopReason, TrainOptions, Trained,
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

/// A finished stage and the bytes of its weights.
type Computed = (Cell, Option<Vec<u8>>);

/// Compute the retrieval stage of an experiment with one seed.
pub(super) fn compute(
    (experiment, data): (&Experiment, &Prepared),
    seed: Seed,
    Options { reporter, interrupt, .. }: Options<'_>,
    checkpoints: &CellCheckpoints<'_>,
) -> Result<Computed, Error> {
    let (split, evaluation) = (&data.split, &experiment.evaluation);
    run::reset_peak_memory();
    let effort = run::Effort::begin();
    let started = run::now();
    let mut wall_seconds = BTreeMap::new();
    let clock = Instant::now();
    let (retriever, trained): (Box<dyn Retriever>, _) = match &experiment.retriever {
        RetrieverSpec::Lru(spec) => {
            let (averaging, mask_history) = (evaluation.averaging, evaluation.mask_history);
            let options = TrainOptions { averaging, mask_history, reporter, interrupt, checkpoints };
            let trained = retrieve::train(spec, split, seed, options)?;
            let outcome =
                (training_record(spec, &trained), curve(&trained), trained.model.params.to_safetensors()?);
            wall_seconds.insert("train".to_owned(), clock.elapsed().as_secs_f64());
            (Box::new(trained.model), Some(outcome))
        }
        RetrieverSpec::Popularity => (Box::new(Popularity::fit(split)), None),
        RetrieverSpec::Random => (Box::new(RandomOrder::new(seed, split.n_items)), None),
    };
    let clock = Instant::now();
    reporter.emit(Event::Started {
        stage: "retrieve",
        total: Some(2 * split.test.len() as u64),
        unit: "users",
    });
    let validation = part(retriever.as_ref(), split, Part::Validation, evaluation)?;
    reporter.emit(Event::Advanced { done: split.test.len() as u64, detail: "" });
    let test = part(retriever.as_ref(), split, Part::Test, evaluation)?;
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
        machine: Machine::here(rayon::current_num_threads()),
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

fn part(
    retriever: &dyn Retriever,
    split: &Split,
    part: Part,
    evaluation: &EvaluationSpec,
) -> Result<StoredPart, Error> {
    let (histories, targets) = (split.histories(part), split.targets(part));
    let k = evaluation.candidates as usize;
    let query = Query { histories: &histories, targets, k, mask: evaluation.mask_history };
    let Retrieved { candidates, scores, ranks, tied_users, .. } = retriever.retrieve(&query)?;
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
