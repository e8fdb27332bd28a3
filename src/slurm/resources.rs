//! What a task asks of a node.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What one task gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Resources {
    /// Processors, which are the threads that it computes with.
    pub cpus: u16,
    /// Memory.
    pub memory_mib: u64,
    /// Time after which Slurm ends it.
    pub minutes: u64,
    /// GPUs.
    pub gpus: u32,
}

/// What a task is thought to need, before any margin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Need {
    /// The most memory that it holds, in bytes.
    pub memory_bytes: u64,
    /// Seconds, if every epoch is done, with `threads`.
    pub seconds: f64,
    /// The threads that `seconds` is meant for.
    pub threads: usize,
    /// GPUs.
    pub gpus: u32,
}

/// Estimates of memory and time are rough, and other nodes are slower: both are multiplied by this.
const MARGIN: f64 = 2.0;
/// Memory of the program and what the system counts with it, in MiB.
const MEMORY_AT_LEAST: f64 = 256.0;
/// Minutes in which a node starts the task, reads the data and stores what was made.
const MINUTES_AT_LEAST: f64 = 10.0;

impl Need {
    /// The resources to ask for with this many processors: twice what is needed and some for the start, rounded up to few
    /// different values (a power of two, or one and a half times one), so that tasks of a kind make one array.
    #[must_use]
    pub fn ask(&self, cpus: u16) -> Resources {
        let seconds = self.seconds * self.threads.max(1) as f64 / f64::from(cpus.max(1));
        Resources {
            cpus: cpus.max(1),
            memory_mib: grid(MEMORY_AT_LEAST + MARGIN * self.memory_bytes as f64 / f64::from(1 << 20)),
            minutes: 5 * grid((MINUTES_AT_LEAST + MARGIN * seconds / 60.0) / 5.0),
            gpus: self.gpus,
        }
    }
}

/// The least of 1, 2, 3, 4, 6, 8, 12, .. that is not below `value`.
fn grid(value: f64) -> u64 {
    let mut power = 1u64;
    while (power as f64) < value && power < 1 << 52 {
        power *= 2;
    }
    let three_quarters = power / 4 * 3;
    if power >= 4 && three_quarters as f64 >= value { three_quarters } else { power }
}

/// An amount of memory as Slurm writes it: `512M`, `16G`, `1000` (MiB).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mebibytes(pub u64);

impl FromStr for Mebibytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let problem = || format!("{text:?} is no amount of memory; expected one such as 512M or 16G");
        let (digits, unit) = match text.char_indices().last() {
            Some((at, unit)) if !unit.is_ascii_digit() => (&text[..at], unit.to_ascii_uppercase()),
            _ => (text, 'M'),
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(problem());
        }
        let number: u64 = digits.parse().map_err(|_| problem())?;
        let mib = match unit {
            'K' => Some(number.div_ceil(1024)),
            'M' => Some(number),
            'G' => number.checked_mul(1 << 10),
            'T' => number.checked_mul(1 << 20),
            _ => None,
        };
        // Slurm takes 0 for all of a node, which no array of cells should.
        mib.filter(|&mib| mib > 0 && mib < 1 << 40).map(Self).ok_or_else(problem)
    }
}

/// A time as Slurm writes it: `30` (minutes), `30:00`, `2:00:00`, `1-12`, `1-12:30`, `1-12:30:00`; seconds are rounded up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Minutes(pub u64);

impl FromStr for Minutes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let problem = || {
            format!(
                "{text:?} is no time; expected minutes, or one such as 2:00:00 (hours) or 1-12 (days and hours)"
            )
        };
        let (days, rest) = match text.split_once('-') {
            Some((days, rest)) => (Some(days), rest),
            None => (None, text),
        };
        let number = |part: &str| -> Result<u64, String> {
            let sound = !part.is_empty() && part.len() <= 9 && part.bytes().all(|byte| byte.is_ascii_digit());
            if sound { part.parse().map_err(|_| problem()) } else { Err(problem()) }
        };
        let parts = rest.split(':').map(number).collect::<Result<Vec<u64>, String>>()?;
        let seconds = match (days, parts.as_slice()) {
            (Some(_), [hours]) => hours * 3600,
            (Some(_), [hours, minutes]) => hours * 3600 + minutes * 60,
            (_, [hours, minutes, seconds]) => hours * 3600 + minutes * 60 + seconds,
            (None, [minutes]) => minutes * 60,
            (None, [minutes, seconds]) => minutes * 60 + seconds,
            _ => return Err(problem()),
        };
        let days = days.map_or(Ok(0), number)?;
        let minutes = days * 1440 + seconds.div_ceil(60);
        // Slurm takes 0 for no limit, which most partitions refuse.
        if minutes == 0 { Err(problem()) } else { Ok(Self(minutes)) }
    }
}

impl fmt::Display for Minutes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(minutes) = self;
        write!(f, "{}-{:02}:{:02}:00", minutes / 1440, minutes / 60 % 24, minutes % 60)
    }
}
