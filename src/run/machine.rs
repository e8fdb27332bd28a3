//! Facts about the machine and the clock that go into a manifest.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Where a run was computed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Machine {
    /// Operating system and architecture, such as `linux x86_64`.
    pub platform: String,
    /// Threads that the run could use. Results do not depend on it.
    pub threads: usize,
    /// Instruction sets that the numeric kernels may choose by, such as `avx2 fma avx512f`. Results do not depend on them,
    /// speed does.
    pub cpu_features: String,
    /// The processor's name, where the system tells; this and what follows is not in early cells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processor: Option<String>,
    /// Processors that the system has, each a thread of the hardware.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processors: Option<usize>,
    /// Memory that it has, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// The system's name and version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The device that computed, where it was not the processor. Results do not depend on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
}

impl Machine {
    /// This machine, with the number of threads that the caller uses.
    #[must_use]
    pub fn here(threads: usize) -> Self {
        let platform = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
        let processors = std::fs::read_to_string("/proc/cpuinfo").ok();
        let field = |text: &str, name: &str| {
            let of = |line: &str| Some(line.strip_prefix(name)?.trim().strip_prefix(':')?.trim().to_owned());
            text.lines().filter_map(of).collect::<Vec<String>>()
        };
        let named = |text: &String| {
            ["model name", "Model", "Processor"].iter().find_map(|name| field(text, name).pop())
        };
        let counted = processors.as_ref().map(|text| field(text, "processor").len()).filter(|n| *n > 0);
        Self {
            platform,
            threads,
            cpu_features: cpu_features(),
            processor: processors.as_ref().and_then(named),
            processors: counted.or_else(|| std::thread::available_parallelism().ok().map(usize::from)),
            memory_bytes: memory().map(|(total, _)| total),
            system: system(),
            device: None,
        }
    }
}

/// Memory in all and available, in bytes, where the system tells (Linux).
#[must_use]
pub fn memory() -> Option<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let field = |name: &str| -> Option<u64> {
        let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
        Some(rest.trim_start_matches(':').trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
    };
    Some((field("MemTotal")?, field("MemAvailable")?))
}

/// `Debian GNU/Linux 12 (bookworm), kernel 6.1.0`, or as much of it as the system tells.
fn system() -> Option<String> {
    let release = std::fs::read_to_string("/etc/os-release").ok();
    let name = release.as_ref().and_then(|text| {
        let value = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
        Some(value.trim().trim_matches('"').to_owned())
    });
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").ok();
    let kernel = kernel.map(|text| format!("kernel {}", text.trim()));
    let known: Vec<String> = name.into_iter().chain(kernel).collect();
    if known.is_empty() { None } else { Some(known.join(", ")) }
}

/// SHA-256 of this program's file, read once, so that builds of one version can be told apart. `None` where the system does not say
/// which file that is.
#[must_use]
pub fn executable_sha256() -> Option<String> {
    static HASH: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    let hash = || {
        // Linux runs on from the old file where a build has put a new one in its place.
        let path = std::path::Path::new("/proc/self/exe");
        let path = if path.exists() { path.to_owned() } else { std::env::current_exe().ok()? };
        let (mut file, mut hasher) = (std::fs::File::open(path).ok()?, Sha256::new());
        let mut buffer = vec![0; 1 << 16];
        loop {
            match std::io::Read::read(&mut file, &mut buffer).ok()? {
                0 => return Some(hex::encode(hasher.finalize())),
                n => hasher.update(&buffer[..n]),
            }
        }
    };
    HASH.get_or_init(hash).clone()
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
