//! How fast an NVIDIA device is: the LRURec retriever's steps, retrieval and training, each kernel of a step beside its floor; and QLoRA steps
//! and scores of an 8-billion-parameter ranker beside the rate at which the device multiplies matrices.
//!
//! `cargo bench --bench device` checks the device against the processor, times and prints tables; where there is none it says so. The
//! device is `cuda:0`, or that of `BENCH_DEVICE`. With `BENCH_PEER_PYTHON`, a Python that has `benches/peers/qlora-requirements.txt`, transformers
//! with PEFT and bitsandbytes do the ranker's part first. With `BENCH_DENSE=1` its weights become bf16 on the device
//! (`ranker.device_weights = "bf16"`). With `BENCH_DATA_DIR` the batches are those of the real datasets, else random ones of the
//! same shape, and no whole training is timed. `BENCH_STEPS` (100) steps are timed. `BENCH_EMULATE=1` runs it all on the emulator of the tests,
//! on a few sequences: it shows that this program works, and its times mean nothing.

#[path = "../retriever/batches.rs"]
#[allow(dead_code, reason = "the peer's share")]
mod batches;
#[path = "../../tests/it/cuda/emulator.rs"]
mod emulator;
mod floors;
#[path = "../median.rs"]
mod median;
mod peer;
mod ranker;
mod timed;
mod whole;

use std::sync::Arc;
use std::time::Instant;

use bench::cuda::{Array, Device, Error, Facts, Machine};
use bench::experiment::DeviceChoice;
use bench::rank;
use bench::retrieve::lru;

use timed::Timed;

/// What is measured on.
pub struct Bed {
    /// What runs kernels.
    pub machine: Arc<dyn Machine>,
    /// What it is; `None` of an emulator.
    pub facts: Option<Facts>,
    /// Bytes a second of a copy on the device, reading and writing both counted.
    pub bandwidth: f64,
    /// Multiplications and additions a second that its cores can do in f32.
    pub rate: f64,
}

fn main() {
    if let Err(error) = measure() {
        println!("stopped: {error}");
        std::process::exit(1);
    }
}

fn open() -> Option<(Arc<dyn Machine>, Option<Facts>)> {
    if std::env::var_os("BENCH_EMULATE").is_some() {
        return Some((emulator::Emulator::start()?, None));
    }
    let ordinal = match std::env::var("BENCH_DEVICE").as_deref().map(str::parse) {
        Err(_) | Ok(Ok(DeviceChoice::Auto)) => 0,
        Ok(Ok(DeviceChoice::Cuda(ordinal))) => ordinal,
        Ok(_) => panic!("BENCH_DEVICE is no device: expected one such as cuda:0"),
    };
    match Device::open(ordinal) {
        Ok(device) => {
            let facts = device.facts().clone();
            Some((device, Some(facts)))
        }
        Err(error) => {
            println!("skipped, all of it: {error}");
            None
        }
    }
}

fn measure() -> Result<(), Error> {
    let Some((machine, facts)) = open() else { return Ok(()) };
    println!("{}", facts.as_ref().map_or_else(|| machine.name(), Facts::describe));
    let peer = ranker::peer(facts.as_ref());
    let began = Instant::now();
    lru::check(&machine)?;
    println!(
        "two training steps and a retrieval have the processor's bits ({:.2} s)",
        began.elapsed().as_secs_f64()
    );
    let bandwidth = bandwidth(&machine, if facts.is_some() { 1 << 28 } else { 1 << 20 })?;
    let rate = facts.as_ref().and_then(Facts::f32_rate).unwrap_or(1e9);
    println!(
        "copies {:.0} GB/s, read and write; f32 {:.1} TFLOP/s by its cores and clock",
        bandwidth / 1e9,
        rate / 1e12
    );
    let bed = Bed { machine, facts, bandwidth, rate };
    for name in ["beauty", "games"] {
        whole::table(&bed, name)?;
    }
    rank::engine::check::check(&bed.machine)?;
    println!("\nsmall models rank and learn on it as on the processor, but for rounding");
    ranker::table(&bed, &peer)
}

/// Bytes a second of the best of some copies of `bytes`.
fn bandwidth(machine: &Arc<dyn Machine>, bytes: usize) -> Result<f64, Error> {
    let (mut from, mut to) = (Array::<u32>::new(machine), Array::<u32>::new(machine));
    from.zeros(bytes / 4)?;
    to.zeros(bytes / 4)?;
    let timed = Timed::new(machine)?;
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        const COPIES: usize = 10;
        timed.wait()?;
        let began = Instant::now();
        for _ in 0..COPIES {
            machine.copy(from.all().at(), to.all().at(), bytes)?;
        }
        timed.wait()?;
        best = best.min(began.elapsed().as_secs_f64() / COPIES as f64);
    }
    Ok(2.0 * bytes as f64 / best)
}
