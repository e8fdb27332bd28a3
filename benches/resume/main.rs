//! What a kill costs: nothing but the time since the last checkpoint.
//!
//! `cargo bench --bench resume` measures what checkpoints cost, then kills a short experiment `BENCH_KILLS` times (200) at random
//! moments, goes on each time where it stopped, and compares everything that it ends with to an undisturbed run.

mod killing;

use std::path::Path;
use std::time::Instant;

use bench::checkpoint::Checkpoints;
use bench::events::Silent;
use bench::run::{Cell, CellKey, Store};
use bench::seed::Seed;
use killing::{Killed, Kills};
use rand::RngExt;

fn main() {
    let wanted = std::env::var("BENCH_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    let program = Path::new(env!("CARGO_BIN_EXE_bench"));
    cost();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let undisturbed = Killed { program, folder: folder.path(), every: 15.0 };
    let longest = undisturbed.undisturbed();
    let expected = undisturbed.results();
    println!("An undisturbed run takes {:.2} s and gives {} results.", longest.as_secs_f64(), expected.len());
    let mut random = Seed::new(3).stream("kills");
    let (mut kills, mut runs) = (Kills::default(), 0);
    while kills.total() < wanted {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // A checkpoint at every step, or now and then.
        let every = if random.random() { 0.0 } else { 0.2 };
        let run = Killed { program, folder: folder.path(), every };
        let left = wanted - kills.total();
        kills.add(&run.run(left, longest, &mut random));
        runs += 1;
        let found = run.results();
        for (name, value) in &expected {
            assert!(found.get(name) == Some(value), "{name} differs after {} kills", kills.total());
        }
        assert_eq!(found.len(), expected.len());
    }
    println!(
        "{} kills of {runs} runs, {} times a loop went on after a step: all results are identical.\n",
        kills.total(),
        kills.resumed
    );
    println!("| last kept before the kill | kills |\n|---|--:|");
    for (part, count) in &kills.by_part {
        println!("| {part} | {count} |");
    }
}

/// Time to keep states of real sizes, and its share of a training that keeps one every 15 seconds.
fn cost() {
    const PAUSE: f64 = 15.0;
    println!(
        "| state: weights, two moments, the best weights | MB | ms, median of 9 | share of the time |\n|---|--:|--:|--:|"
    );
    for (what, weights) in [
        // 12,101 items of Beauty, 3,650 of ML-100K, 64 numbers each, and the layers.
        ("LRURec on Beauty", 12_102 * 64 + 190_000),
        ("LRURec on ML-100K", 3_651 * 64 + 190_000),
        // r 8 on query and value of 32 layers, width 4,096, 1,024 for values.
        ("LoRA of Llama 3.1 8B", 32 * 8 * (4_096 + 4_096 + 4_096 + 1_024)),
    ] {
        let folder = tempfile::tempdir_in(".").expect("a folder on the disk of this repository");
        let store: Store<Cell> = Store::at(folder.path().to_owned());
        let key = CellKey::of(&serde_json::json!(what));
        let checkpoints = store.checkpoints(&key, &Silent);
        let values: Vec<f32> = (0..weights).map(|at| (at as f32).sin()).collect();
        let arrays = ["best", "first", "second", "weights"].map(|name| (name, values.as_slice()));
        let mut times: Vec<f64> = (0..9)
            .map(|_| {
                let began = Instant::now();
                checkpoints.keep("train", "{}", &arrays);
                began.elapsed().as_secs_f64()
            })
            .collect();
        times.sort_by(f64::total_cmp);
        let (megabytes, time) = (16.0 * weights as f64 / 1e6, times[4]);
        // Where it takes long it is done less often: at most once in 60 times what it takes.
        let share = time / (PAUSE.max(60.0 * time) + time);
        println!("| {what} | {megabytes:.1} | {:.1} | {:.2} % |", 1e3 * time, 1e2 * share);
    }
    println!();
}
