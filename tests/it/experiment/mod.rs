//! Experiment files: what is accepted, what is refused and how, and where each value comes from.

mod files;
mod mistakes;
mod precedence;
mod robustness;
mod schema;
mod shipped;

use std::path::{Path, PathBuf};

use bench::experiment::{Experiment, Override, Problems};
use tempfile::TempDir;

/// A folder of experiment files that is removed at the end of a test.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    /// A folder with one file, `x.toml`.
    fn with(text: &str) -> Self {
        let folder = Self::new();
        folder.write("x.toml", text);
        folder
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("create the folder");
        std::fs::write(&path, text).expect("write the file");
        path
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load(&self) -> Result<Experiment, Problems> {
        self.load_with(&[], &[])
    }

    fn load_with(&self, overrides: &[&str], env: &[(&str, &str)]) -> Result<Experiment, Problems> {
        let overrides: Vec<Override> =
            overrides.iter().map(|text| text.parse().expect("key=value")).collect();
        Experiment::load(&self.path("x.toml"), &overrides, &variables(env))
    }

    /// What is wrong, with the folder cut off every path.
    fn complaints(&self, overrides: &[&str], env: &[(&str, &str)]) -> Vec<String> {
        let problems = self.load_with(overrides, env).expect_err("something is wrong");
        let prefix = format!("{}{}", self.0.path().display(), std::path::MAIN_SEPARATOR);
        problems.to_string().lines().map(|line| line.replace(&prefix, "")).collect()
    }
}

fn variables(env: &[(&str, &str)]) -> Vec<(String, String)> {
    env.iter().map(|(var, value)| ((*var).to_owned(), (*value).to_owned())).collect()
}

/// The shortest valid experiment.
const MINIMAL: &str =
    "name = \"x\"\nseeds = [1]\n[dataset]\nname = \"synthetic\"\n[retriever]\nkind = \"lru\"\n";

fn load(path: &Path) -> Result<Experiment, Problems> {
    Experiment::load(path, &[], &[])
}

/// What is wrong with [`MINIMAL`] plus a line at the end of its last section, `[retriever]`.
fn with_retriever(line: &str) -> String {
    only(Folder::with(&format!("{MINIMAL}{line}\n")).complaints(&[], &[]))
}

/// What is wrong with [`MINIMAL`] after a line at its top.
fn with_top(line: &str) -> String {
    only(Folder::with(&format!("{line}\n{MINIMAL}")).complaints(&[], &[]))
}

fn only(mut complaints: Vec<String>) -> String {
    assert_eq!(complaints.len(), 1, "{complaints:#?}");
    complaints.remove(0)
}
