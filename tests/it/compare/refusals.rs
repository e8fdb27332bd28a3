//! What cannot be compared, and what the reader is told.

use bench::compare::{Compared, compare};

use super::{method, metrics};

#[track_caller]
fn refuses(methods: &[bench::compare::Method], message: &str) {
    let error = compare(methods, 0, &metrics(&["MRR@5"])).expect_err("they cannot be compared");
    assert_eq!(error.to_string(), message);
}

#[test]
fn other_splits_are_not_paired_and_what_differs_is_said() {
    let (one, mut other) = (method("one", &[&[1, 2]]), method("other", &[&[1, 2]]));
    other.split.fingerprint = "0123456789abcdef".to_owned();
    refuses(
        &[one.clone(), other.clone()],
        "cannot pair one with other: their splits differ (fingerprints f0f0f0f0f0f0 and 0123456789ab), so a user of one is not the user \
         of the other; what is stored about them does not tell why; run both on the same files with the same dataset settings",
    );
    other.split.facts[0].1 = "5".to_owned();
    other.split.facts.push(("dataset.tie_rule".to_owned(), "\"file-order\"".to_owned()));
    refuses(
        &[one, other],
        "cannot pair one with other: their splits differ (fingerprints f0f0f0f0f0f0 and 0123456789ab), so a user of one is not the user \
         of the other; what differs: users: 4 and 5; run both on the same files with the same dataset settings",
    );
}

#[test]
fn other_numbers_of_users_are_not_paired() {
    refuses(
        &[method("one", &[&[1, 2]]), method("other", &[&[1, 2], &[1, 2, 3]])],
        "cannot pair one with other: seed 1 of the first has ranks of 2 users, seed 2 of the second of 3; a paired test needs the same \
         users; was one of them made by another version, or edited?",
    );
}

#[test]
fn two_methods_with_runs_and_names_are_needed() {
    refuses(&[method("one", &[&[1]])], "1 method to compare; expected two or more");
    refuses(
        &[method("one", &[&[1]]), method("one", &[&[1]])],
        "two methods have the name \"one\"; expected a name for each",
    );
    refuses(
        &[method("one", &[&[1]]), method("other", &[])],
        "other: no stored run; `bench run FILE` makes it",
    );
    let methods = [method("one", &[&[1]]), method("other", &[&[1]])];
    let error = Compared::index(&methods, "another").unwrap_err();
    assert_eq!(error.to_string(), "no method has the name \"another\"; expected one of one, other");
}
