//! Adapters: the stored files, which are those of PEFT already.

use std::path::{Path, PathBuf};

use super::{Error, Source, key};
use crate::run::{ADAPTER, atomic};

/// `adapter/seed-<n>/` of every tuned seed, each file verified.
pub(super) fn write(source: &Source<'_>, folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut written = Vec::new();
    for ranking in source.seeds.iter().filter_map(|seed| seed.ranking) {
        let key = key(source, ranking)?;
        let place = folder.join(ADAPTER).join(format!("seed-{}", ranking.manifest.seed));
        for name in ranking.manifest.files.keys() {
            let Some(file) = name.strip_prefix(ADAPTER).and_then(|rest| rest.strip_prefix('/')) else {
                continue;
            };
            if let Some(bytes) = source.rankings.file(&key, name)? {
                let path = place.join(file);
                atomic::write(&path, &bytes)?;
                written.push(path);
            }
        }
    }
    if written.is_empty() {
        let what = "no stored seed has an adapter; only experiments with a tuned ranker have one";
        return Err(Error::Nothing { what });
    }
    Ok(written)
}
