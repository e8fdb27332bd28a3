//! What several test modules share.

use std::path::PathBuf;

/// The folder of real datasets and parity fixtures, where the environment names one.
pub fn shared() -> Option<PathBuf> {
    match std::env::var_os("BENCH_SHARED") {
        Some(path) => Some(PathBuf::from(path)),
        None => {
            println!(
                "skipped: BENCH_SHARED is not set (it names the folder of real datasets and parity fixtures)"
            );
            None
        }
    }
}
