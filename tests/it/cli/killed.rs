//! The short form of `cargo bench --bench resume`: a few kills of a run with every stage.
#![cfg(unix)]

#[path = "../../../benches/resume/killing.rs"]
mod killing;

use std::path::Path;
use std::time::Duration;

use bench::seed::Seed;
use killing::{Killed, Kills};

#[test]
fn a_run_that_is_killed_again_and_again_ends_like_one_that_nobody_disturbed() {
    let program = Path::new(env!("CARGO_BIN_EXE_bench"));
    let [whole, parts] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let undisturbed = Killed { program, folder: whole.path(), every: 15.0 };
    let longest = undisturbed.undisturbed().max(Duration::from_secs(1));
    let expected = undisturbed.results();
    let run = Killed { program, folder: parts.path(), every: 0.0 };
    let mut kills = Kills::default();
    kills.add(&run.run(5, longest, &mut Seed::new(11).stream("kills")));
    assert!(kills.total() > 0 && kills.resumed > 0, "{:?}", kills.by_part);
    let found = run.results();
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, value) in &expected {
        assert_eq!(found.get(name), Some(value), "{name} after {} kills", kills.total());
    }
    assert!(found.len() > 20, "{} results are compared", found.len());
}
