//! How long it takes to find that all is there already.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::Place;

#[test]
fn the_quickstart_is_found_finished_at_once() {
    let place = Place::new();
    let quickstart = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/quickstart.toml");
    // Shorter training: what is read again is as large.
    let arguments = [quickstart.to_str().unwrap(), "-S", "retriever.max_epochs=1"];
    place.run(&arguments).succeeds();
    let mut took = Duration::MAX;
    for _ in 0..3 {
        let mut command = place.command(&arguments);
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        let began = Instant::now();
        assert!(command.status().unwrap().success());
        took = took.min(began.elapsed());
    }
    println!("a cached run of the quickstart took {:.3} s, the best of three", took.as_secs_f64());
    // Loose: tests share their machine, and are built with less effort than a release.
    assert!(took < Duration::from_secs(2), "{took:?}");
}
