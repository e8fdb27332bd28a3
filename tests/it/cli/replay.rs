//! Stored results computed again.

use serde_json::Value;

use super::{Place, ranker};

/// The folder of the cell of a seed.
fn cell(place: &Place, stage: &str, seed: u64) -> String {
    let folder = format!("runs/{stage}");
    let of_seed = |name: &String| {
        let manifest: Value =
            serde_json::from_str(&place.read(&format!("{folder}/{name}/manifest.json"))).unwrap();
        manifest["seed"] == seed
    };
    let name = place.names(&folder).into_iter().find(of_seed).expect("a cell of the seed");
    format!("{folder}/{name}")
}

/// A cell whose files say something else, with hashes that agree: as if another program had computed it.
fn forge(place: &Place, cell: &str, file: &str, change: impl Fn(&str) -> String) {
    let name = format!("{cell}/{file}");
    let changed = change(&place.read(&name)).into_bytes();
    let manifest = format!("{cell}/manifest.json");
    let files = [(file.to_owned(), changed.clone())].into();
    let sealed = bench::run::reseal(place.read(&manifest).as_bytes(), &files, &[]).unwrap();
    std::fs::write(place.path(&name), changed).unwrap();
    std::fs::write(place.path(&manifest), sealed).unwrap();
}

#[test]
fn a_stored_seed_is_computed_again_and_identical() {
    let place = Place::tiny();
    place.run(&["tiny.toml"]).succeeds();
    let before = place.names("runs/retrieval");
    let folder = cell(&place, "retrieval", 2);
    let ran = place.run(&["replay", &folder]).succeeds();
    assert!(ran.stdout.starts_with(&format!("{folder}: retrieval of tiny, seed 2\n")), "{}", ran.stdout);
    assert!(ran.stdout.contains("\nthe same version, stage, data and machine as then\n"), "{}", ran.stdout);
    let same = "same: seed 2: candidates, scores and ranks of 150 users in validation and test, the learning curve and \
                weights.safetensors (SHA-256 ";
    assert!(ran.stdout.contains(same), "{}", ran.stdout);
    assert!(ran.stdout.contains(" values of the report, "), "{}", ran.stdout);
    assert!(ran.stdout.ends_with("\nidentical\n"), "{}", ran.stdout);
    assert_eq!(place.names("runs/retrieval"), before, "the store is left as it was");
    assert_eq!(place.names("."), ["reports", "runs", "tiny.toml"]);
    place.run(&["replay", "reports/tiny", "-S", "seeds=[1]"]).fails(
        96,
        &["error: reports/tiny: -S seeds=[1]: a replay computes the seeds that are stored (1, 2); name the cell of a seed to replay that \
           one alone"],
    );
    // Where it was computed does not matter, and quiet is quiet.
    let ran = place.run(&["-q", "replay", &folder, "--threads", "1"]).succeeds();
    assert_eq!(ran.stdout, "identical\n");
}

#[test]
fn a_result_that_nobody_can_compute_is_told_with_its_first_places() {
    let place = Place::tiny();
    place.run(&["tiny.toml", "-S", "seeds=[1]"]).succeeds();
    let folder = cell(&place, "retrieval", 1);
    // Somebody's learning curve was better than it is.
    forge(&place, &folder, "curve.json", |text| {
        let mut curve: Value = serde_json::from_str(text).unwrap();
        curve[1]["metric"] = 0.75.into();
        curve.to_string()
    });
    let ran = place.run(&["replay", &folder]);
    assert_eq!(ran.code, Some(103), "{}\n{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("seed 1: learning curve, step 10"), "{}", ran.stdout);
    assert!(ran.stdout.contains("metric 0.75, loss "), "{}", ran.stdout);
    assert!(ran.stdout.contains(" 1 of "), "{}", ran.stdout);
    assert!(ran.stdout.contains("seeds[1].curve[10].metric"), "{}", ran.stdout);
    assert!(ran.stdout.ends_with("not identical: 2 differences\n"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("same: seed 1"), "{}", ran.stdout);
}

#[test]
fn a_report_is_replayed_and_every_number_of_it_compared() {
    let place = Place::tiny();
    place.run(&["tiny.toml"]).succeeds();
    let ran = place.run(&["replay", "reports/tiny"]).succeeds();
    assert!(ran.stdout.contains("reports/tiny: tiny, seeds 1, 2\n"), "{}", ran.stdout);
    assert_eq!(ran.stdout.matches("same: seed ").count(), 2, "{}", ran.stdout);
    // Without the cells the numbers are still there.
    std::fs::rename(place.path("runs"), place.path("gone")).unwrap();
    let ran = place.run(&["replay", "reports/tiny"]).succeeds();
    let absent = "not compared: seed 1: weights and candidates, for their cell is not in the store\n";
    assert!(ran.stdout.contains(absent), "{}", ran.stdout);
    let mut results: Value = serde_json::from_str(&place.read("reports/tiny/results.json")).unwrap();
    let value = &mut results["seeds"][1]["test"]["values"]["NDCG@5"]["value"];
    let better = value.as_f64().unwrap() + 1e-9;
    *value = better.into();
    place.write("reports/tiny/results.json", &results.to_string());
    let ran = place.run(&["replay", "reports/tiny"]);
    assert_eq!(ran.code, Some(103), "{}\n{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("seeds[2].test.values.NDCG@5.value"), "{}", ran.stdout);
    assert!(ran.stdout.contains(&better.to_string()), "{}", ran.stdout);
    assert!(ran.stdout.contains(&format!("both are printed as {better:.4}")), "{}", ran.stdout);
    assert!(ran.stdout.ends_with("not identical: 1 difference\n"), "{}", ran.stdout);
}

#[test]
fn a_ranking_is_replayed_on_the_stored_candidates_or_as_a_whole() {
    let place = ranker::place();
    place.run(&["tiny.toml", "-S", "seeds=[2]"]).succeeds();
    let folder = cell(&place, "ranking", 2);
    let ran = place.run(&["replay", &folder, "--keep", "kept"]).succeeds();
    assert!(
        ran.stdout
            .contains("the audit of the letters, the learning curve and adapter/adapter_model.safetensors"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.ends_with("identical\n"), "{}", ran.stdout);
    assert!(
        ran.stderr.contains("seed 2: stored already as "),
        "the candidates are taken from the store: {}",
        ran.stderr
    );
    assert_eq!(place.names("kept/runs/ranking"), place.names("runs/ranking"));
    // A folder that is not empty might have the answer already.
    place.run(&["replay", &folder, "--keep", "kept"]).fails(
        96,
        &["error: kept: not empty; a replay computes everything anew and needs a folder of its own"],
    );
    let ran = place.run(&["replay", &folder, "--all"]).succeeds();
    assert!(!ran.stderr.contains("stored already"), "{}", ran.stderr);
    assert!(ran.stdout.contains("same: seed 2: candidates, scores and ranks of 89 users"), "{}", ran.stdout);
    // Without the candidates they are computed again too.
    std::fs::remove_dir_all(place.path("runs/retrieval")).unwrap();
    place.run(&["replay", &folder]).succeeds();
}

#[test]
fn other_data_or_another_backbone_are_refused_and_what_decides_nothing_may_be_changed() {
    let place = ranker::place();
    place.run(&["tiny.toml", "-S", "seeds=[1]"]).succeeds();
    let folder = cell(&place, "ranking", 1);
    std::fs::rename(place.path("model"), place.path("moved")).unwrap();
    let ran = place.run(&["replay", &folder]);
    assert_eq!(ran.code, Some(96), "{}", ran.stderr);
    let needs = format!("error: {folder}: it needs the weights of the backbone: ./model: ");
    assert!(ran.stderr.contains(&needs), "{}", ran.stderr);
    place.run(&["replay", &folder, "-S", "backbone.name=./moved"]).succeeds();
    crate::rank::tiny::write(&place.path("moved"), 6);
    let ran = place.run(&["replay", &folder, "-S", "backbone.name=./moved"]);
    assert_eq!(ran.code, Some(96), "{}", ran.stderr);
    let other = format!("error: {folder}: the backbone model has the hash ");
    assert!(ran.stderr.contains(&other), "{}", ran.stderr);
    // A setting that decides the result makes another key, which is told before anything is computed.
    let retrieval = cell(&place, "retrieval", 1);
    let ran = place.run(&["replay", &retrieval, "-S", "evaluation.candidates=6"]);
    assert_eq!(ran.code, Some(96), "{}", ran.stderr);
    assert!(ran.stderr.contains(": key of the retrieval, seed 1 is "), "{}", ran.stderr);
}

#[test]
fn a_file_that_was_changed_since_is_not_the_data_of_a_result() {
    let place = Place::with(&super::TINY.replace(
        "name = \"synthetic\"\nusers = 150\nitems = 60",
        "name = \"csv\"\nratings_file = \"ratings.csv\"\nmin_user_interactions = 3\nmin_item_interactions = 1",
    ));
    let ratings = |version: usize| {
        let rows = (0..120).map(|row| format!("u{},i{},{row}\n", row % 20, (row + version) % 11));
        std::iter::once("user,item,timestamp\n".to_owned()).chain(rows).collect::<String>()
    };
    place.write("data/ratings.csv", &ratings(0));
    place.run(&["tiny.toml", "-S", "seeds=[1]"]).succeeds();
    let folder = cell(&place, "retrieval", 1);
    place.write("elsewhere/ratings.csv", &ratings(0));
    place.write("data/ratings.csv", &ratings(1));
    let ran = place.run(&["replay", &folder]);
    assert_eq!(ran.code, Some(96), "{}", ran.stderr);
    let said = format!("error: {folder}: its data are not here: ratings.csv of ratings was read with ");
    assert!(ran.stderr.contains(&said), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("bring the file that was used, or name its folder with --data-dir"),
        "{}",
        ran.stderr
    );
    std::fs::remove_file(place.path("data/ratings.csv")).unwrap();
    let ran = place.run(&["replay", &folder]);
    assert!(ran.code == Some(96) && ran.stderr.contains("it needs "), "{}", ran.stderr);
    place.run(&["replay", &folder, "--data-dir", "elsewhere"]).succeeds();
}

#[test]
fn what_differs_in_version_and_machine_is_told_before_anything_is_computed() {
    let place = Place::tiny();
    place.run(&["tiny.toml", "-S", "seeds=[1]"]).succeeds();
    let folder = cell(&place, "retrieval", 1);
    let manifest = format!("{folder}/manifest.json");
    let text = place.read(&manifest);
    let version = format!("\"version\": \"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(text.contains(&version));
    let changed = text.replace(&version, "\"version\": \"0.0.9\"").replace(std::env::consts::ARCH, "vax");
    let sealed = bench::run::reseal(changed.as_bytes(), &std::collections::BTreeMap::new(), &[]).unwrap();
    std::fs::write(place.path(&manifest), sealed).unwrap();
    let ran = place.run(&["replay", &folder]).succeeds();
    let rows: Vec<Vec<&str>> = ran.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(
        rows.iter().any(|row| row[..] == ["bench", "0.0.9", env!("CARGO_PKG_VERSION")]),
        "{}",
        ran.stdout
    );
    assert!(
        rows.iter().any(|row| row.starts_with(&["platform", "linux", "vax"])) || !cfg!(target_os = "linux"),
        "{}",
        ran.stdout
    );
}

#[test]
fn what_is_no_result_cannot_be_replayed() {
    let place = Place::tiny();
    place.run(&["replay", "runs"]).fails(
        96,
        &["error: runs: neither a cell of a run store (manifest.json) nor a report (results.json); name such a folder, for example \
           one that `bench ls` lists"],
    );
    place.run(&["tiny.toml", "-S", "seeds=[1]"]).succeeds();
    let folder = cell(&place, "retrieval", 1);
    place.write(&format!("{folder}/curve.json"), "cut");
    let ran = place.run(&["replay", &folder]);
    assert_eq!(ran.code, Some(96), "{}", ran.stderr);
    assert!(ran.stderr.contains("curve.json: 3 bytes; expected "), "{}", ran.stderr);
    assert!(place.path(&folder).is_dir(), "a replay sets nothing aside");
}

#[test]
fn a_damaged_cell_and_a_setting_that_decides_are_refused_before_any_work() {
    let place = Place::tiny();
    place.run(&["tiny.toml", "-S", "seeds=[1]"]).succeeds();
    let folder = cell(&place, "retrieval", 1);
    let ran = place.run(&["replay", &folder, "-S", "retriever.dropout=0.4"]);
    assert_eq!(ran.code, Some(96), "{}", ran.stderr);
    let [error] = ran.errors()[..] else { panic!("{}", ran.stderr) };
    assert!(error.starts_with(&format!("error: {folder}: key of the retrieval, seed 1 is ")), "{error}");
    assert!(error.contains(" with -S retriever.dropout=0.4, and "), "{error}");
    let path = place.path(&folder).join("retrieval.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let ran = place.run(&["replay", &folder]);
    assert_eq!(ran.code, Some(96), "{}", ran.stderr);
    let [error] = ran.errors()[..] else { panic!("{}", ran.stderr) };
    assert!(
        error
            .starts_with(&format!("error: {folder}: damaged: read {folder}/retrieval.safetensors: SHA-256 ")),
        "{error}"
    );
    assert!(!ran.stderr.contains("train retriever"), "{}", ran.stderr);
}
