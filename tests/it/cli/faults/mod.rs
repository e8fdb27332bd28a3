//! Whatever happens to a run or to its files, the next run ends with what an undisturbed one gives.
//!
//! `BENCH_FAULTS=N` makes N rounds of each fault instead of a few.
#![cfg(target_os = "linux")]

mod clock;
mod damage;
mod disk;
mod permissions;
mod quick;
mod secrets;
mod writers;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use bench::run::Opened;
use bench::seed::Seed;
use rand::RngExt;
use rand_pcg::Pcg64;
use serde_json::Value;

use super::{Place, Ran, names};
use crate::rank::tiny;

/// Both stages with two seeds, and training in both, in about a second.
const BOTH: &str = r#"
name = "faulty"
seeds = [1, 2]

[dataset]
name = "synthetic"
users = 90
items = 40

[retriever]
kind = "lru"
hidden_dim = 8
state_dim = 8
feed_forward_dim = 16
max_len = 10
batch_size = 16
max_epochs = 4
validate_every_steps = 10

[evaluation]
cutoffs = [1, 3]
candidates = 5

[backbone]
name = "./model"
quantization = "f32"
compute_type = "f32"

[ranker]
history_items = 3
title_tokens = 12
lora_r = 2
batch_size = 8
max_steps = 6
validate_every_steps = 3
warmup_steps = 1
learning_rate = 1e-2
select_by = "ndcg@3"
negatives = 4
"#;

/// A run that may be disturbed at every step.
const EVERY_STEP: [&str; 4] = ["tiny.toml", "--threads", "1", "--checkpoint-every=0"];

fn place() -> Place {
    let place = Place::with(BOTH);
    tiny::write(&place.path("model"), 5);
    place
}

/// How often something is tried: `few` times, or as often as the environment asks.
fn rounds(few: usize) -> usize {
    std::env::var("BENCH_FAULTS").ok().and_then(|text| text.parse().ok()).unwrap_or(few)
}

fn random(name: &str) -> Pcg64 {
    Seed::new(rounds(0) as u64).stream(name)
}

/// A store that nothing has disturbed, and how long that took.
fn undisturbed() -> &'static (Place, Duration) {
    static ALONE: OnceLock<(Place, Duration)> = OnceLock::new();
    ALONE.get_or_init(|| {
        let place = place();
        let began = Instant::now();
        place.run(&EVERY_STEP).succeeds();
        let took = began.elapsed();
        (place, took)
    })
}

/// A moment of a run.
fn moment(rng: &mut Pcg64) -> Duration {
    undisturbed().1.mul_f64(rng.random_range(0.05..1.0))
}

fn start(place: &Place, arguments: &[&str]) -> Child {
    place.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn end(child: Child) -> Ran {
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.signal(), None, "{}", String::from_utf8_lossy(&output.stderr));
    output.into()
}

/// Without the fields that differ from run to run.
fn timeless(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            for name in [
                "wall_seconds",
                "times",
                "peak_memory_bytes",
                "step_seconds",
                "resumed",
                "machine",
                "process",
            ] {
                fields.remove(name);
            }
            fields.values_mut().for_each(|field| *field = timeless(field.take()));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = timeless(item.take())),
        _ => {}
    }
    value
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// What a whole cell holds, but for times. Every file of it is verified.
fn cell(folder: &Path) -> BTreeMap<String, Value> {
    let opened = Opened::open(folder).unwrap_or_else(|error| panic!("half a cell: {error}"));
    let mut found = BTreeMap::new();
    for (file, record) in &opened.manifest().files {
        let bytes = opened.file(file).unwrap_or_else(|error| panic!("half a cell: {error}"));
        assert!(bytes.is_some(), "{} is missing in {}", file, folder.display());
        let value = if file == "curve.json" {
            timeless(json(&folder.join(file)))
        } else {
            Value::from(record.sha256.clone())
        };
        found.insert(file.clone(), value);
    }
    let training = serde_json::to_value(&opened.manifest().training).unwrap();
    found.insert("training".to_owned(), training);
    found
}

/// Everything that lies under the name of a cell in a store, by stage and key.
fn cells(runs: &Path) -> BTreeMap<String, BTreeMap<String, Value>> {
    let mut found = BTreeMap::new();
    for stage in ["retrieval", "ranking"] {
        let folder = runs.join(stage);
        for name in names(&folder).into_iter().filter(|name| !name.contains('.')) {
            found.insert(format!("{stage}/{name}"), cell(&folder.join(&name)));
        }
    }
    found
}

/// Whether a store and its report are those of the undisturbed run. What was set aside may lie beside them, nothing else.
#[track_caller]
fn is_as_undisturbed(place: &Place, told: &str) {
    let (alone, _) = undisturbed();
    assert_eq!(cells(&place.path("runs")), cells(&alone.path("runs")), "{told}");
    let report = |place: &Place| timeless(json(&place.path("reports/faulty/results.json")));
    assert_eq!(report(place), report(alone), "{told}");
    for stage in ["retrieval", "ranking"] {
        for name in place.names(&format!("runs/{stage}")) {
            let left = name.contains('.') && !name.contains(".damaged-") && !name.starts_with('.');
            assert!(!left, "{stage}/{name} is left over\n{told}");
        }
    }
}

/// No process ends like this whatever it meets.
#[track_caller]
fn did_not_panic(ran: &Ran) {
    assert!(!ran.stderr.contains("panicked") && ran.code.is_some_and(|code| code != 101), "{}", ran.stderr);
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for name in names(folder) {
        let path = folder.join(name);
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for name in names(from) {
        let (from, to) = (from.join(&name), to.join(&name));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).unwrap();
        }
    }
}

/// A store whose run was killed at some moment.
fn killed(rng: &mut Pcg64) -> Place {
    let place = place();
    let mut child = start(&place, &EVERY_STEP);
    std::thread::sleep(moment(rng));
    child.kill().unwrap();
    child.wait().unwrap();
    place
}
