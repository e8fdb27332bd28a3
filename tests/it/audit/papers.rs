//! The built-in papers.

use bench::audit::{Check, Digits, Severity};

use super::{built, findings, is_clean, of};

#[test]
fn the_hidden_number_of_ranked_users_is_the_one_integer_and_only_if_both_tables_are_cut() {
    let seed = built("llama3-llamarec");
    let found: Vec<_> = seed
        .hidden
        .iter()
        .map(|hidden| (hidden.dataset.as_str(), hidden.users, hidden.only(), hidden.digits.clone()))
        .collect();
    let cut = vec![(Digits::Cut, Some(Digits::Cut))];
    assert_eq!(
        found,
        [
            ("ml-100k", Some(610), Some(126), cut.clone()),
            ("beauty", Some(22332), Some(2765), cut.clone()),
            ("games", Some(15264), Some(3197), cut),
        ]
    );
    let hits: Vec<(String, &str, u64, u64)> = seed.hidden[0]
        .hits
        .iter()
        .map(|(metric, method, first, last)| (metric.short(), method.as_str(), *first, *last))
        .collect();
    let hit = |metric: &str, method, hits| (metric.to_owned(), method, hits, hits);
    assert_eq!(
        hits,
        [
            hit("R@5", "LlamaRec", 52),
            hit("R@5", "Llama 3.1 8B", 63),
            hit("R@10", "LlamaRec", 86),
            hit("R@10", "Llama 3.1 8B", 90)
        ]
    );
}

#[test]
fn the_column_that_does_not_reconcile_is_named_with_what_the_other_table_implies() {
    let seed = built("llama3-llamarec");
    let found = findings(&seed, Check::Identity, "ml-100k");
    let cells: Vec<&str> = found.iter().map(|found| found.cells.as_str()).collect();
    assert_eq!(
        cells,
        ["MRR@5 of LlamaRec", "NDCG@5 of LlamaRec", "MRR@10 of LlamaRec", "NDCG@10 of LlamaRec"]
    );
    assert!(found.iter().all(|found| found.severity == Severity::Contradiction));
    // .0358 x 610 / 126 to .0359 x 610 / 126, and the same of .0431.
    assert_eq!(
        found[0].numbers,
        "0.1728 is printed; 0.0358 of all 610 users is [0.17332, 0.17380) over the 126 of R"
    );
    assert_eq!(
        found[2].numbers,
        "0.2083 is printed; 0.0431 of all 610 users is [0.20866, 0.20914) over the 126 of R"
    );
    for dataset in ["beauty", "games"] {
        assert!(findings(&seed, Check::Identity, dataset).is_empty(), "{dataset}");
    }
}

#[test]
fn averages_are_recomputed_from_the_printed_digits() {
    let seed = built("llama3-llamarec");
    let means: Vec<(String, String)> = seed
        .claims
        .iter()
        .filter(|claim| claim.what.starts_with("mean"))
        .map(|claim| (claim.claimed.clone(), format!("{:.2}", claim.recomputed)))
        .collect();
    let expected = [
        ("38.65", "38.67"),
        ("8.69", "8.69"),
        ("8.19", "8.18"),
        ("38.43", "38.45"),
        ("8.69", "8.71"),
        ("8.19", "8.20"),
    ];
    assert_eq!(means, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    let both: Vec<&str> = findings(&seed, Check::Claim, "ml-100k")
        .into_iter()
        .filter(|found| found.severity == Severity::Contradiction)
        .map(|found| found.numbers.as_str())
        .collect();
    assert_eq!(both, ["38.65 % over R, 38.43 % over all users"]);
    for dataset in ["beauty", "games"] {
        let contradictions = findings(&seed, Check::Claim, dataset);
        assert!(contradictions.iter().all(|found| found.severity == Severity::Note), "{contradictions:?}");
    }
}

#[test]
fn a_cut_percentage_is_told_from_a_rounded_one() {
    let seed = built("llama3-llamarec");
    let digits = |claimed: &str| {
        let of = |claim: &&bench::audit::Recomputed| claim.claimed == claimed;
        seed.claims.iter().find(of).unwrap().digits.clone()
    };
    assert_eq!(digits("24.88"), [Digits::Cut]);
    assert_eq!(digits("3.22"), [Digits::Rounded]);
    assert_eq!(digits("30.09"), [Digits::Rounded]);
}

#[test]
fn a_rerun_that_differs_from_the_methods_own_paper_is_told() {
    let seed = built("llama3-llamarec");
    let reruns: Vec<(&str, &str, String)> = seed
        .findings
        .iter()
        .filter(|found| {
            found.check == Check::Elsewhere
                && found.cells == "LlamaRec, 6 metrics"
                && found.table == "Table II"
        })
        .map(|found| {
            let mean = found.numbers.split(" on average").next().unwrap().to_owned();
            (found.dataset.as_str(), found.severity.name(), mean)
        })
        .collect();
    assert_eq!(
        reruns,
        [
            ("ml-100k", "doubt", "-13.8 %".to_owned()),
            ("beauty", "doubt", "-2.9 %".to_owned()),
            ("games", "doubt", "+0.4 %".to_owned())
        ]
    );
    let below = |dataset: &str| -> Vec<String> {
        findings(&seed, Check::Elsewhere, dataset)
            .into_iter()
            .filter(|found| found.table == "Table III" && found.meaning.contains("claimed to gain"))
            .map(|found| found.numbers.clone())
            .collect()
    };
    assert_eq!(below("ml-100k"), ["Recall@10 0.1475 < 0.1524"]);
    assert_eq!(below("beauty"), ["Recall@10 0.0946 < 0.0971"]);
    assert_eq!(below("games"), Vec::<String>::new());
    // The older paper is not blamed for what a later one prints.
    assert!(findings(&built("llamarec"), Check::Elsewhere, "ml-100k").is_empty());
}

#[test]
fn a_gain_that_no_pairing_makes_significant_is_told() {
    let seed = built("llama3-llamarec");
    let found: Vec<(&str, &str)> = seed
        .findings
        .iter()
        .filter(|found| found.check == Check::Significance)
        .map(|found| (found.cells.as_str(), found.numbers.as_str()))
        .collect();
    assert_eq!(
        found,
        [(
            "Recall@10, Llama 3.1 8B over LlamaRec",
            "90 against 86 hits of 126 users: exact McNemar p >= 0.125 under any pairing"
        )]
    );
}

#[test]
fn a_dataset_row_that_mixes_raw_and_prepared_data_is_told() {
    let seed = built("llama3-llamarec");
    let found: Vec<(&str, &str)> = seed
        .findings
        .iter()
        .filter(|found| found.check == Check::Statistics)
        .map(|found| (found.dataset.as_str(), found.numbers.as_str()))
        .collect();
    assert_eq!(found, [("ml-100k", "100K interactions are printed; 610 users x 147.99 is 90271 to 90280")]);
}

#[test]
fn llamarecs_tables_reconcile_where_one_number_of_ranked_users_does() {
    let llamarec = built("llamarec");
    let found: Vec<_> =
        llamarec.hidden.iter().map(|hidden| (hidden.dataset.as_str(), hidden.retrieved.clone())).collect();
    // Games: 3,246 if both tables are rounded, 3,248 if both are cut, 3,245 or 3,246 if the first is cut and the second rounded.
    assert_eq!(found, [("beauty", vec![(2854, 2854)]), ("games", vec![(3245, 3246), (3248, 3248)])]);
    let contradictions: Vec<_> = llamarec
        .findings
        .iter()
        .filter(|found| found.severity == Severity::Contradiction)
        .map(|found| (found.dataset.as_str(), found.check))
        .collect();
    assert_eq!(contradictions[0], ("ml-100k", Check::Identity));
    // LlamaRec's own row, which the retriever's |R| does not tie.
    assert!(contradictions.len() > 1, "{contradictions:?}");
    assert!(
        contradictions[1..].iter().all(|found| *found == ("games", Check::Identity)),
        "{contradictions:?}"
    );
    let numbers = &findings(&llamarec, Check::Identity, "ml-100k")[0].numbers;
    assert!(numbers.starts_with("|R| of 610 users by MRR@5 of LRURec: 120.9 to 121.4; "), "{numbers}");
    assert!(numbers.ends_with("Recall@10 of LRURec: 130.7 to 130.8"), "{numbers}");
    // No whole number of users: means over batches.
    let whole: Vec<&str> = llamarec
        .findings
        .iter()
        .filter(|found| found.check == Check::WholeUsers && found.table == "Table 1")
        .map(|found| found.dataset.as_str())
        .collect();
    assert_eq!(whole, ["ml-100k"]);
}

#[test]
fn most_copied_rows_alone_give_no_finding() {
    for paper in ["palr", "gpt4rec", "pod"] {
        assert!(built(paper).findings.is_empty(), "{paper}");
    }
}

#[test]
fn a_growth_that_no_hits_can_add_is_found_in_a_copied_row() {
    // .0574 - .0415 more hits at ranks 6 to 10 add at most that over log2(7), with the digits' slack.
    let found = built("recmind").findings;
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].check, found[0].severity), (Check::Range, Severity::Contradiction));
    assert_eq!(found[0].numbers, "0.0289 to 0.0375: +0.0086; the hits between them add [0.00455, 0.00572]");
}

/// 4 users of 10 in R at ranks 1, 1, 3 and 7 for `A`, and 2, 4, 6 and 9 for `B`; worked by hand, rounded to 4 places.
const SOUND: &str = r#"id = "sound"
title = "A sound paper"
source = "nowhere"
year = 2026

[[statistics]]
table = "Table 0"
dataset = "small"
users = "10"
items = "50"
interactions = "125"
length = "12.5"
density = "0.25"

[[table]]
name = "Table 1"
dataset = "small"
scope = "ranker-only"
split = "test"
protocol = "p"
[table.values]
"MRR@5" = { A = 0.5833, B = 0.1875 }
"NDCG@5" = { A = 0.6250, B = 0.2654 }
"Recall@5" = { A = 0.7500, B = 0.5000 }
"MRR@10" = { A = 0.6190, B = 0.2569 }
"NDCG@10" = { A = 0.7083, B = 0.4297 }
"Recall@10" = { A = 1.0000, B = 1.0000 }

[[table]]
name = "Table 2"
dataset = "small"
scope = "overall"
split = "test"
protocol = "p"
[table.values]
"MRR@5" = { A = 0.2333, B = 0.0750 }
"NDCG@5" = { A = 0.2500, B = 0.1062 }
"Recall@5" = { A = 0.3000, B = 0.2000 }
"MRR@10" = { A = 0.2476, B = 0.1028 }
"NDCG@10" = { A = 0.2833, B = 0.1719 }
"Recall@10" = { A = 0.4000, B = 0.4000 }

[[claim]]
table = "Table 1"
what = "gain"
dataset = "small"
metric = "NDCG@5"
method = "A"
over = "B"
percent = 135.49
"#;

#[test]
fn a_consistent_made_up_file_has_no_finding() {
    // The claim is left out: with four users no gain in recall can be significant, which is told.
    let text = SOUND.split("[[claim]]").next().unwrap();
    let audited = of(text);
    assert_eq!(audited.findings, []);
    assert_eq!(audited.hidden[0].only(), Some(4));
    let audited = of(SOUND);
    let checks: Vec<Check> = audited.findings.iter().map(|found| found.check).collect();
    assert!(!checks.is_empty() && checks.iter().all(|check| *check == Check::Significance), "{checks:?}");
    assert_eq!(audited.claims[0].digits, [Digits::Rounded, Digits::Cut]);
}

#[test]
fn every_kind_of_fault_in_a_file_is_found() {
    let sound = SOUND.split("[[claim]]").next().unwrap();
    let checks = |from: &str, to: &str| -> Vec<Check> {
        assert!(sound.contains(from), "{from}");
        let audited = of(&sound.replacen(from, to, 1));
        assert!(!is_clean(&audited), "{from} -> {to}");
        audited.findings.iter().map(|found| found.check).collect()
    };
    assert_eq!(checks("length = \"12.5\"", "length = \"13.5\""), [Check::Statistics]);
    assert_eq!(checks("density = \"0.25\"", "density = \"0.27\""), [Check::Statistics]);
    // A recall that is no whole number of any 4 users of 10.
    assert!(
        checks("\"Recall@5\" = { A = 0.3000", "\"Recall@5\" = { A = 0.3300").contains(&Check::WholeUsers)
    );
    assert!(checks("\"MRR@5\" = { A = 0.2333", "\"MRR@5\" = { A = 0.2343").contains(&Check::Identity));
    assert!(checks("\"MRR@5\" = { A = 0.5833", "\"MRR@5\" = { A = 0.6833").contains(&Check::Order));
    assert!(checks("\"NDCG@10\" = { A = 0.7083", "\"NDCG@10\" = { A = 0.6150").contains(&Check::Order));
    assert!(checks("\"NDCG@5\" = { A = 0.6250", "\"NDCG@5\" = { A = 0.6950").contains(&Check::Range));
    let stated = "\n[[retrieved]]\ndataset = \"small\"\nmethod = \"X\"\nusers = 10\nretrieved = 5\ncandidates = 20\n\
                  table = \"t\"\nsplit = \"test\"\nprotocol = \"p\"\nhow = \"h\"\n";
    let audited = of(&format!("{sound}{stated}"));
    assert_eq!(audited.findings.len(), 1);
    assert_eq!(audited.findings[0].check, Check::StatedUsers);
    assert_eq!(audited.findings[0].numbers, "stated 5 of 10; found 4 of 10");
    let twice = sound.replace("name = \"Table 2\"", "name = \"Table 3\"");
    let second = &twice[twice.find("[[table]]\nname = \"Table 3\"").unwrap()..];
    let audited = of(&format!("{sound}\n{}", second.replace("A = 0.3000", "A = 0.4000")));
    assert!(audited.findings.iter().any(|found| found.check == Check::Twice), "{:?}", audited.findings);
}

#[test]
fn a_claim_that_its_table_does_not_give_is_a_contradiction_and_one_without_a_table_a_note() {
    let audited = of(&SOUND.replace("135.49", "139.49"));
    let claim: Vec<_> = audited.findings.iter().filter(|found| found.check == Check::Claim).collect();
    assert_eq!(claim.len(), 1);
    assert_eq!(claim[0].severity, Severity::Contradiction);
    assert!(
        claim[0].numbers.starts_with("claimed 139.49 %; the printed digits give 135.4936 %"),
        "{}",
        claim[0].numbers
    );
    let audited = of(&SOUND.replace("over = \"B\"", "over = \"C\""));
    assert_eq!(audited.findings.len(), 1);
    assert_eq!((audited.findings[0].check, audited.findings[0].severity), (Check::Claim, Severity::Note));
}

#[test]
fn a_program_that_averages_batches_is_not_asked_for_whole_users() {
    let sound = SOUND.split("[[claim]]").next().unwrap();
    let odd = sound
        .replace("\"Recall@5\" = { A = 0.7500", "\"Recall@5\" = { A = 0.7400")
        .replace("A = 0.3000", "A = 0.2960");
    assert!(of(&odd).findings.iter().any(|found| found.check == Check::WholeUsers));
    let tagged = odd.replace("protocol = \"p\"\n", "protocol = \"p\"\naveraging = \"batches\"\n");
    assert!(
        !of(&tagged).findings.iter().any(|found| found.check == Check::WholeUsers),
        "{:?}",
        of(&tagged).findings
    );
}
