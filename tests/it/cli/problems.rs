//! Bad input: what is wrong, where, and what to do; nothing is written.

use super::{Place, TINY};

#[track_caller]
fn complaint(text: &str, error: &str) {
    let place = Place::with(text);
    place.run(&["tiny.toml"]).fails(96, &[error]);
    assert_eq!(place.names("."), ["tiny.toml"]);
}

#[test]
fn every_problem_of_every_file_is_reported_at_once() {
    let place = Place::with(
        "name = \"tiny\"\nseeds = [1, 1]\nsedes = 3\n[dataset]\nname = \"beaty\"\n[retriever]\nkind = \"lru\"\nhiden_dim = 8\n\
         dropout = 1.5\n",
    );
    place.write("other.toml", "name = \"other\"\ninherits = \"base.toml\"\n");
    place.write("good.toml", &TINY.replace("tiny", "good"));
    let expected = [
        "error: tiny.toml:2: seeds repeats 1; each seed is one run, so all must differ",
        "error: tiny.toml:3: sedes is not a setting; did you mean seeds?",
        "error: tiny.toml:5: dataset.name is \"beaty\"; expected \"ml-100k\", \"beauty\", \"games\", \"synthetic\", \"csv\" or \
         \"recbole\"; did you mean \"beauty\"?",
        "error: tiny.toml:8: retriever.hiden_dim is not a setting; did you mean hidden_dim?",
        "error: tiny.toml:9: retriever.dropout is 1.5; expected a number from 0 to below 1",
        "error: other.toml:2: inherits \"base.toml\", which does not exist (it would be base.toml)",
    ];
    for command in ["validate", "run", "plan", "report"] {
        place.run(&[command, "tiny.toml", "other.toml", "good.toml"]).fails(96, &expected);
    }
    assert_eq!(place.names("."), ["good.toml", "other.toml", "tiny.toml"]);
}

#[test]
fn a_mistake_on_the_command_line_is_told_once_for_all_files() {
    let place = Place::tiny();
    place.write("other.toml", &TINY.replace("tiny", "other"));
    place.run(&["tiny.toml", "other.toml", "-S", "retriever.hiden_dim=8"]).fails(
        96,
        &["error: -S retriever.hiden_dim=8: retriever.hiden_dim is not a setting; did you mean retriever.hidden_dim?"],
    );
    let output = place.command(&["tiny.toml"]).env("BENCH_RETRIEVER__DROPOUT", "2").output().unwrap();
    super::Ran::from(output).fails(
        96,
        &["error: BENCH_RETRIEVER__DROPOUT: retriever.dropout is 2; expected a number from 0 to below 1"],
    );
}

#[test]
fn seeds_that_are_empty_or_repeat_and_a_learning_rate_that_is_no_number_are_refused() {
    complaint(
        &TINY.replace("seeds = [1, 2]", "seeds = []"),
        "error: tiny.toml:2: seeds is empty; expected a list of different integers from 0 to 9223372036854775807; for example \
         seeds = [42]",
    );
    complaint(
        &TINY.replace("seeds = [1, 2]", "seeds = [1, 2, 1]"),
        "error: tiny.toml:2: seeds repeats 1; each seed is one run, so all must differ",
    );
    complaint(
        &TINY.replace("max_epochs", "learning_rate = nan\nmax_epochs"),
        "error: tiny.toml:16: retriever.learning_rate is nan; expected a finite number above 0 and at most 10",
    );
}

#[test]
fn two_experiments_of_one_name_are_refused() {
    let place = Place::tiny();
    place.write("copy.toml", TINY);
    place.run(&["tiny.toml", "copy.toml"]).fails(
        96,
        &["error: copy.toml: the name \"tiny\" is that of tiny.toml too, and both would write the same report; rename one of \
           them"],
    );
    place.run(&["validate", "tiny.toml", "./tiny.toml"]).succeeds();
}

#[test]
fn more_candidates_than_items_is_told_before_training() {
    let place = Place::with(&TINY.replace("candidates = 8", "candidates = 90"));
    let ran = place.run(&["tiny.toml"]);
    assert!(!ran.stderr.contains("train"), "{}", ran.stderr);
    let errors: Vec<&str> = ran.errors();
    assert_eq!(errors.len(), 1, "{}", ran.stderr);
    let (before, after) =
        ("error: tiny: evaluation.candidates = 90, but the catalogue has only ", " items; ask for at most ");
    let items = errors[0].strip_prefix(before).and_then(|rest| rest.split_once(after)).expect(errors[0]);
    assert_eq!(items.0, items.1);
    assert_eq!(ran.code, Some(96));
    assert_eq!(place.names("reports"), [""; 0]);
}

/// Ratings of users who met these numbers of items.
fn ratings(lengths: &[usize]) -> String {
    let mut text = String::from("user,item,timestamp\n");
    for (user, length) in lengths.iter().enumerate() {
        for item in 0..*length {
            text.push_str(&format!("u{user},i{item},{item}\n"));
        }
    }
    text
}

const CSV: &str = "name = \"csv\"\nratings_file = \"ratings.csv\"";

fn csv(lengths: &[usize], dataset: &str) -> Place {
    let place = Place::with(&TINY.replace("name = \"synthetic\"\nusers = 150\nitems = 60", dataset));
    place.write("data/ratings.csv", &ratings(lengths));
    place
}

#[test]
fn a_dataset_that_the_core_empties_fails_before_the_hours_of_work() {
    let place = csv(&[4, 4, 4], CSV);
    place.run(&["tiny.toml"]).fails(
        96,
        &["error: tiny: ratings: none of 12 interactions is left when users with fewer than 5 and items with fewer than 5 are \
           dropped; lower dataset.min_user_interactions or dataset.min_item_interactions"],
    );
}

#[test]
fn a_user_with_two_items_is_named() {
    let dataset = format!("{CSV}\nmin_user_interactions = 1\nmin_item_interactions = 1");
    csv(&[6, 2, 6], &dataset).run(&["tiny.toml"]).fails(
        96,
        &["error: tiny: ratings: user \"u1\" has 2 interactions, leave-one-out needs at least 3 (training, validation, test); \
           set dataset.min_user_interactions to 3 or more"],
    );
}

#[test]
fn a_broken_dataset_leaves_the_other_experiments_running_unless_told_otherwise() {
    let place = csv(&[4, 4, 4], CSV);
    place.write("good.toml", &TINY.replace("tiny", "good"));
    let ran = place.run(&["--fail-fast", "tiny.toml", "good.toml"]);
    assert_eq!((ran.code, ran.errors().len()), (Some(96), 1));
    assert!(ran.stdout.contains("good: not started, because the run stopped before"), "{}", ran.stdout);
    assert_eq!(place.names("reports"), [""; 0]);
    let ran = place.run(&["tiny.toml", "good.toml"]);
    assert_eq!((ran.code, ran.errors().len()), (Some(96), 1));
    assert_eq!(place.names("reports"), ["good", "summary"]);
}

#[test]
fn a_missing_file_is_named_with_what_is_near_it() {
    let place = Place::tiny();
    place.run(&["tinny.toml"]).fails(96, &["error: tinny.toml: does not exist; did you mean tiny.toml?"]);
}

#[test]
fn a_loss_that_explodes_fails_the_run_and_keeps_the_seeds_before_it() {
    let place = Place::tiny();
    place.run(&["tiny.toml", "-S", "seeds=[1]"]).succeeds();
    let ran = place.run(&[
        "tiny.toml",
        "-S",
        "retriever.learning_rate=10",
        "-S",
        "retriever.max_grad_norm=1000000",
    ]);
    // Whether the loss leaves the numbers within so few steps is up to the model; if it does, that is a failed run.
    match ran.code {
        Some(0) => {}
        code => {
            assert_eq!(code, Some(100), "{}", ran.stderr);
            assert!(ran.errors()[0].contains("lower retriever.learning_rate"), "{}", ran.stderr);
        }
    }
}
