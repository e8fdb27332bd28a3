//! Clocks that stand wrong, or are set back while a run goes on.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use bench::run::Owner;
use rand::RngExt;
use serde_json::Value;

use crate::support::claim_text;

use super::{EVERY_STEP, Place, end, files, is_as_undisturbed, killed, moment, place, random, rounds, start};

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

#[test]
fn files_and_claims_of_the_future_are_taken_as_any_others() {
    let mut rng = random("future");
    for _ in 0..rounds(1) {
        let place = killed(&mut rng);
        for path in files(&place.path("runs")) {
            if path.extension().is_some_and(|kind| kind == "claim") {
                let mut claim: Value = super::json(&path);
                claim["since"] = "2099-01-01T00:00:00Z".into();
                let (token, lease) = (claim["token"].clone(), claim["lease_ms"].as_u64().unwrap());
                let owner: Owner = serde_json::from_value(claim).unwrap();
                fs::write(&path, claim_text(&owner, token.as_str().unwrap(), lease, 3)).unwrap();
            }
            let file = File::options().write(true).open(&path).unwrap();
            file.set_modified(SystemTime::now() + rng.random_range(1..50) * YEAR).unwrap();
        }
        let ran = place.run(&EVERY_STEP).succeeds();
        assert!(!ran.stderr.contains("waiting: "), "{}", ran.stderr);
        is_as_undisturbed(&place, &ran.stderr);
        // What such times say is never a reason to remove a cell.
        place.run(&["clean", "tiny.toml", "--yes"]).succeeds();
        is_as_undisturbed(&place, "after cleaning");
    }
}

/// What makes a clock that a test can set, where it is installed.
fn faketime() -> Option<PathBuf> {
    let places = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let found =
        places.map(|place| place.path().join("faketime/libfaketimeMT.so.1")).find(|path| path.is_file());
    if found.is_none() {
        println!("skipped: there is no libfaketime");
    }
    found
}

/// Wall times in manifests, which no clock that can be set may reach.
fn has_sound_times(place: &Place) {
    for path in files(&place.path("runs")).iter().filter(|path| path.ends_with("manifest.json")) {
        let manifest = super::json(path);
        for (part, seconds) in manifest["times"]["wall_seconds"].as_object().unwrap() {
            let seconds = seconds.as_f64().unwrap();
            assert!((0.0..600.0).contains(&seconds), "{part}: {seconds} s in {}", path.display());
        }
        // The time of processes that were killed counts, up to what they kept.
        let all: f64 =
            manifest["times"]["wall_seconds"].as_object().unwrap().values().filter_map(Value::as_f64).sum();
        let curve = super::json(&path.with_file_name("curve.json"));
        let trained = curve.as_array().unwrap().last().unwrap()["wall_seconds"].as_f64().unwrap();
        assert!(all >= trained, "{all} s in all, {trained} s of training in {}", path.display());
    }
}

#[test]
fn a_clock_that_is_set_back_in_a_run_and_between_runs_changes_nothing() {
    let Some(library) = faketime() else { return };
    let mut rng = random("backwards");
    for _ in 0..rounds(1) {
        let place = place();
        let set = |days: i32| {
            // As a clock is set: at once.
            place.write("next", &format!("{days:+}d"));
            fs::rename(place.path("next"), place.path("clock")).unwrap();
        };
        let begin = || {
            let mut command = place.command(&EVERY_STEP);
            command.env("LD_PRELOAD", &library).env("FAKETIME_TIMESTAMP_FILE", place.path("clock"));
            command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            command.spawn().unwrap()
        };
        set(4000);
        let mut first = begin();
        std::thread::sleep(moment(&mut rng) / 2);
        set(1000);
        std::thread::sleep(moment(&mut rng) / 2);
        first.kill().unwrap();
        first.wait().unwrap();
        set(-1000);
        let second = begin();
        std::thread::sleep(moment(&mut rng) / 2);
        set(-3000);
        let second = end(second).succeeds();
        is_as_undisturbed(&place, &second.stderr);
        has_sound_times(&place);
        let third = end(start(&place, &EVERY_STEP)).succeeds();
        assert_eq!(third.stderr.matches("stored already as ").count(), 4, "{}", third.stderr);
    }
}
