//! One repository in the cache, as `huggingface_hub` lays it out:
//!
//! ```text
//! models--ORGANISATION--NAME/
//!   refs/BRANCH               the commit that the branch was when it was fetched
//!   blobs/HASH                contents: SHA-256 of large files, git's SHA-1 of small ones
//!   snapshots/COMMIT/FILE     links to blobs
//! .locks/models--ORGANISATION--NAME/HASH.lock
//! ```

use std::path::{Path, PathBuf};

use super::Hub;
use crate::backbone::Error;
use crate::run::atomic;

pub(super) struct Cache {
    folder: PathBuf,
    locks: PathBuf,
}

impl Cache {
    pub fn of(hub: &Hub, repository: &str) -> Self {
        let name = format!("models--{}", repository.replace('/', "--"));
        Self { folder: hub.cache.join(&name), locks: hub.cache.join(".locks").join(name) }
    }

    /// The commit that `revision` stands for, if it was ever fetched.
    pub fn commit(&self, revision: &str) -> Result<Option<String>, Error> {
        if is_commit(revision) {
            return Ok(Some(revision.to_owned()));
        }
        let path = self.reference(revision)?;
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text.trim().to_owned()).filter(|commit| is_commit(commit))),
            // A branch `a` is a file, and so no folder of the branch `a/b`.
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::NotFound
                        | std::io::ErrorKind::NotADirectory
                        | std::io::ErrorKind::IsADirectory
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(Error::read(&path, error)),
        }
    }

    /// The folder of a commit's files.
    pub fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    /// Where the content with this hash is.
    pub fn blob(&self, hash: &str) -> PathBuf {
        self.folder.join("blobs").join(hash)
    }

    /// The file to lock while the content with this hash is fetched.
    pub fn lock(&self, hash: &str) -> PathBuf {
        self.locks.join(format!("{hash}.lock"))
    }

    /// Make the folders of contents and locks.
    pub fn create(&self) -> Result<(), Error> {
        atomic::create_dir_all(&self.folder.join("blobs"))?;
        Ok(atomic::create_dir_all(&self.locks)?)
    }

    /// Let `name` of `commit` be the content with this hash.
    pub fn link(&self, commit: &str, name: &str, hash: &str) -> Result<(), Error> {
        let snapshot = self.snapshot(commit);
        atomic::create_dir_all(&snapshot)?;
        let link = snapshot.join(name);
        let fail = |source| Error::Cache { source: crate::run::Error::Write { path: link.clone(), source } };
        match std::fs::remove_file(&link) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(fail(error)),
            _ => {}
        }
        #[cfg(unix)]
        let linked = std::os::unix::fs::symlink(Path::new("../../blobs").join(hash), &link);
        #[cfg(not(unix))]
        let linked = Err(std::io::Error::from(std::io::ErrorKind::Unsupported));
        // Where there are no links, the content itself goes there, as in huggingface_hub.
        linked.or_else(|_| std::fs::rename(self.blob(hash), &link)).map_err(fail)
    }

    /// Note that `revision` is `commit`.
    pub fn remember(&self, revision: &str, commit: &str) -> Result<(), Error> {
        if revision == commit || self.commit(revision)?.as_deref() == Some(commit) {
            return Ok(());
        }
        Ok(atomic::write(&self.reference(revision)?, commit.as_bytes())?)
    }

    fn reference(&self, revision: &str) -> Result<PathBuf, Error> {
        let part = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\\', ':', '\0']);
        if !revision.split('/').all(part) {
            return Err(Error::Revision { revision: revision.to_owned() });
        }
        Ok(self.folder.join("refs").join(revision))
    }
}

/// Whether `text` is a full commit id.
pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}
