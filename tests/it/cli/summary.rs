//! The report over several experiments, from the command line.

use super::{Place, ranker};

/// `tiny.toml` and `short.toml`, which trains for an epoch.
fn two() -> Place {
    let place = Place::tiny();
    place.write("short.toml", "name = \"short\"\ninherits = \"tiny.toml\"\n[retriever]\nmax_epochs = 1\n");
    place
}

#[test]
fn two_experiments_end_in_one_more_report_and_one_does_not() {
    let place = two();
    let ran = place.run(&["tiny.toml", "short.toml"]).succeeds();
    assert!(ran.stdout.contains("Results of 2 experiments\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains("Table III: overall recommendation performance."), "{}", ran.stdout);
    for end in ["md", "tex", "html", "json"] {
        assert!(ran.stdout.contains(&format!("\nreports/summary/summary.{end}\n")), "{}", ran.stdout);
    }
    assert_eq!(place.names("reports"), ["short", "summary", "tiny"]);
    assert!(place.names("reports/summary/tables").contains(&"table-3.csv".to_owned()));
    assert!(place.names("reports/summary/figures").contains(&"metrics-synthetic-light.png".to_owned()));
    let made = place.read("reports/summary/summary.json");
    place.run(&["report", "tiny.toml", "short.toml"]).succeeds();
    assert_eq!(place.read("reports/summary/summary.json"), made, "from the store alone");
    // The mean that the experiment's own report has.
    let csv = place.read("reports/summary/tables/table-3-in-full.csv");
    let line = csv.lines().find(|line| line.contains("LRURec (tiny)")).unwrap_or_else(|| panic!("{csv}"));
    let results: serde_json::Value = serde_json::from_str(&place.read("reports/tiny/results.json")).unwrap();
    let mean = results["summary"]["test"]["NDCG@5"]["seeds"]["mean"].as_f64().unwrap();
    let found = line
        .split(',')
        .filter_map(|field| field.parse::<f64>().ok())
        .any(|value| (value - mean).abs() < 1e-12);
    assert!(found, "{mean}\n{csv}");
    let one = Place::tiny();
    one.run(&["tiny.toml"]).succeeds();
    assert_eq!(one.names("reports"), ["tiny"]);
}

#[test]
fn its_name_and_reference_can_be_said_and_it_can_be_left_out() {
    let place = two();
    let files = ["tiny.toml", "short.toml"];
    place.run(&[&["--no-summary"][..], &files].concat()).succeeds();
    assert_eq!(place.names("reports"), ["short", "tiny"]);
    let report = |rest: &[&str]| place.run(&[&["report"][..], &files, rest].concat());
    report(&["--summary", "grid", "--reference", "short"]).succeeds();
    assert_eq!(place.names("reports"), ["grid", "short", "tiny"]);
    let text = place.read("reports/grid/grid.md");
    assert!(text.contains("Gain: over LRURec (short), in percent of its mean."), "{text}");
    report(&["--reference", "long"]).fails(
        2,
        &["error: summary: --reference \"long\" is none of the methods; expected one of \"LRURec (short)\", \"LRURec (tiny)\", \"short\", \"tiny\""],
    );
    // Before hours of work it is told too, as far as it can be known.
    let early = place.run(&["tiny.toml", "short.toml", "--reference", "long", "-S", "retriever.dropout=0.3"]);
    early.fails(
        2,
        &["error: --reference \"long\" is none of the methods; expected one of \"LRURec\", \"short\", \"tiny\""],
    );
    assert_eq!(place.names("runs/retrieval").len(), 4, "nothing was computed");
    report(&["--summary", "../up"]).fails(
        2,
        &["error: --summary \"../up\": expected a name for a folder: at most 100 letters, digits, `.`, `_` and `-`, with no point at either end"],
    );
    report(&["--summary", "tiny"]).fails(
        2,
        &["error: tiny.toml: the experiment has the name \"tiny\", and the report over all experiments would be written to its folder; \
           name another with --summary NAME, or leave it out with --no-summary"],
    );
}

#[test]
fn tables_and_figures_of_the_report_before_go_and_files_of_others_stay() {
    let place = two();
    place.run(&["tiny.toml", "short.toml"]).succeeds();
    let before = [place.names("reports/summary/tables"), place.names("reports/summary/figures")];
    assert!(before[0].iter().any(|name| name == "tests.csv"), "{before:?}");
    place.write("reports/summary/tables/mine.csv", "1,2");
    place.run(&["report", "tiny.toml", "--summary", "summary"]).succeeds();
    let after = place.names("reports/summary/tables");
    assert!(
        after.iter().any(|name| name == "mine.csv") && after.iter().any(|name| name == "table-1.csv"),
        "{after:?}"
    );
    assert!(!after.iter().any(|name| name.starts_with("tests.")), "{after:?}");
    assert!(place.names("reports/summary/figures").len() < before[1].len());
}

#[test]
fn an_experiment_of_which_nothing_is_stored_is_said_on_top() {
    let place = two();
    place.run(&["tiny.toml"]).succeeds();
    let ran = place.run(&["report", "tiny.toml", "short.toml"]).succeeds();
    let warning = "warning: short: nothing stored; bench short.toml computes it.";
    assert!(ran.stdout.contains(warning), "{}", ran.stdout);
    assert!(place.read("reports/summary/summary.md").contains("short: nothing stored;"));
}

#[test]
fn a_ranker_of_which_the_backbone_is_gone_is_shown_from_the_store_and_an_imported_run_beside_it() {
    let place = ranker::place();
    let (first_stage, _) =
        place.read("tiny.toml").split_once("[backbone]").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    place.write("first.toml", &first_stage.replace("ranked", "first"));
    place.run(&["tiny.toml", "first.toml", "--no-summary"]).succeeds();
    place.run(&["export", "tiny.toml", "--format", "trec", "--to", "out"]).succeeds();
    let file = "out/ranked/test.ranking.tuned.in-context.seed-1.run";
    place.run(&["import", "tiny.toml", file, "--name", "theirs", "--seed", "1"]).succeeds();
    std::fs::rename(place.path("model"), place.path("away")).unwrap();
    let ran = place.run(&["tiny.toml", "first.toml", "--imported", "theirs"]);
    assert!(
        ran.stdout.contains("Table II: ranker's recommendation performance."),
        "{}\n{}",
        ran.stdout,
        ran.stderr
    );
    let csv = place.read("reports/summary/tables/table-3-in-full.csv");
    for method in ["Popularity [a]", "model, zero-shot [b]", "model [c]", "theirs [d]"] {
        assert!(csv.contains(method), "{method}\n{csv}");
    }
    let ran = place.run(&["report", "tiny.toml", "first.toml", "--imported", "ours"]);
    ran.fails(96, &["error: summary: no imported run has the name \"ours\"; there are theirs; `bench import` stores one"]);
}
