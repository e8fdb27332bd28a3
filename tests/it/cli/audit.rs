//! `bench audit`.

use super::Place;

const MINE: &str = r#"id = "mine"
title = "My paper"
source = "arXiv:0000.00000"

[[table]]
name = "Table 1"
dataset = "small"
scope = "overall"
split = "test"
protocol = "p"
[table.values]
"MRR@5" = { A = 0.30 }
"NDCG@5" = { A = 0.20 }
"#;

#[test]
fn without_files_the_built_in_numbers_are_audited() {
    let place = Place::new();
    let ran = place.run(&["audit"]).succeeds();
    for line in [
        "ml-100k, Table II and Table III: |R| = 126 of 610 users, the only one for which every recall is a whole number of users, \
         the same in both tables; only if digits were cut",
        "beauty, Table II and Table III: |R| = 2765 of 22332 users",
        "games, Table II and Table III: |R| = 3197 of 15264 users",
        "90 against 86 hits of 126 users: exact McNemar p >= 0.125",
        "38.65 % over R, 38.43 % over all users",
    ] {
        assert!(ran.stdout.contains(line), "{line}\n{}", ran.stdout);
    }
    assert!(
        ran.stdout.contains(
            "PALR: Personalization Aware LLMs for Recommendation\n2 printed numbers, nothing found\n"
        )
    );
    assert_eq!(place.run(&["audit", "--strict"]).code, Some(102));
}

#[test]
fn a_file_of_ones_own_is_audited_alone() {
    let place = Place::new();
    place.write("mine.toml", MINE);
    let ran = place.run(&["audit", "mine.toml"]).succeeds();
    assert!(ran.stdout.contains("MRR@5 = 0.30 > NDCG@5 = 0.20"), "{}", ran.stdout);
    assert!(ran.stdout.contains("2 printed numbers: 1 contradiction, 0 doubts, 0 notes"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("Table II"), "{}", ran.stdout);
    let ran = place.run(&["audit", "--json", "mine.toml"]).succeeds();
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(json[0]["findings"][0]["severity"], "contradiction");
    assert_eq!(json[0]["findings"][0]["check"], "order");
    assert_eq!(json[0]["findings"][0]["line"], 12);
    let longest =
        place.run(&["audit"]).succeeds().stdout.lines().map(|line| line.chars().count()).max().unwrap();
    assert!(longest <= 240, "{longest}");
}

#[test]
fn every_problem_of_every_file_is_told_with_its_line() {
    let place = Place::new();
    place.write("mine.toml", &MINE.replace("source = \"arXiv:0000.00000\"\n", "").replace("0.30", "30.0"));
    place.write("other.toml", &MINE.replace("NDCG@5", "HR@5"));
    place.run(&["audit", "mine.toml", "other.toml", "absent.toml"]).fails(
        96,
        &[
            "error: mine.toml:1: the file has no source; expected source = \"...\"",
            "error: mine.toml:11: MRR@5 of A is 30.0; expected a fraction in [0, 1], not a percentage",
            "error: other.toml:13: \"HR@5\" is not a metric; expected MRR@k, NDCG@k or Recall@k (or M@k, N@k, R@k) with k of 1 or \
             more",
            "error: read absent.toml: No such file or directory (os error 2)",
        ],
    );
}
