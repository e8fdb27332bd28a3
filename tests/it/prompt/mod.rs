//! Prompts, their tokens, the labels and the samples.

mod bad_input;
mod golden;
mod joining;
mod samples;
mod tiny;
mod titles;
mod tokenizer;
mod truncation;
mod verbalizer;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bench::data::ItemId;
use bench::experiment::{Experiment, RankerSpec, ReadOut};
use bench::prompt::{Prompts, Tokenizer, Verbalizer};

/// The ranker's default settings, but for those of `lines`.
pub fn spec(lines: &str) -> RankerSpec {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.toml");
    let text = format!(
        "name = \"x\"\nseeds = [1]\n[dataset]\nname = \"synthetic\"\n[retriever]\nkind = \"lru\"\n[backbone]\n\
         name = \"a/b\"\n[ranker]\n{lines}\n"
    );
    std::fs::write(&path, text).expect("a file");
    Experiment::load(&path, &[], &[]).expect("valid settings").ranker.expect("a backbone is named")
}

/// The real tokenizer `name` (`llama2`, `llama3`, `qwen3`, `stories260K`), if the shared folder is there. Each is read once: they are large.
pub fn real(name: &str) -> Option<Arc<Tokenizer>> {
    static READ: Mutex<BTreeMap<String, Arc<Tokenizer>>> = Mutex::new(BTreeMap::new());
    let folder = if name == "stories260K" { name.to_owned() } else { format!("{name}-tokenizer") };
    let path = crate::support::shared()?.join("models").join(folder).join("tokenizer.json");
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    let tokenizer = read.entry(name.to_owned()).or_insert_with(|| {
        Arc::new(Tokenizer::from_file(path).unwrap_or_else(|problem| panic!("{problem}")))
    });
    Some(tokenizer.clone())
}

/// Prompts of up to `candidates` candidates.
pub fn prompts(tokenizer: &Arc<Tokenizer>, titles: &[&str], candidates: usize, lines: &str) -> Prompts {
    let verbalizer = Verbalizer::new(tokenizer, candidates, ReadOut::InContext).expect("labels");
    Prompts::new(tokenizer.clone(), titles, &verbalizer, &spec(lines)).expect("prompts")
}

/// Items by index, from 0.
pub fn items(indices: &[usize]) -> Vec<ItemId> {
    indices.iter().map(|&index| ItemId::new(index as u32 + 1).expect("not 0")).collect()
}

/// What a user would read.
pub fn message<T: std::fmt::Debug>(result: Result<T, bench::prompt::Error>) -> String {
    result.expect_err("something is wrong").to_string()
}
