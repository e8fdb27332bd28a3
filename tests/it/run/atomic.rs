use std::fs;
use std::io::{self, Write};
use std::path::Path;

use bench::run::{Error, atomic};

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_file_is_replaced_whole_and_leaves_no_temporary_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/er/report.md");
    atomic::write(&path, b"one").unwrap();
    atomic::write(&path, b"two").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"two");
    assert_eq!(names(path.parent().unwrap()), ["report.md"]);
}

#[test]
fn a_full_disk_keeps_the_old_file_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.json");
    atomic::write(&path, b"old").unwrap();
    let error = atomic::write_with(&path, |file| {
        file.write_all(&[0; 100_000])?;
        Err(io::Error::from(io::ErrorKind::StorageFull))
    })
    .unwrap_err();
    assert!(matches!(error, Error::DiskFull { .. }));
    assert_eq!(
        error.to_string(),
        format!(
            "write {}: the disk is full; earlier files are intact; free some space or choose a \
             folder on another disk, then run again",
            path.display()
        )
    );
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names(folder.path()), ["results.json"]);
}

#[cfg(target_os = "linux")]
#[test]
fn the_systems_no_space_error_is_a_full_disk() {
    use std::io::Write as _;
    // ENOSPC itself, from the device that always gives it.
    let source = fs::OpenOptions::new().write(true).open("/dev/full").unwrap().write_all(b"x").unwrap_err();
    assert!(matches!(Error::write(Path::new("x"), source), Error::DiskFull { .. }));
}

#[cfg(unix)]
#[test]
fn a_folder_without_write_permission_is_reported_before_the_work() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let closed = folder.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).unwrap();
    let Err(error) = atomic::check_writable(&closed) else {
        println!("skipped: this user may write everywhere");
        return;
    };
    assert_eq!(
        error.to_string(),
        format!(
            "write {}: not writable (Permission denied (os error 13)); earlier files are intact; \
             change the permissions of the folder or choose another, then run again",
            closed.display()
        )
    );
}

#[test]
fn permission_denied_and_read_only_are_told_with_what_to_do() {
    for kind in [io::ErrorKind::PermissionDenied, io::ErrorKind::ReadOnlyFilesystem] {
        let text = Error::write(Path::new("runs/x"), kind.into()).to_string();
        assert!(text.starts_with("write runs/x: not writable ("), "{text}");
        assert!(
            text.ends_with("change the permissions of the folder or choose another, then run again"),
            "{text}"
        );
    }
}

#[test]
fn a_file_where_a_folder_should_be_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("runs");
    fs::write(&file, b"").unwrap();
    let error = atomic::check_writable(&file).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "write {}: a file stands where a folder is needed; move it away or choose another folder, then run again",
            file.display()
        )
    );
}

#[test]
fn checking_a_folder_creates_it_and_leaves_it_empty() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path().join("a/b");
    atomic::check_writable(&runs).unwrap();
    assert_eq!(names(&runs), [""; 0]);
}

#[cfg(unix)]
#[test]
fn others_may_read_what_is_written() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let by_hand = folder.path().join("by-hand");
    fs::write(&by_hand, b"").unwrap();
    let written = folder.path().join("written");
    atomic::write(&written, b"").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&written), mode(&by_hand));
}

#[cfg(unix)]
#[test]
fn a_disk_without_the_room_is_told_with_need_and_found() {
    let folder = tempfile::tempdir().unwrap();
    let place = Path::new("runs/retrieval/00");
    atomic::check_room(folder.path(), place, 1).unwrap();
    let error = atomic::check_room(folder.path(), place, u64::MAX).unwrap_err();
    let Error::NoRoom { free, .. } = error else { panic!("{error}") };
    assert_eq!(
        error.to_string(),
        format!(
            "write runs/retrieval/00: 18446744073709551615 bytes are needed, but only {free} are free there; nothing was \
             computed; free some space or choose a folder on another disk, then run again"
        )
    );
}
