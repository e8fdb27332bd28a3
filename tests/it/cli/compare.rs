//! `bench compare`: stored runs beside each other, and the exit codes that scripts wait for.

use super::{Place, Ran, TINY, ranker};

/// `tiny.toml` and `short.toml`, which trains for an epoch, both finished.
fn two() -> Place {
    let place = Place::tiny();
    place.write("short.toml", "name = \"short\"\ninherits = \"tiny.toml\"\n[retriever]\nmax_epochs = 1\n");
    place.run(&["tiny.toml", "short.toml"]).succeeds();
    place
}

/// The fields of a metric's row in the CSV: reference, method, difference, ...
fn row(ran: &Ran, metric: &str) -> Vec<f64> {
    let line = ran.stdout.lines().find(|line| line.starts_with(&format!("{metric},")));
    let line = line.unwrap_or_else(|| panic!("{metric}\n{}", ran.stdout));
    line.split(',').skip(1).map_while(|field| field.parse().ok()).collect()
}

#[test]
fn two_experiments_are_compared_from_the_store_and_gates_decide_the_exit_code() {
    let place = two();
    let table = place.run(&["compare", "tiny.toml", "short.toml"]).succeeds();
    assert!(table.stdout.starts_with("short against tiny\n"), "{}", table.stdout);
    assert!(table.stdout.contains("test: crossed t (users and seeds)"), "{}", table.stdout);
    assert!(table.stdout.contains("tiny: retriever, seeds 1 and 2, |R| "), "{}", table.stdout);
    let csv = place.run(&["compare", "tiny.toml", "short.toml", "--format", "csv"]).succeeds();
    // The means that the reports have.
    for (at, name) in ["tiny", "short"].into_iter().enumerate() {
        let results: serde_json::Value =
            serde_json::from_str(&place.read(&format!("reports/{name}/results.json"))).unwrap();
        let mean = results["summary"]["test"]["NDCG@5"]["seeds"]["mean"].as_f64().unwrap();
        assert!((row(&csv, "NDCG@5")[at] - mean).abs() < 1e-12, "{mean}\n{}", csv.stdout);
    }
    let relative = row(&csv, "NDCG@5")[3];
    let gate = |bound: f64| format!("NDCG@5 >= {bound}%");
    let ran =
        place.run(&["compare", "tiny.toml", "short.toml", "--gate", &gate(relative - 0.001)]).succeeds();
    assert!(ran.stdout.contains(" holds: short against tiny in NDCG@5 is "), "{}", ran.stdout);
    let (fails, holds) = (gate(relative + 0.001), gate(-1000.0));
    let ran = place.run(&["compare", "tiny.toml", "short.toml", "--gate", &holds, "--gate", &fails]);
    ran.fails(
        101,
        &[&format!("error: gate `{fails}` fails: short against tiny in NDCG@5 is {relative:+.4} %")],
    );
    let ran = place.run(&[
        "compare",
        "tiny.toml",
        "short.toml",
        "--gate",
        &gate(relative - 0.001),
        "--gate-interval",
    ]);
    assert_eq!(ran.code, Some(101), "{}", ran.stdout);
    assert!(
        ran.errors()[0].contains("the lower end of the interval of short against tiny"),
        "{}",
        ran.stderr
    );
    // Turned round.
    let turned = place
        .run(&["compare", "tiny.toml", "short.toml", "--reference", "short", "--format", "csv"])
        .succeeds();
    assert_eq!(row(&turned, "NDCG@5")[2], -row(&csv, "NDCG@5")[2]);
    // A file twice is no difference.
    let same = place
        .run(&["compare", "tiny.toml", "tiny.toml", "--format", "csv", "--gate", "NDCG@5 >= 0"])
        .succeeds();
    let same = row(&same, "NDCG@5");
    assert_eq!((same[2], same[6], same[7]), (0.0, 1.0, 1.0));
    // Files, by their endings.
    let ran = place.run(&["compare", "tiny.toml", "short.toml", "--output", "new/table.csv"]).succeeds();
    assert_eq!(ran.stdout, "new/table.csv\n");
    assert_eq!(place.read("new/table.csv"), csv.stdout);
    for (format, part) in [("md", "# short against tiny"), ("json", "\"MRR@1\""), ("html", "<!DOCTYPE html>")]
    {
        let ran = place.run(&["compare", "tiny.toml", "short.toml", "--format", format]).succeeds();
        assert!(ran.stdout.contains(part), "{}", ran.stdout);
    }
}

#[test]
fn what_cannot_be_compared_is_told() {
    let place = two();
    let bad = place.run(&["compare", "tiny.toml", "short.toml", "--gate", "NDCG@5 >= lots"]);
    assert_eq!(bad.code, Some(2));
    assert!(
        bad.stderr.contains("\"lots\" is no number; expected METRIC, then >=, >, <= or <"),
        "{}",
        bad.stderr
    );
    assert_eq!(place.run(&["compare", "tiny.toml"]).code, Some(2));
    let compare = |rest: &[&str]| place.run(&[&["compare", "tiny.toml"], rest].concat());
    compare(&["short.toml", "--gate", "NDCG@7 >= 0"]).fails(
        2,
        &["error: the gate `NDCG@7 >= 0` is about NDCG@7; expected one of the metrics that are compared: MRR@1, NDCG@1, Recall@1, MRR@5, \
           NDCG@5, Recall@5"],
    );
    compare(&["short.toml", "--reference", "long"])
        .fails(2, &["error: no method has the name \"long\"; expected one of tiny, short"]);
    compare(&["short.toml", "--output", "table.xls"]).fails(
        2,
        &["error: table.xls: its ending names no format; expected .md, .json, .csv, .html or .txt, or say --format"],
    );
    compare(&["short.toml:tuned"]).fails(96, &["error: short has no tuned ranker; it has retriever"]);
    compare(&["imported:theirs"]).fails(
        96,
        &["error: no imported run has the name \"theirs\"; there is none; `bench import` stores one"],
    );
    place.write("new.toml", &TINY.replace("\"tiny\"", "\"new\"").replace("seeds = [1, 2]", "seeds = [3]"));
    compare(&["new.toml"]).fails(4, &["error: new: no stored run; `bench run new.toml` makes it"]);
    // One seed is enough for users; another dataset is another set of users.
    place.run(&["new.toml"]).succeeds();
    let ran = compare(&["new.toml"]).succeeds();
    assert!(
        ran.stdout.contains("one seed: users only, nothing is said about another training"),
        "{}",
        ran.stdout
    );
    place.write("fewer.toml", &TINY.replace("\"tiny\"", "\"fewer\"").replace("150", "140"));
    place.run(&["fewer.toml"]).succeeds();
    let ran = compare(&["fewer.toml"]);
    assert_eq!(ran.code, Some(96), "{}", ran.stdout);
    let error = ran.errors()[0];
    assert!(
        error.starts_with("error: cannot pair tiny with fewer: their splits differ (fingerprints "),
        "{error}"
    );
    assert!(
        error.contains("what differs: users: ") && error.contains("dataset.users: 150 and 140; run"),
        "{error}"
    );
}

#[test]
fn a_ranker_is_compared_with_its_own_retriever_seed_by_seed_and_with_imported_runs() {
    let place = ranker::place();
    place.run(&["tiny.toml"]).succeeds();
    let ran = place.run(&["compare", "tiny.toml:retriever", "tiny.toml", "tiny.toml:zero-shot"]).succeeds();
    assert!(
        ran.stdout.starts_with("ranked and ranked:zero-shot against ranked:retriever\n"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("ranked: tuned ranker, seeds 1 and 2, |R| "), "{}", ran.stdout);
    assert_eq!(
        ran.stdout.matches("seeds in pairs, for both begin with the same retriever's candidates").count(),
        2
    );
    // What the report's ladder has over all users.
    let csv = place.run(&["compare", "tiny.toml:retriever", "tiny.toml:tuned", "--format", "csv"]).succeeds();
    let results = ranker::results(&place);
    for (at, rung) in ["retriever", "tuned"].into_iter().enumerate() {
        let rungs = results["ranker"]["test"]["rungs"].as_array().unwrap();
        let of = rungs.iter().find(|one| one["rung"] == rung).unwrap();
        let mean = of["overall"]["NDCG@3"]["seeds"]["mean"].as_f64().unwrap();
        assert!((row(&csv, "NDCG@3")[at] - mean).abs() < 1e-12, "{mean}\n{}", csv.stdout);
    }
    place.run(&["export", "tiny.toml", "--format", "trec", "--to", "out"]).succeeds();
    let file = "out/ranked/test.ranking.tuned.in-context.seed-1.run";
    place.run(&["import", "tiny.toml", file, "--name", "theirs", "--seed", "1"]).succeeds();
    let csv = place
        .run(&["compare", "tiny.toml", "imported:theirs", "-S", "seeds=[1]", "--format", "csv"])
        .succeeds();
    let same = row(&csv, "NDCG@3");
    assert_eq!((same[2], same[6]), (0.0, 1.0), "{}", csv.stdout);
}

#[test]
fn a_gate_is_not_judged_on_a_part_of_the_seeds() {
    let place = two();
    let short = place.run(&["ls"]).succeeds();
    let line = short.stdout.lines().find(|line| line.contains(" short ")).unwrap();
    let cell = line.split_whitespace().find(|word| word.len() == 16).unwrap();
    std::fs::remove_dir_all(place.path(&format!("runs/retrieval/{cell}"))).unwrap();
    let compared = ["compare", "tiny.toml", "short.toml"];
    let ran = place.run(&compared).succeeds();
    assert!(ran.stderr.contains("warning: short: incomplete, for seed "), "{}", ran.stderr);
    place.run(&[&compared[..], &["--gate", "NDCG@5 >= -1000%"]].concat()).fails(
        106,
        &["error: short.toml: 1 of 2 seeds are stored, so no gate can be judged; `bench short.toml` computes the others"],
    );
}
