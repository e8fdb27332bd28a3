//! What the hub says is in a repository at one revision: `GET /api/models/NAME/revision/REVISION?blobs=true`.

use serde::Deserialize;
use serde_json::Value;

use super::cache::is_commit;
use super::client::Client;
use crate::backbone::Error;
use crate::backbone::files::{self, COMPANIONS, CONFIG, INDEX, TOKENIZER, WEIGHTS};

/// The files of one commit.
#[derive(Debug, Deserialize)]
pub(super) struct Listing {
    #[serde(rename = "sha")]
    pub commit: String,
    #[serde(default)]
    gated: Value,
    siblings: Vec<Sibling>,
}

/// One file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sibling {
    #[serde(rename = "rfilename")]
    pub name: String,
    /// Length in bytes; mirrors may not tell.
    pub size: Option<u64>,
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Debug, Deserialize)]
struct Lfs {
    sha256: Option<String>,
    size: Option<u64>,
}

impl Sibling {
    /// The SHA-256 of a large file.
    pub fn sha256(&self) -> Option<&str> {
        self.lfs.as_ref()?.sha256.as_deref().filter(|hash| files::is_sha256(hash))
    }

    /// The name of its blob in the cache, which is the `ETag` that the hub gives.
    pub fn blob(&self) -> Option<&str> {
        let small = || self.blob_id.as_deref().filter(|id| self.lfs.is_none() && is_commit(id));
        self.sha256().or_else(small)
    }

    /// Length in bytes.
    pub fn bytes(&self) -> Option<u64> {
        self.lfs.as_ref().and_then(|lfs| lfs.size).or(self.size)
    }
}

impl Listing {
    /// Understand the hub's answer; a problem is told as a fragment.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let listing: Self = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        if !is_commit(&listing.commit) {
            return Err(format!("the commit is {:?}, expected 40 hex digits", listing.commit));
        }
        Ok(listing)
    }

    /// Whether the hub hands out files only to those who accepted something.
    pub fn is_gated(&self) -> bool {
        !matches!(self.gated, Value::Null | Value::Bool(false))
    }

    pub fn get(&self, name: &str) -> Option<&Sibling> {
        self.siblings.iter().find(|sibling| sibling.name == name)
    }

    /// The files to bring before the weights: description, tokenizer, and the list of shards where the weights are in several
    /// files. One file goes before a list, as in transformers.
    pub fn descriptions(&self, client: &Client<'_>) -> Result<Vec<String>, Error> {
        let sharded = self.get(WEIGHTS).is_none() && self.get(INDEX).is_some();
        let required = [CONFIG, TOKENIZER, if sharded { INDEX } else { WEIGHTS }].map(str::to_owned);
        self.require(client, &required)?;
        let there = COMPANIONS.iter().filter(|name| self.get(name).is_some()).map(|name| (*name).to_owned());
        Ok(required.into_iter().filter(|name| name != WEIGHTS).chain(there).collect())
    }

    /// Refuse a repository without these files, with what to do about what it has instead.
    pub fn require(&self, client: &Client<'_>, names: &[String]) -> Result<(), Error> {
        let missing: Vec<String> = names.iter().filter(|name| self.get(name).is_none()).cloned().collect();
        if missing.is_empty() {
            return Ok(());
        }
        let have = self.siblings.iter().map(|sibling| sibling.name.as_str());
        let advice = files::advice(&missing, have)
            .unwrap_or_else(|| "check backbone.name and backbone.revision".to_owned());
        let name = client.repository.to_owned();
        Err(Error::Lacks { name, revision: client.revision.to_owned(), files: missing, advice })
    }
}
