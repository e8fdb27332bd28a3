//! What became of a submission.

use std::path::Path;

use bench::run::Step::{Ranking, Retrieval};
use bench::slurm::queue::{Jobs, squeue};
use bench::slurm::{Progress, Resources, Submission, active, find, follow, last_error, raised, submissions};

use super::{SMALL, key, submission, wanted};

fn failed(reason: &str, exit: Option<i32>, error: Option<&str>) -> Progress {
    Progress::Failed { reason: reason.to_owned(), exit, error: error.map(str::to_owned) }
}

/// Six retrievals as jobs 2_0 to 2_5, of which the first is stored.
fn sweep(runs: &Path) -> Submission {
    let cells: Vec<_> =
        "abcdef".chars().zip(1..).map(|(own, seed)| wanted(Retrieval, seed, own, &[])).collect();
    let mut submission = submission(runs.to_str().unwrap(), &cells);
    submission.batches[0].job = Some("2".to_owned());
    submission.report = Some("4".to_owned());
    let cell = runs.join("retrieval").join("a".repeat(16));
    std::fs::create_dir_all(&cell).unwrap();
    std::fs::write(cell.join("manifest.json"), "{}").unwrap();
    submission.save().unwrap();
    submission
}

fn states(submission: &Submission, jobs: Option<&Jobs>) -> Vec<Progress> {
    follow(submission, jobs).cells.into_iter().map(|cell| cell.progress).collect()
}

fn leave(submission: &Submission, index: u32, log: &str, code: &str) {
    for (path, text) in [
        (submission.log("retrieval-0", Some(index)), log),
        (submission.ended("retrieval-0", Some(index)), code),
    ] {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

#[test]
fn a_stored_cell_is_done_whatever_slurm_says_and_the_others_are_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let submission = sweep(folder.path());
    leave(&submission, 1, "reading\nerror: no such column\nbye\n", "96 n2\n");
    let jobs = squeue(include_str!("fixtures/squeue.txt"));
    let running = |node: &str| Progress::Running { node: node.into(), since: "2026-11-25T22:53:43".into() };
    assert_eq!(
        states(&submission, Some(&jobs)),
        [
            Progress::Done,
            failed("FAILED", Some(96), Some("error: no such column")),
            // It ended well, and yet nothing is stored.
            failed("COMPLETED", None, None),
            running("n2"),
            running("n3"),
            Progress::Pending { reason: "Resources".into() },
        ]
    );
    assert_eq!(follow(&submission, Some(&jobs)).report, Progress::Pending { reason: "Dependency".into() });
}

#[test]
fn without_slurm_the_store_and_the_exit_codes_are_what_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let mut submission = sweep(folder.path());
    leave(&submission, 1, "x\n", "137 n2\n");
    let expected = [Progress::Done, failed("ended", Some(137), Some("x")), Progress::Unknown];
    assert_eq!(states(&submission, None)[..3], expected);
    // With a Slurm that has forgotten them they are gone.
    let gone = failed("gone: Slurm does not know it any more", None, None);
    assert_eq!(states(&submission, Some(&Jobs::new()))[2], gone);
    submission.batches[0].job = None;
    assert_eq!(states(&submission, None)[1], Progress::Unsubmitted);
}

#[test]
fn what_lacked_memory_or_time_gets_twice_as_much_and_nothing_else_does() {
    let of = |progress: &Progress| {
        let Resources { memory_mib, minutes, cpus, gpus } = raised(SMALL, progress);
        assert_eq!((cpus, gpus), (SMALL.cpus, SMALL.gpus));
        (memory_mib / SMALL.memory_mib, minutes / SMALL.minutes)
    };
    assert_eq!(of(&failed("OUT_OF_MEMORY", None, None)), (2, 1));
    assert_eq!(of(&failed("TIMEOUT (TimeLimit)", None, None)), (1, 2));
    assert_eq!(of(&failed("FAILED", Some(137), None)), (2, 1));
    // What slurmstepd says where it looks at memory itself.
    assert_eq!(of(&failed("FAILED", None, Some("slurmstepd-n1: error: Exceeded job memory limit"))), (2, 1));
    for progress in
        [failed("FAILED", Some(100), Some("error: wrong")), failed("NODE_FAIL", None, None), Progress::Done]
    {
        assert_eq!(of(&progress), (1, 1), "{progress:?}");
    }
}

#[test]
fn the_last_error_of_a_long_log_is_found_without_its_control_characters() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let noise = "a line of progress\n".repeat(20_000);
    std::fs::write(&log, format!("{noise}error: \u{1b}[31mred\nslurmstepd: done\n")).unwrap();
    assert_eq!(last_error(&log).as_deref(), Some("error: [31mred"));
    std::fs::write(&log, "only\nthis\n\n").unwrap();
    assert_eq!(last_error(&log).as_deref(), Some("this"));
    assert_eq!(last_error(&folder.path().join("none")), None);
}

#[test]
fn what_waits_or_works_is_found_by_what_it_computes() {
    let folder = tempfile::tempdir().unwrap();
    let submission = sweep(folder.path());
    let jobs = squeue(include_str!("fixtures/squeue.txt"));
    let found = active(&[submission], &jobs);
    let expected = [('a', "2_0"), ('d', "2_3"), ('e', "2_4"), ('f', "2_5")];
    assert_eq!(
        found.into_iter().collect::<Vec<_>>(),
        expected.map(|(own, job)| ((Retrieval, key(own)), job.to_owned()))
    );
}

#[test]
fn a_manifest_is_read_back_and_one_of_a_later_version_or_with_a_wrong_dependency_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let cells = [wanted(Retrieval, 1, 'a', &[]), wanted(Ranking, 1, 'b', &[(Retrieval, 'a')])];
    let runs = folder.path().to_str().unwrap();
    let made = submission(runs, &cells);
    made.save().unwrap();
    let read = find(folder.path(), Some("sweep")).unwrap();
    assert_eq!(read, made);
    assert_eq!(find(folder.path(), None).unwrap(), made);
    let path = made.folder().join("submission.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let refused = |from: &str, to: &str| {
        assert!(text.contains(from), "{text}");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        find(folder.path(), Some("sweep")).unwrap_err().to_string()
    };
    let told = refused("\"version\": 1", "\"version\": 2");
    assert!(
        told.ends_with("submission.json: format version 2, this program knows up to 1; update bench"),
        "{told}"
    );
    let told = refused("\"same\": 0", "\"same\": 1");
    assert!(told.ends_with("the batch \"ranking-0\" contradicts the others"), "{told}");
    let told = refused("\"name\": \"sweep\"", "\"name\": \"../up\"");
    assert!(told.ends_with("the name \"../up\" is none"), "{told}");
    assert_eq!(submissions(folder.path()).unwrap(), []);
    // Where a store was moved to, its submissions are too.
    std::fs::write(&path, &text).unwrap();
    let moved = folder.path().join("moved");
    std::fs::create_dir(&moved).unwrap();
    std::fs::rename(folder.path().join("submissions"), moved.join("submissions")).unwrap();
    assert_eq!(find(&moved, Some("sweep")).unwrap().folders.runs, moved.to_str().unwrap());
}
