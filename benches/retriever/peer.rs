//! The PyTorch peer as a child process.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A Python that has the peer's requirements.
pub struct Peer {
    python: PathBuf,
}

/// What the peer measured of one dataset.
pub struct Measured {
    pub step_seconds: f64,
    pub eval_batch_seconds: f64,
    pub peak_mib: f64,
    /// Share of the time in which some thread of the machine waited for a core.
    pub pressure: f64,
    /// Losses of the first and the third step without dropout.
    pub losses: [f64; 2],
}

impl Peer {
    /// The one that `BENCH_PEER_PYTHON` names.
    pub fn find() -> Option<Self> {
        std::env::var_os("BENCH_PEER_PYTHON").map(|python| Self { python: python.into() })
    }

    fn run(&self, name: &str, batches: &Path, weights: &Path, more: &[&str]) -> Vec<serde_json::Value> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/lrurec_torch.py");
        let threads = rayon::current_num_threads().to_string();
        let output = Command::new(&self.python)
            .arg(script)
            .args(["--time", "--json", "--dataset", name, "--threads", &threads])
            .arg("--batches")
            .arg(batches)
            .arg("--weights")
            .arg(weights)
            .args(more)
            .output()
            .expect("start the peer's Python");
        assert!(output.status.success(), "the peer failed:\n{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines().map(|line| serde_json::from_str(line).expect("a JSON line of the peer")).collect()
    }

    /// Time the peer on our batches, from our weights.
    pub fn measure(&self, name: &str, batches: &Path, weights: &Path, steps: usize) -> Measured {
        let still = ["--dropout", "0", "--steps", "3", "--warm-up", "0", "--eval-batches", "0"];
        let check = self.run(name, batches, weights, &still);
        let steps = steps.to_string();
        let timed = self.run(name, batches, weights, &["--steps", &steps, "--eval-batches", "10"]);
        let find = |lines: &[serde_json::Value], what: &str, field: &str| -> f64 {
            let line = lines.iter().find(|line| line["what"] == what);
            line.and_then(|line| line[field].as_f64())
                .unwrap_or_else(|| panic!("the peer gave no {what} {field}"))
        };
        Measured {
            step_seconds: find(&timed, "train_step", "median_s"),
            eval_batch_seconds: find(&timed, "eval_forward_batch", "median_s"),
            peak_mib: find(&timed, "train_step", "peak_rss_mib"),
            pressure: find(&timed, "train_step", "cpu_pressure"),
            losses: [find(&check, "train_step", "first_loss"), find(&check, "train_step", "last_loss")],
        }
    }
}
