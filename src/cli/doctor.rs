//! `bench doctor`: what this program sees of the machine, what is wrong with it, and what to do.

use std::path::Path;

use super::args::{Common, DoctorArgs};
use super::exit::{Exit, Failure};
use super::format::{bytes, count};
use super::output::Output;
use crate::backbone::{Hub, hub};
use crate::cuda::{Absent, Facts};
use crate::events::{Interrupt, Silent};
use crate::experiment::{ENV_PREFIX, PROGRAM_VARIABLES};
use crate::fetch::{Kind, Upstream, catalogue};
use crate::nn::simd::{InstructionSet, instruction_set};
use crate::pipeline::{self, Amount, Clean, Cleaning, Devices};
use crate::run::{self, MANIFEST_VERSION, Machine, atomic};

/// Less room than this is told.
const LITTLE_DISK: u64 = 2 << 30;
/// The same of memory: a retriever of the papers' size takes less, a ranker of a billion weights more.
const LITTLE_MEMORY: u64 = 1 << 30;

/// A line: what, whether something is to be done, and what is known.
struct Finding {
    what: String,
    warning: bool,
    value: String,
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn ok(&mut self, what: &str, value: impl Into<String>) {
        self.0.push(Finding { what: what.to_owned(), warning: false, value: value.into() });
    }

    fn warn(&mut self, what: &str, value: impl Into<String>) {
        self.0.push(Finding { what: what.to_owned(), warning: true, value: value.into() });
    }

    fn tell(&mut self, what: &str, value: String, problem: Option<&str>) {
        match problem {
            None => self.ok(what, value),
            Some(problem) => self.warn(what, format!("{value}; {problem}")),
        }
    }
}

/// Look at the machine, the folders, the data and the store. The network is asked only where that is wanted.
pub fn doctor(args: DoctorArgs, common: &Common, out: &mut Output) -> Result<Exit, Failure> {
    let mut found = Findings::default();
    program(&mut found);
    machine(&mut found);
    devices(&mut found);
    folders(common, &mut found);
    data(common, &mut found);
    backbones(args, &mut found);
    store(common, &mut found);
    environment(&mut found);
    for Finding { what, warning, value } in &found.0 {
        let state = if *warning { "warning" } else { "ok" };
        out.print(&format!("{state:<8} {what:<16} {value}"))?;
    }
    let warnings = found.0.iter().filter(|finding| finding.warning).count();
    out.print(&match warnings {
        0 => "nothing to do".to_owned(),
        n => format!("{}; each says what to do", count(n, "warning")),
    })?;
    Ok(Exit::Ok)
}

fn program(found: &mut Findings) {
    found.ok("bench", env!("CARGO_PKG_VERSION"));
    let hash = run::executable_sha256().unwrap_or_else(|| "not known".to_owned());
    found.ok("program", format!("SHA-256 {hash}"));
    let versions = [
        ("retrieval", run::RETRIEVAL_STAGE_VERSION),
        ("ranking", run::RANKING_STAGE_VERSION),
        ("pretraining", crate::pretrain::PRETRAIN_STAGE_VERSION),
        ("imported", run::IMPORTED_STAGE_VERSION),
    ];
    let versions: Vec<String> =
        versions.iter().map(|(stage, version)| format!("{stage} {version}")).collect();
    found.ok("versions", format!("manifest {MANIFEST_VERSION}, {}", versions.join(", ")));
}

fn machine(found: &mut Findings) {
    let threads = rayon::current_num_threads();
    let Machine { platform, processor, processors, system, .. } = Machine::here(threads);
    let system = system.map_or_else(String::new, |system| format!(", {system}"));
    found.ok("platform", format!("{platform}{system}"));
    if let Some(processor) = processor {
        found.ok("processor", processor);
    }
    let problem = match std::thread::available_parallelism() {
        Ok(most) if threads > most.get() => Some(format!(
            "this process may use {most}: more threads than that wait for each other; set --threads {most}"
        )),
        _ => None,
    };
    let of = processors.map_or_else(String::new, |n| format!(" of {n} processors"));
    // A script that reads one number finds it.
    let value = if problem.is_some() { format!("{threads}{of}") } else { threads.to_string() };
    found.tell("threads", value, problem.as_deref());
    let problem = (instruction_set() == InstructionSet::Portable).then_some(
        "results are the same, but slower; run on a processor with AVX2 or AVX-512, or unset BENCH_SIMD",
    );
    found.tell("instruction set", format!("{:?} (of {})", instruction_set(), run::cpu_features()), problem);
    found.ok("matrix speed", format!("{:.0} GFLOP/s", pipeline::matrix_speed() / 1e9));
    if let Some((total, available)) = run::memory() {
        let problem = (available < LITTLE_MEMORY)
            .then_some("little; end other programs, or see `bench plan FILES` for what an experiment needs");
        found.tell("memory", format!("{} in all, {} available", bytes(total), bytes(available)), problem);
    }
}

/// How many the driver of NVIDIA shows. Other makers' are not looked for.
fn gpus() -> usize {
    let by_driver = std::fs::read_dir("/proc/driver/nvidia/gpus").map_or(0, Iterator::count);
    let devices = std::fs::read_dir("/dev").into_iter().flatten().filter_map(Result::ok);
    let is_gpu = |name: &str| {
        let number = name.strip_prefix("nvidia");
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let by_device = devices.filter(|entry| entry.file_name().to_str().is_some_and(is_gpu)).count();
    by_driver.max(by_device)
}

fn folders(common: &Common, found: &mut Findings) {
    for (what, folder, option) in [
        ("runs", &common.runs_dir, "--runs-dir"),
        ("reports", &common.reports_dir, "--reports-dir"),
        ("data", &common.data_dir, "--data-dir"),
    ] {
        let free = atomic::free_bytes(folder);
        let told = free.map_or_else(String::new, |free| format!(", {} free", bytes(free)));
        let state = if folder.is_dir() { "" } else { " (not there yet)" };
        let value = format!("{}{state}{told}", folder.display());
        // What is not there is made when it is needed.
        let refused = if folder.is_dir() { atomic::check_writable(folder).err() } else { None };
        let problem = match (refused, free) {
            (Some(error), _) => Some(error.to_string()),
            (None, Some(free)) if free < LITTLE_DISK => {
                Some(format!("little room; free some, or name a folder on another disk with {option}"))
            }
            _ => None,
        };
        found.tell(what, value, problem.as_deref());
    }
}

fn data(common: &Common, found: &mut Findings) {
    for upstream in catalogue::UPSTREAMS {
        match missing(upstream, &common.data_dir).as_slice() {
            [] => found.ok(upstream.name, "present"),
            names => {
                found.warn(
                    upstream.name,
                    format!("missing {}; bench fetch {}", names.join(", "), upstream.name),
                );
            }
        }
    }
}

fn missing(upstream: &Upstream, data_dir: &Path) -> Vec<String> {
    let names = upstream.files.iter().flat_map(|file| match file.kind {
        Kind::Zip { members } => members.iter().filter(|m| m.required).map(|m| m.name).collect(),
        _ => vec![file.name],
    });
    let paths = names.map(|name| data_dir.join(upstream.folder).join(name));
    paths.filter(|path| !path.is_file()).map(|path| path.display().to_string()).collect()
}

/// Where language models are kept, and whether the hub may be asked. The token's value is shown nowhere.
fn backbones(args: DoctorArgs, found: &mut Findings) {
    let hub = match Hub::from_env() {
        Ok(hub) => hub,
        Err(error) => return found.warn("backbones", error.to_string()),
    };
    let state = if hub.cache.is_dir() { "" } else { " (not there yet)" };
    let free = atomic::free_bytes(&hub.cache);
    let told = free.map_or_else(String::new, |free| format!(", {} free", bytes(free)));
    found.ok("backbones", format!("{}{state}{told}, from {}", hub.cache.display(), hub.endpoint));
    found.ok(
        "token",
        if hub.token.is_some() {
            "set"
        } else {
            "not set: enough for public repositories; for gated ones set HF_TOKEN, or log in with `hf auth login`"
        },
    );
    if hub.offline {
        return found.ok("hub", "not to be asked (HF_HUB_OFFLINE)");
    }
    if !args.online {
        return found.ok("hub", "not asked; --online asks it");
    }
    match hub::ask(&hub, &Interrupt::default()) {
        Ok(()) if hub.token.is_some() => found.ok("hub", "answers, and knows the token"),
        Ok(()) => found.ok("hub", "answers"),
        Err(error) => found.warn("hub", error.to_string()),
    }
}

/// Devices that the driver sees, each held against the processor. Having none is no problem: everything runs on the processor.
fn devices(found: &mut Findings) {
    let all = match Devices::default().examine() {
        Ok(all) => all,
        Err(Absent::NoDriver) if gpus() == 0 => {
            return found.ok("device", "the processor; no NVIDIA driver is installed (libcuda.so.1)");
        }
        Err(Absent::NoDriver) => {
            return found.warn(
                "device",
                format!(
                    "{} of NVIDIA seen, but libcuda.so.1 is not found; install the driver; in a container, give it the devices and the \
                     driver (docker run --gpus all)",
                    count(gpus(), "GPU")
                ),
            );
        }
        Err(absent) => return found.warn("device", absent.to_string()),
    };
    for (facts, opened) in all {
        let Facts { ordinal, ref name, capability: (major, minor), memory, .. } = facts;
        let value =
            format!("{name}, {}, compute capability {major}.{minor}, {}", bytes(memory), facts.driver());
        let ready = opened.and_then(|machine| machine.memory());
        let (more, problem) = match ready {
            Ok((free, _)) => (
                format!(
                    ", {} free; it retrieves to the bit, and ranks but for rounding, as the processor",
                    bytes(free)
                ),
                None,
            ),
            Err(error) => (String::new(), Some(error.to_string())),
        };
        found.tell(&format!("cuda:{ordinal}"), format!("{value}{more}"), problem.as_deref());
    }
}

/// Whether the store is whole. Hashes are not computed: a run does that for what it uses.
fn store(common: &Common, found: &mut Findings) {
    let folders = super::run::folders(common);
    let wanted = Clean { experiments: None, imported: true, older: false, folders: &folders };
    let Cleaning { removable, live, stale, notes, kept: Amount { count: cells, bytes: size }, .. } =
        match pipeline::clean(wanted, &Silent) {
            Ok(cleaning) => cleaning,
            Err(error) => return found.warn("store", error.to_string()),
        };
    // A cell in work has a checkpoint and more beside its claim.
    let in_work = live.iter().filter(|path| path.extension().is_some_and(|kind| kind == "claim")).count();
    found.ok("store", format!("{}, {}; {in_work} in work", count(cells, "cell"), bytes(size)));
    for note in notes {
        found.warn("store", note);
    }
    if !removable.is_empty() {
        let size: u64 = removable.iter().map(|one| one.bytes).sum();
        let (n, size) = (removable.len(), bytes(size));
        found.warn(
            "store",
            format!("{n} damaged, left over or out of date, {size}; `bench clean` shows them"),
        );
    }
    for claim in stale {
        found.warn(
            "store",
            format!(
                "{}: not renewed for an hour, and its cell is not complete: whoever computed it is gone; the next run that needs it \
                 goes on",
                claim.display()
            ),
        );
    }
}

fn environment(found: &mut Findings) {
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
        found.ok("environment", format!("{name}: {what}"));
    }
}
