//! How often the significance tests err, and how fast they are.
//!
//! `cargo bench --bench significance` prints the calibration on simulated null experiments (`BENCH_SIMULATIONS`, 10,000 a setting), the
//! coverage by number of seeds, and times. `-- speed`, `-- calibration`, or `-- 126` or `-- 3000` (the calibration
//! with that many users) prints one part. With `BENCH_PEER_PYTHON` (a Python that has
//! `benches/peers/significance-requirements.txt`) scipy and ranx run the same tests on the same values.

mod calibration;
mod few_seeds;
mod simulated;
mod speed;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let asked = |part: &str| arguments.iter().any(|argument| argument == part);
    let all = !["speed", "calibration", "126", "3000"].into_iter().any(asked);
    let experiments =
        std::env::var("BENCH_SIMULATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000);
    if all || asked("speed") {
        speed::table();
    }
    if all || asked("calibration") {
        few_seeds::table(experiments);
    }
    for users in [126, 3_000] {
        if all || asked("calibration") || asked(&users.to_string()) {
            calibration::table(experiments, users);
        }
    }
}
