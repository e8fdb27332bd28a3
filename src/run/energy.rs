//! What the processor uses, where the machine tells: Linux' counters of energy (RAPL), which often only root may read.
//!
//! A counter is in microjoules and starts again at `max_energy_range_uj`, which a busy processor reaches within an hour. So it is
//! read once a minute, and at most one turn is counted between two readings.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Where Linux has the counters.
const COUNTERS: &str = "/sys/class/powercap";
/// Time between two readings.
const PACE: Duration = Duration::from_secs(60);

/// One counter.
#[derive(Debug)]
struct Counter {
    file: PathBuf,
    /// Where it starts again, in microjoules.
    range: u64,
    last: u64,
}

impl Counter {
    fn open(zone: &Path) -> Option<Self> {
        let number = |name: &str| fs::read_to_string(zone.join(name)).ok()?.trim().parse::<u64>().ok();
        let (range, last) = (number("max_energy_range_uj")?, number("energy_uj")?);
        Some(Self { file: zone.join("energy_uj"), range, last })
    }

    /// Microjoules since the last reading; nothing if it cannot be read now.
    fn advance(&mut self) -> u64 {
        let Some(now) = fs::read_to_string(&self.file).ok().and_then(|text| text.trim().parse::<u64>().ok())
        else {
            return 0;
        };
        let used =
            if now >= self.last { now - self.last } else { now + self.range.saturating_sub(self.last) };
        self.last = now;
        used
    }
}

/// The counters of processor packages and of their memory. What they count, all processes of the machine use together.
#[derive(Debug)]
pub struct EnergyCounters {
    counters: Vec<Counter>,
    microjoules: u64,
}

impl EnergyCounters {
    /// The counters below `root`, read for the first time; `None` where there are none that can be read.
    #[must_use]
    pub fn open(root: &Path) -> Option<Self> {
        let mut zones: Vec<PathBuf> =
            fs::read_dir(root).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
        zones.sort();
        // Cores are a part of their package; memory is none of it.
        let counts = |zone: &PathBuf| {
            let name = fs::read_to_string(zone.join("name")).unwrap_or_default();
            let name = name.trim();
            name.starts_with("package") || name == "dram"
        };
        // The same counters are there a second time, for programs that read them by memory (intel-rapl-mmio).
        let doubled = |zone: &PathBuf| zone.to_string_lossy().contains("-mmio");
        let counters: Vec<Counter> = zones
            .iter()
            .filter(|zone| counts(zone) && !doubled(zone))
            .filter_map(|zone| Counter::open(zone))
            .collect();
        if counters.is_empty() { None } else { Some(Self { counters, microjoules: 0 }) }
    }

    /// Joules since they were opened.
    pub fn read(&mut self) -> f64 {
        self.microjoules += self.counters.iter_mut().map(Counter::advance).sum::<u64>();
        self.microjoules as f64 / 1e6
    }
}

/// Reads the counters until somebody asks for the sum.
#[derive(Debug)]
pub(super) struct EnergyMeter {
    stop: Sender<()>,
    reader: JoinHandle<f64>,
}

impl EnergyMeter {
    /// Begin to read; `None` where nothing can be read.
    pub fn begin() -> Option<Self> {
        let mut counters = EnergyCounters::open(Path::new(COUNTERS))?;
        let (stop, asked) = channel();
        let read = move || {
            while asked.recv_timeout(PACE) == Err(RecvTimeoutError::Timeout) {
                counters.read();
            }
            counters.read()
        };
        let reader = std::thread::Builder::new().name("energy".to_owned()).spawn(read).ok()?;
        Some(Self { stop, reader })
    }

    /// Joules since it began.
    pub fn end(self) -> Option<f64> {
        drop(self.stop);
        self.reader.join().ok()
    }
}
