//! Who holds a claim, and whether that process is still there.

use std::fmt;
use std::fs;
use std::io;

use serde::{Deserialize, Serialize};

use crate::run::machine::{now, sha256_hex};

/// A process that holds a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Name of its machine.
    pub host: String,
    /// A hash of `/etc/machine-id`, where there is one: names are not always given once.
    #[serde(default)]
    pub machine: Option<String>,
    /// What the system drew when it started: another one each time. `None` where the system does not tell.
    #[serde(default)]
    pub boot: Option<String>,
    /// In which process ids mean what they say: containers on one machine count for themselves.
    #[serde(default)]
    pub namespace: Option<String>,
    /// Its process id.
    pub pid: u32,
    /// When that process began, in ticks since the system started: an id is given again, with another beginning.
    #[serde(default)]
    pub process_start: Option<u64>,
    /// When it took the claim by its own clock, UTC, RFC 3339. For people: nothing is decided by it.
    pub since: String,
}

/// What can be said of a process from here and now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pulse {
    /// It runs on this machine.
    Alive,
    /// It ran on this machine and is gone.
    Dead,
    /// It may run on another machine, or this one does not tell.
    Unknown,
}

impl Owner {
    /// This process, now.
    #[must_use]
    pub fn here() -> Self {
        let pid = std::process::id();
        let machine = line("/etc/machine-id").map(|id| sha256_hex(format!("bench {id}").as_bytes()));
        Self {
            host: host(),
            machine: machine.map(|hash| hash[..16].to_owned()),
            boot: line("/proc/sys/kernel/random/boot_id"),
            namespace: fs::read_link("/proc/self/ns/pid").ok().map(|name| name.display().to_string()),
            pid,
            process_start: stat(pid).ok().flatten().map(|stat| stat.start),
            since: now(),
        }
    }

    /// Whether it is still there. Only a process of this machine can be told dead at once; of any other, silence has to tell.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        let here = Self::here();
        let same = |one: &Option<String>, other: &Option<String>| one.is_some() && one == other;
        if same(&self.boot, &here.boot) {
            return if same(&self.namespace, &here.namespace) { self.process() } else { Pulse::Unknown };
        }
        let restarted = self.host == here.host && same(&self.machine, &here.machine);
        if restarted && self.boot.is_some() && here.boot.is_some() { Pulse::Dead } else { Pulse::Unknown }
    }

    /// The same of a process whose id means here what it says.
    fn process(&self) -> Pulse {
        match (stat(self.pid), self.process_start) {
            // A process that nobody has buried yet is dead all the same.
            (Ok(Some(stat)), Some(start)) if stat.start == start && !stat.is_over => Pulse::Alive,
            (Ok(Some(_)), Some(_)) => Pulse::Dead,
            // Where processes of others are hidden, that of the first id is too.
            (Ok(None), _) if matches!(stat(1), Ok(Some(_))) => Pulse::Dead,
            _ => Pulse::Unknown,
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} on {}, since {}", self.pid, self.host, self.since)
    }
}

/// What `/proc/<pid>/stat` says of a process.
struct Stat {
    start: u64,
    is_over: bool,
}

/// `None` if no such process can be seen; an error where the system does not tell.
fn stat(pid: u32) -> io::Result<Option<Stat>> {
    if !cfg!(target_os = "linux") {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let text = match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        // ESRCH: it ended between opening and reading.
        Err(error) if error.raw_os_error() == Some(3) => return Ok(None),
        Err(error) => return Err(error),
    };
    // The name of the program stands in brackets and may hold anything; the state is the third field, the start the 22nd.
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let start = fields.get(19).and_then(|field| field.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
    Ok(Some(Stat { start, is_over: matches!(fields[0], "Z" | "X") }))
}

fn host() -> String {
    let named = line("/proc/sys/kernel/hostname").or_else(|| line("/etc/hostname"));
    let told = || ["HOSTNAME", "COMPUTERNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    named.or_else(told).unwrap_or_else(|| "a machine without a name".to_owned())
}

/// The first line of a small file, if it has one that is not empty.
fn line(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().next().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned)
}
