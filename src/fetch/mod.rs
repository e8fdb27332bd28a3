//! Getting the upstream files of a dataset: `bench fetch`. Files of anyone else, such as a model's, go through
//! [`download()`].
//!
//! Downloads go over https with resume, bounded tries and bounded sizes. A file is trusted when its SHA-256 is
//! the one pinned in the [`catalogue`], or, where none is known, the one recorded on the first download
//! (`FILE.sha256`). A file that is already there with the right hash is not asked for again.
//!
//! Layout under the data folder: `ml-latest-small/{ratings.csv,movies.csv,README.txt}`,
//! `beauty/{ratings_Beauty.csv,meta_Beauty.json.gz}`, `games/{ratings_Video_Games.csv,meta_Video_Games.json.gz}`,
//! and in each folder a `fetch.json` that says where every file came from.

mod address;
pub mod catalogue;
mod content;
mod download;
mod error;
mod part;
mod present;
mod record;
mod transfer;
mod unpack;

use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use address::check_base;
pub use catalogue::{Kind, Member, RemoteFile, Upstream};
pub use download::{Advise, Downloaded, Job, Refusal, download};
pub use error::Error;
pub use record::{Entry, Expected, Log};

use crate::events::{Event, Interrupt, Reporter};

/// The environment variable that names a mirror.
pub const MIRROR_VARIABLE: &str = "BENCH_FETCH_MIRROR";

/// How to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// A base address to ask in place of upstream: `MIRROR/FOLDER/FILE`. https, or http on this machine.
    pub mirror: Option<String>,
    /// Requests for one file without progress before it is given up.
    pub tries: u32,
    /// The limit for name resolution, and again for the connection.
    pub connect_timeout: Duration,
    /// No byte (or a trickle) for this long is a stall, and the try ends.
    pub stall_timeout: Duration,
    /// The wait after the first failed try; it doubles with each further one, up to a minute.
    pub backoff: Duration,
    /// Download again what is there, and replace what differs.
    pub force: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            mirror: None,
            tries: 5,
            connect_timeout: Duration::from_secs(15),
            stall_timeout: Duration::from_secs(30),
            backoff: Duration::from_secs(1),
            force: false,
        }
    }
}

impl Options {
    /// The defaults, with the mirror that [`MIRROR_VARIABLE`] names.
    #[must_use]
    pub fn from_env() -> Self {
        let mirror = std::env::var(MIRROR_VARIABLE).ok().filter(|base| !base.is_empty());
        Self { mirror, ..Self::default() }
    }
}

/// How a file came to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It was there, with the right hash.
    Present,
    /// It was there without a record; its hash is recorded now.
    Recorded,
    /// It was downloaded.
    Downloaded,
    /// It was unpacked from an archive.
    Unpacked,
}

/// One file that is in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its SHA-256 in hex.
    pub sha256: String,
    /// How it came to be there.
    pub origin: Origin,
}

/// A dataset whose files are all in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The dataset's name.
    pub dataset: String,
    /// The folder with its files.
    pub folder: PathBuf,
    /// Its files.
    pub files: Vec<FetchedFile>,
}

/// The names of the datasets that can be fetched.
#[must_use]
pub fn datasets() -> &'static [&'static str] {
    &["ml-100k", "beauty", "games"]
}

/// How to get a dataset without this program, as lines of text; nothing for a name that is not in the catalogue.
#[must_use]
pub fn instructions(name: &str) -> Option<String> {
    let upstream = find(name).ok()?;
    let mut text = format!("{name}: `bench fetch {name}`, or by hand (DATA_DIR is what --data-dir names):\n");
    for file in upstream.files {
        match file.kind {
            Kind::Zip { members } => {
                let names: Vec<_> = members.iter().filter(|m| m.required).map(|m| m.name).collect();
                let files = names.join(" and ");
                let _ = writeln!(
                    text,
                    "  unpack {} so that {files} are in DATA_DIR/{}/",
                    file.url, upstream.folder
                );
            }
            _ => {
                let _ = writeln!(text, "  save {} as DATA_DIR/{}/{}", file.url, upstream.folder, file.name);
            }
        }
    }
    let _ = writeln!(text, "  about the data: {}", upstream.homepage);
    Some(text)
}

/// Bring the files of dataset `name` into `data_dir`.
///
/// # Errors
/// When the name is unknown, a file cannot be had or is not the expected one, or somebody interrupts. What has
/// arrived is kept, and the next fetch goes on from there.
pub fn fetch(
    name: &str,
    data_dir: &Path,
    options: &Options,
    reporter: &dyn Reporter,
    interrupt: &Interrupt,
) -> Result<Fetched, Error> {
    fetch_upstream(find(name)?, data_dir, options, reporter, interrupt)
}

/// As [`fetch`], for a dataset that need not be in the catalogue.
///
/// # Errors
/// As [`fetch`].
pub fn fetch_upstream(
    upstream: &Upstream,
    data_dir: &Path,
    options: &Options,
    reporter: &dyn Reporter,
    interrupt: &Interrupt,
) -> Result<Fetched, Error> {
    if let Some(base) = &options.mirror {
        address::check_mirror(base)?;
    }
    let fetch = Fetch { upstream, folder: data_dir.join(upstream.folder), options, reporter, interrupt };
    let mut lock = None;
    let mut files = Vec::new();
    for file in upstream.files {
        let mut found = fetch.present(file)?;
        if found.is_none() {
            if lock.is_none() {
                lock = Some(fetch.lock()?);
                // Whoever held the lock may have fetched the file meanwhile.
                found = fetch.present(file)?;
            }
            if found.is_none() {
                found = Some(fetch.bring(file)?);
            }
        }
        files.extend(found.unwrap_or_default());
    }
    Ok(Fetched { dataset: upstream.name.to_owned(), folder: fetch.folder, files })
}

/// Hold the lock file `path` until the file is dropped; whoever waits is told that another process is fetching into `what`.
///
/// # Errors
/// When the lock file cannot be made, or somebody interrupts.
pub fn lock(path: &Path, what: &str, reporter: &dyn Reporter, interrupt: &Interrupt) -> Result<File, Error> {
    let file = File::options().create(true).truncate(false).write(true).open(path);
    let file = file.map_err(|e| Error::file("write", path, e))?;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::WouldBlock) => {}
            // A file system without locks: as good as it gets.
            Err(std::fs::TryLockError::Error(_)) => return Ok(file),
        }
        if interrupt.requested() {
            return Err(Error::interrupted());
        }
        if !std::mem::replace(&mut told, true) {
            reporter.emit(Event::Note(&format!("another process is fetching into {what}; waiting for it")));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// `PATH` with `suffix` behind its name.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(suffix);
    path.with_file_name(name)
}

fn find(name: &str) -> Result<&'static Upstream, Error> {
    catalogue::UPSTREAMS.iter().find(|upstream| upstream.name == name).ok_or_else(|| {
        let nearest = datasets()
            .iter()
            .map(|known| (strsim::jaro_winkler(name, known), known))
            .filter(|(likeness, _)| *likeness > 0.8)
            .max_by(|a, b| a.0.total_cmp(&b.0));
        let hint = nearest.map(|(_, known)| format!("; did you mean {known}?")).unwrap_or_default();
        Error::UnknownDataset { name: name.to_owned(), hint, known: datasets().join(", ") }
    })
}

/// One dataset being fetched, with what all of its steps need.
struct Fetch<'a> {
    upstream: &'a Upstream,
    folder: PathBuf,
    options: &'a Options,
    reporter: &'a dyn Reporter,
    interrupt: &'a Interrupt,
}

impl Fetch<'_> {
    /// Make the folder, and keep other processes from fetching into it.
    fn lock(&self) -> Result<File, Error> {
        let folder = &self.folder;
        std::fs::create_dir_all(folder).map_err(|source| Error::Folder { path: folder.clone(), source })?;
        lock(&folder.join(".fetch.lock"), &folder.display().to_string(), self.reporter, self.interrupt)
    }

    /// Download `file` and put it, or its members, in place.
    fn bring(&self, file: &RemoteFile) -> Result<Vec<FetchedFile>, Error> {
        match file.kind {
            Kind::Zip { members } => self.bring_archive(file, members),
            _ => {
                let path = self.folder.join(file.name);
                let expected = self.expected(&path, file.sha256)?;
                let entry = self.download(file, &path, expected.as_ref())?;
                record::remember(self.upstream.name, &path, entry.clone())?;
                let (bytes, sha256) = (entry.bytes, entry.sha256);
                Ok(vec![FetchedFile { path, bytes, sha256, origin: Origin::Downloaded }])
            }
        }
    }

    fn bring_archive(&self, file: &RemoteFile, members: &[Member]) -> Result<Vec<FetchedFile>, Error> {
        let wanted = members
            .iter()
            .map(|member| {
                let target = self.folder.join(member.name);
                let expected = self.expected(&target, member.sha256)?;
                Ok(unpack::Wanted { member, target, expected })
            })
            .collect::<Result<Vec<_>, Error>>()?;
        let saved = self.folder.join(file.name);
        if !self.options.force && saved.is_file() {
            // An archive put there by hand is used, and left where it is.
            let (bytes, sha256) = record::hash_file(&saved, self.interrupt)?;
            return self.unpack(&saved, &wanted, &Entry::by_hand(bytes, sha256));
        }
        // Under a name of its own, so that what a kill leaves behind is not taken for a file put there by hand.
        let archive = beside(&saved, ".download");
        let expected = file.sha256.map(record::Expected::pinned);
        let source = self.download(file, &archive, expected.as_ref())?;
        let files = match self.unpack(&archive, &wanted, &source) {
            Err(Error::Archive { problem, .. }) => {
                let path = beside(&saved, ".rejected");
                std::fs::rename(&archive, &path).map_err(|e| Error::file("write", &path, e))?;
                return Err(Error::Archive { path, problem });
            }
            other => other?,
        };
        std::fs::remove_file(&archive).map_err(|e| Error::file("delete", &archive, e))?;
        Ok(files)
    }

    /// Unpack the wanted members of `archive`, and remember that they came from `source`.
    fn unpack(
        &self,
        archive: &Path,
        wanted: &[unpack::Wanted<'_>],
        source: &Entry,
    ) -> Result<Vec<FetchedFile>, Error> {
        let mut files = Vec::new();
        for unpack::Unpacked { path, bytes, sha256 } in unpack::unpack(archive, wanted, self.interrupt)? {
            let archive_sha256 = Some(source.sha256.clone());
            let entry = Entry { bytes, sha256: sha256.clone(), archive_sha256, ..source.clone() };
            record::remember(self.upstream.name, &path, entry)?;
            files.push(FetchedFile { path, bytes, sha256, origin: Origin::Unpacked });
        }
        Ok(files)
    }

    fn download(
        &self,
        file: &RemoteFile,
        target: &Path,
        expected: Option<&record::Expected>,
    ) -> Result<Entry, Error> {
        let url = match &self.options.mirror {
            Some(base) => format!("{}/{}/{}", base.trim_end_matches('/'), self.upstream.folder, file.name),
            None => file.url.to_owned(),
        };
        let job = download::Job {
            url: &url,
            target,
            label: &format!("{}/{}", self.upstream.folder, file.name),
            expected,
            bytes: None,
            max_bytes: file.max_bytes,
            kind: file.kind,
            by_hand: &file.by_hand(&self.folder),
            authorization: None,
            advise: None,
        };
        let done = download::download(&job, self.options, self.reporter, self.interrupt)?;
        Ok(Entry {
            url: Some(url),
            bytes: done.bytes,
            sha256: done.sha256,
            date: record::now(),
            etag: done.etag,
            last_modified: done.last_modified,
            archive_sha256: None,
        })
    }

    /// The hash that a new file must have: with `force` a recorded one gives way.
    fn expected(&self, path: &Path, pinned: Option<&str>) -> Result<Option<record::Expected>, Error> {
        if self.options.force && pinned.is_none() { Ok(None) } else { record::expected(path, pinned) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dataset_of_the_catalogue_is_listed_with_instructions() {
        let names: Vec<_> = catalogue::UPSTREAMS.iter().map(|upstream| upstream.name).collect();
        assert_eq!(datasets(), names);
        for upstream in catalogue::UPSTREAMS {
            let text = instructions(upstream.name).expect("a known name");
            for file in upstream.files {
                assert!(file.url.starts_with("https://"), "{}", file.url);
                assert!(text.contains(file.url), "{text}");
            }
        }
        assert_eq!(instructions("no such dataset"), None);
    }
}
