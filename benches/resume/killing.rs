//! Runs that are killed again and again, and what they end with.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use rand::RngExt;
use rand_pcg::Pcg64;
use serde_json::Value;

/// Every stage in a few seconds: a backbone is pre-trained, LRURec trained and a ranker tuned, with two seeds.
pub const EXPERIMENT: &str = r#"name = "killed"
seeds = [1, 2]

[dataset]
name = "synthetic"
users = 160
items = 120

[retriever]
kind = "lru"
hidden_dim = 16
state_dim = 16
feed_forward_dim = 32
max_len = 10
batch_size = 16
max_epochs = 40
patience = 1000
validate_every_steps = 20

[evaluation]
cutoffs = [1, 5]
candidates = 8

[backbone]
name = "embedded:tiny"
quantization = "nf4"
compute_type = "f32"

[pretrain]
tokens = 12000
step_tokens = 512
warmup_steps = 4

[ranker]
history_items = 4
title_tokens = 12
lora_r = 4
lora_dropout = 0.1
batch_size = 8
micro_batch_tokens = 1024
max_steps = 24
validate_every_steps = 6
validation_users = 40
warmup_steps = 4
learning_rate = 1e-3
select_by = "ndcg@5"
negatives = 7
"#;

/// A run of [`EXPERIMENT`] in a folder of its own.
pub struct Killed<'a> {
    /// The program.
    pub program: &'a Path,
    /// The folder.
    pub folder: &'a Path,
    /// Seconds between two checkpoints.
    pub every: f64,
}

/// What happened to a run that was killed.
#[derive(Default)]
pub struct Kills {
    /// By the part of the work that had been kept last.
    pub by_part: BTreeMap<String, u32>,
    /// Processes that a part of the work was taken up by.
    pub resumed: u32,
}

impl Kills {
    pub fn total(&self) -> u32 {
        self.by_part.values().sum()
    }

    pub fn add(&mut self, other: &Self) {
        for (part, kills) in &other.by_part {
            *self.by_part.entry(part.clone()).or_default() += kills;
        }
        self.resumed += other.resumed;
    }
}

impl Killed<'_> {
    fn command(&self) -> Command {
        let mut command = Command::new(self.program);
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"BENCH_") {
                command.env_remove(name);
            }
        }
        fs::write(self.folder.join("killed.toml"), EXPERIMENT).expect("write the experiment");
        let log = File::options().create(true).append(true).open(self.folder.join("log")).expect("a log");
        let every = format!("--checkpoint-every={}", self.every);
        command.args(["killed.toml", every.as_str()]).current_dir(self.folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command
    }

    /// Run to the end.
    pub fn undisturbed(&self) -> Duration {
        let began = Instant::now();
        let status = self.command().status().expect("start the program");
        assert!(status.success(), "{}", self.log());
        began.elapsed()
    }

    /// Kill at random times, up to 0.7 of `longest`, until the run is done, at most `most` times; then let it end.
    pub fn run(&self, most: u32, longest: Duration, random: &mut Pcg64) -> Kills {
        let mut kills = Kills::default();
        while kills.total() < most {
            let mut child = self.command().spawn().expect("start the program");
            let deadline = Instant::now() + longest.mul_f64(0.7 * random.random::<f64>());
            let status = loop {
                match child.try_wait().expect("wait for the program") {
                    None if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(1)),
                    None => break None,
                    Some(status) => break Some(status),
                }
            };
            if let Some(status) = status {
                assert!(status.success(), "{}", self.log());
                break;
            }
            child.kill().expect("kill the program");
            child.wait().expect("wait for the program");
            *kills.by_part.entry(last_kept(&self.folder.join("runs"))).or_default() += 1;
        }
        self.undisturbed();
        let log = self.log();
        assert!(!log.contains("warning:"), "{log}");
        kills.resumed = log.matches("goes on after step").count() as u32;
        kills
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).expect("a log")
    }

    /// All that a run gives, without times and what tells of them.
    pub fn results(&self) -> BTreeMap<String, Value> {
        let mut found = BTreeMap::new();
        for stage in ["pretraining", "retrieval", "ranking"] {
            let names = names(&self.folder.join("runs").join(stage));
            for name in names {
                // What was being written when it was killed; nobody reads it, and `bench clean` removes it.
                if name.starts_with('.') && name.ends_with(".tmp") {
                    continue;
                }
                assert!(!name.contains('.'), "{stage}/{name} is left over");
                let cell = self.folder.join("runs").join(stage).join(&name);
                let manifest = json(&cell.join("manifest.json"));
                for (file, record) in manifest["files"].as_object().expect("files") {
                    let value =
                        if file == "curve.json" { timeless(json(&cell.join(file))) } else { record.clone() };
                    found.insert(format!("{stage}/{name}/{file}"), value);
                }
                found.insert(format!("{stage}/{name}/training"), manifest["training"].clone());
            }
        }
        let report = timeless(json(&self.folder.join("reports/killed/results.json")));
        found.insert("report".to_owned(), report);
        found
    }
}

/// The part of the work whose checkpoint is the newest.
fn last_kept(runs: &Path) -> String {
    let mut newest: Option<(SystemTime, String)> = None;
    for stage in names(runs) {
        for cell in names(&runs.join(&stage)).iter().filter(|name| name.ends_with(".checkpoint")) {
            let folder = runs.join(&stage).join(cell);
            for file in names(&folder).iter().filter(|name| !name.starts_with('.')) {
                let Ok(time) = fs::metadata(folder.join(file)).and_then(|about| about.modified()) else {
                    continue;
                };
                if newest.as_ref().is_none_or(|(newest, _)| *newest < time) {
                    newest = Some((time, format!("{stage}, {}", file.trim_end_matches(".safetensors"))));
                }
            }
        }
    }
    newest.map_or_else(|| "no stage in work".to_owned(), |(_, part)| part)
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    names
}

fn json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).expect("JSON")
}

/// Without the fields that differ from run to run.
fn timeless(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            for name in ["wall_seconds", "times", "peak_memory_bytes", "process", "machine"] {
                fields.remove(name);
            }
            for field in fields.values_mut() {
                *field = timeless(field.take());
            }
        }
        Value::Array(items) => {
            for item in items {
                *item = timeless(item.take());
            }
        }
        _ => {}
    }
    value
}
