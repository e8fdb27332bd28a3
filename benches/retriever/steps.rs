//! Whole training steps and evaluations, ours and the peer's, in turns.

use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use bench::experiment::HistoryMask;
use bench::retrieve::Query;
use bench::retrieve::lru::LruRec;
use bench::retrieve::lru::forward::Masks;
use bench::retrieve::lru::train::Trainer;
use bench::run::peak_memory_bytes;
use bench::seed::Seed;
use serde::{Deserialize, Serialize};

use super::batches::{self, Input, SHAPES};
use super::median::median;
use super::peer;

/// What a process measures of one dataset.
#[derive(Debug, Serialize, Deserialize)]
pub struct Measured {
    pub step_seconds: f64,
    pub eval_seconds: f64,
    pub peak_mib: f64,
    /// Losses of the first and the third step without dropout.
    pub losses: [f64; 2],
}

fn steps() -> usize {
    std::env::var("BENCH_STEPS").ok().and_then(|n| n.parse().ok()).unwrap_or(20)
}

fn trainer(input: &Input) -> Trainer {
    let model = LruRec::init(&input.spec, input.items, Seed::new(1)).expect("a model");
    Trainer::new(model, &input.spec).expect("a trainer")
}

/// Measure one dataset in this process and print it as JSON.
pub fn child(name: &str, _folder: &Path) {
    let input = batches::load(name, steps() + 3);
    let mut still = trainer(&input);
    let mut loss = |b| still.step(&input.packed(b), Masks::new(0, 0.0, 0.0)).expect("a step");
    let losses = [loss(0), loss(1), loss(2)];
    let losses = [losses[0], losses[2]];
    drop(still);
    let mut trainer = trainer(&input);
    let mut seconds = Vec::new();
    for batch in 0..input.batches.len() {
        let packed = input.packed(batch);
        let masks = Masks::new(batch as u64, input.spec.dropout, input.spec.lru_dropout);
        let began = Instant::now();
        black_box(trainer.step(&packed, masks).expect("a step"));
        seconds.push(began.elapsed().as_secs_f64());
    }
    let query =
        Query { histories: &input.histories, targets: &input.targets, k: 20, mask: HistoryMask::Window };
    let evaluations = (0..3).map(|_| {
        let began = Instant::now();
        black_box(trainer.retrieve(&query).expect("candidates"));
        began.elapsed().as_secs_f64()
    });
    let measured = Measured {
        eval_seconds: median(evaluations.collect()),
        step_seconds: median(seconds.split_off(3)),
        peak_mib: peak_memory_bytes().unwrap_or(0) as f64 / f64::from(1 << 20),
        losses,
    };
    println!("{}", serde_json::to_string(&measured).expect("JSON"));
}

fn ours(name: &str, folder: &Path) -> Measured {
    let this = std::env::current_exe().expect("the path of this program");
    let output =
        Command::new(this).args(["--ours", name]).arg(folder).output().expect("start this program again");
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.lines().last().unwrap_or_default())
        .unwrap_or_else(|e| panic!("measure {name}: {e}\n{}", String::from_utf8_lossy(&output.stderr)))
}

/// Print the table of steps and evaluations.
pub fn table() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let peer = peer::Peer::find();
    if peer.is_none() {
        println!("skipped: the PyTorch peer (BENCH_PEER_PYTHON names no Python); ours alone:");
    }
    for (name, _, _, _) in SHAPES {
        let input = batches::load(name, steps() + 3);
        let positions = input.mean_positions();
        let users = input.histories.len();
        println!(
            "{name} ({} batches, {positions:.0} labelled positions a step of {} padded; {users} users)",
            if input.real { "real" } else { "random" },
            input.spec.batch_size * input.spec.max_len,
        );
        let (file, weights) = (folder.path().join("batches"), folder.path().join("weights"));
        input.export(&file, &weights);
        // Ours, theirs, ours: drift of the machine shows as a difference between our two.
        let first = ours(name, folder.path());
        let theirs = peer.as_ref().map(|peer| peer.measure(name, &file, &weights, steps()));
        let second = ours(name, folder.path());
        let step = (first.step_seconds + second.step_seconds) / 2.0;
        let eval = (first.eval_seconds + second.eval_seconds) / 2.0;
        let peak = first.peak_mib.max(second.peak_mib);
        println!(
            "  ours      step {:7.2} ms (turns {:.2}, {:.2})   all users, top 20 {:8.1} ms   peak {peak:6.0} MiB",
            step * 1e3,
            first.step_seconds * 1e3,
            second.step_seconds * 1e3,
            eval * 1e3
        );
        let Some(theirs) = theirs else { continue };
        let pass = theirs.eval_batch_seconds * users.div_ceil(input.spec.batch_size) as f64;
        println!(
            "  PyTorch   step {:7.2} ms (cpu pressure {:.2})     all users, forwards alone {:8.1} ms   peak {:6.0} MiB",
            theirs.step_seconds * 1e3,
            theirs.pressure,
            pass * 1e3,
            theirs.peak_mib
        );
        println!(
            "  ratio     step {:7.1}x                           evaluation {:6.1}x                peak 1/{:.1}",
            theirs.step_seconds / step,
            pass / eval,
            theirs.peak_mib / peak
        );
        let apart =
            first.losses.iter().zip(&theirs.losses).map(|(a, b)| (a - b).abs() / b).fold(0.0, f64::max);
        println!(
            "  losses of steps 1 and 3 from the same weights without dropout agree to {apart:.1e} (relative)\n"
        );
        assert!(apart < 1e-4, "the two do not compute the same thing");
    }
}
