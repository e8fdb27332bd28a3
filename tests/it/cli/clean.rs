//! What of a store can go.

use std::fs;
use std::time::{Duration, SystemTime};

use super::{Place, TINY, ranker};
use crate::support::claim_text;

/// Let a file or an empty folder look as if nobody had touched it for two hours.
fn age(place: &Place, name: &str) {
    let file = fs::File::open(place.path(name)).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(7200)).unwrap();
}

#[test]
fn without_files_only_what_nothing_can_use_goes_and_only_when_asked_for() {
    let place = Place::tiny();
    place.run(&["tiny.toml"]).succeeds();
    let nothing = place.run(&["clean"]).succeeds().stdout;
    assert!(
        nothing.starts_with("nothing to remove; 2 cells of ") && nothing.ends_with(" stay\n"),
        "{nothing}"
    );
    let cells = place.names("runs/retrieval");
    // One that was set aside, one that would be, a temporary folder of a run that was killed, and a checkpoint that is done.
    fs::create_dir(place.path(&format!("runs/retrieval/{}.damaged-1", cells[0]))).unwrap();
    place.write(&format!("runs/retrieval/{}.damaged-1/curve.json", cells[0]), "[]");
    fs::create_dir(place.path("runs/retrieval/00000000000000aa")).unwrap();
    place.write("runs/retrieval/00000000000000aa/weights.safetensors", "half");
    let temporary = "runs/retrieval/.00000000000000bb.x.tmp";
    fs::create_dir(place.path(temporary)).unwrap();
    age(&place, temporary);
    let checkpoint = format!("runs/retrieval/{}.checkpoint", cells[1]);
    place.write(&checkpoint, "1234567");
    // What is not ours stays, whatever it is.
    place.write("runs/retrieval/notes.txt", "mine");
    place.write("runs/other/00000000000000aa/x", "mine");
    let shown = place.run(&["clean"]).succeeds().stdout;
    for (name, why, size) in [
        (format!("{}.damaged-1", cells[0]), "damaged, set aside", "2 B"),
        ("00000000000000aa".to_owned(), "damaged", "4 B"),
        (".00000000000000bb.x.tmp".to_owned(), "left over by a run that was killed", "0 B"),
        (format!("{}.checkpoint", cells[1]), "its cell is complete", "7 B"),
    ] {
        let row =
            shown.lines().find(|line| line.contains(&name)).unwrap_or_else(|| panic!("{name}: {shown}"));
        assert!(row.contains(why) && row.trim_end().ends_with(size), "{row}");
    }
    assert!(shown.ends_with("nothing was removed; the same with --yes removes 13 B\n"), "{shown}");
    assert!(place.path(&checkpoint).exists());
    let done = place.run(&["clean", "--yes"]).succeeds().stdout;
    assert!(done.ends_with("removed 4 entries, 13 B\n"), "{done}");
    let mut left = cells.clone();
    left.push("notes.txt".to_owned());
    assert_eq!(place.names("runs/retrieval"), left);
    assert_eq!(place.names("runs/other"), ["00000000000000aa"]);
    assert_eq!(place.run(&["tiny.toml"]).succeeds().stderr.matches("stored already as ").count(), 2);
}

#[test]
fn with_files_what_none_of_them_needs_goes() {
    let place = Place::tiny();
    place.run(&["tiny.toml"]).succeeds();
    let needed = place.names("runs/retrieval");
    place.run(&["tiny.toml", "-S", "retriever.dropout=0.2"]).succeeds();
    assert_eq!(place.names("runs/retrieval").len(), 4);
    assert!(place.run(&["clean"]).succeeds().stdout.starts_with("nothing to remove; 4 cells"));
    let done = place.run(&["clean", "tiny.toml", "--yes"]).succeeds().stdout;
    assert!(done.contains("\n2 not needed by the experiments named: "), "{done}");
    assert!(done.contains("\n2 cells of "), "{done}");
    assert_eq!(place.names("runs/retrieval"), needed);
    // A renamed experiment needs the same.
    place.write("other.toml", &TINY.replace("\"tiny\"", "\"other\""));
    assert!(place.run(&["clean", "other.toml"]).succeeds().stdout.starts_with("nothing to remove; 2 cells"));
}

#[test]
fn what_is_being_computed_is_never_touched() {
    let place = Place::tiny();
    fs::create_dir_all(place.path("runs/retrieval")).unwrap();
    let key = "00000000000000cc";
    let (claim, checkpoint) =
        (format!("runs/retrieval/{key}.claim"), format!("runs/retrieval/{key}.checkpoint"));
    let temporary = format!("runs/retrieval/.{key}.x.tmp");
    place.write(&claim, "{\"beat\": 3}");
    place.write(&checkpoint, "half");
    fs::create_dir(place.path(&temporary)).unwrap();
    age(&place, &temporary);
    age(&place, &checkpoint);
    let all = place.names("runs/retrieval");
    for arguments in [&["clean", "--yes"][..], &["clean", "tiny.toml", "--yes"]] {
        let ran = place.run(arguments).succeeds();
        assert_eq!(
            ran.stdout.matches("in work, or was less than an hour ago; it stays").count(),
            3,
            "{}",
            ran.stdout
        );
        assert_eq!(place.names("runs/retrieval"), all);
    }
    // Its owner is dead: the checkpoint is what the next run goes on from, unless no experiment asks for it.
    age(&place, &claim);
    place.run(&["clean", "--yes"]).succeeds();
    assert_eq!(place.names("runs/retrieval"), [format!("{key}.checkpoint"), format!("{key}.claim")]);
    place.run(&["clean", "tiny.toml", "--yes"]).succeeds();
    assert_eq!(place.names("runs/retrieval"), [""; 0]);
}

#[test]
fn while_somebody_computes_in_the_store_what_no_experiment_needs_stays() {
    let place = Place::tiny();
    place.run(&["tiny.toml"]).succeeds();
    place.write("other.toml", &TINY.replace("hidden_dim = 8", "hidden_dim = 16"));
    // Of any cell, also one of another stage that is computed from these.
    let claim = "runs/ranking/00000000000000cc.claim";
    place.write(claim, &claim_of_another("a"));
    let cells = place.names("runs/retrieval");
    fs::create_dir(place.path(&format!("runs/retrieval/{}.damaged-1", cells[0]))).unwrap();
    let ran = place.run(&["clean", "other.toml", "--yes"]).succeeds();
    let told = "2 entries of ";
    assert!(
        ran.stdout.contains(told) && ran.stdout.contains("somebody is computing in this store"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("removed 1 entry, "), "{}", ran.stdout);
    assert_eq!(place.names("runs/retrieval"), cells);
    age(&place, claim);
    let ran = place.run(&["clean", "other.toml", "--yes"]).succeeds();
    assert!(ran.stdout.contains("removed 3 entries, "), "{}", ran.stdout);
    assert_eq!(place.names("runs/retrieval"), [""; 0]);
}

#[test]
fn what_cannot_be_told_stays() {
    let place = ranker::place();
    place.run(&["tiny.toml", "-S", "seeds=[1]"]).succeeds();
    place.run(&["tiny.toml", "-S", "seeds=[1]", "-S", "ranker.history_items=2"]).succeeds();
    fs::rename(place.path("model"), place.path("away")).unwrap();
    let ran = place.run(&["clean", "tiny.toml"]).succeeds();
    assert!(
        ran.stdout
            .starts_with("ranked: its backbone is not here, so every ranking of its candidates stays\n"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("nothing to remove; 3 cells"), "{}", ran.stdout);
    fs::rename(place.path("away"), place.path("model")).unwrap();
    let ran = place.run(&["clean", "tiny.toml", "--yes"]).succeeds();
    assert!(ran.stdout.contains("1 not needed by the experiments named"), "{}", ran.stdout);
    assert_eq!((place.names("runs/retrieval").len(), place.names("runs/ranking").len()), (1, 1));
}

#[test]
fn data_that_are_not_here_keep_what_was_computed_from_them() {
    let text = TINY.replace(
        "name = \"synthetic\"\nusers = 150\nitems = 60",
        "name = \"csv\"\nratings_file = \"ratings.csv\"\nmin_user_interactions = 3\nmin_item_interactions = 1",
    );
    let place = Place::with(&text);
    let rows: String = (0..120).map(|row| format!("u{},i{},{row}\n", row % 20, row % 11)).collect();
    place.write("data/ratings.csv", &format!("user,item,timestamp\n{rows}"));
    place.write("drawn.toml", &TINY.replace("\"tiny\"", "\"drawn\""));
    place.run(&["tiny.toml", "drawn.toml", "--no-summary"]).succeeds();
    assert_eq!(place.names("runs/retrieval").len(), 4);
    let ran = place.run(&["clean", "tiny.toml", "--data-dir", "nowhere", "--yes"]).succeeds();
    assert!(
        ran.stdout.starts_with(
            "tiny: its data are not here, so every cell with its settings of the dataset stays\n"
        ),
        "{}",
        ran.stdout
    );
    assert_eq!(place.names("runs/retrieval").len(), 2);
    place.run(&["report", "tiny.toml"]).succeeds();
}

#[test]
fn cells_of_an_earlier_version_of_their_stage_and_imported_runs_go_only_if_asked_for() {
    let place = Place::tiny();
    place.run(&["tiny.toml", "-S", "seeds=[1]"]).succeeds();
    let cell = place.names("runs/retrieval").remove(0);
    let manifest = format!("runs/retrieval/{cell}/manifest.json");
    let old = place.read(&manifest).replace("\"stage_version\": 1", "\"stage_version\": 0");
    let sealed = bench::run::reseal(old.as_bytes(), &std::collections::BTreeMap::new(), &[]).unwrap();
    fs::write(place.path(&manifest), sealed).unwrap();
    fs::create_dir_all(place.path("runs/imported/00000000000000dd.damaged-1")).unwrap();
    let ran = place.run(&["clean", "--yes"]).succeeds();
    let told = " of an older version of their stage, which only the bench that made them can use; --older counts them too\n";
    assert!(ran.stdout.starts_with("1 cell of ") && ran.stdout.contains(told), "{}", ran.stdout);
    assert_eq!(place.names("runs/retrieval").len(), 1);
    let ran = place.run(&["clean", "--older"]).succeeds();
    assert!(ran.stdout.contains("version 0 of its stage; this bench has 1"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("imported"), "{}", ran.stdout);
    let ran = place.run(&["clean", "--older", "--imported", "--yes"]).succeeds();
    assert!(ran.stdout.contains("removed 2 entries"), "{}", ran.stdout);
    assert_eq!(place.names("runs/imported"), [""; 0]);
    assert_eq!(place.names("runs/retrieval"), [""; 0]);
}

/// A claim of a process on another machine, `token` 32 times.
fn claim_of_another(token: &str) -> String {
    let other = || Some("another".to_owned());
    let owner = bench::run::Owner { machine: other(), boot: other(), ..bench::run::Owner::here() };
    claim_text(&owner, &token.repeat(32), 60_000, 3)
}

#[test]
fn work_that_was_taken_over_is_in_work_though_the_first_claim_is_old() {
    let place = Place::tiny();
    let key = "00000000000000ce";
    let first = format!("runs/retrieval/{key}.claim");
    let (second, checkpoint) =
        (format!("{first}.{}", "a".repeat(32)), format!("runs/retrieval/{key}.checkpoint"));
    place.write(&first, &claim_of_another("a"));
    place.write(&second, &claim_of_another("b"));
    place.write(&checkpoint, "half");
    for name in [&first, &checkpoint] {
        age(&place, name);
    }
    let all = place.names("runs/retrieval");
    let ran = place.run(&["clean", "tiny.toml", "--yes"]).succeeds();
    assert_eq!(ran.stdout.matches("in work, or was less than an hour ago").count(), 3, "{}", ran.stdout);
    assert_eq!(place.names("runs/retrieval"), all);
    // A process of this machine is seen, however long it has been silent.
    place.write(&second, &claim_text(&bench::run::Owner::here(), &"b".repeat(32), 60_000, 3));
    age(&place, &second);
    place.run(&["clean", "tiny.toml", "--yes"]).succeeds();
    assert_eq!(place.names("runs/retrieval"), all);
    // Nobody is there any more, and no experiment asks for it.
    place.write(&second, &claim_of_another("b"));
    age(&place, &second);
    place.run(&["clean", "tiny.toml", "--yes"]).succeeds();
    assert_eq!(place.names("runs/retrieval"), [""; 0]);
}

#[test]
fn checkpoints_that_were_set_aside_and_claims_that_lead_nowhere_go() {
    let place = Place::tiny();
    let aside = "runs/retrieval/00000000000000ce.train.damaged-1";
    let link = format!("runs/retrieval/00000000000000cf.claim.{}", "a".repeat(32));
    place.write(aside, "half");
    place.write(&link, &claim_of_another("b"));
    // What is not ours stays.
    place.write("runs/retrieval/00000000000000cf.claim.txt", "mine");
    let ran = place.run(&["clean", "--yes"]).succeeds();
    assert!(ran.stdout.contains("1 damaged, set aside: 4 B"), "{}", ran.stdout);
    assert!(ran.stdout.contains("1 left over by a run that was killed: "), "{}", ran.stdout);
    assert_eq!(place.names("runs/retrieval"), ["00000000000000cf.claim.txt"]);
}
