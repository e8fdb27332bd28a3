//! The language models of experiments: where they come from, what they are, and how they get into memory.

mod load;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

pub use load::Backbone;
pub(super) use load::storage;

use super::random::Random;
use super::{Error, Prepared};
use crate::backbone::hub::{self, Hub, Source};
use crate::backbone::{self, Folder, ModelConfig};
use crate::events::{Interrupt, Reporter};
use crate::experiment::{BackboneSpec, Experiment};
use crate::pretrain::{self, PretrainedCell, Request};
use crate::prompt::{self, Tokenizer};
use crate::run::{CellKey, Claims, RANDOM, Store, Turn, sha256_hex};

/// Where the weights of a backbone come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackboneSource {
    /// A repository of Hugging Face.
    Hub,
    /// A folder on this machine.
    Folder,
    /// Built in: pre-trained here on the experiment's own data, once, as a stage of the store.
    Embedded,
    /// Drawn at random for the shape of a model, to measure speed and memory.
    Random,
}

impl BackboneSource {
    /// What `backbone.name` means where weights are not random.
    #[must_use]
    pub fn of(name: &str) -> Self {
        if pretrain::is_built_in(name) {
            return Self::Embedded;
        }
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
            Self::Embedded => "embedded",
            Self::Random => RANDOM,
        }
    }
}

/// A backbone whose files are there, or that can be made, before its weights are read.
#[derive(Debug)]
pub struct Located {
    /// Where it comes from.
    pub source: BackboneSource,
    /// Its shape; of a built-in one that is not made yet, with the largest vocabulary that it may get.
    pub config: ModelConfig,
    /// Tokens that a built-in one reads when it is made; 0 for others.
    pub pretraining_tokens: u64,
    kind: Kind,
    identity: OnceLock<String>,
    /// Hashes of its files.
    hashes: OnceLock<BTreeMap<String, String>>,
    tokenizer: OnceLock<Arc<Tokenizer>>,
    /// The folder of a built-in one that was made by this process.
    made: OnceLock<PathBuf>,
}

/// What it is made of.
#[derive(Debug)]
enum Kind {
    /// Its files.
    Files(Folder),
    /// A recipe.
    BuiltIn,
    /// A shape.
    Random(Box<Random>),
}

impl Located {
    fn new(source: BackboneSource, config: ModelConfig, kind: Kind) -> Self {
        Self {
            source,
            config,
            pretraining_tokens: 0,
            kind,
            identity: OnceLock::new(),
            hashes: OnceLock::new(),
            tokenizer: OnceLock::new(),
            made: OnceLock::new(),
        }
    }

    /// Look for the files of a backbone; nothing is downloaded, and weights are not read.
    ///
    /// # Errors
    /// If a file is missing or describes a model that cannot be run here.
    pub fn find(spec: &BackboneSpec) -> Result<Self, backbone::Error> {
        let folder = hub::find(&spec.name, spec.revision.as_deref(), &Hub::from_env()?)?;
        Ok(Self::new(BackboneSource::of(&spec.name), folder.config()?, Kind::Files(folder)))
    }

    /// The backbone of an experiment whose weights are random; `None` without the data. Nothing is downloaded or drawn.
    ///
    /// # Errors
    /// If nobody knows its shape, or a description cannot be read or is of a model that cannot be run here.
    pub fn random(
        experiment: &Experiment,
        spec: &BackboneSpec,
        data: Option<&Arc<Prepared>>,
    ) -> Result<Option<Self>, backbone::Error> {
        let found = Random::find(experiment, spec, data)?;
        let located = |random: Random| {
            Self::new(BackboneSource::Random, random.outline.config.clone(), Kind::Random(Box::new(random)))
        };
        Ok(found.map(located))
    }

    /// The built-in backbone that an experiment asks for on its data, if it asks for one.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn built_in(experiment: &Experiment, data: &Prepared) -> Result<Option<Self>, pretrain::Error> {
        let found = |request: Request<'_>| {
            let most = request.spec.vocabulary as usize;
            let config = request.geometry.config(most, 0, 1);
            Self {
                pretraining_tokens: request.tokens(),
                // What it will be follows from what it is made of.
                identity: OnceLock::from(request.key().as_str().to_owned()),
                ..Self::new(BackboneSource::Embedded, config, Kind::BuiltIn)
            }
        };
        Ok(request(experiment, data)?.map(found))
    }

    /// Whether embedding and output layer are f32 in memory. Those of a backbone that is not made yet, or whose files cannot be read, are taken to
    /// be.
    #[must_use]
    pub fn has_wide_tables(&self) -> bool {
        match &self.kind {
            Kind::Random(random) => random.outline.has_wide_tables,
            Kind::Files(folder) => backbone::weights::has_wide_tables(folder).unwrap_or(true),
            Kind::BuiltIn => true,
        }
    }

    /// What somebody should know who plans to compute with it: that its weights are random, if they are.
    #[must_use]
    pub fn caution(&self) -> Option<String> {
        match &self.kind {
            Kind::Random(random) => Some(random.told()),
            Kind::Files(_) | Kind::BuiltIn => None,
        }
    }

    /// SHA-256, in hex, over what a result depends on: the hashes of the files, which are read once, or what a built-in
    /// backbone is made of, or shape and tokenizer where weights are random.
    ///
    /// # Errors
    /// If a file cannot be read, or somebody interrupts.
    pub fn identity(&self, interrupt: &Interrupt) -> Result<&str, backbone::Error> {
        if let Some(identity) = self.identity.get() {
            return Ok(identity);
        }
        let (identity, hashes) = match &self.kind {
            Kind::BuiltIn => return Ok(""),
            Kind::Random(random) => random.identity(interrupt)?,
            Kind::Files(folder) => {
                let hashes = folder.hashes(interrupt)?;
                let text: String = hashes.iter().map(|(name, hash)| format!("{name} {hash}\n")).collect();
                (sha256_hex(text.as_bytes()), hashes)
            }
        };
        let _ = self.hashes.set(hashes);
        Ok(self.identity.get_or_init(|| identity))
    }

    /// What can be known of the files without reading a weight: the tokenizer, which belongs to the model, once the headers of
    /// the weights are those of the model that `config.json` describes. None for a built-in backbone, whose files may not be
    /// there yet.
    ///
    /// # Errors
    /// If the tokenizer or a header cannot be read, or contradicts the description.
    pub fn examine(&self) -> Result<Option<Arc<Tokenizer>>, Error> {
        match &self.kind {
            Kind::BuiltIn => Ok(None),
            Kind::Random(random) => Ok(Some(self.tokenizer(|| random.tokenizer())?)),
            Kind::Files(folder) => {
                let tokenizer = self.tokenizer(|| own_tokenizer(&folder.tokenizer(), &self.config))?;
                backbone::weights::check(folder).map_err(|error| Error::BackboneFiles(Arc::new(error)))?;
                Ok(Some(tokenizer))
            }
        }
    }

    /// The tokenizer, which is read or made once.
    fn tokenizer(&self, get: impl FnOnce() -> Result<Tokenizer, Error>) -> Result<Arc<Tokenizer>, Error> {
        if let Some(tokenizer) = self.tokenizer.get() {
            return Ok(Arc::clone(tokenizer));
        }
        let tokenizer = Arc::new(get()?);
        Ok(Arc::clone(self.tokenizer.get_or_init(|| tokenizer)))
    }

    /// Whether a built-in backbone has still to be made, and stored at `runs`.
    #[must_use]
    pub fn is_to_be_made(&self, runs: &Path) -> bool {
        let store: Store<PretrainedCell> = Store::at(runs.to_owned());
        let key = self.identity.get().and_then(|key| CellKey::from_hex(key));
        matches!(self.kind, Kind::BuiltIn) && key.is_some_and(|key| !store.is_complete(&key))
    }

    /// Make a built-in backbone that is not stored at `runs` yet, unless another process is at it. Any other is ours as it is.
    ///
    /// # Errors
    /// If it cannot be made or stored, or somebody interrupts.
    pub fn make(
        &self,
        (experiment, data): (&Experiment, &Prepared),
        (runs, claims): (&Path, &Claims),
        reporter: &dyn Reporter,
        interrupt: &Interrupt,
    ) -> Result<Turn<()>, Error> {
        if !self.is_to_be_made(runs) {
            return Ok(Turn::Ours(()));
        }
        let request = request(experiment, data)?.ok_or(Error::NoBackbone)?;
        Ok(match pretrain::attempt(&request, runs, &experiment.name, claims, reporter, interrupt)? {
            Turn::Theirs(holder) => Turn::Theirs(holder),
            Turn::Ours(folder) => {
                self.made.get_or_init(|| folder);
                Turn::Ours(())
            }
        })
    }
}

/// The tokenizer in the file `path`, which belongs to a model of the shape `config`.
pub(super) fn own_tokenizer(path: &Path, config: &ModelConfig) -> Result<Tokenizer, Error> {
    let mut tokenizer = Tokenizer::from_file(path)?;
    prompt::check_vocabulary(&tokenizer, config.vocab)?;
    if let (true, Some(eos)) = (tokenizer.lacks_stated_eos(), config.eos.first()) {
        tokenizer = tokenizer.with_eos(*eos);
    }
    Ok(tokenizer)
}

/// What a built-in backbone is made of.
pub(super) fn request<'a>(
    experiment: &'a Experiment,
    data: &'a Prepared,
) -> Result<Option<Request<'a>>, pretrain::Error> {
    Request::of(experiment, &data.titles, &data.split, &data.record)
}
