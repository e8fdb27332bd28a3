//! Files that are already there: checked, recorded where they are new, never touched.

use std::path::Path;

use super::record::{self, Entry};
use super::{Error, Fetch, FetchedFile, Kind, Origin, RemoteFile};
use crate::events::Event;

impl Fetch<'_> {
    /// The files that `file` brings, if they are all there already with the right hashes.
    pub(super) fn present(&self, file: &RemoteFile) -> Result<Option<Vec<FetchedFile>>, Error> {
        if self.options.force {
            return Ok(None);
        }
        let wanted: Vec<_> = match file.kind {
            Kind::Zip { members } => members.iter().map(|m| (m.name, m.sha256, m.required)).collect(),
            _ => vec![(file.name, file.sha256, true)],
        };
        // Every file is looked at before the verdict: one that differs is an error even where another is
        // missing, because a download would replace it.
        let mut found = Vec::new();
        let mut complete = true;
        for (name, pinned, required) in wanted {
            match self.check(&self.folder.join(name), pinned)? {
                Some(file) => found.push(file),
                None => complete &= !required,
            }
        }
        if !complete {
            return Ok(None);
        }
        for file in &found {
            let said = match file.origin {
                Origin::Recorded => format!("was there already; its sha256 {} is recorded now", file.sha256),
                _ => "is there already, with the right sha256".to_owned(),
            };
            self.reporter.emit(Event::Note(&format!("{} {said}", file.path.display())));
        }
        Ok(Some(found))
    }

    /// One file, if it is there and what it should be.
    fn check(&self, path: &Path, pinned: Option<&str>) -> Result<Option<FetchedFile>, Error> {
        match std::fs::metadata(path) {
            Ok(_) => {}
            // A file in place of the folder is told when the folder is made.
            Err(e)
                if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(Error::file("read", path, error)),
        }
        let (bytes, sha256) = record::hash_file(path, self.interrupt)?;
        let origin = match record::expected(path, pinned)? {
            Some(expected) if expected.sha256 == sha256 => Origin::Present,
            Some(expected) => {
                let (expected, origin) = (expected.sha256, expected.origin);
                return Err(Error::Differs { path: path.to_path_buf(), found: sha256, expected, origin });
            }
            None => {
                let entry = Entry::by_hand(bytes, sha256.clone());
                if let Err(error) = record::remember(self.upstream.name, path, entry) {
                    // The file itself is fine, and the folder may be read-only on purpose.
                    self.reporter.emit(Event::Warning(&format!("the sha256 could not be recorded: {error}")));
                }
                Origin::Recorded
            }
        };
        Ok(Some(FetchedFile { path: path.to_path_buf(), bytes, sha256, origin }))
    }
}
