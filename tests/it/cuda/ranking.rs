//! Experiments whose ranker computes on a device.

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;

use bench::events::Silent;
use bench::experiment::{Experiment, Override};
use bench::pipeline::{Devices, Ending, plan};
use bench::run::RankingCell;

use super::driver::{Emulated, Trouble};
use super::running::{folders, run_experiment};
use crate::rank::tiny;

const FILE: &str = "name = \"x\"\nseeds = [5]\n[dataset]\nname = \"synthetic\"\nusers = 12\nitems = 16\n[retriever]\nkind = \"popularity\"\n\
                    [evaluation]\ncutoffs = [1, 3]\ncandidates = 3\n[backbone]\nname = \"./model\"\nquantization = \"nf4\"\n\
                    compute_type = \"f32\"\n[ranker]\nhistory_items = 1\ntitle_tokens = 3\nlora_r = 2\nbatch_size = 2\nmax_steps = 1\n\
                    validate_every_steps = 1\nvalidation_users = 2\nwarmup_steps = 1\nlearning_rate = 1e-3\nselect_by = \"ndcg@3\"\n\
                    negatives = 1\n";

/// The experiment, its file and its model in a folder.
fn experiment(folder: &Path, overrides: &[&str]) -> Experiment {
    let at = |name: &str| folder.join(name);
    tiny::write(&at("model"), 5);
    fs::write(at("x.toml"), FILE).unwrap();
    let name = format!("backbone.name={}", at("model").display());
    let overrides: Vec<Override> = overrides.iter().map(|text| text.parse().unwrap()).collect();
    let overrides: Vec<Override> = overrides.into_iter().chain([name.parse().unwrap()]).collect();
    Experiment::load(Path::new(&at("x.toml")), &overrides, &[]).unwrap()
}

/// The second stage of a run, what was told, and how often a kernel was launched; in a new folder.
fn ranked(trouble: Trouble, overrides: &[&str]) -> Option<(Result<RankingCell, String>, Vec<String>, u64)> {
    let (driver, seen) = Emulated::start(trouble)?;
    let folder = tempfile::tempdir().unwrap();
    let experiment = experiment(folder.path(), overrides);
    let (outcome, told) = run_experiment(&Devices::of(driver), folder.path(), experiment);
    let found = match outcome.ending {
        Ending::Finished { mut cells, .. } => Ok(cells.remove(0).ranking.unwrap()),
        Ending::Failed { error, .. } => Err(error.to_string()),
        Ending::Waiting { needs, .. } => Err(format!("waiting: {}", needs[0])),
        _ => Err("neither finished nor failed".to_owned()),
    };
    let launches = seen.launches.load(Ordering::SeqCst);
    Some((found, told, launches))
}

/// Prompts that are long beside what is not counted (small arrays, the adapter, tables of rotations), and of one length: which of them a short
/// training sees says nothing.
const LONG: [&str; 8] = [
    "device=cuda:0",
    "backbone.compute_type=bf16",
    "ranker.history_items=1",
    "ranker.title_tokens=8",
    "evaluation.candidates=8",
    "ranker.batch_size=4",
    "ranker.micro_batch_tokens=1200",
    "ranker.validation_users=3",
];

#[test]
fn what_a_plan_says_of_a_rankers_memory_is_what_it_uses_within_a_tenth() {
    let Some((driver, seen)) = Emulated::start(Trouble::default()) else { return };
    let devices = Devices::of(driver);
    let folder = tempfile::tempdir().unwrap();
    let experiment = experiment(folder.path(), &LONG);
    let planned = plan(vec![experiment.clone()], &folders(folder.path()), &devices, true, &Silent).unwrap();
    let planned = &planned[0];
    assert!(planned.timed.is_some() && planned.cost.is_some_and(|cost| cost.seconds > 0.0), "it was timed");
    let expected = planned.ranker_memory.unwrap();
    let before = seen.used.lock().unwrap().0;
    *seen.used.lock().unwrap() = (before, before);
    let (outcome, told) = run_experiment(&devices, folder.path(), experiment);
    assert!(matches!(outcome.ending, Ending::Finished { .. }), "{told:?}");
    let used = seen.used.lock().unwrap().1 - before;
    println!("{expected} bytes planned, {used} used");
    assert!(expected.abs_diff(used) * 10 < used, "{expected} bytes planned, {used} used");
    // Progress tells the share of what the device can do.
    assert!(told.iter().any(|text| text.contains(" % of the matrix rate")), "{told:?}");
}

fn scores(cell: &RankingCell) -> Vec<f32> {
    cell.ranking.test.readings.iter().flat_map(|reading| reading.scores.iter().copied()).collect()
}

#[test]
fn a_ranker_on_a_device_is_stored_under_the_same_key_with_scores_that_differ_by_rounding_only() {
    let Some((expected, _, launches)) = ranked(Trouble::default(), &["device=cpu"]) else { return };
    assert_eq!(launches, 0);
    let expected = expected.unwrap();
    let (found, told, _) = ranked(Trouble::default(), &["device=cuda:0"]).unwrap();
    let found = found.unwrap();
    assert_eq!(found.manifest.key, expected.manifest.key);
    assert_eq!(expected.manifest.machine.device, None);
    let device = "Emulator 1 (cuda:0), driver for CUDA 12.4";
    assert_eq!(found.manifest.machine.device.as_deref(), Some(device));
    assert!(told.contains(&"the ranker computes on cuda:0 (Emulator 1)".to_owned()), "{told:?}");
    let (found_scores, expected_scores) = (scores(&found), scores(&expected));
    assert!(found_scores.len() == expected_scores.len() && found_scores.len() >= 12, "{found_scores:?}");
    for (x, y) in found_scores.iter().zip(&expected_scores) {
        assert!((x - y).abs() < 1e-4, "{x} {y}");
    }
    assert_eq!(found.manifest.ranker, expected.manifest.ranker);
}

#[test]
fn a_ranker_on_a_device_that_nobody_named_goes_on_without_it_where_it_fails() {
    let Some((_, _, launches)) = ranked(Trouble::default(), &[]) else { return };
    let expected = ranked(Trouble::default(), &["device=cpu"]).unwrap().0.unwrap();
    let trouble = Trouble { fails_at: Some(launches - 40), ..Trouble::default() };
    let (found, told, _) = ranked(trouble.clone(), &[]).unwrap();
    let found = found.unwrap();
    assert!(
        told.iter().any(|text| text.contains("CUDA_ERROR") && text.ends_with("; going on without it")),
        "{told:?}"
    );
    let both = "Emulator 1 (cuda:0), driver for CUDA 12.4, then the processor";
    assert_eq!(found.manifest.machine.device.as_deref(), Some(both));
    for (x, y) in scores(&found).iter().zip(scores(&expected)) {
        assert!((x - y).abs() < 1e-4, "{x} {y}");
    }
    // One that was named is an error with its name.
    let (found, _, _) = ranked(trouble, &["device=cuda:0"]).unwrap();
    let error = found.unwrap_err();
    assert!(error.starts_with("cuda:0 (Emulator 1): start ") && error.contains("CUDA_ERROR"), "{error}");
}

#[test]
fn a_device_with_too_little_memory_for_a_ranker_is_told_before_anything_is_computed() {
    let large = ["device=cuda:0", "backbone.weights=random", "ranker.max_prompt_tokens=4096"];
    let Some((found, _, launches)) = ranked(Trouble::default(), &large) else { return };
    // A tiny one fits.
    assert!(found.is_ok(), "{found:?}");
    assert!(launches > 0);
    let trouble = Trouble { taken: 900 << 20, ..Trouble::default() };
    let (found, _, _) = ranked(trouble, &["device=cuda:0"]).unwrap();
    let error = found.unwrap_err();
    assert!(
        error.starts_with("cuda:0 (Emulator 1): ")
            && error.contains(" of memory are needed, and 124 of 1024 MiB are free; "),
        "{error}"
    );
}
