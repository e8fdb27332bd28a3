//! Experiments on devices: found, held against the processor, and left with everything that was reached.

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bench::cuda::{Absent, Driver, Error, kernel_names};
use bench::data::{Dataset, Split};
use bench::events::{Event, Interrupt, Reporter, Silent};
use bench::experiment::{DeviceChoice, Experiment, Override};
use bench::pipeline::{Devices, Ending, Folders, Options, Outcome, Place, device_bytes, run};
use bench::retrieve::lru::check;
use bench::run::{Cell, set_checkpoint_pause};

use super::driver::{Emulated, MEMORY, Trouble};

const LRU: &str = "name = \"x\"\nseeds = [5]\n[dataset]\nname = \"synthetic\"\nusers = 60\nitems = 90\n[retriever]\nkind = \"lru\"\n\
                   hidden_dim = 16\nstate_dim = 16\nfeed_forward_dim = 24\nmax_len = 12\nbatch_size = 16\nmax_epochs = 4\n\
                   validate_every_steps = 5\n";

/// What was told.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Reporter for Told {
    fn emit(&self, event: Event<'_>) {
        if let Event::Warning(text) | Event::Note(text) | Event::Finished { summary: text } = event {
            self.0.lock().unwrap().push(text.to_owned());
        }
    }
}

fn experiment(folder: &Path, overrides: &[&str]) -> Experiment {
    let file = folder.join("x.toml");
    fs::write(&file, LRU).unwrap();
    let overrides: Vec<Override> = overrides.iter().map(|text| text.parse().unwrap()).collect();
    Experiment::load(&file, &overrides, &[]).unwrap()
}

fn run_on(driver: Box<dyn Driver>, folder: &Path, overrides: &[&str]) -> (Outcome, Vec<String>) {
    run_with(&Devices::of(driver), folder, overrides)
}

fn run_with(devices: &Devices, folder: &Path, overrides: &[&str]) -> (Outcome, Vec<String>) {
    run_experiment(devices, folder, experiment(folder, overrides))
}

/// Where a run in a folder reads and writes.
pub fn folders(folder: &Path) -> Folders {
    Folders {
        data: folder.join("data"),
        runs: folder.join("runs"),
        reports: folder.join("reports"),
        baselines: None,
        rescue: folder.join("rescue"),
    }
}

/// What comes of it in a folder, and what was told.
pub fn run_experiment(devices: &Devices, folder: &Path, experiment: Experiment) -> (Outcome, Vec<String>) {
    let folders = folders(folder);
    let (told, interrupt) = (Told::default(), Interrupt::default());
    let options =
        Options { folders: &folders, keep_going: true, devices, reporter: &told, interrupt: &interrupt };
    let outcome = run(vec![experiment], options).unwrap().outcomes.remove(0);
    (outcome, told.0.into_inner().unwrap())
}

fn finished(outcome: Outcome) -> Cell {
    match outcome.ending {
        Ending::Finished { mut cells, .. } => cells.remove(0).retrieval,
        Ending::Failed { error, .. } => panic!("{error}"),
        _ => panic!("neither finished nor failed"),
    }
}

fn failed(outcome: &Outcome) -> String {
    match &outcome.ending {
        Ending::Failed { error, .. } => error.to_string(),
        Ending::Waiting { needs, .. } => format!("waiting: {}", needs[0]),
        _ => panic!("neither failed nor waiting"),
    }
}

/// The cell of the processor.
fn expected() -> Cell {
    let folder = tempfile::tempdir().unwrap();
    let (driver, seen) = Emulated::start(Trouble::default()).unwrap();
    let cell = finished(run_on(driver, folder.path(), &["device=cpu"]).0);
    assert_eq!((seen.opened.load(Ordering::SeqCst), cell.manifest.machine.device.as_deref()), (0, None));
    cell
}

/// What a cell says that began on the device.
const BOTH: &str = "Emulator 1 (cuda:0), driver for CUDA 12.4, then the processor";

/// Everything but when and where.
fn same(found: &Cell, expected: &Cell) {
    assert_eq!(found.manifest.key, expected.manifest.key, "results do not depend on where they come from");
    let metrics =
        |cell: &Cell| -> Vec<u64> { cell.curve.iter().map(|point| point.metric.to_bits()).collect() };
    assert_eq!(metrics(found), metrics(expected));
    assert!(found.retrieval == expected.retrieval, "candidates, scores and ranks");
    let weights = |cell: &Cell| cell.manifest.files["weights.safetensors"].sha256.clone();
    assert_eq!(weights(found), weights(expected));
}

#[test]
fn an_experiment_on_a_device_is_stored_under_the_same_key_with_the_same_bits_and_names_the_device() {
    let Some((driver, seen)) = Emulated::start(Trouble::default()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (outcome, told) = run_on(driver, folder.path(), &["device=cuda:0"]);
    let found = finished(outcome);
    assert_eq!(found.manifest.machine.device.as_deref(), Some("Emulator 1 (cuda:0), driver for CUDA 12.4"));
    assert!(told.contains(&"the retriever computes on cuda:0 (Emulator 1)".to_owned()), "{told:?}");
    assert_eq!(seen.opened.load(Ordering::SeqCst), 1);
    same(&found, &expected());
    assert_eq!(seen.used.lock().unwrap().0, 0, "all memory of the device was given back");
    // It is stored, so no device is needed any more.
    let absent = Trouble { absent: Some(Absent::NoDriver), ..Trouble::default() };
    let (driver, seen) = Emulated::start(absent).unwrap();
    let again = finished(run_on(driver, folder.path(), &["device=cuda:0"]).0);
    assert_eq!(again.manifest, found.manifest);
    assert_eq!(seen.opened.load(Ordering::SeqCst), 0);
}

#[test]
fn a_device_that_is_named_and_cannot_be_used_is_told_before_anything_is_computed() {
    for (device, trouble, expected) in [
        (
            "device=cuda:7",
            Trouble::default(),
            "waiting: a device with 18 MiB of free memory: there is no cuda:7; the NVIDIA driver sees 1: cuda:0; choose another, or use device = \"cpu\"",
        ),
        (
            "device=cuda:0",
            Trouble {
                absent: Some(Absent::OldDriver { found: 11_040, needed: 12_000 }),
                ..Trouble::default()
            },
            "waiting: a device with 18 MiB of free memory: the NVIDIA driver is for CUDA 11.4, and the kernels need 12.0 (driver 525 or later); update it, or use \
             device = \"cpu\"",
        ),
        (
            "device=cuda:0",
            Trouble { absent: Some(Absent::NoDriver), ..Trouble::default() },
            "waiting: a device with 18 MiB of free memory: no NVIDIA driver is installed here (libcuda.so.1 is not found); install the driver of the device, or use \
             device = \"cpu\"",
        ),
        (
            "device=cuda:0",
            Trouble { taken: MEMORY - (1 << 20), ..Trouble::default() },
            "cuda:0 (Emulator 1): 18 MiB of memory are needed, and 1 of 1024 MiB are free; end what else uses it, choose another \
             device, or use device = \"cpu\"",
        ),
        (
            "device=cuda:0",
            Trouble { spoils: Some("gelu_forward"), ..Trouble::default() },
            "cuda:0 (Emulator 1): the losses of training steps are not those of the processor to the last bit, so its results would not \
             be either; use device = \"cpu\", and please report it with the output of `bench doctor`",
        ),
    ] {
        let Some((driver, _)) = Emulated::start(trouble) else { return };
        let folder = tempfile::tempdir().unwrap();
        let (outcome, _) = run_on(driver, folder.path(), &[device]);
        assert_eq!(failed(&outcome), expected);
        assert!(!folder.path().join("reports/x").exists());
        let computed = fs::read_dir(folder.path().join("runs/retrieval")).is_ok_and(|mut entries| {
            entries.any(|entry| entry.unwrap().path().extension().is_none_or(|kind| kind == "checkpoint"))
        });
        assert!(!computed, "{expected}");
    }
}

#[test]
fn a_device_that_nobody_named_and_that_cannot_be_used_is_passed_over_with_a_warning() {
    let expected = Emulated::start(Trouble::default()).map(|_| expected());
    for (trouble, warning) in [
        (
            Trouble {
                absent: Some(Absent::OldDriver { found: 11_040, needed: 12_000 }),
                ..Trouble::default()
            },
            Some("a device is passed over: the NVIDIA driver is for CUDA 11.4"),
        ),
        (Trouble { absent: Some(Absent::NoDriver), ..Trouble::default() }, None),
        (
            Trouble { taken: MEMORY, ..Trouble::default() },
            Some("a device is passed over: cuda:0 (Emulator 1): "),
        ),
        (
            Trouble { spoils: Some("scan_forward"), ..Trouble::default() },
            Some("a device is passed over: cuda:0 (Emulator 1): the losses of training steps are not"),
        ),
    ] {
        let Some((driver, seen)) = Emulated::start(trouble) else { return };
        let folder = tempfile::tempdir().unwrap();
        let (outcome, told) = run_on(driver, folder.path(), &["seeds=[5, 6]"]);
        let passed_over: Vec<&String> =
            told.iter().filter(|text| text.starts_with("a device is passed over")).collect();
        assert_eq!(passed_over.len(), usize::from(warning.is_some()), "once for both seeds: {told:?}");
        assert!(warning.is_none_or(|warning| passed_over[0].starts_with(warning)), "{told:?}");
        same(&finished(outcome), expected.as_ref().unwrap());
        assert!(seen.opened.load(Ordering::SeqCst) <= 1);
    }
}

#[test]
fn a_device_that_fails_in_training_is_named_and_the_processor_goes_on_from_the_checkpoint() {
    let Some((driver, seen)) = Emulated::start(Trouble::default()) else { return };
    set_checkpoint_pause(Duration::ZERO);
    let folder = tempfile::tempdir().unwrap();
    finished(run_on(driver, folder.path(), &["device=cuda:0"]).0);
    // Late in training, before the candidates of two parts are retrieved.
    let late = seen.launches.load(Ordering::SeqCst) * 9 / 10;
    let expected = expected();
    for (trouble, middle) in [
        (
            Trouble { fails_at: Some(late), ..Trouble::default() },
            ": unspecified launch failure (CUDA_ERROR_LAUNCH_FAILED)",
        ),
        (
            Trouble { taken: MEMORY, taken_from: late, ..Trouble::default() },
            " MiB of memory are needed, and 0 of 1024 MiB are free; end what else uses it, choose another device, or use device = \
             \"cpu\"",
        ),
    ] {
        let (driver, _) = Emulated::start(trouble).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (outcome, _) = run_on(driver, folder.path(), &["device=cuda:0"]);
        let error = failed(&outcome);
        let end = "; what was reached is kept: the same command goes on from there, with --device cpu too";
        assert!(
            error.starts_with("cuda:0 (Emulator 1): ") && error.ends_with(&format!("{middle}{end}")),
            "{error}"
        );
        let (driver, _) = Emulated::start(Trouble::default()).unwrap();
        let found = finished(run_on(driver, folder.path(), &["device=cpu"]).0);
        assert_eq!(found.manifest.process.resumed, 1);
        assert_eq!(found.manifest.machine.device.as_deref(), Some(BOTH));
        same(&found, &expected);
    }
}

fn split(experiment: &Experiment) -> Split {
    let dataset = Dataset::load(&experiment.dataset, Path::new("data"), &Silent).unwrap();
    Split::leave_one_out(&dataset).unwrap()
}

#[test]
fn a_device_that_nobody_named_and_that_fails_leaves_the_rest_to_the_processor() {
    let Some((driver, seen)) = Emulated::start(Trouble::default()) else { return };
    let folder = tempfile::tempdir().unwrap();
    finished(run_on(driver, folder.path(), &["device=cuda:0"]).0);
    let all = seen.launches.load(Ordering::SeqCst);
    let expected = expected();
    // In training, and in the last retrieval, when the model is on the processor already.
    for (fails_at, told_of) in [(all * 7 / 10, "; going on without it"), (all - 1, "; retrieving without it")]
    {
        let trouble = Trouble { fails_at: Some(fails_at), ..Trouble::default() };
        let (driver, _) = Emulated::start(trouble).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (outcome, told) = run_on(driver, folder.path(), &[]);
        let found = finished(outcome);
        assert!(told.iter().any(|text| text.contains("CUDA_ERROR") && text.ends_with(told_of)), "{told:?}");
        assert_eq!(found.manifest.machine.device.as_deref(), Some(BOTH));
        same(&found, &expected);
    }
}

#[test]
fn the_first_device_that_can_is_taken() {
    let trouble = Trouble { others: 2, taken: MEMORY, ..Trouble::default() };
    let Some((driver, _)) = Emulated::start(trouble) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (outcome, told) = run_on(driver, folder.path(), &[]);
    let device = finished(outcome).manifest.machine.device;
    assert_eq!(device.as_deref(), Some("Emulator 2 (cuda:1), driver for CUDA 12.4"));
    let passed_over =
        told.iter().find(|text| text.starts_with("a device is passed over: cuda:0 (Emulator 1): "));
    assert!(passed_over.is_some(), "{told:?}");
}

#[test]
fn a_device_is_found_out_whichever_kernel_gives_one_wrong_number() {
    let Some((driver, seen)) = Emulated::start(Trouble::default()) else { return };
    check(&driver.open(0).unwrap()).unwrap();
    let launched: Vec<&str> = seen.kernels.lock().unwrap().iter().copied().collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cuda/kernels");
    let files = ["rows", "scan", "product", "cross_entropy", "adamw", "catalogue"];
    let retriever =
        files.map(|file| fs::read_to_string(folder.join(file).with_extension("cu")).unwrap()).concat();
    let mut all: Vec<&str> =
        kernel_names().filter(|name| retriever.contains(&format!("__global__ void {name}("))).collect();
    all.sort_unstable();
    assert_eq!(launched, all, "it launches every kernel of the retriever");
    for kernel in all {
        let (driver, _) = Emulated::start(Trouble { spoils: Some(kernel), ..Trouble::default() }).unwrap();
        let found = check(&driver.open(0).unwrap());
        assert!(matches!(found, Err(Error::Differs { .. })), "{kernel}: {found:?}");
    }
}

#[test]
fn what_a_plan_says_of_a_devices_memory_is_enough_and_not_twice_what_is_used() {
    for overrides in [
        vec!["dataset.users=400", "retriever.hidden_dim=48", "retriever.batch_size=400"],
        vec!["dataset.users=700", "retriever.batch_size=350", "retriever.max_len=25"],
        vec![
            "dataset.users=500",
            "retriever.batch_size=500",
            "retriever.feed_forward_dim=256",
            "retriever.blocks=1",
        ],
    ] {
        let Some((driver, seen)) = Emulated::start(Trouble::default()) else { return };
        let folder = tempfile::tempdir().unwrap();
        let overrides: Vec<&str> =
            overrides.into_iter().chain(["device=cuda:0", "retriever.max_epochs=1"]).collect();
        let experiment = experiment(folder.path(), &overrides);
        let needed = device_bytes(&experiment, &split(&experiment)).unwrap();
        let devices = Devices::of(driver);
        // It is held against the processor now, and gives that memory back.
        assert!(devices.examine().unwrap()[0].1.is_ok());
        *seen.used.lock().unwrap() = (0, 0);
        finished(run_with(&devices, folder.path(), &overrides).0);
        let (_, most) = *seen.used.lock().unwrap();
        println!("{overrides:?}: {needed} planned, {most} used");
        assert!(
            most <= needed && needed <= 2 * most + (16 << 20),
            "{overrides:?}: {needed} planned, {most} used"
        );
    }
}

#[test]
fn where_an_experiment_would_compute_is_known_without_opening_a_device() {
    let Some((driver, seen)) = Emulated::start(Trouble::default()) else { return };
    let devices = Devices::of(driver);
    let Ok(Place::Device(facts)) = devices.look(DeviceChoice::Auto, 1 << 20) else {
        panic!("the first device")
    };
    assert_eq!((facts.ordinal, facts.to_string().as_str()), (0, "cuda:0 (Emulator 1)"));
    assert_eq!(devices.look(DeviceChoice::Cpu, 1 << 20), Ok(Place::Processor(None)));
    let error = devices.look(DeviceChoice::Cuda(0), 3 << 30).unwrap_err().to_string();
    assert_eq!(
        error,
        "cuda:0 (Emulator 1) has 1024 MiB of memory, and 3072 MiB are needed; choose another device, or use device = \"cpu\""
    );
    let Ok(Place::Processor(Some(why))) = devices.look(DeviceChoice::Auto, 3 << 30) else { panic!("none") };
    assert_eq!(why.to_string(), error);
    assert_eq!(seen.opened.load(Ordering::SeqCst), 0);
}
