use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bench::run::{
    Cell, CellKey, CodeRecord, CurvePoint, DatasetRecord, Error, Expected, Found, Glance, MANIFEST_VERSION,
    Machine, Manifest, SettingRecord, SourceRecord, Store, StoredPart, StoredRetrieval, Times,
    TrainingRecord,
};
use proptest::prelude::*;
use serde_json::json;

/// Users x 3 candidates of 10 items; user `u` has its target at place `ranks[u]`.
pub fn part(ranks: &[u32]) -> StoredPart {
    let mut part = StoredPart { tied_users: 1, ..StoredPart::default() };
    for (user, rank) in ranks.iter().enumerate() {
        let target = user as u32 % 10 + 1;
        let others = (1..=10).filter(|item| *item != target);
        let mut list: Vec<u32> = others.take(2).collect();
        list.insert((*rank as usize - 1).min(2), target);
        if *rank > 3 {
            list[2] = target % 10 + 1;
            list = vec![(target + 1) % 10 + 1, (target + 2) % 10 + 1, target % 10 + 1];
        }
        part.candidates.extend(&list);
        part.scores.extend([0.5, 0.25, -0.125]);
        part.ranks.push(*rank);
        part.targets.push(target);
    }
    part
}

fn cell() -> Cell {
    let manifest = Manifest {
        version: MANIFEST_VERSION,
        stage: String::new(),
        key: String::new(),
        experiments: vec!["tiny".to_owned()],
        retriever: "lru".to_owned(),
        seed: u64::MAX,
        dataset: DatasetRecord {
            name: "tiny".to_owned(),
            users: 4,
            items: 10,
            interactions: 13,
            mean_length: 3.25,
            density: 0.325,
            split_fingerprint: "ab".repeat(32),
            sources: vec![SourceRecord { name: "r.csv".to_owned(), bytes: 9, sha256: "00".repeat(32) }],
            preparation: vec![("rows read".to_owned(), "13".to_owned())],
            warnings: vec![],
        },
        code: CodeRecord::here(1),
        machine: Machine::here(2),
        times: Times {
            started: bench::run::now(),
            finished: bench::run::now(),
            wall_seconds: BTreeMap::from([("train".to_owned(), 0.1)]),
        },
        process: bench::run::Effort::default().finished(0),
        peak_memory_bytes: bench::run::peak_memory_bytes(),
        training: Some(TrainingRecord {
            selected_by: "Recall@10".to_owned(),
            best_step: 500,
            best_metric: 0.1 + 0.2,
            steps: 1000,
            epochs: 3,
            stop_reason: "last epoch".to_owned(),
            last_loss: Some(1.5),
            parameters: Some(7),
        }),
        ranker: None,
        limit: None,
        files: BTreeMap::new(),
        left_out: BTreeMap::new(),
    };
    Cell {
        manifest,
        retrieval: StoredRetrieval { k: 3, validation: part(&[1, 2, 3, 9]), test: part(&[3, 4, 1, 2]) },
        curve: vec![CurvePoint { step: 0, epoch: 0, train_loss: None, metric: 1.0 / 3.0, wall_seconds: 0.0 }],
        settings: vec![SettingRecord {
            key: "retriever.max_len".to_owned(),
            value: json!(50),
            origin: "default".to_owned(),
            is_default: true,
            is_quirk: false,
        }],
    }
}

fn stored() -> (tempfile::TempDir, Store, CellKey, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path().join("runs"));
    let key = CellKey::of(&json!({"seed": 42}));
    let path = store.save(&key, &cell(), Some(b"weights")).unwrap();
    (folder, store, key, path)
}

fn edit_manifest(path: &Path, edit: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>)) {
    let path = path.join("manifest.json");
    let mut value: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    edit(value.as_object_mut().unwrap());
    fs::write(path, value.to_string()).unwrap();
}

fn flip_a_bit(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_cell_is_read_back_as_it_was_written() {
    let (_folder, store, key, path) = stored();
    assert_eq!(path, store.root().join("retrieval").join(key.short()));
    let Found::Complete(found) = store.load(&key).unwrap() else { panic!("complete") };
    assert_eq!((found.manifest.stage.as_str(), found.manifest.key.as_str()), ("retrieval", key.as_str()));
    let listed: Vec<&str> = found.manifest.files.keys().map(String::as_str).collect();
    assert_eq!(listed, ["config.json", "curve.json", "retrieval.safetensors", "weights.safetensors"]);
    let mut expected = cell();
    expected.manifest.stage.clone_from(&found.manifest.stage);
    expected.manifest.key.clone_from(&found.manifest.key);
    expected.manifest.files.clone_from(&found.manifest.files);
    expected.manifest.times.clone_from(&found.manifest.times);
    expected.manifest.peak_memory_bytes = found.manifest.peak_memory_bytes;
    assert_eq!(*found, expected);
    assert_eq!(store.weights(&key).unwrap().as_deref(), Some(&b"weights"[..]));
}

#[test]
fn an_absent_cell_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path());
    let key = CellKey::of(&json!(1));
    assert!(!store.is_complete(&key));
    assert_eq!(store.load(&key).unwrap(), Found::Missing);
}

#[test]
fn a_cell_without_weights_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path());
    let key = CellKey::of(&json!(1));
    store.save(&key, &cell(), None).unwrap();
    assert_eq!(store.weights(&key).unwrap(), None);
}

#[test]
fn one_flipped_bit_in_any_file_sets_the_cell_aside() {
    for name in ["retrieval.safetensors", "weights.safetensors", "curve.json", "config.json"] {
        let (_folder, store, key, path) = stored();
        flip_a_bit(&path.join(name));
        let Found::Damaged(damage) = store.load(&key).unwrap() else { panic!("{name}: damaged") };
        assert_eq!(damage.path, path.join(name));
        assert!(damage.what.starts_with("SHA-256 "), "{damage}");
        assert_eq!(damage.set_aside, path.with_extension("damaged-1"));
        assert!(damage.set_aside.join("manifest.json").is_file());
        assert_eq!(store.load(&key).unwrap(), Found::Missing);
    }
}

#[test]
fn a_second_damaged_cell_does_not_replace_the_first() {
    let (_folder, store, key, path) = stored();
    flip_a_bit(&path.join("curve.json"));
    store.load(&key).unwrap();
    store.save(&key, &cell(), None).unwrap();
    fs::write(path.join("curve.json"), b"").unwrap();
    let Found::Damaged(damage) = store.load(&key).unwrap() else { panic!("damaged") };
    assert_eq!(damage.set_aside, path.with_extension("damaged-2"));
    assert_eq!(
        damage.to_string(),
        format!(
            "read {}: 0 bytes; expected 125; the cell was set aside as {} and is computed again",
            path.join("curve.json").display(),
            damage.set_aside.display()
        )
    );
}

#[test]
fn a_cell_without_manifest_was_not_finished() {
    let (_folder, store, key, path) = stored();
    fs::remove_file(path.join("manifest.json")).unwrap();
    assert!(!store.is_complete(&key));
    let Found::Damaged(damage) = store.load(&key).unwrap() else { panic!("damaged") };
    assert_eq!(damage.what, "missing: the run that wrote this cell did not finish");
}

#[test]
fn a_truncated_manifest_is_damage() {
    let (_folder, store, key, path) = stored();
    let text = fs::read(path.join("manifest.json")).unwrap();
    for length in [0, 1, text.len() / 2, text.len() - 3] {
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("manifest.json"), &text[..length]).unwrap();
        assert!(matches!(store.load(&key).unwrap(), Found::Damaged(_)), "{length}");
    }
}

#[test]
fn a_cell_copied_under_another_key_is_not_believed() {
    let (_folder, store, key, path) = stored();
    let other = CellKey::of(&json!({"seed": 43}));
    fs::rename(path, store.cell_dir(&other)).unwrap();
    let Found::Damaged(damage) = store.load(&other).unwrap() else { panic!("damaged") };
    assert_eq!(damage.what, format!("its key is {}; expected {}", key.as_str(), other.as_str()));
}

#[test]
fn a_cell_of_a_later_version_is_refused_and_left_alone() {
    let (_folder, store, key, path) = stored();
    fs::write(path.join("manifest.json"), r#"{"version": 99}"#).unwrap();
    let error = store.load(&key).unwrap_err();
    assert!(matches!(error, Error::Newer { found: 99, .. }));
    assert_eq!(
        error.to_string(),
        format!(
            "read {}: format version 99, this program knows up to 1; update bench, or use another runs folder",
            path.join("manifest.json").display()
        )
    );
    assert!(path.is_dir());
}

#[test]
fn a_version_that_a_flipped_bit_made_is_damage_and_none_of_a_later_bench() {
    let (_folder, store, key, path) = stored();
    let manifest = path.join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    assert!(text.contains("\"version\": 1,"), "{text}");
    fs::write(&manifest, text.replacen("\"version\": 1,", "\"version\": 5,", 1)).unwrap();
    let Found::Damaged(damage) = store.load(&key).unwrap() else { panic!("damaged") };
    assert!(damage.what.contains(" of its other fields; it says "), "{}", damage.what);
    assert!(damage.set_aside.is_dir());
}

#[test]
fn a_fact_that_a_later_version_adds_does_not_hurt() {
    let (_folder, store, key, path) = stored();
    edit_manifest(&path, |fields| {
        fields.remove("sha256");
        fields.insert("energy_joules".to_owned(), json!(3));
    });
    assert!(matches!(store.load(&key).unwrap(), Found::Complete(_)));
}

#[test]
fn a_manifest_is_hashed_over_its_other_fields() {
    let (_folder, _store, _key, path) = stored();
    let text = fs::read_to_string(path.join("manifest.json")).unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let hash = value.as_object_mut().unwrap().remove("sha256").unwrap();
    // serde_json's own maps are sorted and its compact form has no spaces.
    assert_eq!(hash, bench::run::sha256_hex(value.to_string().as_bytes()));
}

#[test]
fn an_edited_manifest_is_damage_and_one_from_before_the_hash_is_not() {
    let (_folder, store, key, path) = stored();
    edit_manifest(&path, |fields| drop(fields.remove("sha256")));
    assert!(matches!(store.load(&key).unwrap(), Found::Complete(_)));
    edit_manifest(&path, |fields| drop(fields.insert("sha256".to_owned(), json!("00"))));
    let Found::Damaged(damage) = store.load(&key).unwrap() else { panic!("damaged") };
    assert_eq!(damage.path, path.join("manifest.json"));
    assert!(damage.what.starts_with("SHA-256 "), "{damage}");
    assert!(damage.what.ends_with(" of its other fields; it says \"00\""), "{damage}");
    let (_folder, store, key, path) = stored();
    edit_manifest(&path, |fields| drop(fields.insert("seed".to_owned(), json!(7))));
    assert!(matches!(store.load(&key).unwrap(), Found::Damaged(_)));
}

#[test]
fn a_manifest_whose_users_are_not_those_of_the_tensors_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path());
    let key = CellKey::of(&json!(1));
    let mut wrong = cell();
    wrong.manifest.dataset.users = 5;
    let path = store.save(&key, &wrong, None).unwrap();
    let Found::Damaged(damage) = store.load(&key).unwrap() else { panic!("damaged") };
    assert_eq!(damage.path, path.join("manifest.json"));
    assert_eq!(damage.what, "its dataset has 5 users, but retrieval.safetensors has 4 in validation");
}

#[test]
fn a_manifest_that_differs_from_what_is_known_is_damage() {
    let dataset = cell().manifest.dataset;
    let renamed = DatasetRecord { name: "other".to_owned(), preparation: vec![], ..dataset.clone() };
    let denser = DatasetRecord { density: 0.5, ..dataset.clone() };
    let seed = u64::MAX;
    for (expected, what) in [
        (Expected { seed, retriever: "lru", dataset: &renamed }, None),
        (
            Expected { seed: 3, retriever: "lru", dataset: &dataset },
            Some("its seed is 18446744073709551615; expected 3"),
        ),
        (
            Expected { seed, retriever: "random", dataset: &dataset },
            Some("its retriever is lru; expected random"),
        ),
        (
            Expected { seed, retriever: "lru", dataset: &denser },
            Some("its dataset.density is 0.325; expected 0.5"),
        ),
    ] {
        let (_folder, store, key, _) = stored();
        let glance = store.glance(&key, &expected);
        match (store.load_as(&key, Some(&expected)).unwrap(), what) {
            (Found::Complete(_), None) => assert!(matches!(glance, Glance::Whole(_)), "{glance:?}"),
            (Found::Damaged(damage), Some(what)) => {
                assert_eq!(damage.what, what);
                assert!(matches!(glance, Glance::Damaged), "{glance:?}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_first_of_two_writers_stays_and_no_temporary_is_left() {
    let (_folder, store, key, path) = stored();
    let mut second = cell();
    second.manifest.experiments = vec!["second".to_owned()];
    assert_eq!(store.save(&key, &second, None).unwrap(), path);
    let Found::Complete(found) = store.load(&key).unwrap() else { panic!("complete") };
    assert_eq!(found.manifest.experiments, ["tiny"]);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn saving_over_a_half_written_cell_replaces_it() {
    let (_folder, store, key, path) = stored();
    fs::remove_file(path.join("manifest.json")).unwrap();
    store.save(&key, &cell(), None).unwrap();
    assert!(matches!(store.load(&key).unwrap(), Found::Complete(_)));
    assert!(path.with_extension("damaged-1").is_dir());
}

#[test]
fn many_writers_of_one_key_leave_one_whole_cell() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path());
    let key = CellKey::of(&json!(1));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| store.save(&key, &cell(), None).unwrap());
        }
    });
    assert!(matches!(store.load(&key).unwrap(), Found::Complete(_)));
    assert_eq!(fs::read_dir(folder.path().join("retrieval")).unwrap().count(), 1);
}

#[test]
fn a_cell_that_contradicts_itself_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path());
    let key = CellKey::of(&json!(1));
    let mut wrong = cell();
    wrong.retrieval.test.ranks[0] = 1;
    let error = store.save(&key, &wrong, None).unwrap_err().to_string();
    assert!(
        error.ends_with(
            "retrieval.safetensors: test: user 0 (counted from 0) has rank 1, but the target's place among the 3 \
             candidates is 3"
        ),
        "{error}"
    );
    wrong.retrieval.test.targets.pop();
    let error = store.save(&key, &wrong, None).unwrap_err().to_string();
    assert!(error.ends_with("test.targets has 3 entries; expected 4 (4 users, k 3)"), "{error}");
    assert_eq!(store.load(&key).unwrap(), Found::Missing);
}

#[test]
fn a_key_depends_on_values_and_not_on_the_order_of_names() {
    let one = CellKey::of(&serde_json::from_str(r#"{"a": 1, "b": {"x": [1, 2], "y": "z"}}"#).unwrap());
    let same = CellKey::of(&serde_json::from_str(r#"{"b": {"y": "z", "x": [1, 2]}, "a": 1}"#).unwrap());
    let other = CellKey::of(&serde_json::from_str(r#"{"b": {"y": "z", "x": [2, 1]}, "a": 1}"#).unwrap());
    assert_eq!(one, same);
    assert_ne!(one, other);
    // Fixed, so that a change of the rule cannot go unnoticed: it would orphan every stored cell.
    assert_eq!(one.as_str(), bench::run::sha256_hex(br#"{"a":1,"b":{"x":[1,2],"y":"z"}}"#));
}

#[test]
fn the_clock_writes_rfc_3339_in_utc() {
    let now = bench::run::now();
    assert_eq!((now.len(), &now[10..11], &now[19..20], &now[23..]), (24, "T", ".", "Z"), "{now}");
}

#[cfg(target_os = "linux")]
#[test]
fn linux_tells_the_peak_memory() {
    assert!(bench::run::peak_memory_bytes().unwrap() > 1 << 20);
}

proptest! {
    #[test]
    fn the_same_retrieval_gives_the_same_bytes_and_comes_back(
        ranks in prop::collection::vec((1u32..50, 1u32..50), 1..20)
    ) {
        let (validation, test): (Vec<u32>, Vec<u32>) = ranks.into_iter().unzip();
        let retrieval = StoredRetrieval { k: 3, validation: part(&validation), test: part(&test) };
        let bytes = retrieval.to_bytes().unwrap();
        prop_assert_eq!(&bytes, &retrieval.to_bytes().unwrap());
        prop_assert_eq!(StoredRetrieval::from_bytes(&bytes), Ok(retrieval));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(
        at in 0usize..600, value in any::<u8>(), length in 0usize..1200, junk in prop::collection::vec(any::<u8>(), 0..64)
    ) {
        let retrieval = StoredRetrieval { k: 3, validation: part(&[1, 2]), test: part(&[5, 3]) };
        let mut bytes = retrieval.to_bytes().unwrap();
        let place = at % bytes.len();
        bytes[place] = value;
        bytes.truncate(length);
        let _ = StoredRetrieval::from_bytes(&bytes);
        let _ = StoredRetrieval::from_bytes(&junk);
    }
}
