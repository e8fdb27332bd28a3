//! A finished run that the store does not take.

use std::fs;
use std::path::{Path, PathBuf};

use bench::events::{Event, Interrupt, Reporter};
use bench::experiment::Experiment;
use bench::pipeline::{Devices, Ending, Error, Folders, Options, Outcome};

/// Puts a file in the place of the store once the training is over.
struct Saboteur(PathBuf);

impl Reporter for Saboteur {
    fn emit(&self, event: Event<'_>) {
        if matches!(event, Event::Started { stage: "retrieve", .. }) && self.0.is_dir() {
            fs::remove_dir_all(&self.0).unwrap();
            fs::write(&self.0, "").unwrap();
        }
    }
}

const POPULARITY: &str = "name = \"x\"\nseeds = [1, 2]\n[dataset]\nname = \"synthetic\"\nusers = 150\nitems = 60\n\
                          [retriever]\nkind = \"popularity\"\n";

fn sabotaged(folder: &Path, rescue: PathBuf) -> Error {
    let file = folder.join("x.toml");
    fs::write(&file, POPULARITY).unwrap();
    let experiment = Experiment::load(&file, &[], &[]).unwrap();
    let folders = Folders {
        data: folder.join("data"),
        runs: folder.join("runs"),
        reports: folder.join("reports"),
        baselines: None,
        rescue,
    };
    let (reporter, interrupt) = (Saboteur(folder.join("runs/retrieval")), Interrupt::default());
    fs::create_dir_all(&reporter.0).unwrap();
    let options = Options {
        folders: &folders,
        keep_going: true,
        devices: &Devices::default(),
        reporter: &reporter,
        interrupt: &interrupt,
    };
    let mut summary = bench::pipeline::run(vec![experiment], options).unwrap();
    let Outcome { ending: Ending::Failed { cells, seed, error, .. }, .. } = summary.outcomes.remove(0) else {
        panic!("failed")
    };
    assert_eq!((cells.len(), seed), (0, Some(1)), "no other seed is begun");
    assert!(error.is_output());
    error
}

#[test]
fn a_finished_run_is_kept_elsewhere_and_used_once_it_is_moved() {
    let folder = tempfile::tempdir().unwrap();
    let error = sabotaged(folder.path(), folder.path().join("tmp"));
    let text = error.to_string();
    let Error::Kept { seed: 1, kept, place, .. } = error else { panic!("{text}") };
    let name = place.file_name().unwrap().to_str().unwrap();
    assert_eq!(kept, folder.path().join(format!("tmp/bench-rescued-{name}/retrieval/{name}")));
    let store = folder.path().join("runs/retrieval");
    assert_eq!(
        text,
        format!(
            "write {}: a file stands where a folder is needed; move it away or choose another folder, then run again; the \
             finished seed 1 is kept as {}: move that folder to {} before, and it is not computed again",
            store.display(),
            kept.display(),
            place.display()
        )
    );
    fs::remove_file(&store).unwrap();
    fs::create_dir(&store).unwrap();
    fs::rename(&kept, &place).unwrap();
    let store = bench::run::Store::new(folder.path().join("runs"));
    let cells = store.list().unwrap();
    let manifest = cells[0].manifest.as_ref().unwrap();
    let key = bench::run::CellKey::from_hex(&manifest.key).unwrap();
    assert!(matches!(store.load(&key).unwrap(), bench::run::Found::Complete(_)));
}

#[test]
fn a_finished_run_that_can_be_kept_nowhere_is_said_to_be_lost() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("file");
    fs::write(&nowhere, "").unwrap();
    let text = sabotaged(folder.path(), nowhere).to_string();
    assert!(
        text.contains(
            "; seed 1 was finished and is lost, because it could not be kept in the folder of temporary files either (write "
        ),
        "{text}"
    );
    assert!(
        text.ends_with("): the next run computes it again; the seeds that were stored before it are intact"),
        "{text}"
    );
    assert!(!text.contains("nothing was lost"), "{text}");
}

/// What another process does while this one runs: it stores the cell that this one could not read.
struct Neighbour {
    from: PathBuf,
    to: PathBuf,
}

impl Reporter for Neighbour {
    fn emit(&self, event: Event<'_>) {
        if matches!(event, Event::Note("x, seed 2 (2 of 2)")) {
            fs::remove_dir_all(&self.to).unwrap();
            fs::rename(&self.from, &self.to).unwrap();
        }
    }
}

#[test]
fn a_seed_that_failed_here_and_was_stored_by_another_process_is_in_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.toml");
    fs::write(&file, POPULARITY).unwrap();
    let path = |name: &str| folder.path().join(name);
    let folders = Folders {
        data: path("data"),
        runs: path("runs"),
        reports: path("reports"),
        baselines: None,
        rescue: path("tmp"),
    };
    let interrupt = Interrupt::default();
    let run = |seeds: &str, reporter: &dyn Reporter| {
        let experiment = Experiment::load(&file, &[format!("seeds={seeds}").parse().unwrap()], &[]).unwrap();
        let options = Options {
            folders: &folders,
            keep_going: true,
            devices: &Devices::default(),
            reporter,
            interrupt: &interrupt,
        };
        bench::pipeline::run(vec![experiment], options).unwrap().outcomes.remove(0)
    };
    run("[1]", &bench::events::Silent);
    let cell = bench::run::Store::new(path("runs")).list().unwrap().remove(0).path;
    fs::rename(&cell, path("kept")).unwrap();
    fs::create_dir(&cell).unwrap();
    fs::write(cell.join("manifest.json"), "{\"version\": 99}").unwrap();
    let outcome = run("[1, 2]", &Neighbour { from: path("kept"), to: cell });
    let Ending::Failed { cells, computed, seed: Some(1), error } = &outcome.ending else { panic!("failed") };
    assert!(error.to_string().contains("format version 99"), "{error}");
    let seeds: Vec<u64> = cells.iter().map(|one| one.retrieval.manifest.seed).collect();
    assert_eq!((seeds, *computed), (vec![1, 2], 1));
    assert_eq!(outcome.report.unwrap().0.seeds.len(), 2);
}
