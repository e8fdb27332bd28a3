//! The language models of experiments: where they come from, what they are, and how they get into memory.

use std::sync::{Arc, OnceLock};

use super::Error;
use super::record::word;
use crate::backbone::hub::{self, Hub, Source};
use crate::backbone::{self, Decoder, Folder, ModelConfig};
use crate::events::{Event, Interrupt, Reporter};
use crate::experiment::{BackboneSpec, ComputeType, Quantization};
use crate::nn::matmul::Precision;
use crate::nn::quant::Storage;
use crate::prompt::{self, Tokenizer};
use crate::run::{BackboneRecord, sha256_hex};

/// Where the weights of a backbone come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackboneSource {
    /// A repository of Hugging Face.
    Hub,
    /// A folder on this machine.
    Folder,
}

impl BackboneSource {
    /// What `backbone.name` means.
    #[must_use]
    pub fn of(name: &str) -> Self {
        match Source::of(name) {
            Source::Repository(_) => Self::Hub,
            Source::Folder(_) => Self::Folder,
        }
    }

    /// The name in manifests.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hub => "hub",
            Self::Folder => "folder",
        }
    }
}

/// A backbone whose files are there, before its weights are read.
#[derive(Debug)]
pub struct Located {
    /// Where it comes from.
    pub source: BackboneSource,
    /// Its shape.
    pub config: ModelConfig,
    /// Its files.
    pub folder: Folder,
    identity: OnceLock<String>,
}

impl Located {
    /// Look for the files of a backbone; nothing is downloaded, and weights are not read.
    ///
    /// # Errors
    /// If a file is missing or describes a model that cannot be run here.
    pub fn find(spec: &BackboneSpec) -> Result<Self, backbone::Error> {
        let source = BackboneSource::of(&spec.name);
        let folder = hub::find(&spec.name, spec.revision.as_deref(), &Hub::from_env()?)?;
        Ok(Self { source, config: folder.config()?, folder, identity: OnceLock::new() })
    }

    /// SHA-256, in hex, over the hashes of every file that a result depends on. The files are hashed once.
    ///
    /// # Errors
    /// If a file cannot be read, or somebody interrupts.
    pub fn identity(&self, interrupt: &Interrupt) -> Result<&str, backbone::Error> {
        if let Some(identity) = self.identity.get() {
            return Ok(identity);
        }
        let hashes = self.folder.hashes(interrupt)?;
        let text: String = hashes.iter().map(|(name, hash)| format!("{name} {hash}\n")).collect();
        Ok(self.identity.get_or_init(|| sha256_hex(text.as_bytes())))
    }

    /// Read weights and tokenizer.
    ///
    /// # Errors
    /// If they cannot be read, contradict the description, or do not belong together.
    pub fn load(
        &self,
        spec: &BackboneSpec,
        reporter: &dyn Reporter,
        interrupt: &Interrupt,
    ) -> Result<Backbone, Error> {
        // The tokenizer is small: what is wrong with it is told before the weights are read.
        let mut tokenizer = Tokenizer::from_file(&self.folder.tokenizer())?;
        prompt::check_vocabulary(&tokenizer, self.config.vocab)?;
        if let (None, Some(eos)) = (tokenizer.eos(), self.config.eos.first()) {
            tokenizer = tokenizer.with_eos(*eos);
        }
        let identity = self.identity(interrupt)?.to_owned();
        let weights = backbone::load(&self.folder, storage(spec), reporter, interrupt)?;
        let bytes = weights.bytes() as u64;
        let parameters = self.config.parameters();
        reporter.emit(Event::Note(&format!(
            "{}: {parameters} parameters in {:.2} GiB",
            spec.name,
            bytes as f64 / f64::from(1 << 30)
        )));
        let record = BackboneRecord {
            name: spec.name.clone(),
            revision: self.folder.revision().map(str::to_owned).or_else(|| spec.revision.clone()),
            source: self.source.name().to_owned(),
            identity,
            architecture: self.config.architecture.name().to_owned(),
            parameters,
            vocabulary: self.config.vocab as u64,
            quantization: word(&spec.quantization),
            compute_type: word(&spec.compute_type),
            bytes,
        };
        let precision = match spec.compute_type {
            ComputeType::Bf16 => Precision::Bf16,
            ComputeType::F32 => Precision::F32,
        };
        Ok(Backbone { decoder: Decoder::new(weights, precision), tokenizer: Arc::new(tokenizer), record })
    }
}

/// A backbone in memory.
pub struct Backbone {
    /// The model, frozen.
    pub decoder: Decoder,
    /// Its tokenizer.
    pub tokenizer: Arc<Tokenizer>,
    /// What manifests say of it.
    pub record: BackboneRecord,
}

/// How frozen linear layers are stored.
#[must_use]
pub const fn storage(spec: &BackboneSpec) -> Storage {
    match spec.quantization {
        Quantization::Nf4 => Storage::Nf4 { double: spec.double_quantization },
        Quantization::Int8 => Storage::Int8,
        Quantization::Bf16 => Storage::Bf16,
        Quantization::F32 => Storage::F32,
    }
}
