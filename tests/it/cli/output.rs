//! Where output goes, and what happens if it cannot.

use std::process::{Command, Stdio};

use super::{Place, Ran, TINY, without_settings};

#[test]
fn a_file_in_the_place_of_the_runs_folder_is_told_before_any_work() {
    let place = Place::tiny();
    place.write("runs", "a file");
    let ran = place.run(&["tiny.toml"]).fails(
        110,
        &["error: write runs: a file stands where a folder is needed; move it away or choose another folder, then run again"],
    );
    assert!(!ran.stderr.contains("read the data"), "{}", ran.stderr);
    place.write("taken/tiny", "a file");
    place.run(&["tiny.toml", "--runs-dir", "elsewhere", "--reports-dir", "taken"]).fails(
        110,
        &[
            "error: write taken/tiny: a file stands where a folder is needed; move it away or choose another folder, then run \
           again",
        ],
    );
    place.run(&["tiny.toml", "--runs-dir", "elsewhere", "--reports-dir", "runs/below"]).fails(
        110,
        &["error: write runs/below: a file stands where a folder is needed; move it away or choose another folder, then run \
           again"],
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_standard_output_that_is_full_is_an_error_and_a_closed_one_is_not() {
    let place = Place::tiny();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = place.command(&["settings"]).stdout(full).output().unwrap();
    Ran::from(output)
        .fails(110, &["error: write to the standard output: No space left on device (os error 28)"]);
    let mut child = place.command(&["settings"]).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// Run the program where `runs` is a disk of a few kilobytes, of which some are used. `None` where the system does not let
/// us make one.
#[cfg(target_os = "linux")]
fn on_a_small_disk(place: &Place, kilobytes: u32, used: u32) -> Option<Ran> {
    std::fs::create_dir_all(place.path("runs")).unwrap();
    let script = format!(
        "mount -t tmpfs -o size={kilobytes}k none runs || exit 77; head -c {used}k /dev/zero > runs/used; '{}' tiny.toml; code=$?; ls -a runs/retrieval; exit $code",
        env!("CARGO_BIN_EXE_bench")
    );
    let mut command = Command::new("unshare");
    without_settings(&mut command);
    let command = command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]);
    let output = command.current_dir(place.path(".")).env("NO_COLOR", "1").output().ok()?;
    let ran = Ran::from(output);
    let refused = ran.code == Some(77) || ran.stderr.starts_with("unshare:");
    if refused {
        println!("skipped: this system lets nobody mount a small disk: {}", ran.stderr.trim());
    }
    (!refused).then_some(ran)
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_too_small_for_the_result_is_told_before_training() {
    let place = Place::with(&TINY.replace("hidden_dim = 8", "hidden_dim = 128"));
    let Some(ran) = on_a_small_disk(&place, 96, 0) else { return };
    assert_eq!(ran.code, Some(110), "{}\n{}", ran.stdout, ran.stderr);
    let [error] = ran.errors()[..] else { panic!("{}", ran.stderr) };
    assert!(error.starts_with("error: tiny, seed 1: write runs/retrieval/"), "{error}");
    assert!(
        error.ends_with(
            " are free there; nothing was computed; free some space or choose a folder on another disk, then run again"
        ),
        "{error}"
    );
    assert!(!ran.stderr.contains("train"), "{}", ran.stderr);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_before_any_work() {
    let place = Place::tiny();
    let Some(ran) = on_a_small_disk(&place, 64, 64) else { return };
    let error = "error: write runs: the disk is full; earlier files are intact; free some space or choose a \
                 folder on another disk, then run again";
    let ran = ran.fails(110, &[error]);
    assert!(!ran.stderr.contains("read the data"), "{}", ran.stderr);
}

/// Run the program as a user whom permissions bind: this one, or nobody where this one is root. `None` where that cannot
/// be had.
#[cfg(target_os = "linux")]
fn as_a_bound_user(place: &Place, arguments: &[&str]) -> Option<Ran> {
    use std::os::unix::fs::PermissionsExt;
    let probe = tempfile::tempdir().unwrap();
    std::fs::set_permissions(probe.path(), std::fs::Permissions::from_mode(0o555)).unwrap();
    let free = std::fs::write(probe.path().join("x"), b"").is_ok();
    let output = if free {
        // The test's own folder is closed to others.
        std::fs::set_permissions(place.path("."), std::fs::Permissions::from_mode(0o777)).unwrap();
        let mut command = Command::new("setpriv");
        without_settings(&mut command);
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", env!("CARGO_BIN_EXE_bench")]);
        command.args(arguments).current_dir(place.path(".")).env("NO_COLOR", "1").output().ok()
    } else {
        place.command(arguments).output().ok()
    };
    let ran = output.map(Ran::from).filter(|ran| !ran.stderr.starts_with("setpriv:"));
    if ran.is_none() {
        println!("skipped: permissions do not bind this user, and there is no setpriv to become another");
    }
    ran
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_permissions_close_is_told_before_any_work() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::tiny();
    for (closed, option) in [("runs", "--runs-dir"), ("reports", "--reports-dir")] {
        std::fs::create_dir_all(place.path(closed)).unwrap();
        std::fs::create_dir_all(place.path("open")).unwrap();
        std::fs::set_permissions(place.path("open"), std::fs::Permissions::from_mode(0o777)).unwrap();
        std::fs::set_permissions(place.path(closed), std::fs::Permissions::from_mode(0o555)).unwrap();
        let other = if option == "--runs-dir" { "--reports-dir" } else { "--runs-dir" };
        let Some(ran) = as_a_bound_user(&place, &["tiny.toml", option, closed, other, "open"]) else {
            return;
        };
        let ran = ran.fails(
            110,
            &[&format!(
                "error: write {closed}: not writable (Permission denied (os error 13)); earlier files are intact; change the \
                 permissions of the folder or choose another, then run again"
            )],
        );
        assert!(!ran.stderr.contains("read the data"), "{}", ran.stderr);
    }
}

#[test]
fn piped_output_has_neither_escapes_nor_carriage_returns() {
    let place = Place::tiny();
    for arguments in [&["tiny.toml"][..], &["plan", "tiny.toml"], &["ls"], &["doctor"], &["settings"]] {
        let ran = place.run(arguments).succeeds();
        for text in [&ran.stdout, &ran.stderr] {
            assert!(!text.contains(['\u{1b}', '\r']), "{arguments:?}: {text:?}");
        }
    }
}

#[test]
fn colours_can_be_forced_and_no_color_holds_elsewhere() {
    let place = Place::tiny();
    place.run(&["tiny.toml"]).succeeds();
    let forced = place.run(&["tiny.toml", "--color", "always"]).succeeds();
    assert!(forced.stdout.contains("\u{1b}["), "{:?}", forced.stdout);
    for (name, value, option) in
        [("NO_COLOR", "1", "auto"), ("TERM", "dumb", "auto"), ("CLICOLOR_FORCE", "1", "never")]
    {
        let output = place.command(&["tiny.toml", "--color", option]).env(name, value).output().unwrap();
        let ran = Ran::from(output).succeeds();
        assert!(!ran.stdout.contains('\u{1b}'), "{name}: {:?}", ran.stdout);
    }
}

#[test]
fn quiet_prints_the_paths_alone() {
    let place = Place::tiny();
    let ran = place.run(&["-q", "tiny.toml"]).succeeds();
    assert_eq!(ran.stderr, "");
    let paths = ["report.html", "report.md", "report.tex", "results.json"]
        .map(|name| std::path::Path::new("reports").join("tiny").join(name).display().to_string());
    assert_eq!(ran.stdout.lines().collect::<Vec<_>>(), paths);
    assert_eq!(place.run(&["-q", "validate", "tiny.toml"]).succeeds().stdout, "");
}

#[test]
fn quiet_does_not_hide_that_a_cell_was_set_aside() {
    let place = Place::tiny();
    place.run(&["-q", "tiny.toml", "-S", "seeds=[1]"]).succeeds();
    let cell = place.names("runs/retrieval").remove(0);
    place.write(&format!("runs/retrieval/{cell}/curve.json"), "[]");
    let ran = place.run(&["-q", "tiny.toml", "-S", "seeds=[1]"]).succeeds();
    let folder = std::path::Path::new("runs").join("retrieval").join(&cell);
    let lines: Vec<&str> = ran.stderr.lines().collect();
    let [line] = lines[..] else { panic!("{}", ran.stderr) };
    assert!(
        line.starts_with(&format!(
            "warning: read {}: 2 bytes; expected ",
            folder.join("curve.json").display()
        )),
        "{line}"
    );
    assert!(
        line.ends_with(&format!(
            "; the cell was set aside as {}.damaged-1 and is computed again",
            folder.display()
        )),
        "{line}"
    );
}

#[test]
fn a_file_in_the_place_of_the_runs_folder_is_told_by_every_command_that_reads_it() {
    let place = Place::tiny();
    place.write("runs", "a file");
    for arguments in [&["ls"][..], &["plan", "tiny.toml"], &["report", "tiny.toml"]] {
        place.run(arguments).fails(
            110,
            &["error: write runs: a file stands where a folder is needed; move it away or choose another folder, then run \
               again"],
        );
    }
}
