//! `bench export`: other programs read what was computed, and find the same numbers.

use std::collections::BTreeMap;
use std::fs::File;
use std::process::Command;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::{Value, json};

use super::Place;
use super::ranker::{place, results};

/// The rows of a Parquet file as maps of fields.
fn rows(place: &Place, name: &str) -> Vec<BTreeMap<String, Field>> {
    let file = SerializedFileReader::new(File::open(place.path(name)).unwrap()).unwrap();
    let rows = file.get_row_iter(None).unwrap();
    rows.map(|row| {
        row.unwrap().get_column_iter().map(|(name, field)| (name.clone(), field.clone())).collect()
    })
    .collect()
}

fn text(row: &BTreeMap<String, Field>, name: &str) -> String {
    match &row[name] {
        Field::Str(text) => text.clone(),
        Field::Null => String::new(),
        other => panic!("{name} is {other:?}"),
    }
}

fn number(row: &BTreeMap<String, Field>, name: &str) -> Option<i64> {
    match row[name] {
        Field::Long(number) => Some(number),
        Field::Null => None,
        ref other => panic!("{name} is {other:?}"),
    }
}

/// Mean of 1 / rank up to a cutoff over all users that `keep` keeps.
fn mrr(rows: &[BTreeMap<String, Field>], seed: i64, rung: &str, k: i64) -> (f64, usize) {
    let of: Vec<_> = rows
        .iter()
        .filter(|row| {
            text(row, "part") == "test" && number(row, "seed") == Some(seed) && text(row, "rung") == rung
        })
        .collect();
    let sum: f64 = of
        .iter()
        .filter_map(|row| number(row, "rank").filter(|rank| *rank <= k))
        .map(|r| 1.0 / r as f64)
        .sum();
    (sum / of.len() as f64, of.len())
}

#[test]
fn ranks_in_parquet_give_the_metrics_of_the_report() {
    let place = place();
    place.run(&["tiny.toml"]).succeeds();
    let ran = place.run(&["export", "tiny.toml", "--format", "parquet,csv", "--to", "out"]).succeeds();
    let paths: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(
        paths,
        [
            "out/ranked/ranks.parquet",
            "out/ranked/candidates.parquet",
            "out/ranked/ranks.csv",
            "out/ranked/candidates.csv"
        ]
    );
    let (ranks, results) = (rows(&place, "out/ranked/ranks.parquet"), results(&place));
    for (at, seed) in [1, 2].into_iter().enumerate() {
        let tuned = &results["ranker"]["seeds"][at]["test"];
        let tuned = tuned.as_array().unwrap().iter().find(|rung| rung["rung"] == "tuned").unwrap();
        let retriever = &results["seeds"][at]["test"]["values"]["MRR@3"]["value"];
        for (rung, ours) in [("tuned", &tuned["overall"]["MRR@3"]), ("retriever", retriever)] {
            let (found, users) = mrr(&ranks, seed, rung, 3);
            assert_eq!(users, results["seeds"][at]["test"]["n_users"].as_u64().unwrap() as usize);
            assert!((found - ours.as_f64().unwrap()).abs() < 1e-12, "{seed} {rung}: {found} {ours}");
        }
    }
    // A user that was not ranked has no rank; one that was has the place of its target among the candidates.
    let candidates = rows(&place, "out/ranked/candidates.parquet");
    let key = |row: &BTreeMap<String, Field>| {
        (number(row, "seed"), text(row, "part"), text(row, "rung"), text(row, "user"))
    };
    let mut places: BTreeMap<_, i64> = BTreeMap::new();
    for row in candidates.iter().filter(|row| row["is_target"] == Field::Bool(true)) {
        places.insert(key(row), number(row, "position").unwrap());
        assert_eq!(text(row, "experiment"), "ranked");
    }
    let mut held = 0;
    for row in &ranks {
        let within = number(row, "rank").filter(|rank| *rank <= 5);
        assert_eq!(within, places.get(&key(row)).copied(), "{row:?}");
        assert_eq!(row["retrieved"] == Field::Bool(true), within.is_some());
        held += usize::from(within.is_some());
    }
    assert_eq!(held, places.len());
    assert!(held > 0 && held < ranks.len());
    // The other form has the same rows.
    let csv = place.read("out/ranked/ranks.csv");
    let mut lines = csv.lines();
    assert_eq!(
        lines.next(),
        Some(
            "experiment,dataset,seed,part,stage,rung,read_out,user,user_index,target,target_id,rank,retrieved"
        )
    );
    assert_eq!(lines.count(), ranks.len());
}

#[test]
fn ids_are_raw_where_the_data_are_and_dense_on_demand() {
    let place = place();
    place.run(&["tiny.toml", "-S", "seeds=[1]"]).succeeds();
    let export = |ids: &str, to: &str| {
        place
            .run(&["export", "tiny.toml", "-S", "seeds=[1]", "--format", "trec", "--ids", ids, "--to", to])
            .succeeds();
        let read = |name: &str| place.read(&format!("{to}/ranked/{name}"));
        (read("test.qrels"), read("test.retrieval.seed-1.run"))
    };
    let (raw, dense) = (export("auto", "raw"), export("dense", "dense"));
    assert_eq!(raw.0.lines().count(), dense.0.lines().count());
    assert!(
        dense.0.lines().enumerate().all(|(at, line)| line.starts_with(&format!("{at} 0 "))),
        "{}",
        dense.0
    );
    assert_ne!(raw.0, dense.0);
    let fields: Vec<&str> = dense.1.lines().next().unwrap().split(' ').collect();
    assert_eq!((fields[0], fields[1], fields[3], fields[5]), ("0", "Q0", "1", "ranked/retrieval/1"));
    // Scores fall strictly, so that no program orders ties by a rule of its own.
    let mut last: Option<(String, f32)> = None;
    for line in dense.1.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let score: f32 = fields[4].parse().unwrap();
        if let Some((user, before)) = &last
            && user == fields[0]
        {
            assert!(score < *before, "{line}");
        }
        last = Some((fields[0].to_owned(), score));
    }
}

#[test]
fn adapters_and_learning_curves_are_written_where_there_are_any() {
    let place = place();
    place.run(&["tiny.toml", "-S", "seeds=[1]"]).succeeds();
    let one = |format: &'static str| {
        vec!["export", "tiny.toml", "-S", "seeds=[1]", "--to", "out", "--format", format]
    };
    place.run(&one("peft")).succeeds();
    let cell = place.names("runs/ranking").remove(0);
    for name in ["adapter_config.json", "adapter_model.safetensors"] {
        let bytes = |path: String| std::fs::read(place.path(&path)).unwrap();
        assert_eq!(
            bytes(format!("out/ranked/adapter/seed-1/{name}")),
            bytes(format!("runs/ranking/{cell}/adapter/{name}"))
        );
    }
    let ran = place.run(&one("tensorboard")).succeeds();
    // Popularity does not train; the ranker does.
    assert_eq!(ran.stdout.lines().count(), 1, "{}", ran.stdout);
    assert!(
        ran.stdout.starts_with("out/ranked/tensorboard/seed-1/ranking/events.out.tfevents."),
        "{}",
        ran.stdout
    );
    let (first_stage, _) =
        place.read("tiny.toml").split_once("[backbone]").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    place.write("first.toml", &first_stage.replace("\"ranked\"", "\"first\""));
    place.run(&["first.toml"]).succeeds();
    for (format, why) in [
        ("peft", "no stored seed has an adapter; only experiments with a tuned ranker have one"),
        ("tensorboard", "no stored seed has a learning curve; popularity and random do not train"),
    ] {
        let error = format!("error: first: {why}");
        place.run(&["export", "first.toml", "--to", "out", "--format", format]).fails(4, &[&error]);
    }
    let ran = place.run(&["export", "first.toml", "-S", "seeds=[9]", "--to", "out", "--format", "csv"]);
    assert_eq!(ran.code, Some(4));
    assert!(ran.stdout.contains("first: no stored run; nothing to export"), "{}", ran.stdout);
}

/// What another program must find in the exported files: each metric of each run.
fn expected(results: &Value) -> Vec<Value> {
    let mut found = Vec::new();
    for (at, seed) in [1, 2].into_iter().enumerate() {
        for (metric, of) in results["seeds"][at]["test"]["values"].as_object().unwrap() {
            let run = format!("test.retrieval.seed-{seed}.run");
            found.push(json!({"qrels": "test.qrels", "run": run, "metric": metric, "value": of["value"]}));
        }
        for rung in results["ranker"]["seeds"][at]["test"].as_array().unwrap() {
            let (Some(name), Some(read_out)) = (rung["rung"].as_str(), rung["read_out"].as_str()) else {
                continue;
            };
            let run = format!("test.ranking.{name}.{read_out}.seed-{seed}.run");
            let ranked = format!("test.ranked.seed-{seed}.qrels");
            for (scope, qrels) in [("ranker_only", ranked.as_str()), ("overall", "test.qrels")] {
                for (metric, value) in rung[scope].as_object().unwrap() {
                    found.push(json!({"qrels": qrels, "run": run, "metric": metric, "value": value}));
                }
            }
        }
    }
    found
}

#[test]
fn evaluation_programs_find_the_same_metrics_in_the_exported_files() {
    let Some(python) = std::env::var_os("BENCH_PEER_PYTHON") else {
        println!(
            "skipped: BENCH_PEER_PYTHON is not set (it names a Python with ir-measures or ranx, pyarrow and tensorboard)"
        );
        return;
    };
    let place = place();
    place.run(&["tiny.toml"]).succeeds();
    place.run(&["export", "tiny.toml", "--format", "trec,parquet,tensorboard", "--to", "out"]).succeeds();
    let results = results(&place);
    let curves: BTreeMap<String, &Value> = [1, 2]
        .into_iter()
        .enumerate()
        .map(|(at, seed)| {
            (format!("tensorboard/seed-{seed}/ranking"), &results["ranker"]["seeds"][at]["curve"])
        })
        .collect();
    let expected = expected(&results);
    assert!(expected.len() > 40, "{}", expected.len());
    let selected = &results["ranker"]["seeds"][0]["training"]["selected_by"];
    let wanted = json!({"metrics": expected, "curves": curves, "selected_by": selected});
    place.write("expected.json", &wanted.to_string());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/cli/export.py");
    let output = Command::new(python)
        .arg(script)
        .arg(place.path("out/ranked"))
        .arg(place.path("expected.json"))
        .output()
        .unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{stdout}");
    assert!(output.status.success(), "{stdout}\n{stderr}");
}
