//! Several experiments as the papers print them.

mod bad_input;
mod grid;
#[path = "../../../benches/report/simulated.rs"]
mod simulated;
mod tables;

use std::num::NonZeroU32;

use bench::baseline::{Baseline, built_in};
use bench::compare::{Method, Run, Split};
use bench::document::{Cell, Table};
use bench::eval::{RankList, Rung};
use bench::paper::{Absent, Error, Input, Paper, Study, paper};
use bench::run::{BackboneRecord, Manifest, RankerRecord};
use serde_json::json;

/// A manifest of a seed on a dataset with this many users.
fn manifest(dataset: &str, users: usize, seed: u64, split: &str) -> Manifest {
    let json = json!({
        "version": 1, "stage": "retrieval", "key": format!("{seed:064x}"), "experiments": [], "retriever": "lru", "seed": seed,
        "dataset": {
            "name": dataset, "users": users, "items": 3650, "interactions": 90274, "mean_length": 147.99, "density": 0.0405,
            "split_fingerprint": split
        },
        "code": {"version": "0.1.0", "stage_version": 1},
        "machine": {"platform": "linux x86_64", "threads": 1, "cpu_features": ""},
        "times": {"started": "2026-01-01T00:00:00Z", "finished": "2026-01-01T00:00:01Z", "wall_seconds": {}},
    });
    serde_json::from_value(json).unwrap()
}

fn ranker(name: &str) -> RankerRecord {
    RankerRecord {
        backbone: BackboneRecord {
            name: name.to_owned(),
            revision: None,
            source: "hub".to_owned(),
            identity: "ab".repeat(32),
            architecture: "llama".to_owned(),
            parameters: 1,
            vocabulary: 1,
            quantization: "nf4".to_owned(),
            compute_type: "bf16".to_owned(),
            bytes: 1,
            files: Default::default(),
            random: None,
        },
        retrieval_key: String::new(),
        tuned: true,
        candidate_order: "retriever".to_owned(),
        validation: Default::default(),
        test: Default::default(),
        training: None,
        cut_titles: 0,
    }
}

/// One list a seed; 0 for who has no rank.
type Lists<'a> = &'a [&'a [u32]];

/// An experiment on `dataset` whose stages have these ranks of all users with the seeds 1, 2, ..
fn study(name: &str, dataset: &str, backbone: Option<&str>, stages: &[(Rung, Lists<'_>)]) -> Study {
    let split = format!("{dataset:f<64}");
    let users = stages[0].1[0].len();
    let method = |rung: Rung, lists: Lists<'_>| {
        let run = |(at, ranks): (usize, &&[u32])| {
            let ranks = RankList { ranks: ranks.iter().map(|rank| NonZeroU32::new(*rank)).collect() };
            let shared = Some(format!("cell {} of {dataset}", at + 1));
            Run { seed: at as u64 + 1, shared, retrieved: ranks.hits(20), ranks }
        };
        Method {
            name: format!("{name}:{rung}"),
            stage: rung.to_string(),
            candidates: 20,
            split: Split { fingerprint: split.clone(), facts: vec![("users".to_owned(), users.to_string())] },
            runs: lists.iter().enumerate().map(run).collect(),
        }
    };
    let seeds: Vec<u64> = (1..=stages[0].1.len() as u64).collect();
    let retrievals: Vec<Manifest> =
        seeds.iter().map(|seed| manifest(dataset, users, *seed, &split)).collect();
    let rankings = backbone.iter().flat_map(|backbone| {
        retrievals.iter().map(|first| Manifest {
            stage: "ranking".to_owned(),
            ranker: Some(ranker(backbone)),
            ..first.clone()
        })
    });
    Study {
        experiment: name.to_owned(),
        file: format!("{name}.toml"),
        cutoffs: vec![5, 10],
        seeds,
        settings: Vec::new(),
        rankings: rankings.collect(),
        retrievals,
        reads_what_is_trained: true,
        methods: stages.iter().map(|(rung, lists)| (*rung, method(*rung, lists))).collect(),
    }
}

const LLAMA_2: Option<&str> = Some("meta-llama/Llama-2-7b-hf");
const LLAMA_3: Option<&str> = Some("meta-llama/Llama-3.1-8B");

fn report(studies: &[Study], reference: Option<&str>) -> Result<Paper, Error> {
    with(studies, &[], &built_in().unwrap(), reference)
}

fn with(
    studies: &[Study],
    absent: &[Absent],
    baselines: &[Baseline],
    reference: Option<&str>,
) -> Result<Paper, Error> {
    paper(&Input { title: "Results", studies, absent, imported: &[], baselines, reference })
}

fn table<'a>(paper: &'a Paper, id: &str) -> &'a Table {
    let known: Vec<&str> = paper.document.tables().map(|table| table.id.as_str()).collect();
    paper.document.tables().find(|table| table.id == id).unwrap_or_else(|| panic!("{id} of {known:?}"))
}

/// The cell of a row that begins with `name`, below the heading `group` / `column`.
#[track_caller]
fn cell<'a>(table: &'a Table, name: &str, group: &str, column: &str) -> &'a Cell {
    let of_group =
        |at: usize| table.groups.is_empty() || group.is_empty() || table.group_of(at) == Some(group);
    let at =
        table.columns.iter().enumerate().position(|(at, one)| one.title.starts_with(column) && of_group(at));
    let at = at.unwrap_or_else(|| panic!("{group}/{column} of {:?}", table.columns));
    let row = table.rows.iter().find(|row| {
        row.cells[0].text.starts_with(name)
            && (!table.groups.is_empty() || group.is_empty() || row.group.as_deref() == Some(group))
    });
    &row.unwrap_or_else(|| panic!("{name}")).cells[at]
}

fn warnings(paper: &Paper) -> Vec<String> {
    paper.document.warnings.iter().map(bench::document::Prose::plain).collect()
}

/// `n` users of whom the first have these ranks and the rest none.
fn users(n: usize, ranks: &[u32]) -> Vec<u32> {
    let mut all = ranks.to_vec();
    all.resize(n, 0);
    all
}
