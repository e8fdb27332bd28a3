//! Reports: every figure follows from the stored ranks, and what a reader must know is said.

mod browser;
mod figures;
mod ranked;
mod text;

use std::collections::BTreeMap;

use bench::baseline::{Baseline, built_in};
use bench::eval::Averaging;
use bench::report::{Error, Input, Report};
use bench::run::{
    Cell, CodeRecord, DatasetRecord, MANIFEST_VERSION, Machine, Manifest, ProcessRecord, SettingRecord,
    SourceRecord, StoredPart, StoredRetrieval, Times, TrainingRecord,
};
use serde_json::json;

/// What an [`Input`] borrows from.
struct Material {
    experiment: String,
    settings: Vec<SettingRecord>,
    averaging: Averaging,
    cutoffs: Vec<u32>,
    seeds: Vec<u64>,
    cells: Vec<Cell>,
    baselines: Vec<Baseline>,
    warnings: Vec<String>,
}

/// A part whose users have these ranks among 20 candidates; 0 stands for rank 21, one place too far.
fn part(ranks: &[u32]) -> StoredPart {
    let mut part = StoredPart::default();
    for rank in ranks {
        let rank = if *rank == 0 { 21 } else { *rank };
        part.candidates.extend((1..=20).map(|place| if place == rank { 99 } else { place }));
        part.scores.extend((1..=20).map(|place| -(place as f32)));
        part.ranks.push(rank);
        part.targets.push(99);
    }
    part
}

pub fn cell(seed: u64, test: &[u32]) -> Cell {
    let manifest = Manifest {
        version: MANIFEST_VERSION,
        stage: "retrieval".to_owned(),
        key: format!("{seed:064x}"),
        experiments: vec!["ml-100k-lrurec".to_owned()],
        retriever: "lru".to_owned(),
        seed,
        dataset: DatasetRecord {
            name: "ml-100k".to_owned(),
            users: 610,
            items: 3650,
            interactions: 90274,
            mean_length: 90274.0 / 610.0,
            density: 90274.0 / (610.0 * 3650.0),
            split_fingerprint: "f0".repeat(32),
            sources: vec![SourceRecord {
                name: "ratings.csv".to_owned(),
                bytes: 2483723,
                sha256: "aa".repeat(32),
            }],
            preparation: vec![("rows read".to_owned(), "100,836".to_owned())],
            warnings: vec![],
        },
        code: CodeRecord { version: "0.1.0".to_owned(), stage_version: 1, executable_sha256: None },
        machine: Machine {
            platform: "linux x86_64".to_owned(),
            threads: 2,
            cpu_features: "avx2 fma".to_owned(),
            ..Machine::default()
        },
        times: Times {
            started: "2026-11-23T07:00:00.000Z".to_owned(),
            finished: "2026-11-23T07:02:05.000Z".to_owned(),
            wall_seconds: BTreeMap::from([("evaluate".to_owned(), 5.0), ("train".to_owned(), 120.0)]),
        },
        process: ProcessRecord::default(),
        peak_memory_bytes: Some(300 << 20),
        training: Some(TrainingRecord {
            selected_by: "recall@10".to_owned(),
            best_step: 1500,
            best_metric: 0.125,
            steps: 11500,
            epochs: 250,
            stop_reason: "20 validations without a better one".to_owned(),
            last_loss: Some(6.25),
            parameters: Some(412345),
        }),
        ranker: None,
        limit: None,
        files: BTreeMap::new(),
        left_out: BTreeMap::new(),
    };
    let retrieval = StoredRetrieval { k: 20, validation: part(test), test: part(test) };
    Cell { manifest, retrieval, curve: vec![], settings: vec![] }
}

/// 610 users of whom `hits` have rank 1, 2, .. 20, 1, .. and the rest none.
fn ranks(hits: usize) -> Vec<u32> {
    (0..610).map(|user| if user < hits { user as u32 % 20 + 1 } else { 0 }).collect()
}

fn setting(key: &str, value: serde_json::Value, is_default: bool, is_quirk: bool) -> SettingRecord {
    let origin = if is_default { "default" } else { "experiments/ml-100k.toml:12" };
    SettingRecord { key: key.to_owned(), value, origin: origin.to_owned(), is_default, is_quirk }
}

impl Material {
    fn new(cells: Vec<Cell>) -> Self {
        Self {
            experiment: "ml-100k-lrurec".to_owned(),
            settings: vec![
                setting("retriever.max_len", json!(200), true, false),
                setting("retriever.dropout", json!(0.4), false, false),
                setting("retriever.first_item_label", json!(true), true, true),
            ],
            averaging: Averaging::Users,
            cutoffs: vec![5, 10],
            seeds: cells.iter().map(|cell| cell.manifest.seed).collect(),
            cells,
            baselines: built_in().unwrap(),
            warnings: vec![],
        }
    }

    fn two_seeds() -> Self {
        Self::new(vec![cell(42, &ranks(126)), cell(43, &ranks(130))])
    }

    fn build(&self) -> Result<Report, Error> {
        Report::build(&Input {
            experiment: &self.experiment,
            description: "LRURec with the paper's settings.",
            settings: &self.settings,
            cutoffs: &self.cutoffs,
            averaging: self.averaging,
            batch_size: Some(16),
            seeds: &self.seeds,
            cells: &self.cells,
            rankings: &[],
            baselines: &self.baselines,
            strata: None,
            warnings: &self.warnings,
        })
    }

    fn report(&self) -> Report {
        self.build().unwrap()
    }
}
