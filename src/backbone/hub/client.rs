//! Questions to the hub, and files from it.

use std::fmt::Write as _;

use super::cache::Cache;
use super::listing::{Listing, Sibling};
use super::{Hub, files};
use crate::backbone::Error;
use crate::events::{Event, Interrupt, Reporter};
use crate::fetch::{self, Advise, Expected, Job, Kind, Refusal};
use crate::run::atomic;

/// The most that a listing may have.
const MAX_LISTING_BYTES: u64 = 64 << 20;
/// The most that a description or a tokenizer may have.
const MAX_SMALL_BYTES: u64 = 1 << 30;
/// The most that one file of weights may have.
const MAX_WEIGHT_BYTES: u64 = 1 << 40;

/// One repository at one revision, and what every question needs.
pub(super) struct Client<'a> {
    pub hub: &'a Hub,
    pub repository: &'a str,
    pub revision: &'a str,
    pub reporter: &'a dyn Reporter,
    pub interrupt: &'a Interrupt,
}

/// Passes on what may matter: a small question is no stage of its own.
struct Warnings<'a>(&'a dyn Reporter);

impl Reporter for Warnings<'_> {
    fn emit(&self, event: Event<'_>) {
        if let Event::Warning(_) = event {
            self.0.emit(event);
        }
    }
}

impl Client<'_> {
    /// What is in the repository.
    pub fn listing(&self) -> Result<Listing, Error> {
        let (endpoint, name) = (&self.hub.endpoint, self.repository);
        let url = format!("{endpoint}/api/models/{name}/revision/{}?blobs=true", escaped(self.revision));
        let folder = tempfile::tempdir().map_err(|e| Error::read(&std::env::temp_dir(), e))?;
        let target = folder.path().join("listing.json");
        let authorization = self.authorization();
        let advise = |refusal: &Refusal<'_>| self.advise(refusal, false);
        let job = Job {
            url: &url,
            target: &target,
            label: name,
            expected: None,
            bytes: None,
            max_bytes: MAX_LISTING_BYTES,
            kind: Kind::Json,
            by_hand: &self.by_hand("its files"),
            authorization: authorization.as_deref(),
            advise: Some(&advise as &Advise<'_>),
        };
        fetch::download(&job, &self.hub.options, &Warnings(self.reporter), self.interrupt)?;
        let text = files::read_json(&target)?;
        Listing::parse(&text).map_err(|problem| Error::Listing { name: name.to_owned(), problem })
    }

    /// Have the file `name` of the listing in the cache.
    pub fn bring(&self, cache: &Cache, listing: &Listing, name: &str, force: bool) -> Result<(), Error> {
        let Some(sibling) = listing.get(name) else { return Ok(()) };
        let path = cache.snapshot(&listing.commit).join(name);
        let whole = |path: &std::path::Path| {
            let there = std::fs::metadata(path)
                .is_ok_and(|found| sibling.bytes().is_none_or(|bytes| bytes == found.len()));
            there && !force
        };
        if whole(&path) {
            self.reporter.emit(Event::Note(&format!("{} is there already", path.display())));
            return Ok(());
        }
        cache.create()?;
        // A mirror may not tell how the content is called before it is sent.
        let provisional = format!("{}-{name}", listing.commit);
        let known = sibling.blob();
        let blob = cache.blob(known.unwrap_or(&provisional));
        let lock = cache.lock(known.unwrap_or(&provisional));
        let _held = fetch::lock(&lock, &blob.display().to_string(), self.reporter, self.interrupt)?;
        if known.is_some() && whole(&blob) {
            return cache.link(&listing.commit, name, known.unwrap_or_default());
        }
        let done = self.download(sibling, listing, &blob)?;
        let hash = match known {
            Some(hash) => hash.to_owned(),
            None => {
                let hash = etag(done.etag.as_deref()).unwrap_or(done.sha256);
                std::fs::rename(&blob, cache.blob(&hash))
                    .map_err(|source| crate::run::Error::Write { path: cache.blob(&hash), source })?;
                hash
            }
        };
        cache.link(&listing.commit, name, &hash)
    }

    fn download(
        &self,
        sibling: &Sibling,
        listing: &Listing,
        target: &std::path::Path,
    ) -> Result<fetch::Downloaded, Error> {
        let (endpoint, repository, name) = (&self.hub.endpoint, self.repository, sibling.name.as_str());
        let url = format!("{endpoint}/{repository}/resolve/{}/{}", listing.commit, escaped(name));
        let expected = sibling.sha256().map(|sha256| Expected {
            sha256: sha256.to_owned(),
            origin: "named by the hub".to_owned(),
            advice: "delete it and fetch again; if it stays so, something between here and the hub changes files",
        });
        let is_weights = name.ends_with(".safetensors");
        let authorization = self.authorization();
        let advise = |refusal: &Refusal<'_>| self.advise(refusal, listing.is_gated());
        let job = Job {
            url: &url,
            target,
            label: &format!("{repository}/{name}"),
            expected: expected.as_ref(),
            bytes: sibling.bytes(),
            max_bytes: if is_weights { MAX_WEIGHT_BYTES } else { MAX_SMALL_BYTES },
            kind: if is_weights { Kind::Bytes } else { Kind::Json },
            by_hand: &self.by_hand(name),
            authorization: authorization.as_deref(),
            advise: Some(&advise as &Advise<'_>),
        };
        Ok(fetch::download(&job, &self.hub.options, self.reporter, self.interrupt)?)
    }

    /// Whether the disk has room for what is still to be downloaded.
    pub fn check_room(
        &self,
        cache: &Cache,
        listing: &Listing,
        names: &[String],
        force: bool,
    ) -> Result<(), Error> {
        let missing = names
            .iter()
            .filter_map(|name| listing.get(name))
            .filter(|sibling| force || !sibling.blob().is_some_and(|hash| cache.blob(hash).is_file()));
        let part = |sibling: &Sibling| {
            let part = cache.blob(&format!("{}.part", sibling.blob().unwrap_or_default()));
            std::fs::metadata(part).map_or(0, |found| found.len())
        };
        let needed: u64 = missing.map(|s| s.bytes().unwrap_or(0).saturating_sub(part(s))).sum();
        match atomic::free_bytes(&self.hub.cache) {
            Some(free) if free < needed => {
                let (name, cache) = (self.repository.to_owned(), self.hub.cache.clone());
                Err(Error::NoRoom { name, cache, needed, free })
            }
            _ => Ok(()),
        }
    }

    fn authorization(&self) -> Option<String> {
        self.hub.token.as_ref().map(super::Token::authorization)
    }

    fn by_hand(&self, what: &str) -> String {
        let (endpoint, repository) = (&self.hub.endpoint, self.repository);
        format!(
            "save {what} of {endpoint}/{repository} in a folder by hand and name the folder as backbone.name"
        )
    }

    /// What to do about a refusal. The hub says 401 of what is private, gated or not there.
    fn advise(&self, refusal: &Refusal<'_>, gated: bool) -> Option<String> {
        let Self { hub: Hub { endpoint, token, .. }, repository, revision, .. } = self;
        let page = format!("{endpoint}/{repository}");
        let set =
            format!("make a token at {endpoint}/settings/tokens and set HF_TOKEN (or run `hf auth login`)");
        let denied = matches!(refusal.status, 401 | 403);
        match refusal.code {
            Some("RevisionNotFound") => Some(format!(
                "{repository} has no branch, tag or commit {revision}; check backbone.revision against {page}/tree/main"
            )),
            Some("EntryNotFound") => Some(format!("{repository} lost this file; look at {page}/tree/main")),
            Some("GatedRepo") => Some(self.advise_gated(&page, &set)),
            None if denied && gated => Some(self.advise_gated(&page, &set)),
            Some("RepoNotFound") | None if denied || refusal.status == 404 => Some(match token {
                None => format!(
                    "no public repository has the name {repository}; check backbone.name, and for a private or gated one {set}"
                ),
                Some(_) => format!(
                    "no repository has the name {repository}, or the token in use has no access to it; check backbone.name, or {set}"
                ),
            }),
            _ if denied => Some(format!("the token in use is not accepted; {set}")),
            _ => None,
        }
    }

    fn advise_gated(&self, page: &str, set: &str) -> String {
        let repository = self.repository;
        match self.hub.token {
            None => format!("{repository} is gated: accept its licence at {page}, then {set}"),
            Some(_) => format!(
                "{repository} is gated and the account of the token in use has no access: accept its licence at {page} and wait for \
                 the approval (a fine-grained token also needs the permission to read gated repositories)"
            ),
        }
    }
}

/// The hash in an `ETag`, where it is one that names a blob.
fn etag(etag: Option<&str>) -> Option<String> {
    let hash = etag?.trim_start_matches("W/").trim_matches('"');
    let is_hash = files::is_sha256(hash) || super::cache::is_commit(hash);
    is_hash.then(|| hash.to_owned())
}

/// A part of a path as an address has it.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}
