//! Methods against a reference: from ranks that fit on a line.

mod gates;
mod laws;
mod refusals;
mod values;

use std::num::NonZeroU32;

use bench::compare::{Method, Run, Split};
use bench::eval::{Metric, RankList};

/// Ranks; 0 for who has none.
fn ranks(numbers: &[u32]) -> RankList {
    RankList { ranks: numbers.iter().map(|rank| NonZeroU32::new(*rank)).collect() }
}

/// A method with the seeds 1, 2, .. whose runs share nothing.
fn method(name: &str, runs: &[&[u32]]) -> Method {
    let run = |(at, numbers): (usize, &&[u32])| {
        let ranks = ranks(numbers);
        Run { seed: at as u64 + 1, shared: None, retrieved: ranks.hits(20), ranks }
    };
    let split = Split { fingerprint: "f0".repeat(32), facts: vec![("users".to_owned(), "4".to_owned())] };
    Method {
        name: name.to_owned(),
        stage: "retriever".to_owned(),
        candidates: 20,
        split,
        runs: runs.iter().enumerate().map(run).collect(),
    }
}

/// The same, each run on the retriever's cell of its seed.
fn sharing(name: &str, runs: &[&[u32]]) -> Method {
    let mut method = method(name, runs);
    for run in &mut method.runs {
        run.shared = Some(format!("cell of {}", run.seed));
    }
    method
}

fn metrics(names: &[&str]) -> Vec<Metric> {
    names.iter().map(|name| name.parse().expect("a metric")).collect()
}
