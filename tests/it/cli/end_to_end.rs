//! From a file to a report.

use serde_json::Value;

use super::{Place, TINY};

#[test]
fn a_bare_path_runs_the_experiment_and_writes_cells_and_a_report() {
    let place = Place::tiny();
    let ran = place.run(&["tiny.toml"]).succeeds();
    assert_eq!(
        place.names("reports/tiny"),
        ["figures", "report.html", "report.md", "report.tex", "results.json", "tables"]
    );
    assert_eq!(place.names("runs/retrieval").len(), 2);
    for cell in place.names("runs/retrieval") {
        let files = place.names(&format!("runs/retrieval/{cell}"));
        let expected =
            ["config.json", "curve.json", "manifest.json", "retrieval.safetensors", "weights.safetensors"];
        assert_eq!(files, expected);
    }
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(lines.contains(&"tiny"), "{}", ran.stdout);
    assert!(lines.iter().any(|line| line.trim_start().starts_with("seed 1 ")), "{}", ran.stdout);
    assert!(lines.iter().any(|line| line.trim_start().starts_with("mean ")), "{}", ran.stdout);
    let paths: Vec<String> = ["report.html", "report.md", "report.tex", "results.json"]
        .map(|name| std::path::Path::new("reports").join("tiny").join(name).display().to_string())
        .to_vec();
    assert_eq!(lines[lines.len() - 4..], paths);
    let results: Value = serde_json::from_str(&place.read("reports/tiny/results.json")).unwrap();
    assert_eq!(results["experiment"], "tiny");
    assert_eq!(results["seeds"][0]["seed"], 1);
    assert_eq!(results["seeds"][1]["seed"], 2);
    assert_eq!(results["cutoffs"], serde_json::json!([1, 5]));
    assert_eq!(results["candidates"], 8);
    assert_eq!(results["seeds"][0]["test"]["n_users"], results["dataset"]["ours"]["users"]);
    assert_eq!(results["seeds"][0]["training"]["epochs"], 3);
    assert!(place.read("reports/tiny/report.md").starts_with("# tiny\n"));
}

#[test]
fn a_second_run_computes_nothing_and_writes_the_same_bytes() {
    let place = Place::tiny();
    place.run(&["tiny.toml"]).succeeds();
    let files = ["reports/tiny/report.md", "reports/tiny/results.json"];
    let before = files.map(|name| place.read(name));
    let ran = place.run(&["run", "tiny.toml"]).succeeds();
    assert_eq!(files.map(|name| place.read(name)), before);
    let stored = ran.stderr.lines().filter(|line| line.contains("stored already as ")).count();
    assert_eq!(stored, 2, "{}", ran.stderr);
    assert!(!ran.stderr.contains("train retriever"), "{}", ran.stderr);
}

#[test]
fn a_new_seed_or_another_cutoff_reuses_what_is_stored_and_another_setting_does_not() {
    let place = Place::tiny();
    place.run(&["tiny.toml"]).succeeds();
    place.run(&["tiny.toml", "-S", "seeds=[2, 3]", "-S", "evaluation.cutoffs=[2]"]).succeeds();
    assert_eq!(place.names("runs/retrieval").len(), 3);
    place.run(&["tiny.toml", "-S", "retriever.dropout=0.1"]).succeeds();
    assert_eq!(place.names("runs/retrieval").len(), 5);
    place.run(&["tiny.toml", "-S", "dataset.seed=7", "-S", "seeds=[1]"]).succeeds();
    assert_eq!(place.names("runs/retrieval").len(), 6);
}

#[test]
fn averaging_by_batches_is_another_run_where_it_selects_the_weights() {
    let place = Place::tiny();
    place.run(&["tiny.toml"]).succeeds();
    place.run(&["tiny.toml", "-S", "evaluation.averaging=batches"]).succeeds();
    assert_eq!(place.names("runs/retrieval").len(), 4);
}

#[test]
fn popularity_and_random_run_beside_lrurec() {
    let place = Place::tiny();
    let (head, rest) = TINY.split_once("[retriever]").unwrap();
    let evaluation = rest.split_once("[evaluation]").unwrap().1;
    for kind in ["popularity", "random"] {
        let text =
            format!("{head}[retriever]\nkind = \"{kind}\"\n[evaluation]{evaluation}").replace("tiny", kind);
        place.write(&format!("{kind}.toml"), &text);
    }
    place.run(&["random.toml", "popularity.toml", "tiny.toml"]).succeeds();
    assert_eq!(place.names("reports"), ["popularity", "random", "summary", "tiny"]);
    let recall = |name: &str| -> f64 {
        let results: Value =
            serde_json::from_str(&place.read(&format!("reports/{name}/results.json"))).unwrap();
        results["summary"]["test"]["Recall@8"]["seeds"]["mean"].as_f64().unwrap()
    };
    assert!(recall("popularity") > recall("random"), "{} {}", recall("popularity"), recall("random"));
}

#[test]
fn a_damaged_cell_is_set_aside_and_computed_again() {
    let place = Place::tiny();
    place.run(&["tiny.toml"]).succeeds();
    let before = place.read("reports/tiny/results.json");
    let cell = place.names("runs/retrieval").remove(0);
    place.write(&format!("runs/retrieval/{cell}/retrieval.safetensors"), "cut");
    let ran = place.run(&["tiny.toml"]).succeeds();
    assert!(ran.stderr.contains("warning: read "), "{}", ran.stderr);
    assert!(ran.stderr.contains("the cell was set aside as "), "{}", ran.stderr);
    assert_eq!(place.names("runs/retrieval").len(), 3);
    let hashes = |text: &str| -> Vec<Value> {
        let results: Value = serde_json::from_str(text).unwrap();
        (0..2).map(|seed| results["seeds"][seed]["retrieval_sha256"].clone()).collect()
    };
    assert_eq!(hashes(&place.read("reports/tiny/results.json")), hashes(&before));
}

#[test]
fn what_cannot_run_is_listed_with_what_it_needs_and_the_rest_runs() {
    let place = Place::tiny();
    place.write(
        "beauty.toml",
        &TINY
            .replace("tiny", "beauty-tiny")
            .replace("name = \"synthetic\"\nusers = 150\nitems = 60", "name = \"beauty\""),
    );
    place.write(
        "ranked.toml",
        "name = \"ranked\"\ninherits = \"tiny.toml\"\n[backbone]\nname = \"example/llm\"\n",
    );
    let ran = place.run(&["--no-summary", "beauty.toml", "ranked.toml", "tiny.toml"]).succeeds();
    let listed = ran.stdout.split_once("Not run:\n").expect("a list").1;
    let data = std::path::Path::new("data").join("beauty").join("ratings_Beauty.csv");
    let expected = format!(
        "  beauty-tiny needs {}: no such file; get it with `bench fetch beauty`, or name the folder that holds it with \
         --data-dir\n  ranked needs the weights of the backbone: example/llm is no folder here and not there in {}; `bench fetch \
         example/llm` brings it\n  ranked: its candidates are stored for 2 of 2 seeds\n",
        data.display(),
        place.path("hub").display()
    );
    assert_eq!(listed, expected);
    assert_eq!(place.names("reports"), ["tiny"]);
}

#[test]
fn nothing_that_can_run_is_a_failure_and_so_is_anything_left_out_of_a_strict_run() {
    let place = Place::tiny();
    place.write(
        "ranked.toml",
        "name = \"ranked\"\ninherits = \"tiny.toml\"\n[backbone]\nname = \"example/llm\"\n",
    );
    assert_eq!(place.run(&["ranked.toml"]).code, Some(96));
    assert_eq!(place.run(&["--strict", "ranked.toml", "tiny.toml"]).code, Some(106));
    assert_eq!(place.run(&["ranked.toml", "tiny.toml"]).code, Some(0));
}
