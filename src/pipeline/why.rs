//! Why something is not stored: the nearest cell that is, and what it has otherwise.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde_json::Value;

use super::rebuild::deciding;
use crate::run::{CONFIG, DatasetRecord, Manifest, Opened, SettingRecord};

/// A stage of a seed that would be computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Miss {
    /// The seed.
    pub seed: u64,
    /// `retrieval` or `ranking`.
    pub stage: &'static str,
    /// The stored cell of the same stage and dataset that differs in the least; `None` if there is none.
    pub nearest: Option<Nearest>,
}

/// A stored cell that is not the wanted one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nearest {
    /// The first 16 digits of its key.
    pub cell: String,
    /// Names of the experiments for which it was computed.
    pub experiments: Vec<String>,
    /// What differs: name, as stored, as wanted.
    pub differs: Vec<(String, String, String)>,
}

/// What is wanted.
pub(super) struct Wanted<'a> {
    pub stage: &'static str,
    pub version: u32,
    pub seed: u64,
    pub dataset: &'a DatasetRecord,
    pub settings: &'a [SettingRecord],
    /// The backbone's hash, of a ranking.
    pub backbone: Option<&'a str>,
    /// The key of the candidates, of a ranking.
    pub candidates: Option<&'a str>,
}

/// A stored cell, as far as this needs it.
struct Known {
    manifest: Manifest,
    settings: Vec<SettingRecord>,
}

/// The cells of each stage, read when the first miss asks for them.
pub(super) struct Shelf {
    root: PathBuf,
    known: BTreeMap<&'static str, OnceCell<Vec<Known>>>,
}

impl Shelf {
    pub fn new(root: &Path, stages: [&'static str; 2]) -> Self {
        let known = stages.into_iter().map(|stage| (stage, OnceCell::new())).collect();
        Self { root: root.to_owned(), known }
    }

    /// Why a cell is not there. What cannot be read is not looked at.
    pub fn why(&self, wanted: &Wanted<'_>) -> Miss {
        let of_stage = self
            .known
            .get(wanted.stage)
            .map(|cells| cells.get_or_init(|| read(&self.root.join(wanted.stage))));
        let same_data = |known: &&Known| known.manifest.dataset.name == wanted.dataset.name;
        let cells = of_stage.into_iter().flatten().filter(same_data);
        let here = deciding(wanted.settings, wanted.backbone.is_some());
        let found = cells.map(|known| (known, differing(known, wanted, &here)));
        // Of equally near ones that of the same seed, then the first by key.
        let nearest = found.min_by_key(|(known, differs)| {
            (differs.len(), known.manifest.seed != wanted.seed, known.manifest.key.clone())
        });
        let nearest = nearest.map(|(known, differs)| Nearest {
            cell: known.manifest.key.get(..16).unwrap_or_default().to_owned(),
            experiments: known.manifest.experiments.clone(),
            differs,
        });
        Miss { seed: wanted.seed, stage: wanted.stage, nearest }
    }
}

fn read(stage: &Path) -> Vec<Known> {
    let Ok(entries) = std::fs::read_dir(stage) else { return Vec::new() };
    let mut folders: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    folders.retain(|path| path.file_name().is_some_and(|name| !name.as_encoded_bytes().contains(&b'.')));
    folders.sort();
    let known = |folder: &PathBuf| {
        let cell = Opened::open(folder).ok()?;
        let settings = serde_json::from_slice(&cell.file(CONFIG).ok()??).ok()?;
        Some(Known { manifest: cell.manifest().clone(), settings })
    };
    folders.par_iter().filter_map(known).collect()
}

fn differing(
    known: &Known,
    wanted: &Wanted<'_>,
    here: &BTreeMap<&str, Value>,
) -> Vec<(String, String, String)> {
    let mut differs = Vec::new();
    let mut hold = |name: &str, stored: String, wanted: String| {
        if stored != wanted {
            differs.push((name.to_owned(), stored, wanted));
        }
    };
    let manifest = &known.manifest;
    hold("seed", manifest.seed.to_string(), wanted.seed.to_string());
    hold("version of the stage", manifest.code.stage_version.to_string(), wanted.version.to_string());
    let sources = |data: &DatasetRecord| -> Vec<String> {
        data.sources.iter().map(|file| format!("{} {:.12}", file.name, file.sha256)).collect()
    };
    let same_files = |a: &DatasetRecord, b: &DatasetRecord| {
        a.sources.len() == b.sources.len()
            && a.sources.iter().zip(&b.sources).all(|(a, b)| a.sha256 == b.sha256)
    };
    let same_data = same_files(&manifest.dataset, wanted.dataset);
    let identity = manifest.ranker.as_ref().map(|ranker| ranker.backbone.identity.as_str());
    let same_backbone = identity == wanted.backbone;
    if !same_data {
        hold("upstream files", sources(&manifest.dataset).join(", "), sources(wanted.dataset).join(", "));
    }
    let stored = deciding(&known.settings, wanted.backbone.is_some());
    let show = |value: Option<&Value>| value.map_or_else(|| "not set".to_owned(), Value::to_string);
    let names = stored.keys().chain(here.keys().filter(|name| !stored.contains_key(*name)));
    // Where content is the same, its place decides nothing.
    let a_place = |name: &str| {
        same_data && name.starts_with("dataset.") && name.ends_with("_file")
            || same_backbone && (name == "backbone.name" || name == "backbone.revision")
    };
    for name in names.filter(|name| !a_place(name)) {
        hold(name, show(stored.get(name)), show(here.get(name)));
    }
    let ranker = manifest.ranker.as_ref();
    if let Some(identity) = wanted.backbone {
        let of = ranker.map_or("", |ranker| &ranker.backbone.identity);
        hold("content of the backbone", short(of), short(identity));
    }
    // What follows from something else that differs is not told again.
    if differs.is_empty() {
        let print = |data: &DatasetRecord| short(&data.split_fingerprint);
        let mut hold = |name: &str, stored: String, wanted: String| {
            if stored != wanted {
                differs.push((name.to_owned(), stored, wanted));
            }
        };
        hold("split", print(&manifest.dataset), print(wanted.dataset));
        if let Some(candidates) = wanted.candidates {
            hold("candidates", short(ranker.map_or("", |ranker| &ranker.retrieval_key)), short(candidates));
        }
    }
    differs
}

fn short(hash: &str) -> String {
    hash.chars().take(16).collect()
}
