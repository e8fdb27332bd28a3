//! How fast the ranker is: its kernels against this machine's peaks, loading, prompts, whole passes, and the same passes by
//! transformers and PEFT in turns with ours.
//!
//! `cargo bench --bench ranker` prints every section; `BENCH_SECTIONS` names some of `matmul,attention,load,prompts,model,peer`.
//! `BENCH_PEER_PYTHON` names a Python that has `benches/peers/ranker-requirements.txt`; without it the peers' columns are
//! skipped and the program says so. `BENCH_REPEATS` (3) calls are timed in each turn; `BENCH_PROMPTS` (256) prompts are scored.

#[path = "../multiply_adds.rs"]
mod multiply_adds;

mod attention;
mod load;
mod matmul;
mod model;
mod peer;
mod prompts;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    // A child process does one task, so that the peak of its memory is its own.
    if let Some(at) = arguments.iter().position(|argument| argument == "--ours") {
        peer::child(&arguments[at + 1]);
        return;
    }
    let sections: [(&str, fn()); 6] = [
        ("matmul", matmul::report),
        ("attention", attention::report),
        ("load", load::report),
        ("prompts", prompts::report),
        ("model", model::report),
        ("peer", peer::report),
    ];
    let chosen = std::env::var("BENCH_SECTIONS").unwrap_or_default();
    for (name, report) in sections {
        if chosen.is_empty() || chosen.split(',').any(|section| section == name) {
            println!("\n== {name}");
            report();
        }
    }
}
