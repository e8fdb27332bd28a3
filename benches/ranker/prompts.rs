//! Building and tokenizing the training prompts of ML-100K, against the reference's way in Python.
//!
//! Needs `BENCH_SHARED` (for `models/*-tokenizer/tokenizer.json` and, unless `BENCH_DATA_DIR` is set, `data/`). With
//! `BENCH_PEER_PYTHON` (see `benches/peers/README.md`) the peer makes `BENCH_PEER_PROMPTS` (2,000) of the prompts, and their ids must
//! equal ours. Rates of one thread count processor time, of ours and of the peer, so that other programs change little.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use bench::data::{Dataset, Split};
use bench::events::Silent;
use bench::experiment::{DatasetSource, DatasetSpec, Experiment, RankerSpec, ReadOut};
use bench::prompt::{Prompt, Prompts, Tokenizer, TrainingSamples, Truncation, Verbalizer};
use bench::seed::Seed;
use rayon::prelude::*;
use serde_json::json;

/// Prompts that a task makes when threads share the work.
const TASK: usize = 512;
/// Timed passes; the fastest counts, because other programs only slow one down.
const PASSES: usize = 3;

/// Print prompts per second for each real tokenizer.
pub fn report() {
    let Some(shared) = std::env::var_os("BENCH_SHARED").map(PathBuf::from) else {
        println!("prompts: skipped, BENCH_SHARED is not set (it names the folder with models/ and data/)");
        return;
    };
    let data = std::env::var_os("BENCH_DATA_DIR").map_or_else(|| shared.join("data"), PathBuf::from);
    let dataset = Dataset::load(&DatasetSpec::new(DatasetSource::Ml100k), &data, &Silent).expect("ML-100K");
    let split = Split::leave_one_out(&dataset).expect("5-core users have three items");
    let titles: Vec<&str> = dataset.items.iter().map(|item| item.title.as_str()).collect();
    let spec = paper();
    let samples = TrainingSamples::new(&split, &spec, Seed::new(42)).expect("samples");
    println!("training prompts of ML-100K: {} samples, {} titles", samples.len(), titles.len());
    println!(
        "| tokenizer | preparing, s | prompts/s, 1 thread | prompts/s, {} threads (wall) | tokens a prompt | cut | peer (transformers), \
         prompts/s | peer (tokenizers) | ratio, 1 thread | ratio with preparing |",
        rayon::current_num_threads()
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for name in ["llama2", "llama3", "qwen3"] {
        let path = shared.join(format!("models/{name}-tokenizer/tokenizer.json"));
        println!("{}", row(name, &path, &titles, &samples, &spec));
    }
}

/// The papers' settings of the ranker.
fn paper() -> RankerSpec {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/ml-100k-llama-2-7b.toml");
    let experiment = Experiment::load(&path, &[], &[]).expect("a shipped experiment");
    experiment.ranker.expect("it has a ranker")
}

fn row(name: &str, path: &Path, titles: &[&str], samples: &TrainingSamples<'_>, spec: &RankerSpec) -> String {
    let tokenizer = Arc::new(Tokenizer::from_file(path).expect("a tokenizer"));
    let verbalizer =
        Verbalizer::new(&tokenizer, spec.negatives as usize + 1, ReadOut::InContext).expect("labels");
    // On one thread, so that its processor time is all of it.
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    let (prompts, preparing) = alone.install(|| {
        let start = processor_seconds();
        let prompts = Prompts::new(tokenizer, titles, &verbalizer, spec).expect("prompts");
        (prompts, processor_seconds() - start)
    });
    assert!(prompts.joining().joined, "{:?}", prompts.joining());
    let mut single = f64::INFINITY;
    let mut parallel = f64::INFINITY;
    let mut count = Truncation::default();
    for _ in 0..PASSES {
        let start = processor_seconds();
        count = pass(&prompts, samples, 0..samples.len());
        single = single.min(processor_seconds() - start);
        let start = Instant::now();
        let tasks = (0..samples.len().div_ceil(TASK)).into_par_iter();
        let shared: Vec<Truncation> = tasks
            .map(|task| pass(&prompts, samples, task * TASK..((task + 1) * TASK).min(samples.len())))
            .collect();
        parallel = parallel.min(start.elapsed().as_secs_f64());
        assert_eq!(shared.into_iter().fold(Truncation::default(), Truncation::merged), count);
    }
    let n = samples.len() as f64;
    let peers = peer(path, titles, &prompts, samples, spec);
    let figures = match peers {
        None => "| | | |".to_owned(),
        Some((transformers, tokenizers)) => format!(
            "{transformers:.0} | {tokenizers:.0} | {:.0}x / {:.0}x | {:.0}x / {:.0}x |",
            n / single / transformers,
            n / single / tokenizers,
            n / (single + preparing) / transformers,
            n / (single + preparing) / tokenizers
        ),
    };
    format!(
        "| {name} | {preparing:.2} | {:.0} | {:.0} | {:.0} | {} | {figures}",
        n / single,
        n / parallel,
        count.tokens as f64 / n,
        count.cut_prompts
    )
}

/// Processor time of this thread; time of day where the system does not tell.
fn processor_seconds() -> f64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok());
    nanoseconds.map_or_else(|| START.elapsed().as_secs_f64(), |ns| ns / 1e9)
}

/// Make the prompts of a range of samples, one after the other in the same memory.
fn pass(prompts: &Prompts, samples: &TrainingSamples<'_>, range: std::ops::Range<usize>) -> Truncation {
    let (mut prompt, mut count) = (Prompt::default(), Truncation::default());
    for index in range {
        prompts.training_into(&samples.sample(0, index), &mut prompt).expect("a prompt");
        count.add(&prompt);
    }
    count
}

/// Prompts per second of the peer with transformers and with tokenizers alone; `None` without a Python for it.
fn peer(
    path: &Path,
    titles: &[&str],
    prompts: &Prompts,
    samples: &TrainingSamples<'_>,
    spec: &RankerSpec,
) -> Option<(f64, f64)> {
    let python = std::env::var_os("BENCH_PEER_PYTHON")?;
    let folder = tempfile::tempdir().expect("a folder");
    let (input, output) = (folder.path().join("input.json"), folder.path().join("ids.json"));
    // Spread over users and lengths of histories.
    let compared = std::env::var("BENCH_PEER_PROMPTS")
        .map_or(2000, |text| text.parse().expect("BENCH_PEER_PROMPTS is a number"));
    let step = (samples.len() / compared).max(1);
    let chosen: Vec<_> =
        (0..samples.len()).step_by(step).take(compared).map(|i| samples.sample(0, i)).collect();
    let index = |items: &[bench::data::ItemId]| items.iter().map(|item| item.index()).collect::<Vec<_>>();
    let listed: Vec<_> = chosen
        .iter()
        .map(|sample| {
            let history = &sample.history[sample.history.len().saturating_sub(spec.history_items as usize)..];
            json!({"history": index(history), "candidates": index(&sample.candidates), "answer": sample.answer})
        })
        .collect();
    let eos = prompts.tokenizer().eos();
    let file = json!({"titles": titles, "samples": listed, "title_tokens": spec.title_tokens,
        "max_prompt_tokens": spec.max_prompt_tokens, "eos": eos});
    std::fs::write(&input, file.to_string()).expect("the peer's input");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/ranker_prompts.py");
    let run =
        Command::new(python).arg(script).arg(path).arg(&input).arg(&output).output().expect("start Python");
    assert!(run.status.success(), "the peer failed:\n{}", String::from_utf8_lossy(&run.stderr));
    let measured: serde_json::Value = serde_json::from_slice(&run.stdout).expect("the peer's JSON");
    let theirs: Vec<Vec<u32>> =
        serde_json::from_slice(&std::fs::read(&output).expect("ids")).expect("lists of ids");
    assert_eq!(theirs.len(), chosen.len());
    for (ids, sample) in theirs.iter().zip(&chosen) {
        assert_eq!(&prompts.training(sample).expect("a prompt").ids, ids, "user {}", sample.user);
    }
    let rate = |key: &str| measured[key].as_f64().expect("a rate");
    Some((rate("transformers"), rate("tokenizers")))
}
