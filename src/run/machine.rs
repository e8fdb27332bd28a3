//! Facts about the machine and the clock that go into a manifest.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Where a run was computed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Operating system and architecture, such as `linux x86_64`.
    pub platform: String,
    /// Threads that the run could use. Results do not depend on it.
    pub threads: usize,
    /// Instruction sets that the numeric kernels may choose by, such as `avx2 fma avx512f`. Results do not depend on them,
    /// speed does.
    pub cpu_features: String,
}

impl Machine {
    /// This machine, with the number of threads that the caller uses.
    #[must_use]
    pub fn here(threads: usize) -> Self {
        let platform = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
        Self { platform, threads, cpu_features: cpu_features() }
    }
}

/// The instruction sets of this processor that matter to matrix kernels, separated by spaces.
#[must_use]
pub fn cpu_features() -> String {
    #[allow(unused_mut, reason = "stays empty on other architectures")]
    let mut found: Vec<&str> = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        macro_rules! detect {
            ($($name:tt),*) => { $(if std::arch::is_x86_feature_detected!($name) { found.push($name); })* };
        }
        detect!("sse4.2", "avx", "f16c", "fma", "avx2", "avx512f", "avx512bw", "avx512vnni", "avx512bf16");
    }
    #[cfg(target_arch = "aarch64")]
    {
        macro_rules! detect {
            ($($name:tt),*) => { $(if std::arch::is_aarch64_feature_detected!($name) { found.push($name); })* };
        }
        detect!("neon", "fp16", "dotprod", "bf16", "i8mm", "sve", "sve2");
    }
    found.join(" ")
}

/// The most memory that this process has held so far, in bytes (Linux: `VmHWM`). `None` where the system does not
/// tell.
#[must_use]
pub fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Start [`peak_memory_bytes`] again from what is held now, so that one process can tell the peak of each of
/// several runs. Returns whether the system agreed (Linux only).
pub fn reset_peak_memory() -> bool {
    std::fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// The time now, in UTC, RFC 3339, to the millisecond.
#[must_use]
pub fn now() -> String {
    let now = jiff::Timestamp::now();
    let whole = jiff::Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now);
    format!("{whole:.3}")
}

/// SHA-256 in hex.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
