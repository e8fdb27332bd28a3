//! Run files of other programs as cells of the store.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use super::{Error, Prepared};
use crate::data::Part;
use crate::events::Reporter;
use crate::import::{self, Format, Names};
use crate::run::{
    self, CellKey, CodeRecord, IMPORTED_STAGE_VERSION, ImportRecord, ImportedCell, MANIFEST_VERSION, Machine,
    Manifest, Store, Times,
};

/// A run file, and what it is.
#[derive(Debug, Clone, Copy)]
pub struct Import<'a> {
    /// The experiment whose split it is of.
    pub experiment: &'a str,
    /// The file.
    pub file: &'a Path,
    /// Its name in tables.
    pub name: &'a str,
    /// Its format.
    pub format: Format,
    /// Whether it names users and items as the upstream files do, or by place and id.
    pub raw_ids: bool,
    /// Which held-out item it predicts.
    pub part: Part,
    /// The seed of the other program.
    pub seed: u64,
}

/// An imported run in the store.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Its key.
    pub key: CellKey,
    /// The cell, as it was read back.
    pub cell: ImportedCell,
    /// Whether it was stored now.
    pub is_new: bool,
    /// What was noticed in the file.
    pub warnings: Vec<String>,
}

/// Read a run file, rank the held-out items of the split by it, and store the ranks. The key has the content of the file, not its
/// name: one file imported under two names is one cell with the first name.
///
/// # Errors
/// What is wrong with the file, with its line; or if the store cannot be read or written.
pub fn import(
    wanted: &Import<'_>,
    data: &Prepared,
    runs: &Path,
    reporter: &dyn Reporter,
) -> Result<Kept, Error> {
    let started = run::now();
    let names = if wanted.raw_ids {
        Names::raw(&data.users, &data.items)
    } else {
        Names::dense(data.split.test.len(), data.split.n_items)
    };
    let read = import::read(wanted.file, wanted.format, &names, &data.split, wanted.part)?;
    let part = if wanted.part == Part::Test { "test" } else { "validation" };
    let key = CellKey::of(&json!({
        "stage": "imported",
        "version": IMPORTED_STAGE_VERSION,
        "split": data.record.split_fingerprint,
        "file": read.sha256,
        "format": wanted.format.name(),
        "ids": names.kind,
        "part": part,
        "seed": wanted.seed,
    }));
    let store = Store::imported(runs);
    if let Some(cell) = store.stored(&key, None, reporter)? {
        return Ok(Kept { key, cell, is_new: false, warnings: read.warnings });
    }
    let manifest = Manifest {
        version: MANIFEST_VERSION,
        stage: String::new(),
        key: String::new(),
        experiments: vec![wanted.experiment.to_owned()],
        retriever: wanted.name.to_owned(),
        seed: wanted.seed,
        dataset: data.record.clone(),
        code: CodeRecord::here(IMPORTED_STAGE_VERSION),
        machine: Machine::here(rayon::current_num_threads()),
        times: Times { started, finished: run::now(), wall_seconds: BTreeMap::new() },
        process: run::Effort::default().finished(0),
        peak_memory_bytes: None,
        training: None,
        ranker: None,
        limit: None,
        files: BTreeMap::new(),
        left_out: BTreeMap::new(),
    };
    let record = ImportRecord {
        file: wanted.file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        bytes: read.bytes,
        sha256: read.sha256,
        format: wanted.format.name().to_owned(),
        part: part.to_owned(),
        ids: names.kind.to_owned(),
        order: read.order.to_owned(),
        counts: read.counts,
    };
    let cell = ImportedCell { manifest, record, ranks: read.ranks };
    store.save_with(&key, &cell, &[])?;
    let cell = store.stored(&key, None, reporter)?.unwrap_or(cell);
    Ok(Kept { key, cell, is_new: true, warnings: read.warnings })
}
