//! Built-in backbones: small language models of the Qwen 2 architecture. Their layers come with the program ([`Start`]); here they
//! are taught the titles and the training interactions of one dataset.
//!
//! A stage of the run store: the cell is a folder in Hugging Face's format, named by the hash of what its content depends on
//! (settings, titles, split, version of the recipe), and made once for all experiments and seeds that ask for it. Validation
//! and test items of a user are never targets and never in a history; as any item they can be wrong candidates.

mod catalogue;
mod cell;
mod error;
mod geometry;
pub mod init;
pub mod lessons;
mod start;
mod tokenizer;
pub mod train;
pub mod worlds;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;

pub use cell::{PRETRAIN_STAGE_VERSION, PretrainedCell};
pub use error::Error;
pub use geometry::Geometry;
pub use start::Start;
pub use tokenizer::{LEAST_WORDS, train as train_tokenizer, train_words, words_like};

use crate::backbone::ModelConfig;
use crate::backbone::decoder::FullModel;
use crate::checkpoint::Checkpoints;
use crate::data::Split;
use crate::events::{Event, Interrupt, Reporter};
use crate::experiment::{EMBEDDED_PREFIX, EvaluationSpec, Experiment, PretrainSpec, RankerSpec};
use crate::prompt::Tokenizer;
use crate::run::{
    self, CellKey, Claims, CodeRecord, DatasetRecord, Expected, MANIFEST_VERSION, Machine, Manifest, Store,
    Times, TrainingRecord, Turn, Work, atomic,
};
use crate::seed::Seed;

/// How often is looked whether another process is done.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A built-in backbone for one dataset: what it is made of.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Which.
    pub geometry: Geometry,
    /// How it is taught.
    pub spec: &'a PretrainSpec,
    /// Titles; index i is item i + 1.
    pub titles: &'a [String],
    /// Only `train` of it is read.
    pub split: &'a Split,
    /// What the manifest says of the data.
    pub dataset: &'a DatasetRecord,
    /// Labels that prompts may have.
    pub labels: usize,
    /// Items of history in a prompt.
    pub history_items: usize,
    /// Tokens at which a title is cut.
    pub title_tokens: usize,
}

impl<'a> Request<'a> {
    /// What an experiment asks for; `None` where its backbone comes from files, or where it has none.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a name such as `embedded:huge`.
    pub fn of(
        experiment: &'a Experiment,
        titles: &'a [String],
        split: &'a Split,
        dataset: &'a DatasetRecord,
    ) -> Result<Option<Self>, Error> {
        let Experiment { backbone, pretrain, ranker, evaluation, .. } = experiment;
        let (Some(backbone), Some(spec), Some(ranker)) = (backbone, pretrain, ranker) else {
            return Ok(None);
        };
        let geometry = Geometry::of(&backbone.name).ok_or_else(|| unknown(&backbone.name))?;
        let labels = labels(evaluation, ranker);
        let (history_items, title_tokens) = (ranker.history_items as usize, ranker.title_tokens as usize);
        Ok(Some(Self { geometry, spec, titles, split, dataset, labels, history_items, title_tokens }))
    }

    /// What the weights depend on, hashed: the name of the cell.
    #[must_use]
    pub fn key(&self) -> CellKey {
        cell::key(&json!({
            "backbone": self.geometry.name(),
            "settings": self.spec,
            "titles": run::sha256_hex(json!(self.titles).to_string().as_bytes()),
            "split": self.split.fingerprint,
            "labels": self.labels,
            "history_items": self.history_items,
            "title_tokens": self.title_tokens,
        }))
    }

    /// Tokens to read.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.spec.tokens.unwrap_or(geometry::TOKENS)
    }
}

/// Whether a `backbone.name` asks for a built-in backbone.
#[must_use]
pub fn is_built_in(name: &str) -> bool {
    name.starts_with(EMBEDDED_PREFIX)
}

fn unknown(name: &str) -> Error {
    let known: Vec<&str> = Geometry::ALL.into_iter().map(Geometry::name).collect();
    Error::Unknown { name: name.to_owned(), known: known.join(" and ") }
}

fn labels(evaluation: &EvaluationSpec, ranker: &RankerSpec) -> usize {
    (evaluation.candidates as usize).max(ranker.negatives as usize + 1)
}

/// The folder of the backbone, pre-trained now unless it is stored already. While another process is at it, this one waits.
///
/// # Errors
/// If it cannot be made or stored, or if somebody interrupts.
pub fn ensure(
    request: &Request<'_>,
    root: impl Into<PathBuf>,
    experiment: &str,
    reporter: &dyn Reporter,
    interrupt: &Interrupt,
) -> Result<PathBuf, Error> {
    let (root, claims) = (root.into(), Claims::default());
    let mut told = None;
    loop {
        let holder = match attempt(request, &root, experiment, &claims, reporter, interrupt)? {
            Turn::Ours(folder) => return Ok(folder),
            Turn::Theirs(holder) => holder,
        };
        if told.as_ref() != Some(&holder) {
            let name = request.geometry.name();
            reporter.emit(Event::Note(&format!("{name}: waiting for {holder}, which pre-trains it")));
            told = Some(holder);
        }
        if !interrupt.pause(LOOK_EVERY) {
            return Err(Error::Interrupted);
        }
    }
}

/// The same without waiting: the folder, or which process is making it.
///
/// # Errors
/// As [`ensure`].
pub fn attempt(
    request: &Request<'_>,
    root: &Path,
    experiment: &str,
    claims: &Claims,
    reporter: &dyn Reporter,
    interrupt: &Interrupt,
) -> Result<Turn<PathBuf>, Error> {
    let store: Store<PretrainedCell> = Store::at(root.to_owned());
    let key = request.key();
    let name = request.geometry.name();
    let expected = Expected { seed: request.spec.seed, retriever: name, dataset: request.dataset };
    let claim = match store.turn((&key, &expected), claims, (name, reporter))? {
        Turn::Ours(Work::Stored(_)) => return Ok(Turn::Ours(store.cell_dir(&key))),
        Turn::Ours(Work::ToDo(claim)) => claim,
        Turn::Theirs(holder) => return Ok(Turn::Theirs(holder)),
    };
    // Four bytes a weight, twice over for what goes with it.
    let weights = request.geometry.config(request.spec.vocabulary as usize, 0, 0).parameters();
    atomic::check_room(store.root(), &store.cell_dir(&key), 8 * weights)?;
    reporter.emit(Event::Note(&format!("{name}: pre-training on {}", request.dataset.name)));
    let checkpoints = store.checkpoints(&key, reporter);
    let cell = pretrain(request, experiment, (reporter, interrupt, &checkpoints))?;
    let folder = store.save_with(&key, &cell, &[])?;
    checkpoints.done();
    drop(claim);
    Ok(Turn::Ours(folder))
}

/// Teach a backbone.
///
/// # Errors
/// As [`ensure`].
pub fn pretrain(
    request: &Request<'_>,
    experiment: &str,
    (reporter, interrupt, checkpoints): (&dyn Reporter, &Interrupt, &dyn Checkpoints),
) -> Result<PretrainedCell, Error> {
    let (started, clock, effort) = (run::now(), Instant::now(), run::Effort::begin());
    let spec = request.spec;
    let seed = Seed::new(spec.seed);
    let bytes = tokenizer::train(request.titles, request.labels, spec.vocabulary as usize)?;
    let tokenizer = Tokenizer::from_bytes("tokenizer.json", &bytes, None)?;
    let (Some(bos), Some(eos)) = (tokenizer.bos(), tokenizer.eos()) else {
        return Err(Error::Tokenizer(format!("no {} or no {}", tokenizer::BOS, tokenizer::EOS)));
    };
    let config = request.geometry.config(tokenizer.vocab_size(), bos, eos);
    let sizes = (request.labels, request.history_items, request.title_tokens);
    let teacher = lessons::Teacher::new(&tokenizer, request.titles, request.split, sizes)?;
    let mut model = FullModel::zeros(&config);
    let mut rng = seed.stream("pretrain/words");
    Start::shipped(request.geometry)?.give(&mut model, &tokenizer, &teacher.roles(), &mut rng)?;
    let schedule = train::Schedule {
        tokens: request.tokens(),
        step_tokens: spec.step_tokens as usize,
        learning_rate: spec.learning_rate,
        warmup_steps: spec.warmup_steps,
    };
    let mut course = catalogue::Catalogue { teacher: &teacher };
    let mut rng = seed.stream("pretrain/lessons");
    let curve =
        train::teach(&mut model, &mut course, &schedule, &mut rng, (reporter, interrupt, checkpoints))?;
    let mut wall_seconds = BTreeMap::from([("train".to_owned(), clock.elapsed().as_secs_f64())]);
    wall_seconds.extend(run::earlier(checkpoints));
    let manifest = manifest(
        request,
        experiment,
        &config,
        &curve,
        (started, wall_seconds, effort.finished(checkpoints.resumed())),
    );
    Ok(PretrainedCell {
        manifest,
        config: config.to_json().into_bytes(),
        weights: model.to_weights().to_bytes()?,
        tokenizer: bytes,
        curve,
    })
}

fn manifest(
    request: &Request<'_>,
    experiment: &str,
    config: &ModelConfig,
    curve: &[train::Point],
    (started, wall_seconds, process): (String, BTreeMap<String, f64>, run::ProcessRecord),
) -> Manifest {
    let steps = curve.last().map_or(0, |point| point.step);
    Manifest {
        version: MANIFEST_VERSION,
        stage: String::new(),
        key: String::new(),
        experiments: vec![experiment.to_owned()],
        retriever: request.geometry.name().to_owned(),
        seed: request.spec.seed,
        dataset: request.dataset.clone(),
        code: CodeRecord::here(PRETRAIN_STAGE_VERSION),
        machine: Machine::here(rayon::current_num_threads()),
        times: Times { started, finished: run::now(), wall_seconds },
        process,
        peak_memory_bytes: run::peak_memory_bytes(),
        training: Some(TrainingRecord {
            selected_by: "nothing: the last weights are kept".to_owned(),
            best_step: steps,
            best_metric: 0.0,
            steps,
            epochs: 0,
            stop_reason: format!("all {} tokens are read", request.tokens()),
            last_loss: curve.last().map(|point| point.loss),
            parameters: Some(config.parameters()),
        }),
        ranker: None,
        limit: None,
        files: BTreeMap::new(),
        left_out: BTreeMap::new(),
    }
}
