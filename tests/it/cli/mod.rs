//! The program as a person or a script meets it: the real binary in a folder of its own.

mod audit;
mod bundle;
mod clean;
mod commands;
mod compare;
mod device;
mod doctor;
mod end_to_end;
mod export;
mod faults;
mod import;
mod interrupt;
mod killed;
mod output;
mod preflight;
mod problems;
mod random;
mod ranker;
mod replay;
mod reproducible;
mod slurm;
mod summary;
mod together;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A small LRURec on a small synthetic dataset: two seeds in well under a second.
const TINY: &str = r#"name = "tiny"
seeds = [1, 2]

[dataset]
name = "synthetic"
users = 150
items = 60

[retriever]
kind = "lru"
hidden_dim = 8
state_dim = 8
feed_forward_dim = 16
max_len = 10
batch_size = 16
max_epochs = 3
validate_every_steps = 10

[evaluation]
cutoffs = [1, 5]
candidates = 8
"#;

/// A folder to run the program in.
struct Place {
    folder: TempDir,
}

/// How the program ended.
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program writes UTF-8");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Ran {
    /// The lines that tell of problems.
    fn errors(&self) -> Vec<&str> {
        self.stderr.lines().filter(|line| line.starts_with("error:")).collect()
    }

    #[track_caller]
    fn succeeds(self) -> Self {
        assert_eq!(self.code, Some(0), "{}\n{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    fn fails(self, code: i32, errors: &[&str]) -> Self {
        assert_eq!(self.errors(), errors, "{}\n{}", self.stdout, self.stderr);
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        self
    }
}

/// No setting of whoever runs the tests reaches the program.
fn without_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let ours = |prefix: &[u8]| name.as_encoded_bytes().starts_with(prefix);
        if ours(b"BENCH_") || ours(b"HF_") {
            command.env_remove(name);
        }
    }
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// A folder with `tiny.toml`.
    fn tiny() -> Self {
        Self::with(TINY)
    }

    /// A folder whose `tiny.toml` is `text`.
    fn with(text: &str) -> Self {
        let place = Self::new();
        place.write("tiny.toml", text);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("create a folder");
        std::fs::write(path, text).expect("write a file");
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The program in this folder, in an environment without settings of ours.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
        without_settings(&mut command);
        // No model of whoever runs the tests is found.
        for name in ["HF_HOME", "HF_TOKEN", "HF_ENDPOINT", "HF_HUB_OFFLINE", "HUGGINGFACE_HUB_CACHE"] {
            command.env_remove(name);
        }
        command.env("HF_HUB_CACHE", self.path("hub"));
        command.env_remove("NO_COLOR").env("TERM", "xterm-256color");
        command.args(arguments).current_dir(&self.folder).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.command(arguments).output().expect("start the program").into()
    }

    /// Names in a folder, sorted.
    fn names(&self, folder: &str) -> Vec<String> {
        names(&self.path(folder))
    }
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}
