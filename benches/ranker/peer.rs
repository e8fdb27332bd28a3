//! Whole tasks beside transformers and PEFT: each in a process of its own, ours and the peer's in turns.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use bench::backbone::{Adapter, AdapterSpec, Batch, Decoder, Keep, Masks, Step, Weights, Workspace};
use bench::experiment::LoraTarget;
use bench::nn::adamw::{self, AdamW};
use bench::nn::matmul::Precision;
use bench::nn::quant::Storage;
use bench::seed::Seed;
use serde_json::{Value, json};

use super::model::{forward_flops, peak, peak_memory, prompts, shape, training_flops};

/// Tasks of ours, each with the peer's.
const PAIRS: [(&str, &[&str]); 6] = [
    ("score-f32", &["score-llamarec", "score-best"]),
    ("score-bf16", &["score-best-bf16"]),
    ("train-f32", &["train-llamarec", "train-best"]),
    ("train-bf16", &["train-best-bf16"]),
    ("spread-f32", &["spread-llamarec", "spread-best"]),
    ("spread-bf16", &["spread-best-bf16"]),
];

/// The prompt's fixed beginning has about as many tokens; every prompt shares them.
const SHARED_TOKENS: usize = 38;
/// Tokens of a pass over prompts of many lengths.
const PASS_TOKENS: usize = 8192;

fn lengths_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/ranker/ml-100k-lengths.txt")
}

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default).max(1)
}

/// Print the table.
pub fn report() {
    let Some(python) = std::env::var_os("BENCH_PEER_PYTHON").map(PathBuf::from) else {
        println!("skipped: BENCH_PEER_PYTHON names no Python with benches/peers/ranker-requirements.txt");
        return;
    };
    let repeats = number("BENCH_REPEATS", 3);
    let count = number("BENCH_PROMPTS", 256);
    println!(
        "Llama of 134 million random weights; {count} prompts in spread; peak of multiply-adds {:.0} GFLOP/s",
        peak(100)
    );
    println!(
        "{:<14}{:>9}{:>9}{:>9}  {:<22}{:>9}{:>9}{:>8}{:>8}",
        "ours", "s", "GFLOP/s", "MiB", "peer", "s", "MiB", "faster", "memory"
    );
    let chosen = std::env::var("BENCH_TASKS").unwrap_or_default();
    for (ours, peers) in PAIRS {
        if !chosen.is_empty() && !chosen.split(',').any(|task| task == ours) {
            continue;
        }
        for peer in peers {
            // Turns: ours, the peer, ours again; ours is the better of two, as the peer's is the median of its calls.
            let first = run_ours(ours);
            let theirs = run_peer(&python, peer, repeats, count);
            let second = run_ours(ours);
            let better = if first["seconds"].as_f64() <= second["seconds"].as_f64() { first } else { second };
            let of = |value: &Value, name: &str| value[name].as_f64().unwrap_or(f64::NAN);
            let (mine, other) = (of(&better, "seconds"), of(&theirs, "seconds"));
            let (memory, more) = (of(&better, "peak_mib"), of(&theirs, "peak_mib"));
            println!(
                "{ours:<14}{mine:>9.3}{:>9.0}{memory:>9.0}  {peer:<22}{other:>9.3}{more:>9.0}{:>7.2}x{:>7.2}x",
                of(&better, "gflops"),
                other / mine,
                more / memory
            );
        }
    }
    println!("faster: the peer's seconds over ours. memory: the peer's peak over ours.");
}

fn run_ours(task: &str) -> Value {
    let program = std::env::current_exe().expect("the path of this program");
    last_line(Command::new(program).args(["--ours", task]))
}

fn run_peer(python: &Path, task: &str, repeats: usize, count: usize) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/ranker_torch.py");
    let repeats = if task.starts_with("spread") { 1 } else { repeats };
    let mut command = Command::new(python);
    command.arg(script).arg(task).args(["--repeats", &repeats.to_string(), "--prompts", &count.to_string()]);
    command.arg("--threads").arg(rayon::current_num_threads().to_string());
    if task.starts_with("spread") {
        command.arg("--lengths").arg(lengths_file());
    }
    last_line(&mut command)
}

fn last_line(command: &mut Command) -> Value {
    let output = command.output().expect("start a process");
    assert!(output.status.success(), "it failed:\n{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.lines().last().unwrap_or_default()).expect("a line of JSON")
}

/// Do one task of ours and print what it took.
pub fn child(task: &str) {
    let config = shape();
    let bf16 = task.ends_with("-bf16");
    let (storage, precision) =
        if bf16 { (Storage::Bf16, Precision::Bf16) } else { (Storage::F32, Precision::F32) };
    let decoder = Decoder::new(Weights::random(&config, storage, Seed::new(1)), precision);
    let mut workspace = Workspace::default();
    let repeats = number("BENCH_REPEATS", 3);
    let letters: Vec<u32> = (29_909..29_929).collect();
    let (seconds, flops) = if task.starts_with("train") {
        training(&decoder, &mut workspace, repeats)
    } else if task.starts_with("score") {
        let prompts = prompts(4, 1024, config.vocab);
        let batch = Batch::new(&prompts.iter().map(Vec::as_slice).collect::<Vec<_>>(), 1);
        let seconds = median(repeats, || {
            black_box(decoder.letter_scores(&batch, &letters, None, &mut workspace));
        });
        (seconds, forward_flops(&config, &batch))
    } else {
        let batches = spread(number("BENCH_PROMPTS", 256), config.vocab);
        let flops = batches.iter().map(|batch| forward_flops(&config, batch)).sum();
        let seconds = median(1, || {
            for batch in &batches {
                black_box(decoder.letter_scores(batch, &letters, None, &mut workspace));
            }
        });
        (seconds, flops)
    };
    let gflops = flops / seconds / 1e9;
    println!("{}", json!({ "task": task, "seconds": seconds, "gflops": gflops, "peak_mib": peak_memory() }));
}

/// One optimizer step at 2 x 1,024: forward, backward, clipping, AdamW.
fn training(decoder: &Decoder, workspace: &mut Workspace, repeats: usize) -> (f64, f64) {
    let config = decoder.config().clone();
    let prompts = prompts(2, 1024, config.vocab);
    let batch = Batch::new(&prompts.iter().map(Vec::as_slice).collect::<Vec<_>>(), 2);
    let targets = vec![LoraTarget::QProj, LoraTarget::VProj];
    let mut adapter =
        Adapter::new(&config, &AdapterSpec { r: 8, alpha: 32.0, dropout: 0.05, targets }, Seed::new(2));
    let len = adapter.weights.len();
    let (mut gradients, mut first, mut second) = (vec![0.0; len], vec![0.0; len], vec![0.0; len]);
    let adam = AdamW { learning_rate: 1e-4, weight_decay: 0.0, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
    let labels = [310, 2, 311, 2];
    let mut taken = 0;
    let seconds = median(repeats, || {
        gradients.fill(0.0);
        taken += 1;
        let step = Step { dropout: Some(Masks::new(u64::from(taken))), labels: 4, keep: Keep::Everything };
        black_box(decoder.loss_and_gradients(&batch, &labels, &adapter, step, &mut gradients, workspace));
        let factor = adamw::clip_factor(adamw::norm(&gradients), 1.0);
        let state = adamw::State { weights: &mut adapter.weights, first: &mut first, second: &mut second };
        adamw::step(&adam, taken, factor, &gradients, &[], state);
    });
    (seconds, training_flops(&config, &batch))
}

/// Prompts of the lengths in the file, sorted by length and packed by a budget of tokens, as the ranker scores them.
fn spread(count: usize, vocab: usize) -> Vec<Batch> {
    let text = std::fs::read_to_string(lengths_file()).expect("the file of lengths");
    let mut lengths: Vec<usize> =
        text.lines().take(count).map(|line| line.parse().expect("a length")).collect();
    lengths.sort_unstable();
    let token = |at: usize, prompt: usize| ((at * 7919 + prompt * 104_729 + 13) % vocab) as u32;
    let mut batches = Vec::new();
    let mut pending: Vec<Vec<u32>> = Vec::new();
    for (prompt, &length) in lengths.iter().enumerate() {
        if pending.iter().map(Vec::len).sum::<usize>() + length > PASS_TOKENS {
            batches.push(Batch::new(&pending.iter().map(Vec::as_slice).collect::<Vec<_>>(), 1));
            pending.clear();
        }
        let own = |at: usize| if at < SHARED_TOKENS { token(at, 0) } else { token(at, prompt + 1) };
        pending.push((0..length).map(own).collect());
    }
    batches.push(Batch::new(&pending.iter().map(Vec::as_slice).collect::<Vec<_>>(), 1));
    batches
}

/// The median of `repeats` calls after one that is not counted, in seconds.
fn median(repeats: usize, mut work: impl FnMut()) -> f64 {
    work();
    let mut seconds: Vec<f64> = (0..repeats)
        .map(|_| {
            let began = Instant::now();
            work();
            began.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds[repeats / 2]
}
