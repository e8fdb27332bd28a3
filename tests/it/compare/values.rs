//! The figures of a table, worked out by hand.

use bench::compare::compare;
use bench::document::{csv, html, json, markdown};
use bench::significance::{Method, SeedPairing};

use super::{method, metrics, sharing};

const OLD: [u32; 4] = [1, 2, 0, 4];
const NEW: [u32; 4] = [1, 1, 3, 4];

#[track_caller]
fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
}

#[test]
fn means_difference_and_counts_are_those_of_the_ranks() {
    let methods = [method("old", &[&OLD]), method("new", &[&NEW])];
    let compared = compare(&methods, 0, &metrics(&["MRR@5", "Recall@5"])).unwrap();
    let [mrr, recall] = compared.rows() else { panic!("{} rows", compared.rows().len()) };
    let effect = &mrr.comparison.effect;
    near(effect.mean_b, (1.0 + 0.5 + 0.0 + 0.25) / 4.0);
    near(effect.mean_a, (1.0 + 1.0 + 1.0 / 3.0 + 0.25) / 4.0);
    near(effect.difference, (0.5 + 1.0 / 3.0) / 4.0);
    near(effect.relative.unwrap(), (0.5 + 1.0 / 3.0) / 1.75);
    assert_eq!((effect.wins, effect.ties, effect.losses), (2, 2, 0));
    // Two users with a difference have four sign patterns, of which two are as far out as what was seen.
    assert_eq!(mrr.comparison.primary().method, Method::ExactRandomization);
    near(mrr.p, 0.5);
    // One user has two, and both are.
    near(recall.p, 1.0);
    near(mrr.p_holm, 1.0);
}

#[test]
fn holm_counts_all_metrics_of_all_pairs() {
    // Ten users who all gain: 2 of 1,024 sign patterns.
    let methods = [method("old", &[&[2; 10]]), method("new", &[&[1; 10]]), method("twin", &[&[1; 10]])];
    let compared = compare(&methods, 0, &metrics(&["MRR@5", "NDCG@5"])).unwrap();
    assert_eq!(compared.rows().len(), 4);
    for row in compared.rows() {
        near(row.p, 2.0 / 1024.0);
        near(row.p_holm, 4.0 * 2.0 / 1024.0);
    }
    let names: Vec<(&str, &str)> =
        compared.rows().iter().map(|row| (row.a.as_str(), row.b.as_str())).collect();
    assert_eq!(names, [("new", "old"), ("new", "old"), ("twin", "old"), ("twin", "old")]);
}

#[test]
fn any_method_can_be_the_reference() {
    let methods = [method("old", &[&OLD]), method("new", &[&NEW])];
    let of = |reference| compare(&methods, reference, &metrics(&["MRR@5"])).unwrap().rows()[0].clone();
    let (forth, back) = (of(0), of(1));
    assert_eq!((forth.a.as_str(), back.a.as_str()), ("new", "old"));
    near(forth.comparison.effect.difference, -back.comparison.effect.difference);
    assert_eq!(forth.p, back.p);
}

#[test]
fn equal_seeds_are_paired_where_the_candidates_are_the_same_cells() {
    let (old, new): ([&[u32]; 2], [&[u32]; 2]) =
        ([&[1, 2, 3, 4], &[2, 3, 4, 5]], [&[1, 1, 3, 4], &[2, 2, 4, 4]]);
    let metrics = metrics(&["MRR@5"]);
    let paired = compare(&[sharing("old", &old), sharing("new", &new)], 0, &metrics).unwrap();
    assert_eq!(paired.pairs[0].pairing, SeedPairing::Shared);
    assert_eq!(paired.rows()[0].comparison.primary().method, Method::CrossedT);
    // In which order the seeds were stored is nothing to it.
    let mut turned = sharing("old", &old);
    turned.runs.reverse();
    let again = compare(&[turned, sharing("new", &new)], 0, &metrics).unwrap();
    assert_eq!(again.rows()[0].comparison.users_and_seeds, paired.rows()[0].comparison.users_and_seeds);
    let apart = compare(&[sharing("old", &old), method("new", &new)], 0, &metrics).unwrap();
    assert_eq!(apart.pairs[0].pairing, SeedPairing::Independent);
    assert_eq!(apart.pairs[0].reason, "seeds taken as independent, for they share no training");
    // One seed more on one side: nothing is thrown away, and the reader is told.
    let more =
        compare(&[sharing("old", &old), sharing("new", &[new[0], new[1], new[0]])], 0, &metrics).unwrap();
    assert_eq!(more.pairs[0].pairing, SeedPairing::Independent);
    assert!(more.pairs[0].reason.contains("2 of them share their retriever"), "{}", more.pairs[0].reason);
    assert_eq!(more.rows()[0].comparison.seeds_a, 3);
}

#[test]
fn the_document_says_what_was_done_in_every_format() {
    let mut methods = [method("old", &[&OLD]), method("new", &[&NEW])];
    methods[1].candidates = 3;
    let compared = compare(&methods, 0, &metrics(&["MRR@5", "Recall@5"])).unwrap();
    let document = compared.document(&[]).unwrap();
    let text = markdown(&document, "figures");
    for told in [
        "Means over all 4 users; 2 comparisons, corrected by Holm.",
        "new against old: seeds taken as independent, for they share no training; test: paired randomization (exact); interval: paired t; \
         one seed: users only, nothing is said about another training.",
        "retriever, seed 1, |R| 3 at 20 candidates",
        "rounded to the nearest 4th decimal",
        "|R| differs between seeds or methods",
        "The candidate lists differ in length.",
        "new: with 3 candidates a ranker's metrics at larger cutoffs are those at 3.",
        "undecided, underpowered",
    ] {
        // Markdown writes | as \|.
        assert!(text.replace("\\|", "|").replace('\\', "").contains(told), "{told}\n{text}");
    }
    let (_, table) = csv(&document).remove(0);
    let mrr: Vec<&str> = table.lines().nth(1).unwrap().split(',').collect();
    assert_eq!(mrr[..3], ["MRR@5", "0.4375", "0.6458333333333334"]);
    assert!(json(&document).contains("0.6458333333333334"));
    assert!(html(&document).contains("<!DOCTYPE html>"));
}
