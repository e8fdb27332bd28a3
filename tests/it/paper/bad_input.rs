//! What is missing, empty or does not fit is said, and nothing is lost.

use bench::baseline::built_in;
use bench::document::{TerminalStyle, files, terminal};
use bench::eval::Rung::{Retriever, Tuned};
use bench::paper::{Absent, Error};

use super::{LLAMA_2, LLAMA_3, cell, report, study, table, users, warnings, with};

#[test]
fn a_single_seed_has_no_spread_and_is_tested_over_users_only() {
    let ranks = users(10, &[1, 2, 3, 4, 10]);
    let studies = [
        study("a", "beauty", LLAMA_2, &[(Retriever, &[&ranks]), (Tuned, &[&ranks])]),
        study("b", "beauty", LLAMA_3, &[(Retriever, &[&ranks]), (Tuned, &[&ranks])]),
    ];
    let paper = report(&studies, None).unwrap();
    for table in paper.document.tables() {
        assert!(
            table.rows.iter().flat_map(|row| &row.cells).all(|cell| cell.spread.is_none()),
            "{}",
            table.id
        );
    }
    let expected = "Beauty: one seed of LRURec, LlamaRec (Llama-2-7b) and Llama-3.1-8B: no ±, and their tests are over users only: nothing \
                    is said about another training.";
    assert!(warnings(&paper).contains(&expected.to_owned()), "{:#?}", warnings(&paper));
    let notes = table(&paper, "table-3").notes.iter().map(|note| note.text.plain()).collect::<String>();
    assert!(notes.contains("paired randomization (exact)"), "{notes}");
}

#[test]
fn several_seeds_have_their_spread_and_seeds_are_paired_where_candidates_are_shared() {
    let (one, two) = (users(12, &[1, 2, 3, 4, 10]), users(12, &[2, 2, 1, 4, 6, 1]));
    let (three, four) = (users(12, &[1, 1, 1, 2, 4]), users(12, &[1, 1, 1, 3, 4, 2]));
    let studies = [
        study("a", "beauty", LLAMA_2, &[(Retriever, &[&one, &two]), (Tuned, &[&one, &two])]),
        study("b", "beauty", LLAMA_3, &[(Retriever, &[&one, &two]), (Tuned, &[&three, &four])]),
    ];
    let paper = report(&studies, None).unwrap();
    // 5/5 and 6/6 users of R within ten places, 5/12 and 6/12 of all.
    let r = cell(table(&paper, "table-3"), "R@10", "Beauty", "LlamaRec");
    assert!((r.value.unwrap() - 5.5 / 12.0).abs() < 1e-12);
    assert!((r.spread.as_ref().unwrap().value - (0.5f64 / 144.0).sqrt()).abs() < 1e-12);
    let two = table(&paper, "table-2");
    assert_eq!(cell(two, "R@10", "Beauty", "LlamaRec").spread.as_ref().unwrap().text, "0.0000");
    assert!(
        two.caption.plain().contains("Beauty 12 users, |R| 5.5 ± 0.7, 2 seeds"),
        "{}",
        two.caption.plain()
    );
    let notes = table(&paper, "table-3").notes.iter().map(|note| note.text.plain()).collect::<String>();
    for part in
        ["crossed t (users and seeds)", "seeds in pairs, for both begin with the same retriever's candidates"]
    {
        assert!(notes.contains(part), "{notes}");
    }
}

#[test]
fn experiments_of_other_splits_are_not_paired_and_what_differs_is_said() {
    let ranks = users(10, &[1, 2, 3]);
    let mut other =
        study("b", "beauty", LLAMA_3, &[(Retriever, &[&users(9, &[1])]), (Tuned, &[&users(9, &[1])])]);
    for manifest in other.retrievals.iter_mut().chain(&mut other.rankings) {
        manifest.dataset.split_fingerprint = "e".repeat(64);
    }
    for (_, method) in &mut other.methods {
        method.split.fingerprint = "e".repeat(64);
    }
    let studies = [study("a", "beauty", LLAMA_2, &[(Retriever, &[&ranks]), (Tuned, &[&ranks])]), other];
    let paper = report(&studies, None).unwrap();
    let titles: Vec<&str> = paper.blocks.iter().map(|block| block.title.as_str()).collect();
    assert_eq!(titles, ["Beauty (split beautyffffff)", "Beauty (split eeeeeeeeeeee)"]);
    let expected = "a and b are not paired: their splits differ (fingerprints beautyffffff and eeeeeeeeeeee), so a user of one is not the \
                    user of the other; what differs: users: 10 and 9. Each has a block of its own.";
    assert!(warnings(&paper).contains(&expected.to_owned()), "{:#?}", warnings(&paper));
    for pair in &paper.verdicts.pairs {
        assert_eq!((pair.a, pair.b).0.max(pair.b), 1, "a retriever and its ranker");
    }
}

#[test]
fn no_users_in_r_leave_dashes_and_no_nan() {
    let nobody = users(10, &[]);
    let studies = [
        study("a", "ml-100k", LLAMA_2, &[(Retriever, &[&nobody]), (Tuned, &[&nobody])]),
        study("b", "ml-100k", LLAMA_3, &[(Retriever, &[&nobody]), (Tuned, &[&nobody])]),
    ];
    let paper = report(&studies, None).unwrap();
    let (two, three) = (table(&paper, "table-2"), table(&paper, "table-3"));
    assert_eq!(cell(two, "N@10", "ML-100K", "LlamaRec").text, "–");
    assert_eq!(cell(three, "N@10", "ML-100K", "LlamaRec").text, "0.0000");
    assert_eq!(cell(three, "N@10", "ML-100K", "gain").text, "–");
    assert!(warnings(&paper).iter().any(|warning| warning.contains("R is empty")));
    for file in files(&paper.document, "summary").into_iter().filter(|file| !file.path.ends_with(".png")) {
        let text = String::from_utf8(file.bytes).unwrap();
        // The page's script has the function isNaN.
        assert!(!text.replace("isNaN", "").contains("NaN"), "{}", file.path);
    }
}

#[test]
fn sizes_of_r_that_differ_are_said() {
    let (one, two) = (users(10, &[1, 2, 3]), users(10, &[1, 2, 3, 4]));
    let mut second = study("b", "beauty", None, &[(Retriever, &[&two])]);
    for manifest in &mut second.retrievals {
        manifest.retriever = "popularity".to_owned();
    }
    second.methods[0].1.runs[0].shared = Some("another cell".to_owned());
    let paper = report(&[study("a", "beauty", None, &[(Retriever, &[&one])]), second], None).unwrap();
    let said = warnings(&paper);
    assert!(
        said.iter().any(|w| w.starts_with("Beauty: |R| differs: 3 for LRURec; 4 for Popularity.")),
        "{said:#?}"
    );
    // No ranker, no Table II; the retrievers are Table III.
    assert!(paper.document.tables().all(|table| table.id != "table-2"));
    assert_eq!(cell(table(&paper, "table-3"), "R@5", "Beauty", "Popularity").value, Some(0.4));
}

#[test]
fn what_is_missing_is_on_top() {
    let ranks = users(10, &[1, 2, 3]);
    let mut half = study("a", "beauty", LLAMA_2, &[(Retriever, &[&ranks]), (Tuned, &[&ranks])]);
    half.seeds = vec![1, 2, 3];
    let absent =
        [Absent { experiment: "b".to_owned(), why: "nothing stored; `bench b.toml` computes it".to_owned() }];
    let paper = with(&[half], &absent, &built_in().unwrap(), None).unwrap();
    let said = warnings(&paper);
    assert_eq!(said[0], "b: nothing stored; `bench b.toml` computes it.");
    assert_eq!(
        said[1],
        "a is incomplete: 1 of 3 seeds stored; missing: 2 and 3; bench a.toml computes them."
    );
    assert!(said.iter().any(|w| w.contains("`") || w.contains("bench audit")), "{said:#?}");
    let Err(Error::Nothing { experiments }) = with(&[], &absent, &[], None) else { panic!("something") };
    assert_eq!(experiments, ["b"]);
}

#[test]
fn an_unknown_reference_is_refused_with_those_there_are() {
    let ranks = users(10, &[1, 2, 3]);
    let studies = [study("a", "beauty", LLAMA_2, &[(Retriever, &[&ranks]), (Tuned, &[&ranks])])];
    let error = report(&studies, Some("Llama-4")).unwrap_err().to_string();
    assert_eq!(
        error,
        "--reference \"Llama-4\" is none of the methods; expected one of \"LRURec\", \"LlamaRec (Llama-2-7b)\", \"a\""
    );
}

#[test]
fn too_few_users_are_called_underpowered() {
    let (one, two) = (users(610, &[1, 2, 3, 4, 10]), users(610, &[2, 1, 3, 5, 8]));
    let studies = [
        study("a", "ml-100k", LLAMA_2, &[(Retriever, &[&one]), (Tuned, &[&one])]),
        study("b", "ml-100k", LLAMA_3, &[(Retriever, &[&one]), (Tuned, &[&two])]),
    ];
    let paper = report(&studies, None).unwrap();
    let said = warnings(&paper);
    let found = said.iter().find(|w| w.starts_with("ML-100K: underpowered: ")).expect("a warning");
    assert!(found.contains("610 users, of whom 5 are in R, would show"), "{found}");
}

#[test]
fn the_terminal_has_tables_that_are_not_wider_than_it() {
    let ranks = users(10, &[1, 2, 3]);
    let studies = [
        study("a", "beauty", LLAMA_2, &[(Retriever, &[&ranks]), (Tuned, &[&ranks])]),
        study("b", "beauty", LLAMA_3, &[(Retriever, &[&ranks]), (Tuned, &[&ranks])]),
        study("c", "games", LLAMA_2, &[(Retriever, &[&ranks]), (Tuned, &[&ranks])]),
        study("d", "games", LLAMA_3, &[(Retriever, &[&ranks]), (Tuned, &[&ranks])]),
    ];
    let paper = report(&studies, None).unwrap();
    let text = terminal(&paper.brief, TerminalStyle { colour: false, unicode: true, width: Some(60) });
    // Rules and rows; sentences are the terminal's to break.
    let rules: Vec<&str> = text.lines().filter(|line| line.starts_with('─')).collect();
    assert!(rules.len() >= 12, "{text}");
    assert!(rules.iter().all(|rule| rule.chars().count() <= 60), "{text}");
    for table in ["Table I:", "Table II:", "Table III:", "Table IV:"] {
        assert!(text.contains(table), "{table}");
    }
}
