//! What is there of a model beside its weights: enough to measure speed and memory with weights that are drawn at random.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::cache::Cache;
use super::{DEFAULT_REVISION, Hub, Source};
use crate::backbone::files::{self, CONFIG, TOKENIZER};
use crate::backbone::known::{Known, known};
use crate::backbone::{Error, ModelConfig};
use crate::events::Interrupt;

/// The shape of a model, and its tokenizer where that is here.
#[derive(Debug, Clone, PartialEq)]
pub struct Outline {
    /// Its shape.
    pub config: ModelConfig,
    /// Whether embedding and output layer are f32 in memory, as [`load`](crate::backbone::load) keeps those of files that are not bfloat16.
    pub has_wide_tables: bool,
    /// Whether the shape is that of a `config.json`, not of the table of known models.
    pub is_described: bool,
    /// The commit of the repository, where a snapshot of it is here.
    pub revision: Option<String>,
    /// The file with its tokenizer, where it is here.
    pub tokenizer: Option<PathBuf>,
}

/// The shape of the model `name` at `revision`: from the `config.json` of its folder, or of the hub's cache, or from the table of known
/// models. The network is not asked, and weights need not be there.
///
/// # Errors
/// [`Error::NoShape`] where none of them knows it; when a file cannot be read or describes a model that cannot be run here.
pub fn outline(name: &str, revision: Option<&str>, hub: &Hub) -> Result<Outline, Error> {
    let (folder, commit) = match Source::of(name) {
        Source::Folder(path) => match revision {
            None => (Some(path), None),
            Some(revision) => return Err(Error::RevisionOfFolder { path, revision: revision.to_owned() }),
        },
        Source::Repository(repository) => {
            let cache = Cache::of(hub, &repository);
            let commit = cache.commit(revision.unwrap_or(DEFAULT_REVISION))?;
            (commit.as_deref().map(|commit| cache.snapshot(commit)), commit)
        }
    };
    let there = |file: &str| folder.as_ref().map(|folder| folder.join(file)).filter(|path| path.is_file());
    let described = there(CONFIG);
    let (config, has_wide_tables) = match (&described, Known::of(name)) {
        (Some(path), _) => (ModelConfig::read(path)?, is_wide(path)?),
        (None, Some(known)) => (known.config(), known.is_f16),
        (None, None) => {
            let looked = match Source::of(name) {
                Source::Folder(path) => path,
                Source::Repository(_) => hub.cache.clone(),
            };
            let known = known().iter().map(|known| known.name).collect::<Vec<_>>().join(", ");
            return Err(Error::NoShape { name: name.to_owned(), looked, known });
        }
    };
    let tokenizer = there(TOKENIZER);
    let revision = commit.filter(|_| described.is_some() || tokenizer.is_some());
    Ok(Outline { config, has_wide_tables, is_described: described.is_some(), revision, tokenizer })
}

/// Whether a `config.json` says that the numbers of the files are float16 or float32. One that says nothing is taken for bfloat16.
fn is_wide(path: &Path) -> Result<bool, Error> {
    let text = files::read_json(path)?;
    let value: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    let named = ["dtype", "torch_dtype"].into_iter().find_map(|key| value[key].as_str());
    Ok(named.is_some_and(|name| name == "float16" || name == "float32"))
}

impl Outline {
    /// The SHA-256 in hex of the files that say how prompts are tokenized, by name; none without them.
    ///
    /// # Errors
    /// When a file cannot be read, or somebody interrupts.
    pub fn hashes(&self, interrupt: &Interrupt) -> Result<BTreeMap<String, String>, Error> {
        let Some(folder) = self.tokenizer.as_ref().and_then(|path| path.parent()) else {
            return Ok(BTreeMap::new());
        };
        let beside = files::BESIDE_TOKENIZER.into_iter().filter(|name| folder.join(name).is_file());
        let names = std::iter::once(TOKENIZER).chain(beside);
        names.map(|name| Ok((name.to_owned(), files::sha256_of(&folder.join(name), interrupt)?))).collect()
    }
}
