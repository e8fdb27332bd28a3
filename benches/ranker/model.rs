//! Whole passes of a Llama of 134 million random weights: scoring, and training steps of an adapter, with the share of the
//! machine's peak that they reach and the memory that they take.

use std::hint::black_box;
use std::sync::LazyLock;
use std::time::Instant;

use bench::backbone::{
    Adapter, AdapterSpec, Architecture, Batch, Decoder, FullModel, Keep, Masks, ModelConfig, RopeConfig,
    RopeScaling, Step, Weights, Workspace,
};
use bench::experiment::LoraTarget;
use bench::nn::matmul::Precision;
use bench::nn::parallel;
use bench::nn::quant::Storage;
use bench::nn::simd::{dispatch, instruction_set};
use bench::seed::Seed;

use crate::multiply_adds::MultiplyAdds;

/// The shape that the reference's timings are taken with.
pub fn shape() -> ModelConfig {
    ModelConfig {
        architecture: Architecture::Llama,
        hidden: 768,
        intermediate: 2048,
        layers: 12,
        heads: 12,
        kv_heads: 12,
        head_dim: 64,
        vocab: 32_000,
        rms_eps: 1e-5,
        rope: RopeConfig { theta: 10_000.0, scaling: RopeScaling::None },
        tied: false,
        qkv_bias: false,
        qk_norm: false,
        sliding_window: None,
        max_positions: 2048,
        bos: Some(1),
        eos: vec![2],
    }
}

/// GFLOP/s of fused multiply-adds in registers on all threads, over `rounds` times 3 ms.
pub fn peak(rounds: usize) -> f64 {
    let threads = rayon::current_num_threads();
    let start = Instant::now();
    parallel::each(threads, |_| {
        for _ in 0..rounds {
            black_box(dispatch(MultiplyAdds));
        }
    });
    (rounds * threads * MultiplyAdds::OPERATIONS) as f64 / start.elapsed().as_secs_f64() / 1e9
}

/// `n` prompts of `length` tokens that share nothing.
pub fn prompts(n: usize, length: usize, vocab: usize) -> Vec<Vec<u32>> {
    (0..n).map(|p| (0..length).map(|i| ((i * 7919 + p * 104_729 + 13) % vocab) as u32).collect()).collect()
}

/// Operations of a forward pass in the layers: products, and attention as causal as it is.
pub fn forward_flops(config: &ModelConfig, batch: &Batch) -> f64 {
    let (d, f) = (config.hidden, config.intermediate);
    let (q, kv) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
    let (m, wanted, layers) = (batch.rows(), batch.wanted().len(), config.layers);
    let rows = |rows: usize| 2 * rows * (2 * d * q + 3 * d * f);
    let keys = 2 * m * 2 * d * kv;
    ((layers - 1) * (rows(m) + keys) + rows(wanted) + keys) as f64 + attention_flops(config, batch)
}

/// Those of attention: scores, and their use. (The last layer's, of a row or two, are left out.)
fn attention_flops(config: &ModelConfig, batch: &Batch) -> f64 {
    (4 * batch.pairs() * config.heads * config.head_dim * (config.layers - 1)) as f64
}

/// Forwards and backwards with frozen weights: products cost as much again, and attention two and a half times (scores again,
/// and four products in place of two). What checkpointing computes again is not counted.
pub fn training_flops(config: &ModelConfig, batch: &Batch) -> f64 {
    2.0 * forward_flops(config, batch) + 1.5 * attention_flops(config, batch)
}

/// Peak of resident memory since [`reset_peak`], in MiB.
pub fn peak_memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
    line.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
}

fn reset_peak() {
    // Linux forgets the peak when 5 is written here; elsewhere the figure is that of the whole process.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Processor time of all threads of this process, in seconds; time of day where the system does not tell.
fn processor_seconds() -> f64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let told = threads.filter_map(|thread| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    });
    let nanoseconds: f64 = told.sum();
    if nanoseconds > 0.0 { nanoseconds / 1e9 } else { START.elapsed().as_secs_f64() }
}

/// Runs after one that is not counted, in seconds.
struct Runs {
    best: f64,
    median: f64,
    /// Processor time a thread, the least of all runs: what a run takes where no other program runs.
    busy: f64,
    /// Its share of the peak, taken in the same way just before and after; the median of all runs.
    share: f64,
}

/// GFLOP/s of [`peak`], by processor time.
fn busy_peak() -> f64 {
    let (start, before) = (Instant::now(), processor_seconds());
    let rate = peak(30);
    let threads = rayon::current_num_threads() as f64;
    rate * start.elapsed().as_secs_f64() * threads / (processor_seconds() - before)
}

fn time(repeats: usize, flops: f64, mut work: impl FnMut()) -> Runs {
    work();
    let threads = rayon::current_num_threads() as f64;
    let (mut seconds, mut shares, mut busy) = (Vec::new(), Vec::new(), f64::INFINITY);
    let mut before = busy_peak();
    for _ in 0..repeats {
        let (start, used) = (Instant::now(), processor_seconds());
        work();
        seconds.push(start.elapsed().as_secs_f64());
        let used = (processor_seconds() - used) / threads;
        busy = busy.min(used);
        let after = busy_peak();
        shares.push(2.0 * flops / used / 1e9 / (before + after));
        before = after;
    }
    seconds.sort_by(f64::total_cmp);
    shares.sort_by(f64::total_cmp);
    Runs { best: seconds[0], median: seconds[repeats / 2], busy, share: shares[repeats / 2] }
}

/// Print the table. `BENCH_REPEATS` (3) runs are timed of each; `BENCH_ROWS` names rows, `;` between them.
pub fn report() {
    let repeats = std::env::var("BENCH_REPEATS").ok().and_then(|n| n.parse().ok()).unwrap_or(3usize).max(1);
    let chosen = std::env::var("BENCH_ROWS").unwrap_or_default();
    let config = shape();
    let best_peak = (0..20).map(|_| peak(1)).fold(0.0, f64::max);
    println!(
        "Llama of {:.0} million random weights, {} threads, {}, peak of f32 multiply-adds {best_peak:.0} GFLOP/s",
        config.parameters() as f64 / 1e6,
        rayon::current_num_threads(),
        instruction_set()
    );
    println!(
        "{:<64}{:>8}{:>8}{:>8}{:>9}{:>9}{:>10}",
        "what", "best s", "median", "busy s", "GFLOP/s", "of peak", "peak MiB"
    );
    let row = |name: &str, flops: f64, Runs { best, median, busy, share }: Runs| {
        let (rate, share, memory) = (flops / busy / 1e9, 100.0 * share, peak_memory());
        println!("{name:<64}{best:>8.3}{median:>8.3}{busy:>8.3}{rate:>9.0}{share:>8.0}%{memory:>10.0}");
    };
    for (kind, storage, precision) in [
        ("f32", Storage::F32, Precision::F32),
        ("bf16", Storage::Bf16, Precision::Bf16),
        ("NF4, f32 products", Storage::Nf4 { double: true }, Precision::F32),
        ("NF4, bf16 products", Storage::Nf4 { double: true }, Precision::Bf16),
    ] {
        let names = [
            format!("score 4 x 1,024, last position, {kind}"),
            format!("LoRA step 2 x 1,024, checkpointed, {kind}"),
            format!("LoRA step 2 x 1,024, {kind}"),
        ];
        let wanted = |name: &String| chosen.is_empty() || chosen.split(';').any(|row| row == name);
        if !names.iter().any(wanted) {
            continue;
        }
        let decoder = Decoder::new(Weights::random(&config, storage, Seed::new(1)), precision);
        let (score, steps) = names.split_first().expect("three rows");
        if wanted(score) {
            let prompts = prompts(4, 1024, config.vocab);
            let batch = Batch::new(&prompts.iter().map(Vec::as_slice).collect::<Vec<_>>(), 1);
            let letters: Vec<u32> = (300..320).collect();
            let mut workspace = Workspace::default();
            reset_peak();
            let flops = forward_flops(&config, &batch);
            let runs = time(repeats, flops, || {
                black_box(decoder.letter_scores(&batch, &letters, None, &mut workspace));
            });
            row(score, flops, runs);
        }
        let prompts = prompts(2, 1024, config.vocab);
        let batch = Batch::new(&prompts.iter().map(Vec::as_slice).collect::<Vec<_>>(), 2);
        let targets = vec![LoraTarget::QProj, LoraTarget::VProj];
        let spec = AdapterSpec { r: 8, alpha: 32.0, dropout: 0.05, targets };
        let adapter = Adapter::new(&config, &spec, Seed::new(2));
        for (name, keep) in steps.iter().zip([Keep::Inputs, Keep::Everything]) {
            if !wanted(name) {
                continue;
            }
            let mut gradients = vec![0.0; adapter.weights.len()];
            let mut workspace = Workspace::default();
            reset_peak();
            let labels = [310, 2, 311, 2];
            let flops = training_flops(&config, &batch);
            let runs = time(repeats, flops, || {
                let step = Step { dropout: Some(Masks::new(7)), labels: 4, keep };
                let loss = decoder.loss_and_gradients(
                    &batch,
                    &labels,
                    &adapter,
                    step,
                    &mut gradients,
                    &mut workspace,
                );
                black_box(loss);
            });
            row(name, flops, runs);
        }
    }
    for (hidden, layers, vocab) in [(64, 4, 2000), (128, 4, 2000), (256, 6, 8000)] {
        let name = format!("step of all weights, 16 x 128, {hidden} wide, {layers} layers, {vocab} tokens");
        if !chosen.is_empty() && !chosen.split(';').any(|row| row == name) {
            continue;
        }
        let heads = hidden / 32;
        let intermediate = hidden * 11 / 4;
        let config = ModelConfig {
            hidden,
            intermediate,
            layers,
            heads,
            kv_heads: heads,
            head_dim: 32,
            vocab,
            tied: true,
            ..shape()
        };
        let model = FullModel::from_weights(&Weights::random(&config, Storage::F32, Seed::new(1)));
        let prompts = prompts(16, 128, vocab);
        let batch = Batch::new(&prompts.iter().map(Vec::as_slice).collect::<Vec<_>>(), usize::MAX);
        let labels = batch.next_tokens();
        let asked = labels.iter().flatten().count();
        let mut gradients = vec![0.0; model.weights.len()];
        let mut workspace = Workspace::default();
        reset_peak();
        let flops = 3.0 * (forward_flops(&config, &batch) + (2 * asked * hidden * vocab) as f64);
        let runs = time(5 * repeats, flops, || {
            gradients.fill(0.0);
            let loss = model.loss_and_gradients(&batch, &labels, asked, &mut gradients, &mut workspace);
            black_box(loss);
        });
        row(&name, flops, runs);
    }
}
