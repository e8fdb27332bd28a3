//! `bench doctor`: what this program sees of the machine.

use std::path::Path;

use super::args::Common;
use super::exit::{Exit, Failure};
use super::format::bytes;
use super::output::Output;
use crate::experiment::{ENV_PREFIX, PROGRAM_VARIABLES};
use crate::fetch::{Kind, Upstream, catalogue};
use crate::nn::simd::instruction_set;
use crate::{pipeline, run};

/// Print facts, one a line, and what is wrong with them.
pub fn doctor(common: &Common, out: &mut Output) -> Result<Exit, Failure> {
    let mut line = |what: &str, value: String| out.print(&format!("{what:<16} {value}"));
    line("bench", env!("CARGO_PKG_VERSION").to_owned())?;
    line("platform", format!("{} {}", std::env::consts::OS, std::env::consts::ARCH))?;
    line("threads", rayon::current_num_threads().to_string())?;
    line("instruction set", format!("{:?} (of {})", instruction_set(), run::cpu_features()))?;
    line("matrix speed", format!("{:.0} GFLOP/s", pipeline::matrix_speed() / 1e9))?;
    if let Some((total, available)) = memory() {
        line("memory", format!("{} in all, {} available", bytes(total), bytes(available)))?;
    }
    for (what, folder) in
        [("runs", &common.runs_dir), ("reports", &common.reports_dir), ("data", &common.data_dir)]
    {
        let free = crate::run::atomic::free_bytes(folder)
            .map_or_else(String::new, |free| format!(", {} free", bytes(free)));
        let state = if folder.is_dir() { "" } else { " (not there yet)" };
        line(what, format!("{}{state}{free}", folder.display()))?;
    }
    for upstream in catalogue::UPSTREAMS {
        let missing = missing(upstream, &common.data_dir);
        let state = match missing.as_slice() {
            [] => "present".to_owned(),
            names => format!("missing {}; bench fetch {}", names.join(", "), upstream.name),
        };
        line(upstream.name, state)?;
    }
    // An address that cannot be used is told when somebody fetches.
    if let Ok(hub) = crate::backbone::Hub::from_env() {
        let state = if hub.cache.is_dir() { "" } else { " (not there yet)" };
        let token = if hub.token.is_some() { ", with a token" } else { "" };
        line("backbones", format!("{}{state}, from {}{token}", hub.cache.display(), hub.endpoint))?;
    }
    line("GPU", "not used by this version".to_owned())?;
    let mut variables: Vec<String> = std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| name.starts_with(ENV_PREFIX) || name == "NO_COLOR")
        .collect();
    variables.sort();
    for name in variables {
        let what = if PROGRAM_VARIABLES.contains(&name.as_str()) || name == "NO_COLOR" {
            "an option of the program"
        } else {
            "a setting of every experiment"
        };
        line("environment", format!("{name}: {what}"))?;
    }
    Ok(Exit::Ok)
}

fn missing(upstream: &Upstream, data_dir: &Path) -> Vec<String> {
    let names = upstream.files.iter().flat_map(|file| match file.kind {
        Kind::Zip { members } => members.iter().filter(|m| m.required).map(|m| m.name).collect(),
        _ => vec![file.name],
    });
    let paths = names.map(|name| data_dir.join(upstream.folder).join(name));
    paths.filter(|path| !path.is_file()).map(|path| path.display().to_string()).collect()
}

/// Memory in all and available, in bytes, where the system tells (Linux).
fn memory() -> Option<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let field = |name: &str| -> Option<u64> {
        let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
        Some(rest.trim_start_matches(':').trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
    };
    Some((field("MemTotal")?, field("MemAvailable")?))
}
