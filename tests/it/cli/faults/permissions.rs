//! Folders that permissions close before a run and while it writes.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rand::RngExt;

use super::super::without_settings;
use super::{
    EVERY_STEP, Place, Ran, cells, did_not_panic, end, is_as_undisturbed, moment, place, random, rounds,
};

/// The program as a user whom permissions bind: this one, or nobody where this one is root. `None` where that cannot be had.
fn bound(place: &Place, arguments: &[&str]) -> Option<Command> {
    let probe = tempfile::tempdir().unwrap();
    fs::set_permissions(probe.path(), Permissions::from_mode(0o555)).unwrap();
    let command = if fs::write(probe.path().join("x"), b"").is_ok() {
        // The test's own folder is closed to others.
        fs::set_permissions(place.path("."), Permissions::from_mode(0o777)).unwrap();
        for file in super::files(&place.path("model")) {
            fs::set_permissions(file, Permissions::from_mode(0o644)).unwrap();
        }
        let mut command = Command::new("setpriv");
        without_settings(&mut command);
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", env!("CARGO_BIN_EXE_bench")]);
        command.args(arguments).current_dir(place.path(".")).env("NO_COLOR", "1");
        command
    } else {
        place.command(arguments)
    };
    let mut probe = Command::new(command.get_program());
    if probe.arg("--version").output().is_err() {
        println!("skipped: permissions do not bind this user, and there is no setpriv to become another");
        return None;
    }
    let mut command = command;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Some(command)
}

/// Take the right to write away from all folders below one, or give it back.
fn set_writable(folder: &Path, writable: bool) {
    // Folders of a run come and go while this goes through them.
    let mode = if writable { 0o755 } else { 0o555 };
    let _ = fs::set_permissions(folder, Permissions::from_mode(mode));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            set_writable(&entry.path(), writable);
        }
    }
}

#[test]
fn a_store_that_is_closed_in_the_middle_of_a_run_keeps_what_is_whole_and_the_next_run_goes_on() {
    let mut rng = random("permissions");
    let mut stopped = 0;
    let rounds = rounds(2);
    for round in 0..rounds {
        let place = place();
        fs::create_dir_all(place.path("temporary")).unwrap();
        fs::set_permissions(place.path("temporary"), Permissions::from_mode(0o777)).unwrap();
        let Some(mut command) = bound(&place, &EVERY_STEP) else { return };
        let child = command.env("TMPDIR", place.path("temporary")).spawn().unwrap();
        if round == 0 {
            // Certainly in the middle of it.
            let began = std::time::Instant::now();
            while place.names("runs/retrieval").is_empty() && began.elapsed().as_secs() < 20 {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        } else {
            std::thread::sleep(moment(&mut rng));
        }
        set_writable(&place.path("runs"), false);
        let first = end(child);
        let told = format!("{}{}", first.stdout, first.stderr);
        did_not_panic(&first);
        cells(&place.path("runs"));
        match first.code {
            Some(0) => {}
            Some(110) => {
                stopped += 1;
                let [error] = first.errors()[..] else { panic!("{told}") };
                assert!(error.contains(": not writable (Permission denied (os error 13)); "), "{told}");
                // The test's own folder has such a name.
                let error = error.replace(&place.path("").display().to_string(), "");
                assert!(!error.contains(".tmp"), "{told}");
            }
            _ => panic!("{told}"),
        }
        set_writable(&place.path("runs"), true);
        let second = end(bound(&place, &EVERY_STEP).unwrap().spawn().unwrap()).succeeds();
        is_as_undisturbed(&place, &format!("{told}\n---\n{}", second.stderr));
    }
    println!("{stopped} of {rounds} runs were stopped by permissions");
    assert!(stopped > 0);
}

#[test]
fn a_store_that_may_only_be_read_is_told_before_any_work_and_can_be_listed() {
    let place = place();
    super::copy(&super::undisturbed().0.path("runs"), &place.path("runs"));
    let cell = place.names("runs/ranking").remove(0);
    fs::remove_dir_all(place.path(&format!("runs/ranking/{cell}"))).unwrap();
    set_writable(&place.path("runs"), false);
    let Some(mut command) = bound(&place, &EVERY_STEP) else { return };
    let ran = end(command.spawn().unwrap()).fails(
        110,
        &["error: write runs: not writable (Permission denied (os error 13)); earlier files are intact; change the \
           permissions of the folder or choose another, then run again"],
    );
    assert!(!ran.stderr.contains("read the data"), "{}", ran.stderr);
    for arguments in [&["ls"][..], &["plan", "tiny.toml"], &["clean"], &["doctor"]] {
        let ran = end(bound(&place, arguments).unwrap().spawn().unwrap());
        assert_eq!(ran.code, Some(0), "{arguments:?}\n{}\n{}", ran.stdout, ran.stderr);
    }
    set_writable(&place.path("runs"), true);
}

#[test]
fn a_file_that_may_not_be_read_stops_its_seed_and_is_not_taken_for_damage() {
    let mut rng = random("unreadable");
    let place = place();
    super::copy(&super::undisturbed().0.path("runs"), &place.path("runs"));
    let files = super::files(&place.path("runs"));
    let closed = &files[rng.random_range(0..files.len())];
    let Some(mut command) = bound(&place, &EVERY_STEP) else { return };
    let chown = |place: &Place| {
        let done = Command::new("chown").args(["-R", "65534:65534"]).arg(place.path("runs")).status();
        // Where this user is not root, the files are its own already.
        done.is_ok_and(|status| status.success())
    };
    chown(&place);
    fs::set_permissions(closed, Permissions::from_mode(0o000)).unwrap();
    let ran: Ran = end(command.spawn().unwrap());
    let shown =
        closed.strip_prefix(place.path(".").parent().unwrap()).unwrap_or(closed).display().to_string();
    let shown = shown.split("runs/").last().unwrap();
    let error = format!(": read runs/{shown}: Permission denied (os error 13)");
    assert!(ran.errors().iter().any(|line| line.contains(&error)), "{shown}\n{}", ran.stderr);
    assert!(!ran.stderr.contains("set aside"), "{}", ran.stderr);
    fs::set_permissions(closed, Permissions::from_mode(0o644)).unwrap();
    let second = end(bound(&place, &EVERY_STEP).unwrap().spawn().unwrap()).succeeds();
    is_as_undisturbed(&place, &second.stderr);
}
