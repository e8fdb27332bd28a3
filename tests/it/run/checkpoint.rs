//! Checkpoints of cells: the state comes back to the last bit, or not at all.

use std::fs;
use std::sync::Mutex;
use std::time::Duration;

use bench::checkpoint::Checkpoints;
use bench::events::{Event, Reporter};
use bench::run::{Cell, CellKey, Store};
use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

/// Keeps warnings.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Reporter for Heard {
    fn emit(&self, event: Event<'_>) {
        if let Event::Warning(text) = event {
            self.0.lock().unwrap().push(text.to_owned());
        }
    }
}

impl Heard {
    fn warnings(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

fn key(number: u32) -> CellKey {
    CellKey::of(&json!({ "number": number }))
}

fn store(folder: &TempDir) -> Store<Cell> {
    Store::at(folder.path().join("runs"))
}

/// The file of the only checkpoint.
fn file(folder: &TempDir) -> std::path::PathBuf {
    folder.path().join(format!("runs/retrieval/{}.checkpoint/train.safetensors", key(1)))
}

#[test]
fn the_time_that_earlier_processes_worked_comes_back_once() {
    let (folder, heard, nap) = (tempfile::tempdir().unwrap(), Heard::default(), Duration::from_millis(40));
    let first = store(&folder).checkpoints(&key(1), &heard);
    std::thread::sleep(nap);
    first.keep("before", "1", &[]);
    std::thread::sleep(nap);
    first.keep("train", "1", &[]);
    assert_eq!(first.earlier(), Duration::ZERO, "its own time is none of an earlier process");
    let second = store(&folder).checkpoints(&key(1), &heard);
    assert!(second.last("before").is_some() && second.last("train").is_some());
    let worked = second.earlier();
    assert!(worked >= 2 * nap, "{worked:?}");
    std::thread::sleep(nap);
    second.keep("train", "2", &[]);
    assert!(second.last("train").is_some());
    assert_eq!(second.earlier(), worked, "what it kept itself is its own time");
    let third = store(&folder).checkpoints(&key(1), &heard);
    assert!(third.last("train").is_some());
    assert!(third.earlier() >= worked + nap, "{:?}", third.earlier());
}

#[test]
fn a_state_comes_back_to_the_last_bit_and_is_gone_when_the_cell_is_stored() {
    let (folder, heard) = (tempfile::tempdir().unwrap(), Heard::default());
    let strange = [0.0, -0.0, f32::NAN, f32::INFINITY, f32::MIN_POSITIVE / 2.0, 1.5];
    let checkpoints = store(&folder).checkpoints(&key(1), &heard);
    assert_eq!(checkpoints.last("train"), None);
    checkpoints.keep("train", "{\"a\":1}", &[("w", &strange), ("empty", &[])]);
    checkpoints.keep("train", "{\"a\":2}", &[("w", &strange), ("empty", &[])]);
    assert_eq!(checkpoints.resumed(), 0);
    let later = store(&folder).checkpoints(&key(1), &heard);
    let found = later.last("train").unwrap();
    assert_eq!(found.words, "{\"a\":2}");
    let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(found.array("w", 6).unwrap()), bits(&strange));
    assert_eq!(found.array("empty", 0), Some(&[][..]));
    assert_eq!((found.array("w", 5), found.array("other", 0)), (None, None));
    assert_eq!(later.resumed(), 1);
    later.keep("train", "{\"a\":3}", &[]);
    let third = store(&folder).checkpoints(&key(1), &heard);
    assert!(third.last("train").is_some());
    assert_eq!(third.resumed(), 2, "every process that took it up counts");
    third.done();
    assert!(!file(&folder).parent().unwrap().exists());
    assert_eq!(third.last("train"), None);
    assert_eq!(heard.warnings(), [""; 0]);
}

#[test]
fn a_checkpoint_of_another_cell_or_part_is_set_aside() {
    let (folder, heard) = (tempfile::tempdir().unwrap(), Heard::default());
    store(&folder).checkpoints(&key(2), &heard).keep("train", "1", &[]);
    let from = folder.path().join(format!("runs/retrieval/{}.checkpoint", key(2)));
    fs::rename(from, file(&folder).parent().unwrap()).unwrap();
    let checkpoints = store(&folder).checkpoints(&key(1), &heard);
    assert_eq!(checkpoints.last("train"), None);
    let warnings = heard.warnings();
    assert!(warnings[0].contains(&format!("it is of train of cell {}", key(2).as_str())), "{warnings:?}");
    let aside = folder.path().join(format!("runs/retrieval/{}.train.damaged-1", key(1)));
    assert!(aside.is_file());
    assert!(
        warnings[0].ends_with(&format!("set aside as {}, and this part is computed again", aside.display()))
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_flipped_bit_and_no_missing_end_is_taken_for_a_state(at in any::<prop::sample::Index>(), bit in 0u8..8, cut in any::<bool>()) {
        let (folder, heard) = (tempfile::tempdir().unwrap(), Heard::default());
        let values: Vec<f32> = (0..50).map(|at| at as f32 * 0.37).collect();
        let checkpoints = store(&folder).checkpoints(&key(1), &heard);
        checkpoints.keep("train", "{\"steps\":7}", &[("weights", &values), ("moments", &values[..20])]);
        let mut bytes = fs::read(file(&folder)).unwrap();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] ^= 1 << bit }
        fs::write(file(&folder), bytes).unwrap();
        let checkpoints = store(&folder).checkpoints(&key(1), &heard);
        if let Some(found) = checkpoints.last("train") {
            prop_assert_eq!(checkpoints.resumed(), 1);
            prop_assert!(checkpoints.earlier() < Duration::from_secs(60));
            // A bit of the header that says nothing, such as the case of a letter of no field.
            prop_assert_eq!(&found.words, "{\"steps\":7}");
            prop_assert_eq!(found.arrays.len(), 2);
            prop_assert!(found.array("weights", 50) == Some(&values[..]) && found.array("moments", 20) == Some(&values[..20]));
        } else {
            prop_assert_eq!(heard.warnings().len(), 1);
            prop_assert!(!file(&folder).exists());
            // What comes next is kept again.
            checkpoints.keep("train", "1", &[]);
            prop_assert!(checkpoints.last("train").is_some());
        }
    }
}

#[test]
fn a_folder_that_cannot_be_written_costs_a_warning_and_nothing_else() {
    let (folder, heard) = (tempfile::tempdir().unwrap(), Heard::default());
    fs::write(folder.path().join("runs"), "a file").unwrap();
    let checkpoints = store(&folder).checkpoints(&key(1), &heard);
    checkpoints.keep("train", "1", &[]);
    checkpoints.keep("train", "2", &[]);
    let warnings = heard.warnings();
    assert_eq!(warnings.len(), 1, "told once");
    assert!(
        warnings[0]
            .contains("a file stands where a folder is needed; the run goes on without this checkpoint"),
        "{warnings:?}"
    );
}
