//! A disk that fills up while a run writes to it.

use std::fs;
use std::process::Command;

use rand::RngExt;

use super::super::without_settings;
use super::{Place, Ran, cells, is_as_undisturbed, moment, place, random, rounds};

/// A run on a disk of `kilobytes` of which `taken` are taken away after `seconds`, what it has left, and a run after room was made. The
/// first run's end and the second's. `None` where the system lets nobody make such a disk.
fn two_runs(place: &Place, kilobytes: u32, seconds: f64, taken: u32) -> Option<[Ran; 2]> {
    fs::create_dir_all(place.path("runs")).unwrap();
    fs::create_dir_all(place.path("temporary")).unwrap();
    let bench = env!("CARGO_BIN_EXE_bench");
    let script = format!(
        "mount -t tmpfs -o size={kilobytes}k none runs || exit 77
         (sleep {seconds}; head -c {taken}k /dev/zero > runs/used) 2> /dev/null &
         '{bench}' tiny.toml --threads 1 --checkpoint-every=0 > first.out 2> first.err
         echo $? > first.code
         wait
         cp -a runs filled
         rm -f runs/used
         mount -o remount,size=64m runs || exit 77
         '{bench}' tiny.toml --threads 1 --checkpoint-every=0
         code=$?
         cp -a runs kept
         exit $code"
    );
    let mut command = Command::new("unshare");
    without_settings(&mut command);
    let command = command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]);
    let command = command.current_dir(place.path(".")).env("NO_COLOR", "1");
    let output = command.env("TMPDIR", place.path("temporary")).output().ok()?;
    let second = Ran::from(output);
    if second.code == Some(77) || second.stderr.starts_with("unshare:") {
        println!("skipped: this system lets nobody mount a small disk: {}", second.stderr.trim());
        return None;
    }
    let code = place.read("first.code").trim().parse().ok();
    let first = Ran { code, stdout: place.read("first.out"), stderr: place.read("first.err") };
    // Where tests look.
    fs::remove_dir(place.path("runs")).unwrap();
    fs::rename(place.path("kept"), place.path("runs")).unwrap();
    Some([first, second])
}

#[test]
fn a_disk_that_fills_up_costs_nothing_but_the_work_that_found_no_room() {
    let mut rng = random("disk");
    let mut stopped = 0;
    let rounds = rounds(4);
    for round in 0..rounds {
        let place = place();
        // Too small from the beginning, or full from some moment on.
        let smallest = if round == 0 { 4..60 } else { 4..400 };
        let kilobytes = if round % 2 == 0 { rng.random_range(smallest) } else { rng.random_range(600..1500) };
        let taken = if round % 2 == 0 { 0 } else { kilobytes - rng.random_range(0..40) };
        let seconds = moment(&mut rng).as_secs_f64();
        let Some([first, second]) = two_runs(&place, kilobytes, seconds, taken) else { return };
        let told = format!(
            "{kilobytes} KiB, {taken} taken after {seconds:.3} s\n{}{}\n---\n{}",
            first.stdout, first.stderr, second.stderr
        );
        super::did_not_panic(&first);
        // Whatever lies there is whole.
        cells(&place.path("filled"));
        match first.code {
            Some(0) => {}
            Some(110) => {
                stopped += 1;
                let [error] = first.errors()[..] else { panic!("{told}") };
                let clear =
                    error.contains("the disk is full; ") || error.contains(" bytes are needed, but only ");
                assert!(clear, "{told}");
                let next = ["free some space or choose a folder on another disk", "bench-rescued-"];
                assert!(next.iter().any(|next| error.contains(next)), "{told}");
                // The test's own folder has such a name.
                let error = error.replace(&place.path("").display().to_string(), "");
                assert!(!error.contains(".tmp"), "{told}");
            }
            _ => panic!("{told}"),
        }
        assert_eq!(second.code, Some(0), "{told}");
        assert!(!second.stderr.contains("warning:"), "{told}");
        is_as_undisturbed(&place, &told);
    }
    println!("{stopped} of {rounds} runs were stopped by a full disk");
    assert!(stopped > 0);
}

#[test]
fn a_disk_that_is_full_while_a_backbone_is_made_ends_the_run_as_one_that_is_full_elsewhere() {
    let place = place();
    let text = super::BOTH.replace("./model", "embedded:tiny").replace("nf4", "f32");
    place.write("tiny.toml", &format!("{text}\n[pretrain]\ntokens = 3000\nvocabulary = 400\n"));
    // Enough for the candidates, and not for a backbone.
    let Some([first, _]) = two_runs(&place, 900, 0.0, 0) else { return };
    assert_eq!(first.code, Some(110), "{}\n{}", first.stdout, first.stderr);
    assert!(first.errors()[0].contains("write runs/pretraining/"), "{}", first.stderr);
}
