//! The files of a model in a folder: `config.json`, `tokenizer.json`, and `model.safetensors` or the shards that
//! `model.safetensors.index.json` names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{Error, ModelConfig};
use crate::events::Interrupt;

/// The description of the model.
pub const CONFIG: &str = "config.json";
/// The tokenizer, as the tokenizers library writes it.
pub const TOKENIZER: &str = "tokenizer.json";
/// Weights in one file.
pub const WEIGHTS: &str = "model.safetensors";
/// The list of weights in several files.
pub const INDEX: &str = "model.safetensors.index.json";
/// Small files beside those that are fetched where they exist: they name special tokens.
pub const COMPANIONS: &[&str] =
    &["generation_config.json", "special_tokens_map.json", "tokenizer_config.json"];
/// Those of them that say which tokens begin and end a prompt.
pub(super) const BESIDE_TOKENIZER: [&str; 2] = ["special_tokens_map.json", "tokenizer_config.json"];
/// Descriptions are small; more bytes than this are not one.
const MAX_JSON_BYTES: u64 = 64 << 20;

/// A folder in which every file of a model is there. What is in the files was not read yet, but for the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    path: PathBuf,
    shards: Vec<String>,
    index: Option<Map>,
    revision: Option<String>,
}

/// Tensors to the files that hold them.
type Map = BTreeMap<String, String>;

/// What [`INDEX`] holds.
#[derive(Debug, Deserialize)]
struct Index {
    weight_map: Map,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Debug, Default, Deserialize)]
struct Metadata {
    /// Bytes of all tensors; some programs write it as 1e10.
    total_size: Option<f64>,
}

impl Folder {
    /// The model in the folder `path`.
    ///
    /// # Errors
    /// [`Error::Missing`] with every file that is not there, [`Error::Index`] where the index cannot be understood.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let (shards, index) = shards(path)?;
        let mut missing: Vec<String> = [CONFIG, TOKENIZER].map(str::to_owned).into();
        missing.extend(shards.iter().cloned());
        missing.retain(|name| !path.join(name).is_file());
        if !missing.is_empty() {
            return Err(Error::missing(path, missing));
        }
        Ok(Self { path: path.to_owned(), shards, index, revision: None })
    }

    /// As [`Folder::open`], for the snapshot of commit `revision`.
    pub(super) fn snapshot(path: &Path, revision: &str) -> Result<Self, Error> {
        Ok(Self { revision: Some(revision.to_owned()), ..Self::open(path)? })
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The commit of the repository, where the folder is a snapshot of one.
    #[must_use]
    pub fn revision(&self) -> Option<&str> {
        self.revision.as_deref()
    }

    /// The file with the tokenizer.
    #[must_use]
    pub fn tokenizer(&self) -> PathBuf {
        self.path.join(TOKENIZER)
    }

    /// The files with weights, by name.
    #[must_use]
    pub fn shards(&self) -> Vec<PathBuf> {
        self.shards.iter().map(|name| self.path.join(name)).collect()
    }

    /// For weights in several files: the name of each tensor to that of its file.
    #[must_use]
    pub fn index(&self) -> Option<&BTreeMap<String, String>> {
        self.index.as_ref()
    }

    /// The bytes of the files with weights.
    ///
    /// # Errors
    /// When one of them is gone.
    pub fn weight_bytes(&self) -> Result<u64, Error> {
        let length = |path: PathBuf| Ok(std::fs::metadata(&path).map_err(|e| Error::read(&path, e))?.len());
        self.shards().into_iter().map(length).sum()
    }

    /// The description of the model.
    ///
    /// # Errors
    /// When `config.json` cannot be read, or describes a model that cannot be run here.
    pub fn config(&self) -> Result<ModelConfig, Error> {
        ModelConfig::read(&self.path.join(CONFIG))
    }

    /// The SHA-256 in hex of every file that a result depends on, by name: description, tokenizer, weights. A blob of
    /// the hub's cache is taken at its name, which is its hash; any other file is read.
    ///
    /// # Errors
    /// When a file cannot be read, or somebody interrupts.
    pub fn hashes(&self, interrupt: &Interrupt) -> Result<BTreeMap<String, String>, Error> {
        // The files beside the tokenizer, where there are any, say which tokens begin and end a prompt.
        let beside = BESIDE_TOKENIZER.into_iter().filter(|name| self.path.join(name).is_file());
        let names =
            [CONFIG, TOKENIZER].into_iter().chain(beside).chain(self.shards.iter().map(String::as_str));
        names.map(|name| Ok((name.to_owned(), self.hash(name, interrupt)?))).collect()
    }

    fn hash(&self, name: &str, interrupt: &Interrupt) -> Result<String, Error> {
        let path = self.path.join(name);
        let blob = self.revision.as_ref().and_then(|_| std::fs::read_link(&path).ok());
        let named = blob.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
        if let Some(sha256) = named.filter(|name| is_sha256(name)) {
            return Ok(sha256.to_owned());
        }
        sha256_of(&path, interrupt)
    }
}

/// The SHA-256 of a file, in hex.
pub(super) fn sha256_of(path: &Path, interrupt: &Interrupt) -> Result<String, Error> {
    let mut file = File::open(path).map_err(|e| Error::read(path, e))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        if interrupt.requested() {
            return Err(Error::Interrupted);
        }
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hex::encode(hasher.finalize())),
            Ok(n) => hasher.update(&buffer[..n]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::read(path, error)),
        }
    }
}

/// Whether `text` is a SHA-256 in lower-case hex.
pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// The files with weights of `path`, and the map of an index. One file goes before an index, as in transformers.
fn shards(path: &Path) -> Result<(Vec<String>, Option<Map>), Error> {
    let index = path.join(INDEX);
    if path.join(WEIGHTS).is_file() || !index.is_file() {
        return Ok((vec![WEIGHTS.to_owned()], None));
    }
    let map = read_index(&index)?;
    Ok((map.values().collect::<BTreeSet<_>>().into_iter().cloned().collect(), Some(map)))
}

/// The tensors and files that an index names; the files are in the index's own folder.
pub(super) fn read_index(path: &Path) -> Result<Map, Error> {
    let text = read_json(path)?;
    let problem = |problem: String| Error::Index { path: path.to_owned(), problem };
    let index: Index = serde_json::from_slice(&text).map_err(|error| problem(error.to_string()))?;
    if index.weight_map.is_empty() {
        return Err(problem("weight_map is empty, expected the tensors and their files".to_owned()));
    }
    let odd = |name: &&String| {
        !name.ends_with(".safetensors") || name.contains(['/', '\\', ':', '\0']) || name.starts_with('.')
    };
    match index.weight_map.values().find(odd) {
        Some(name) => Err(problem(format!(
            "weight_map names the file {name:?}, expected NAME.safetensors in the same folder"
        ))),
        None => Ok(index.weight_map),
    }
}

/// The bytes of a description, which is small.
pub(super) fn read_json(path: &Path) -> Result<Vec<u8>, Error> {
    let mut text = Vec::new();
    let file = File::open(path).map_err(|e| Error::read(path, e))?;
    file.take(MAX_JSON_BYTES + 1).read_to_end(&mut text).map_err(|e| Error::read(path, e))?;
    if text.len() as u64 > MAX_JSON_BYTES {
        let source =
            std::io::Error::other(format!("more than {MAX_JSON_BYTES} bytes, which no description has"));
        return Err(Error::read(path, source));
    }
    Ok(text)
}

/// The bytes of all weights as the index at `path` announces them, if there is one that does.
pub(super) fn announced_bytes(path: &Path) -> Option<u64> {
    let index: Index = serde_json::from_slice(&read_json(path).ok()?).ok()?;
    index.metadata.total_size.filter(|bytes| *bytes >= 0.0).map(|bytes| bytes as u64)
}

/// What to do where `missing` files have relatives among the files that are there.
pub(super) fn advice<'a>(missing: &[String], there: impl Iterator<Item = &'a str>) -> Option<String> {
    let there: Vec<&str> = there.collect();
    let ends = |ending: &str| there.iter().find(|name| name.ends_with(ending));
    let lacks = |name: &str| missing.iter().any(|missing| missing == name);
    if lacks(WEIGHTS) {
        if let Some(pickle) = ends(".bin").or_else(|| ends(".pt")).or_else(|| ends(".pth")) {
            return Some(format!(
                "pickles such as {pickle} are not read, for they can run code: convert the model (load it with transformers and \
                 call save_pretrained), or name a revision that has safetensors, such as refs/pr/1 in some repositories"
            ));
        }
        if let Some(file) = ends(".gguf") {
            return Some(format!("{file} is for llama.cpp: name the model that it was made from"));
        }
        if let Some(file) = ends(".safetensors") {
            let other = if file.starts_with("adapter") {
                "an adapter, not a model"
            } else {
                "not named as transformers does"
            };
            return Some(format!("{file} is {other}: name a model in the format of transformers"));
        }
    }
    if lacks(TOKENIZER) && there.contains(&"tokenizer.model") {
        return Some(
            "tokenizer.model alone is not read: load it with transformers' AutoTokenizer and call save_pretrained, which \
             writes tokenizer.json"
                .to_owned(),
        );
    }
    None
}
