//! The peer of the ranker: `benches/peers/qlora_torch.py` on the same device, with prompts of the same lengths.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// What is asked: tokens a second of a training step, and prompts a second, over the peer's.
const STEP: f64 = 1.5;
const SCORES: f64 = 2.0;

/// What the peer took.
#[derive(Default)]
pub struct Peer {
    /// Tokens of prompts a second until the gradients are there.
    learned: Option<f64>,
    /// Prompts a second.
    scored: Option<f64>,
}

/// Run it on a device, or on the processor. `geometry` are its options for another model than Llama-3.1-8B.
pub fn run(lengths: &[usize], repeats: usize, geometry: &[(&str, usize)], device: Option<u32>) -> Peer {
    let Some(python) = std::env::var_os("BENCH_PEER_PYTHON").map(PathBuf::from) else {
        println!(
            "skipped: the peer (BENCH_PEER_PYTHON names no Python with benches/peers/qlora-requirements.txt)"
        );
        return Peer::default();
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/qlora_torch.py");
    let mut command = Command::new(python);
    command.arg(script).args(["--repeats", &repeats.to_string()]);
    command.args(["--device", if device.is_some() { "cuda" } else { "cpu" }]);
    if let Some(ordinal) = device {
        // The driver counts those that are visible, and so does torch.
        let visible = std::env::var("CUDA_VISIBLE_DEVICES").unwrap_or_default();
        let visible = visible.split(',').nth(ordinal as usize).filter(|name| !name.is_empty());
        command.env("CUDA_VISIBLE_DEVICES", visible.map_or_else(|| ordinal.to_string(), str::to_owned));
    }
    command.args(["--batch", &lengths.len().to_string()]);
    for (option, value) in geometry {
        command.arg(format!("--{option}")).arg(value.to_string());
    }
    let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => {
            println!("skipped: the peer ({error})");
            return Peer::default();
        }
    };
    let text: String = lengths.iter().map(|length| format!("{length}\n")).collect();
    // One that is over already says why below.
    let _ = child.stdin.take().expect("a pipe").write_all(text.as_bytes());
    let output = child.wait_with_output().expect("the peer's output");
    if !output.status.success() {
        println!("the peer stopped: {}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    let mut peer = Peer::default();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Ok(value) = serde_json::from_str::<Value>(line) else { continue };
        let of = |name: &str| value[name].as_f64().unwrap_or(f64::NAN);
        let name = |library: &str| value[library].as_str().unwrap_or("of no version").to_owned();
        let memory = value["peak_memory_bytes"]
            .as_f64()
            .map_or_else(String::new, |bytes| format!(", {:.2} GB at most", bytes / 1e9));
        match value["what"].as_str() {
            Some("model") => println!(
                "the peer: torch {}, transformers {}, peft {}, bitsandbytes {}",
                name("torch"),
                name("transformers"),
                name("peft"),
                name("bitsandbytes")
            ),
            Some("step") => {
                let rate = of("tokens") / of("gradient_seconds");
                println!(
                    "the peer's gradients: {:.1} ms, {rate:.0} tokens/s{memory}",
                    1e3 * of("gradient_seconds")
                );
                peer.learned = Some(rate);
            }
            Some("scores") => {
                let rate = of("prompts") / of("seconds");
                println!("the peer's scores: {:.1} ms, {rate:.1} prompts/s{memory}", 1e3 * of("seconds"));
                peer.scored = Some(rate);
            }
            _ => {}
        }
    }
    peer
}

impl Peer {
    /// Our tokens a second of a training step beside its.
    pub fn beside_step(&self, tokens_per_second: f64) -> String {
        beside(self.learned, tokens_per_second, STEP)
    }

    /// Our prompts a second beside its.
    pub fn beside_scores(&self, prompts_per_second: f64) -> String {
        beside(self.scored, prompts_per_second, SCORES)
    }
}

fn beside(theirs: Option<f64>, ours: f64, asked: f64) -> String {
    theirs.map_or_else(String::new, |theirs| {
        format!("; {:.2} times the peer's (asked: {asked} times)", ours / theirs)
    })
}
