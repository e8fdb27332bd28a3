//! Models by name: a local folder, or a repository of the Hugging Face hub in the cache that Python's `huggingface_hub`
//! shares.
//!
//! Nothing here asks the network but [`fetch`]. The crate `hf-hub` is not used: its version 1 brings tokio and reqwest,
//! its version 0.4 a second ureq, and the transfers of [`crate::fetch`] (resumed, bounded, hashed, watched for Ctrl-C)
//! are there already.

mod ask;
mod cache;
mod client;
mod listing;
mod outline;
mod settings;

use std::path::{Path, PathBuf};

pub use ask::ask;
pub use outline::{Outline, outline};
pub use settings::{Hub, Token};

use super::files::{self, Folder};
use super::{Error, ModelConfig};
use crate::events::{Event, Interrupt, Reporter};
use cache::Cache;
use client::Client;

/// The branch of a repository where none is named.
pub const DEFAULT_REVISION: &str = "main";

/// What the name of a backbone stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A repository of the hub, `ORGANISATION/NAME`.
    Repository(String),
}

impl Source {
    /// A folder that is there, or a path that cannot be a repository's name; else a repository.
    #[must_use]
    pub fn of(name: &str) -> Self {
        if is_repository(name) && !Path::new(name).is_dir() {
            return Self::Repository(name.to_owned());
        }
        Self::Folder(settings::expand(name))
    }
}

/// `ORGANISATION/NAME` in the letters that the hub allows (`validate_repo_id` of `huggingface_hub`).
#[must_use]
pub fn is_repository(name: &str) -> bool {
    let part = |part: &str| {
        let inner = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let outer = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
        outer(part.chars().next()) && outer(part.chars().last()) && part.chars().all(inner)
    };
    let parts: Vec<&str> = name.split('/').collect();
    let odd = name.contains("--") || name.contains("..") || name.ends_with(".git") || name.len() > 96;
    parts.len() == 2 && parts.into_iter().all(part) && !odd
}

/// What is there of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// The folder, where there is one.
    pub folder: Option<PathBuf>,
    /// The files that are missing, by name; empty for a model that is complete.
    pub missing: Vec<String>,
    /// The bytes of all weights, where they are known: measured, or as the index of the shards says.
    pub bytes: Option<u64>,
}

impl Presence {
    /// Whether every file is there.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }
}

/// What is there of the model `name` at `revision`, without asking the network.
///
/// # Errors
/// When the cache cannot be read.
pub fn present(name: &str, revision: Option<&str>, hub: &Hub) -> Result<Presence, Error> {
    let folder = match Source::of(name) {
        Source::Folder(path) => path.is_dir().then_some(path),
        Source::Repository(name) => {
            let cache = Cache::of(hub, &name);
            cache.commit(revision.unwrap_or(DEFAULT_REVISION))?.map(|commit| cache.snapshot(&commit))
        }
    };
    let Some(folder) = folder.filter(|folder| folder.is_dir()) else {
        let missing = [files::CONFIG, files::TOKENIZER, files::WEIGHTS].map(str::to_owned).into();
        return Ok(Presence { folder: None, missing, bytes: None });
    };
    match Folder::open(&folder) {
        Ok(model) => {
            let bytes = Some(model.weight_bytes()?);
            Ok(Presence { folder: Some(folder), missing: Vec::new(), bytes })
        }
        Err(Error::Missing { files, .. }) => {
            let bytes = files::announced_bytes(&folder.join(files::INDEX));
            Ok(Presence { folder: Some(folder), missing: files, bytes })
        }
        Err(error) => Err(error),
    }
}

/// The model `name` at `revision`, if all of it is on this machine. A branch or tag is the commit that it was when it was
/// fetched; nobody is asked for a newer one.
///
/// # Errors
/// [`Error::Missing`] for a folder without it, [`Error::NotFetched`] for a repository that is not in the cache, and as
/// [`Folder::open`].
pub fn find(name: &str, revision: Option<&str>, hub: &Hub) -> Result<Folder, Error> {
    match Source::of(name) {
        Source::Folder(path) => match revision {
            None => Folder::open(&path),
            Some(revision) => Err(Error::RevisionOfFolder { path, revision: revision.to_owned() }),
        },
        Source::Repository(repository) => {
            let cache = Cache::of(hub, &repository);
            let wanted = revision.unwrap_or(DEFAULT_REVISION);
            let missing = |files| Error::NotFetched {
                name: repository.clone(),
                revision: revision.map(|revision| format!("@{revision}")).unwrap_or_default(),
                cache: hub.cache.clone(),
                files,
            };
            let Some(commit) = cache.commit(wanted)? else { return Err(missing(Vec::new())) };
            match Folder::snapshot(&cache.snapshot(&commit), &commit) {
                Err(Error::Missing { files, .. }) => Err(missing(files)),
                found => found,
            }
        }
    }
}

/// Bring the model `name` at `revision` into the cache: its description, its tokenizer and its weights, and nothing else of
/// the repository. Where the hub cannot be reached, a model that is complete in the cache is taken with a warning. With
/// `force`, files are downloaded again.
///
/// # Errors
/// When the repository or a file of it cannot be had or is not the expected one, when the model is one that cannot be run here
/// (before its weights are downloaded), when the disk is full, or when somebody interrupts. What has arrived is kept, and the next
/// fetch goes on from there.
pub fn fetch(
    name: &str,
    revision: Option<&str>,
    hub: &Hub,
    force: bool,
    reporter: &dyn Reporter,
    interrupt: &Interrupt,
) -> Result<Folder, Error> {
    let Source::Repository(repository) = Source::of(name) else {
        // A local folder has nothing to fetch; it may still lack something.
        return find(name, revision, hub);
    };
    if hub.offline {
        return find(name, revision, hub).map_err(|error| match error {
            Error::NotFetched { name, .. } => Error::Offline { name },
            other => other,
        });
    }
    let wanted = revision.unwrap_or(DEFAULT_REVISION);
    let cache = Cache::of(hub, &repository);
    let client = Client { hub, repository: &repository, revision: wanted, reporter, interrupt };
    let listing = match client.listing() {
        Ok(listing) => listing,
        Err(error @ Error::Fetch(crate::fetch::Error::GaveUp { .. })) if !force => {
            let Ok(folder) = find(name, revision, hub) else { return Err(error) };
            reporter.emit(Event::Warning(&format!("{error}; what was fetched earlier is used")));
            return Ok(folder);
        }
        Err(error) => return Err(error),
    };
    let mut names = listing.descriptions(&client)?;
    for name in &names {
        client.bring(&cache, &listing, name, force)?;
    }
    let snapshot = cache.snapshot(&listing.commit);
    // A model that cannot be run here is told before its gigabytes are downloaded.
    ModelConfig::read(&snapshot.join(files::CONFIG))?;
    let weights = if names.iter().any(|name| name == files::INDEX) {
        let map = files::read_index(&snapshot.join(files::INDEX))?;
        map.into_values().collect::<std::collections::BTreeSet<_>>().into_iter().collect()
    } else {
        vec![files::WEIGHTS.to_owned()]
    };
    listing.require(&client, &weights)?;
    client.check_room(&cache, &listing, &weights, force)?;
    for name in &weights {
        client.bring(&cache, &listing, name, force)?;
    }
    names.extend(weights);
    // Last: a branch moves on once all of its files are there.
    cache.remember(wanted, &listing.commit)?;
    Folder::snapshot(&snapshot, &listing.commit)
}

/// How to get the model `name` without this program, as lines of text.
#[must_use]
pub fn instructions(name: &str, hub: &Hub) -> String {
    format!(
        "{name}: `bench fetch {name}`, or by hand: save config.json, tokenizer.json and the safetensors files (with \
         model.safetensors.index.json, if there is one) of\n  {}/{name}\n  in a folder, and name the folder as backbone.name\n",
        hub.endpoint
    )
}
