//! What a kill costs: nothing but the time since the last checkpoint.
//!
//! `cargo bench --bench resume` kills a short experiment `BENCH_KILLS` times (200) at random moments, goes on each time where it
//! stopped, and compares everything that it ends with to an undisturbed run.

mod killing;

use std::path::Path;

use bench::seed::Seed;
use killing::{Killed, Kills};
use rand::RngExt;

fn main() {
    let wanted = std::env::var("BENCH_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    let program = Path::new(env!("CARGO_BIN_EXE_bench"));
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
            assert_eq!(found.get(name), Some(value), "{name} after {} kills", kills.total());
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
