//! One cell of the second stage: prompts, training, scores of both read-outs, and what happened on the way.

use std::collections::BTreeMap;
use std::time::Instant;

use super::backbone::Backbone;
use super::record::{setting_records, word};
use super::{Error, Options, Prepared, preflight};
use crate::backbone::peft;
use crate::checkpoint::Checkpoints;
use crate::data::Part;
use crate::eval::Rung;
use crate::events::Event;
use crate::experiment::{Experiment, RankerSpec, ReadOut};
use crate::prompt::{Audit, Prompt, Prompts, TrainingSamples, Truncation, Verbalizer, samples};
use crate::rank::{
    self, Lessons, Letters, Partly, Questions, StopReason, TrainOptions, Trained, Tunable, train,
};
use crate::run::{
    self, ADAPTER, AuditRecord, Cell, CellCheckpoints, CodeRecord, CurvePoint, MANIFEST_VERSION, Machine,
    Manifest, PromptRecord, RANDOM_WEIGHTS, RANKING_STAGE_VERSION, RankedPart, RankerRecord, RankingCell,
    Reading, StoredRanking, Times, TrainingRecord,
};
use crate::seed::Seed;

/// A finished stage and the files of its adapter.
type Computed = (RankingCell, Vec<(String, Vec<u8>)>);

/// What a ranking is made of.
#[derive(Clone, Copy)]
pub(super) struct Material<'a> {
    pub experiment: &'a Experiment,
    pub spec: &'a RankerSpec,
    pub data: &'a Prepared,
    pub retrieval: &'a Cell,
    pub backbone: &'a Backbone,
}

/// Compute the ranking stage of an experiment with one seed.
pub(super) fn compute(
    material: Material<'_>,
    seed: Seed,
    options: Options<'_>,
    checkpoints: &CellCheckpoints<'_>,
) -> Result<Computed, Error> {
    let Material { experiment, spec, data, retrieval, backbone } = material;
    let Options { reporter, interrupt, .. } = options;
    run::reset_peak_memory();
    let effort = run::Effort::begin();
    let started = run::now();
    checkpoints.computes_on(backbone.model.computing().map(|on| on.facts.describe()));
    let mut clock = Clock::default();
    let k = retrieval.retrieval.k;
    let verbalizer = Verbalizer::new(&backbone.tokenizer, preflight::labels(k, spec), spec.read_out)?;
    if let Some(warning) = verbalizer.audit().warning() {
        reporter.emit(Event::Warning(&warning));
    }
    let (names, letters) = letters(verbalizer.audit(), verbalizer.read());
    let prompts = preflight::prompts(&backbone.tokenizer, data, &verbalizer, spec)?;
    let positions = backbone.model.config().longest_prompt();
    preflight::check_length(&prompts, data, spec, (&backbone.record.name, positions))?;
    let [validation, test] = [Part::Validation, Part::Test]
        .map(|part| questions(material, &prompts, part, seed).map(|(questions, of)| Asked { questions, of }));
    let (validation, test) = (validation?, test?);
    clock.lap("prompts");

    let ask = |model: &mut dyn rank::Model, asked: &Asked, (part, stage): (&str, &str)| {
        let partly = Partly { checkpoints, part, step: 0 };
        ask(model, asked, (&letters, spec), options, partly, stage)
    };
    let mut frozen = rank::Backbone::on(backbone.model.engine());
    let zero_shot = ask(&mut frozen, &test, ("before", "rank test users, before training"))?;
    clock.lap("score");
    let mut parts = [Scored::new(&names), Scored::new(&names)];
    parts[1].add(Rung::ZeroShot, zero_shot);
    let (mut curve, mut training, mut shown, mut adapter) = (Vec::new(), None, None, Vec::new());
    if spec.tune {
        drop(frozen);
        let mut model = rank::Backbone::on(backbone.model.engine()).with_adapter(spec, seed);
        let lessons = Samples { samples: TrainingSamples::new(&data.split, spec, seed)?, prompts: &prompts };
        let options = TrainOptions { seed, letters: &letters, reporter, interrupt, checkpoints };
        let trained = train(&mut model, spec, &lessons, &validation.questions, options)?;
        clock.lap("train");
        parts[0].add(Rung::ZeroShot, trained.first_scores.clone());
        parts[0].add(Rung::Tuned, trained.best_scores.clone());
        parts[1].add(Rung::Tuned, ask(&mut model, &test, ("after", "rank test users"))?);
        clock.lap("score");
        training = Some(training_record(spec, &trained, lessons.len(), model.weights().len()));
        shown = Some(prompt_record(&trained.shown, lessons.len() as u64 * u64::from(spec.epochs)));
        curve = trained.curve.iter().map(curve_point).collect();
        if let Some(trained) = model.adapter() {
            // A repository's name, so that PEFT finds it; never the path of a folder, which is private to a machine.
            let files = trained.to_peft(&backbone.record.name);
            adapter = [(peft::CONFIG, files.config), (peft::WEIGHTS, files.weights)]
                .map(|(name, bytes)| (format!("{ADAPTER}/{name}"), bytes))
                .to_vec();
        }
    } else {
        parts[0].add(Rung::ZeroShot, ask(&mut frozen, &validation, ("validation", "rank validation users"))?);
        clock.lap("score");
    }
    let [in_validation, in_test] = parts;
    clock.seconds.extend(run::earlier(checkpoints));
    let ranking = StoredRanking {
        k,
        validation: in_validation.stored(&validation.questions)?,
        test: in_test.stored(&test.questions)?,
    };
    let ranker = RankerRecord {
        backbone: backbone.record.clone(),
        retrieval_key: retrieval.manifest.key.clone(),
        tuned: spec.tune,
        candidate_order: word(&spec.candidate_order),
        validation: prompt_record(&validation.questions.truncation, validation.of),
        test: prompt_record(&test.questions.truncation, test.of),
        training: shown,
        cut_titles: prompts.titles().cut() as u64,
    };
    let manifest = Manifest {
        version: MANIFEST_VERSION,
        stage: String::new(),
        key: String::new(),
        experiments: vec![experiment.name.clone()],
        retriever: experiment.retriever.kind().to_owned(),
        seed: seed.get(),
        dataset: data.record.clone(),
        code: CodeRecord::here(RANKING_STAGE_VERSION),
        machine: Machine { device: checkpoints.devices(), ..Machine::here(rayon::current_num_threads()) },
        times: Times { started, finished: run::now(), wall_seconds: clock.seconds },
        process: effort.finished(checkpoints.resumed()),
        peak_memory_bytes: run::peak_memory_bytes(),
        training,
        limit: ranker.backbone.is_random().then(|| RANDOM_WEIGHTS.to_owned()),
        ranker: Some(ranker),
        files: BTreeMap::new(),
        left_out: BTreeMap::new(),
    };
    let audit = audit_record(verbalizer.audit());
    let settings = setting_records(experiment);
    Ok((RankingCell { manifest, ranking, curve, audit, settings }, adapter))
}

/// The users of a part who are asked about, and how many could be.
struct Asked {
    questions: Questions,
    of: u64,
}

fn questions(
    Material { experiment, spec, data, retrieval, .. }: Material<'_>,
    prompts: &Prompts,
    part: Part,
    seed: Seed,
) -> Result<(Questions, u64), Error> {
    let stored = match part {
        Part::Validation => &retrieval.retrieval.validation,
        Part::Test => &retrieval.retrieval.test,
    };
    let k = experiment.evaluation.candidates as usize;
    let histories = data.split.histories(part);
    let targets = data.split.targets(part);
    let mut all =
        samples::evaluation(&histories, targets, &stored.candidates, k, part, spec.candidate_order, seed)?;
    let of = all.len();
    let most = spec.validation_users as usize;
    if part == Part::Validation && most > 0 && most < of {
        let mut chosen = crate::nn::init::permutation(&mut seed.stream("ranker/validation"), of);
        chosen.truncate(most);
        chosen.sort_unstable();
        all = chosen.into_iter().map(|at| all[at as usize].clone()).collect();
    }
    Ok((Questions::new(prompts, &all, k)?, of as u64))
}

/// The scores of all users of a part, with progress.
fn ask(
    model: &mut dyn rank::Model,
    Asked { questions, .. }: &Asked,
    (letters, spec): (&Letters, &RankerSpec),
    Options { reporter, interrupt, .. }: Options<'_>,
    partly: Partly<'_>,
    stage: &str,
) -> Result<Vec<Vec<f32>>, Error> {
    reporter.emit(Event::Started { stage, total: Some(questions.len() as u64), unit: "users" });
    let mut last = None;
    let mut tell = |pace: rank::Pace| {
        reporter.emit(Event::Advanced { done: pace.prompts as u64, detail: &pace.to_string() });
        last = Some(pace);
    };
    let tokens = spec.micro_batch_tokens as usize;
    let scores = questions.ask(model, letters, tokens, interrupt, partly, &mut tell)?;
    let none = if questions.is_empty() { "nobody to rank" } else { "all scored by an earlier process" };
    let pace = last.map_or_else(|| none.to_owned(), |pace| pace.to_string());
    reporter.emit(Event::Finished { summary: &pace });
    Ok(scores)
}

/// The ids of the read-out that counts, and those of the other one where it reads other ids and can be read.
fn letters(audit: &Audit, read: &[u32]) -> (Vec<&'static str>, Letters) {
    let name = |read_out| if read_out == ReadOut::InContext { run::READ_OUTS[0] } else { run::READ_OUTS[1] };
    let other = match audit.read_out {
        ReadOut::InContext => ReadOut::Standalone,
        ReadOut::Standalone => ReadOut::InContext,
    };
    let mut ids = Vec::with_capacity(audit.labels.len());
    for label in &audit.labels {
        let own = if other == ReadOut::InContext { &label.in_context } else { &label.standalone };
        if let [id] = own[..]
            && !ids.contains(&id)
        {
            ids.push(id);
        }
    }
    let (mut names, mut sets) = (vec![name(audit.read_out)], vec![read.to_vec()]);
    if ids.len() == read.len() && ids != read {
        names.push(name(other));
        sets.push(ids);
    }
    (names, Letters { sets })
}

/// Scores of a part as they come.
struct Scored<'a> {
    names: &'a [&'static str],
    scores: Vec<(Rung, Vec<Vec<f32>>)>,
}

impl<'a> Scored<'a> {
    fn new(names: &'a [&'static str]) -> Self {
        Self { names, scores: Vec::new() }
    }

    fn add(&mut self, rung: Rung, scores: Vec<Vec<f32>>) {
        self.scores.push((rung, scores));
    }

    fn stored(self, questions: &Questions) -> Result<RankedPart, Error> {
        let targets = questions.targets();
        let mut readings = Vec::new();
        for (rung, sets) in self.scores {
            for (name, scores) in self.names.iter().zip(sets) {
                let reading = Reading::new(rung, name, scores, (&questions.items, &targets));
                readings.push(reading.map_err(|what| Error::Scores { what })?);
            }
        }
        Ok(RankedPart {
            users: questions.users.clone(),
            candidates: questions.items.clone(),
            targets,
            readings,
        })
    }
}

/// Training prompts of a split.
struct Samples<'a> {
    samples: TrainingSamples<'a>,
    prompts: &'a Prompts,
}

impl Lessons for Samples<'_> {
    fn len(&self) -> usize {
        self.samples.len()
    }

    fn order(&self, epoch: u32) -> Vec<u32> {
        self.samples.order(epoch)
    }

    fn prompt(&self, epoch: u32, index: usize) -> Result<Prompt, rank::Error> {
        Ok(self.prompts.training(&self.samples.sample(epoch, index))?)
    }
}

/// Wall time by part of the work.
struct Clock {
    since: Instant,
    seconds: BTreeMap<String, f64>,
}

impl Default for Clock {
    fn default() -> Self {
        Self { since: Instant::now(), seconds: BTreeMap::new() }
    }
}

impl Clock {
    fn lap(&mut self, what: &str) {
        *self.seconds.entry(what.to_owned()).or_default() += self.since.elapsed().as_secs_f64();
        self.since = Instant::now();
    }
}

fn prompt_record(counts: &Truncation, of: u64) -> PromptRecord {
    PromptRecord {
        prompts: counts.prompts,
        of,
        tokens: counts.tokens,
        longest: counts.longest,
        cut_prompts: counts.cut_prompts,
        cut_tokens: counts.cut_tokens,
        shortened_prompts: counts.shortened_prompts,
        dropped_items: counts.dropped_items,
    }
}

fn audit_record(audit: &Audit) -> AuditRecord {
    let labels = audit.labels.iter().map(|label| run::LabelRecord {
        label: label.label.clone(),
        in_context: label.in_context.clone(),
        standalone: label.standalone.clone(),
    });
    AuditRecord {
        read_out: word(&audit.read_out),
        tokenizer: audit.tokenizer.clone(),
        context: audit.context.clone(),
        labels: labels.collect(),
    }
}

fn training_record(
    spec: &RankerSpec,
    trained: &Trained,
    prompts: usize,
    parameters: usize,
) -> TrainingRecord {
    let best = trained.curve.iter().find(|point| point.step == trained.best_step);
    let (epoch_steps, _) = rank::steps(spec, prompts);
    TrainingRecord {
        selected_by: spec.select_by.to_string(),
        best_step: trained.best_step,
        best_metric: best.map_or(0.0, |point| point.metric),
        steps: trained.steps,
        epochs: trained.steps.div_ceil(epoch_steps.max(1)),
        stop_reason: match trained.stopped {
            StopReason::NoImprovement => format!("{} validations without a better one", spec.patience),
            StopReason::Steps => format!("all {} steps are done", trained.steps),
            StopReason::LossNotFinite { step, loss } => format!("the loss is {loss} at step {step}"),
        },
        last_loss: trained.curve.iter().rev().find_map(|point| point.train_loss),
        parameters: Some(parameters as u64),
    }
}

fn curve_point(point: &rank::CurvePoint) -> CurvePoint {
    CurvePoint {
        step: point.step,
        epoch: point.epoch.ceil() as u32,
        train_loss: point.train_loss,
        metric: point.metric,
        wall_seconds: point.wall_seconds,
    }
}
