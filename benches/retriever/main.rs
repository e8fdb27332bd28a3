//! How fast the LRURec retriever is: each hot kernel against this machine's measured peaks, and whole training steps and
//! evaluations against PyTorch on the same batches in the same run.
//!
//! `cargo bench --bench retriever` prints the kernels. With `BENCH_PEER_PYTHON` (a Python that has
//! `benches/peers/requirements.txt`) it also runs the peer in turns with us; with `BENCH_DATA_DIR` the batches are those of the
//! real datasets, else random ones of the same shape. `BENCH_STEPS` (20) steps are timed in each turn.

#[path = "../median.rs"]
mod median;
#[path = "../multiply_adds.rs"]
mod multiply_adds;

mod batches;
mod kernels;
mod peer;
mod steps;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    // A child process measures one dataset, so that the peak of its memory is its own.
    if let Some(at) = arguments.iter().position(|argument| argument == "--ours") {
        steps::child(&arguments[at + 1], std::path::Path::new(&arguments[at + 2]));
        return;
    }
    kernels::table();
    steps::table();
}
