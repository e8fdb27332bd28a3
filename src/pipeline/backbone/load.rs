//! A backbone that was found, brought into memory.

use std::path::Path;
use std::sync::Arc;

use super::super::devices::Computing;
use super::super::footprint::Footprint;
use super::super::placed::{Brought, Origin, Placed};
use super::super::random::Random;
use super::super::record::word;
use super::super::{Error, Prepared};
use super::{BackboneSource, Kind, Located, own_tokenizer, request};
use crate::backbone::Folder;
use crate::backbone::hub::Source;
use crate::events::{Event, Interrupt, Reporter};
use crate::experiment::{BackboneSpec, Experiment, Quantization};
use crate::nn::quant::Storage;
use crate::pretrain;
use crate::prompt::Tokenizer;
use crate::rank;
use crate::report::thousands;
use crate::run::{self, BackboneRecord};

/// A backbone in memory.
pub struct Backbone {
    /// The model, frozen, where it computes.
    pub model: Placed,
    /// Its tokenizer.
    pub tokenizer: Arc<Tokenizer>,
    /// What manifests say of it.
    pub record: BackboneRecord,
}

impl Located {
    /// Read weights and tokenizer, or draw the weights. A built-in backbone is taken from the store at `runs`, or made and stored
    /// there.
    ///
    /// # Errors
    /// If they cannot be read, contradict the description, or do not belong together.
    pub fn load(
        &self,
        (experiment, data): (&Experiment, &Prepared),
        runs: &Path,
        device: Option<Computing>,
        (reporter, interrupt): (&dyn Reporter, &Interrupt),
    ) -> Result<Backbone, Error> {
        let spec = experiment.backbone.as_ref().ok_or(Error::NoBackbone)?;
        let folder = match &self.kind {
            Kind::Random(random) => {
                let device = self.dense(experiment, device)?;
                return self.draw(spec, random, device, (reporter, interrupt));
            }
            Kind::Files(folder) => folder.clone(),
            Kind::BuiltIn => {
                let made = match self.made.get() {
                    Some(folder) => folder.clone(),
                    None => {
                        let request = request(experiment, data)?.ok_or(Error::NoBackbone)?;
                        pretrain::ensure(&request, runs, &experiment.name, reporter, interrupt)?
                    }
                };
                Folder::open(&made)?
            }
        };
        let config = folder.config()?;
        // The tokenizer is small: what is wrong with it is told before the weights are read.
        let tokenizer = self.tokenizer(|| own_tokenizer(&folder.tokenizer(), &config))?;
        let identity = self.identity(interrupt)?.to_owned();
        let stored = (storage(spec), spec.compute_type);
        let device = self.dense(experiment, device)?;
        let placed = Placed::bring(Origin::Files(&folder), stored, device, reporter, interrupt)?;
        let revision = folder.revision().map(str::to_owned).or_else(|| spec.revision.clone());
        let record = BackboneRecord { revision, identity, ..self.record(spec, &placed) };
        Ok(loaded(spec, (placed, tokenizer, record), reporter))
    }

    /// The device with whether quantized layers become bf16 there.
    pub(in crate::pipeline) fn dense(
        &self,
        experiment: &Experiment,
        device: Option<Computing>,
    ) -> Result<Option<(Computing, bool)>, Error> {
        let Some(computing) = device else { return Ok(None) };
        let (free, _) = computing.machine.memory().map_err(rank::Error::from)?;
        let is_dense = Footprint::of(experiment, self).is_some_and(|footprint| footprint.is_dense(free));
        Ok(Some((computing, is_dense)))
    }

    /// Draw the weights.
    fn draw(
        &self,
        spec: &BackboneSpec,
        random: &Random,
        device: Option<(Computing, bool)>,
        (reporter, interrupt): (&dyn Reporter, &Interrupt),
    ) -> Result<Backbone, Error> {
        reporter.emit(Event::Warning(&format!("{}: {}", spec.name, random.told())));
        let wide = random.outline.has_wide_tables;
        let tokenizer = self.tokenizer(|| random.tokenizer())?;
        let identity = self.identity(interrupt)?.to_owned();
        let (origin, stored) = (Origin::Drawn(&self.config, wide), (storage(spec), spec.compute_type));
        let placed = Placed::bring(origin, stored, device, reporter, interrupt)?;
        let (revision, drawn) = (random.outline.revision.clone(), Some(random.record()));
        let record = BackboneRecord { revision, identity, random: drawn, ..self.record(spec, &placed) };
        Ok(loaded(spec, (placed, tokenizer, record), reporter))
    }

    /// What manifests say of it but for what is its own kind's.
    fn record(&self, spec: &BackboneSpec, (model, brought): &(Placed, Brought)) -> BackboneRecord {
        let config = model.config();
        BackboneRecord {
            name: self.shown_name(spec),
            revision: None,
            source: self.source.name().to_owned(),
            identity: String::new(),
            architecture: config.architecture.name().to_owned(),
            parameters: config.parameters(),
            vocabulary: config.vocab as u64,
            quantization: word(&spec.quantization),
            compute_type: word(&spec.compute_type),
            bytes: brought.bytes,
            files: self.hashes.get().cloned().unwrap_or_default(),
            random: None,
        }
    }

    /// The name in results: a repository's, or a folder's without the folders above it, which are private to a machine. A folder in
    /// the cache of the hub is a repository too.
    fn shown_name(&self, spec: &BackboneSpec) -> String {
        let path = match (&self.kind, Source::of(&spec.name)) {
            (Kind::Files(folder), _) if self.source == BackboneSource::Folder => folder.path().to_owned(),
            (Kind::Random(_), Source::Folder(path)) => path,
            _ => return spec.name.clone(),
        };
        let path = std::path::absolute(&path).unwrap_or(path);
        let names = path.components().rev().map(|part| part.as_os_str().to_string_lossy().into_owned());
        let names: Vec<String> = names.collect();
        if let [_, snapshots, model, ..] = &names[..]
            && snapshots == "snapshots"
            && let Some((organisation, name)) =
                model.strip_prefix("models--").and_then(|name| name.split_once("--"))
        {
            return format!("{organisation}/{name}");
        }
        names.into_iter().next().unwrap_or_default()
    }
}

fn loaded(
    spec: &BackboneSpec,
    ((model, brought), tokenizer, record): ((Placed, Brought), Arc<Tokenizer>, BackboneRecord),
    reporter: &dyn Reporter,
) -> Backbone {
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    let place = model.computing().map(|on| format!(" of {}", on.facts)).unwrap_or_default();
    let peak = run::peak_memory_bytes()
        .map_or_else(String::new, |bytes| format!("; this process has held {:.2} GiB at most", gib(bytes)));
    reporter.emit(Event::Note(&format!(
        "{}: {} parameters in {:.2} GiB{place} within {:.1} s{peak}",
        spec.name,
        thousands(record.parameters),
        gib(brought.held),
        brought.elapsed.as_secs_f64(),
    )));
    Backbone { model, tokenizer, record }
}

/// How frozen linear layers are stored.
pub(in crate::pipeline) const fn storage(spec: &BackboneSpec) -> Storage {
    match spec.quantization {
        Quantization::Nf4 => Storage::Nf4 { double: spec.double_quantization },
        Quantization::Int8 => Storage::Int8,
        Quantization::Bf16 => Storage::Bf16,
        Quantization::F32 => Storage::F32,
    }
}
