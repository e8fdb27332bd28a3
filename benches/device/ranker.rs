//! The second stage on a device: steps of QLoRA and scores of an 8-billion-parameter model of random weights, beside the rate at which the
//! device multiplies matrices, and where a step's time goes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use bench::backbone::decoder::{Batch, Keep, Masks, Step, Transformer, Work};
use bench::backbone::{Adapter, AdapterSpec, Known, ModelConfig, Weights};
use bench::cuda::{Array, DecoderOps, Error, Facts, Frozen, Kernels, Machine, matrix_rate};
use bench::document::ruled_table;
use bench::events::{Interrupt, Silent};
use bench::experiment::LoraTarget;
use bench::nn::quant::{self, Storage};
use bench::rank;
use bench::rank::engine::{Device, Engine, Upload};
use bench::seed::Seed;
use half::bf16;
use rand::RngExt;

use super::Bed;
use super::median::median;
use super::peer::{self, Peer};
use super::timed::Timed;

/// What is asked of an H100: shares of the measured matrix rate and of the copy bandwidth, and bytes.
const STEP_SHARE: f64 = 0.45;
const SCORE_SHARE: f64 = 0.55;
const DEQUANTIZE_SHARE: f64 = 0.80;
const STEP_BYTES: f64 = 40e9;

/// The sizes of what is measured: those of the paper on a device, and next to nothing on an emulator.
struct Sizes {
    config: ModelConfig,
    name: &'static str,
    prompts: usize,
    tokens: (usize, usize),
    repeats: usize,
    square: usize,
}

impl Sizes {
    fn of(is_device: bool) -> Self {
        let name = "meta-llama/Llama-3.1-8B";
        let config = Known::of(name).expect("a known model").config();
        if is_device {
            return Self { config, name, prompts: 16, tokens: (900, 1100), repeats: 5, square: 8192 };
        }
        let [hidden, intermediate, layers, heads, kv_heads, head_dim, vocab] = [64, 128, 3, 4, 2, 16, 200];
        let (bos, eos) = (None, vec![2]);
        let config = ModelConfig {
            hidden,
            intermediate,
            layers,
            heads,
            kv_heads,
            head_dim,
            vocab,
            bos,
            eos,
            ..config
        };
        Self {
            config,
            name: "a tiny model, emulated (times mean nothing)",
            prompts: 3,
            tokens: (20, 30),
            repeats: 1,
            square: 64,
        }
    }
}

impl Sizes {
    /// The options of the peer.
    fn geometry(&self) -> [(&'static str, usize); 6] {
        let ModelConfig { hidden, intermediate, layers, heads, kv_heads, vocab, .. } = self.config;
        [
            ("hidden", hidden),
            ("intermediate", intermediate),
            ("layers", layers),
            ("heads", heads),
            ("kv-heads", kv_heads),
            ("vocab", vocab),
        ]
    }
}

fn of_device(error: rank::Error) -> Error {
    match error {
        rank::Error::Device(error) => error,
        other => panic!("{other}"),
    }
}

/// What the peer takes for the same prompts, before anything of ours takes the device's memory.
pub fn peer(facts: Option<&Facts>) -> Peer {
    let sizes = Sizes::of(facts.is_some());
    let lengths: Vec<usize> = prompts(&sizes).iter().map(Vec::len).collect();
    peer::run(&lengths, sizes.repeats, &sizes.geometry(), facts.map(|facts| facts.ordinal))
}

/// Print what is measured of the ranker.
pub fn table(bed: &Bed, peer: &Peer) -> Result<(), Error> {
    let sizes = Sizes::of(bed.facts.is_some());
    println!("\nthe ranker: {}, NF4 with random weights, activations in bf16", sizes.name);
    let prompts = prompts(&sizes);
    let timed = Timed::new(&bed.machine)?;
    let machine: Arc<dyn Machine> = Arc::clone(&timed) as Arc<dyn Machine>;
    let rate = matrix_rate(&machine, sizes.square)?;
    println!(
        "bf16 matrices of up to {} x {0}: {:.1} TFLOP/s{}",
        sizes.square,
        rate / 1e12,
        bed.facts.as_ref().and_then(bench::cuda::Facts::bf16_rate).map_or_else(String::new, |sheet| {
            format!(", {:.0} % of the data sheet's {:.0}", 100.0 * rate / sheet, sheet / 1e12)
        })
    );
    dequantization(bed, &timed, &machine, &sizes)?;

    let began = Instant::now();
    let upload = Upload::new(&machine);
    let mut upload = if std::env::var_os("BENCH_DENSE").is_some() { upload.dense() } else { upload };
    let storage = (Storage::Nf4 { double: true }, false);
    let interrupt = Interrupt::default();
    let drawn = Weights::stand_in_at(&mut upload, &sizes.config, storage, &Silent, &interrupt);
    let weights = drawn.unwrap_or_else(|error| panic!("{error}"));
    println!(
        "drawn, quantized and brought there in {:.1} s: {:.2} GB; this process has had {:.2} GB at most",
        began.elapsed().as_secs_f64(),
        upload.held() as f64 / 1e9,
        bench::run::peak_memory_bytes().unwrap_or(0) as f64 / 1e9
    );
    let model: Transformer<DecoderOps<bf16>> = Transformer::new(weights);
    step(bed, (&timed, &machine), &model, &prompts, (&sizes, rate, peer))?;
    scoring((&timed, &machine), &model, &prompts, (&sizes, rate, peer))
}

fn prompts(sizes: &Sizes) -> Vec<Vec<u32>> {
    let mut rng = Seed::new(1).stream("bench/prompts");
    let (least, most) = sizes.tokens;
    let mut prompt = || {
        let tokens = rng.random_range(least..=most);
        (0..tokens).map(|_| rng.random_range(0..sizes.config.vocab as u32)).collect()
    };
    (0..sizes.prompts).map(|_| prompt()).collect()
}

fn dequantization(bed: &Bed, timed: &Timed, machine: &Arc<dyn Machine>, sizes: &Sizes) -> Result<(), Error> {
    const TIMES: u32 = 20;
    let (rows, cols) = (sizes.config.intermediate, sizes.config.hidden);
    let numbers: Vec<f32> = (0..rows * cols).map(|at| 0.02 * (at as f32 * 0.61).sin()).collect();
    let host = quant::Frozen::quantize(Storage::Nf4 { double: true }, rows, cols, &numbers);
    let (kernels, matrix) = (Kernels::new(Arc::clone(machine)), Frozen::upload(machine, &host)?);
    let mut out = Array::<bf16>::new(machine);
    let mut seconds = Vec::new();
    for _ in 0..5 {
        timed.wait()?;
        let began = Instant::now();
        for _ in 0..TIMES {
            matrix.dequantize(&kernels, 0..rows, &mut out)?;
        }
        timed.wait()?;
        seconds.push(began.elapsed().as_secs_f64() / f64::from(TIMES));
    }
    let (seconds, bytes) = (median(seconds), (host.bytes() + 2 * rows * cols) as f64);
    println!(
        "NF4 to bf16, {rows} x {cols}: {:.1} us, {:.0} % of the copy bandwidth (asked: {:.0} %)",
        1e6 * seconds,
        100.0 * bytes / seconds / bed.bandwidth,
        100.0 * DEQUANTIZE_SHARE
    );
    Ok(())
}

fn step(
    bed: &Bed,
    (timed, machine): (&Timed, &Arc<dyn Machine>),
    model: &Transformer<DecoderOps<bf16>>,
    prompts: &[Vec<u32>],
    (sizes, rate, peer): (&Sizes, f64, &Peer),
) -> Result<(), Error> {
    let config = &sizes.config;
    let targets = vec![LoraTarget::QProj, LoraTarget::VProj];
    let lora = AdapterSpec { r: 8, alpha: 16.0, dropout: 0.05, targets };
    let adapter = Adapter::new(config, &lora, Seed::new(1));
    let prompts: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
    let batch = Batch::apart(&prompts, 2);
    let labels = vec![1; batch.wanted().len()];
    let mut engine = Device::new(model, machine);
    let most = engine.keep(&batch, adapter.spec()).map_err(of_device)?.unwrap_or(Keep::Inputs);
    let mut gradient = vec![0.0; adapter.weights.len()];
    for keep in [most, Keep::Inputs] {
        engine.forget();
        timed.forget_peak();
        let step = Step { dropout: Some(Masks::new(5)), labels: labels.len(), keep };
        let mut run = || {
            let began = Instant::now();
            engine.learn(&batch, &labels, &adapter, step, &mut gradient).map_err(of_device)?;
            Ok::<f64, Error>(began.elapsed().as_secs_f64())
        };
        run()?;
        let seconds = median((0..sizes.repeats).map(|_| run()).collect::<Result<_, _>>()?);
        let work = Work::of(config, &batch).step(labels.len());
        println!(
            "a step of {} prompts, {} tokens, {}: {:.1} ms, {:.0} tokens/s, {:.1} % of the matrix rate (asked: {:.0} %), floor {:.1} ms; \
             {:.2} GB at most (asked: under {:.0} GB){}",
            prompts.len(),
            batch.rows(),
            match keep {
                Keep::Everything => "all states kept".to_owned(),
                Keep::States(layers) => format!("states of {layers} layers kept"),
                _ => "layers computed again".to_owned(),
            },
            1e3 * seconds,
            batch.rows() as f64 / seconds,
            100.0 * work / seconds / rate,
            100.0 * STEP_SHARE,
            1e3 * work / rate,
            timed.peak() as f64 / 1e9,
            STEP_BYTES / 1e9,
            peer.beside_step(batch.rows() as f64 / seconds)
        );
    }
    let step = Step { dropout: Some(Masks::new(5)), labels: labels.len(), keep: Keep::Inputs };
    timed.take();
    timed.repeat(if bed.facts.is_some() { 3 } else { 1 });
    engine.learn(&batch, &labels, &adapter, step, &mut gradient).map_err(of_device)?;
    timed.repeat(0);
    print_kernels(timed.take());
    Ok(())
}

fn print_kernels(kernels: BTreeMap<&'static str, (u32, f64)>) {
    let all: f64 = kernels.values().map(|(_, seconds)| seconds).sum();
    let mut kernels: Vec<_> = kernels.into_iter().collect();
    kernels.sort_by(|a, b| b.1.1.total_cmp(&a.1.1));
    let mut table = ruled_table(false, true);
    table.set_header(["kernel", "launches", "ms", "share"]);
    for (kernel, (launches, seconds)) in kernels {
        let (ms, share) = (format!("{:.2}", 1e3 * seconds), format!("{:.1} %", 100.0 * seconds / all));
        table.add_row([kernel.to_owned(), launches.to_string(), ms, share]);
    }
    println!("{table}\n{:.1} ms in kernels, each alone", 1e3 * all);
}

fn scoring(
    (timed, machine): (&Timed, &Arc<dyn Machine>),
    model: &Transformer<DecoderOps<bf16>>,
    prompts: &[Vec<u32>],
    (sizes, rate, peer): (&Sizes, f64, &Peer),
) -> Result<(), Error> {
    let prompts: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
    let batch = Batch::new(&prompts, 1);
    let letters: Vec<u32> = (0..20).collect();
    let mut engine = Device::new(model, machine);
    timed.forget_peak();
    let mut run = || {
        let began = Instant::now();
        engine.scores(&batch, &letters, None).map_err(of_device)?;
        Ok::<f64, Error>(began.elapsed().as_secs_f64())
    };
    run()?;
    let seconds = median((0..sizes.repeats).map(|_| run()).collect::<Result<_, _>>()?);
    let work = Work::of(&sizes.config, &batch).scores();
    println!(
        "scores of {} prompts: {:.1} ms, {:.1} prompts/s, {:.1} % of the matrix rate (asked: {:.0} %), floor {:.1} ms; {:.2} GB at most{}",
        prompts.len(),
        1e3 * seconds,
        prompts.len() as f64 / seconds,
        100.0 * work / seconds / rate,
        100.0 * SCORE_SHARE,
        1e3 * work / rate,
        timed.peak() as f64 / 1e9,
        peer.beside_scores(prompts.len() as f64 / seconds)
    );
    Ok(())
}
