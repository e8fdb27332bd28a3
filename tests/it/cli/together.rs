//! Several processes on one store.
#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use bench::run::{Claims, Owner, Taken, Turn};
use bench::seed::Seed;
use rand::RngExt;
use serde_json::Value;

use super::{Place, TINY, ranker};
use crate::support::claim_text;

/// Two experiments that share their retrievers, and a third whose retrievers are its own. Training takes long enough for processes to
/// meet.
fn sweep() -> Place {
    let tiny = TINY.replace("max_epochs = 3", "max_epochs = 20\npatience = 1000");
    let place = Place::with(&tiny);
    let other = |name: &str| tiny.replace("\"tiny\"", name);
    place.write("same.toml", &other("\"same\"").replace("cutoffs = [1, 5]", "cutoffs = [2]"));
    place.write("wide.toml", &other("\"wide\"").replace("hidden_dim = 8", "hidden_dim = 16"));
    place
}

const SWEEP: [&str; 6] = ["--threads", "1", "--no-summary", "tiny.toml", "same.toml", "wide.toml"];

/// What one process alone gives.
fn alone() -> &'static Place {
    static ALONE: OnceLock<Place> = OnceLock::new();
    ALONE.get_or_init(|| {
        let place = sweep();
        place.run(&SWEEP).succeeds();
        place
    })
}

fn start(place: &Place, arguments: &[&str]) -> Child {
    place.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// What a reader of results compares: everything but when and how fast.
fn results(place: &Place, name: &str) -> Value {
    let mut value: Value =
        serde_json::from_str(&place.read(&format!("reports/{name}/results.json"))).unwrap();
    forget_times(&mut value);
    value
}

fn forget_times(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for name in ["times", "wall_seconds", "peak_memory_bytes", "started", "finished"] {
                fields.remove(name);
            }
            // Whoever came first asked for the cell.
            fields.remove("experiments");
            fields.values_mut().for_each(forget_times);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_times),
        _ => {}
    }
}

fn count(stderr: &[String], line: &str) -> usize {
    stderr.iter().flat_map(|text| text.lines()).filter(|found| found.starts_with(line)).count()
}

/// The end of each process: its code and its standard error.
fn ends(children: Vec<Child>) -> Vec<(Option<i32>, String)> {
    let end = |child: Child| {
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    // Nobody's pipe fills up while another is read.
    let readers: Vec<_> = children.into_iter().map(|child| thread::spawn(move || end(child))).collect();
    readers.into_iter().map(|reader| reader.join().unwrap()).collect()
}

#[test]
fn several_processes_compute_each_cell_once_and_end_with_what_one_alone_gives() {
    let place = sweep();
    let ended = ends((0..3).map(|_| start(&place, &SWEEP)).collect());
    let errors: Vec<String> = ended.iter().map(|(_, stderr)| stderr.clone()).collect();
    assert!(ended.iter().all(|(code, _)| *code == Some(0)), "{}", errors.join("\n---\n"));
    // Two retrievers for `tiny` and `same`, two for `wide`.
    assert_eq!(count(&errors, "train retriever: "), 4, "{}", errors.join("\n---\n"));
    assert_eq!(place.names("runs/retrieval"), alone().names("runs/retrieval"));
    assert_eq!(place.names("reports"), ["same", "tiny", "wide"]);
    for name in ["tiny", "same", "wide"] {
        assert_eq!(results(&place, name), results(alone(), name));
    }
}

/// Both stages, with a backbone that is made first.
const RANKED: [&str; 11] = [
    "tiny.toml",
    "--threads",
    "1",
    "-S",
    "backbone.name=embedded:tiny",
    "-S",
    "pretrain.tokens=3000",
    "-S",
    "pretrain.vocabulary=400",
    "-S",
    "ranker.max_steps=2",
];

#[test]
fn a_backbone_is_made_once_for_all_processes_and_each_seed_is_ranked_once() {
    let place = ranker::place();
    let ended = ends((0..2).map(|_| start(&place, &RANKED)).collect());
    let errors: Vec<String> = ended.iter().map(|(_, stderr)| stderr.clone()).collect();
    assert!(ended.iter().all(|(code, _)| *code == Some(0)), "{}", errors.join("\n---\n"));
    assert_eq!(count(&errors, "pre-train: "), 1, "{}", errors.join("\n---\n"));
    assert_eq!(count(&errors, "rank test users: "), 2, "{}", errors.join("\n---\n"));
    for (stage, cells) in [("retrieval", 2), ("pretraining", 1), ("ranking", 2)] {
        assert_eq!(place.names(&format!("runs/{stage}")).len(), cells, "{stage}");
    }
}

#[test]
fn processes_that_are_killed_at_any_moment_change_nothing() {
    let mut rng = Seed::new(5).stream("test");
    let place = sweep();
    let mut children: Vec<Child> = (0..3).map(|_| start(&place, &SWEEP)).collect();
    for kill in 0..10 {
        thread::sleep(Duration::from_millis(rng.random_range(5..120)));
        let at = kill % children.len();
        children[at].kill().unwrap();
        children[at].wait().unwrap();
        children[at] = start(&place, &SWEEP);
    }
    let ended = ends(children);
    assert!(ended.iter().all(|(code, _)| *code == Some(0)), "{ended:?}");
    for name in ["tiny", "same", "wide"] {
        assert_eq!(results(&place, name), results(alone(), name));
    }
    let cells = |place: &Place| -> Vec<String> {
        // What a process was writing when it was killed begins with a point.
        place.names("runs/retrieval").into_iter().filter(|name| !name.starts_with('.')).collect()
    };
    assert_eq!(cells(&place), cells(alone()));
}

#[test]
fn what_a_killed_process_left_is_taken_over_at_once() {
    let place = sweep();
    let mut child = start(&place, &["--threads", "1", "tiny.toml"]);
    let id = child.id();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line == "tiny, seed 1 (1 of 2)"));
    child.kill().unwrap();
    child.wait().unwrap();
    let left = place.names("runs/retrieval");
    assert_eq!(left.iter().filter(|name| name.ends_with(".claim")).count(), 1, "{left:?}");
    let ran = place.run(&["tiny.toml"]).succeeds();
    let took = format!("tiny, seed 1 (1 of 2): process {id} on ");
    let line = ran.stderr.lines().find(|line| line.starts_with(&took)).expect(&ran.stderr);
    assert!(line.ends_with(", is gone; taken over"), "{line}");
    assert!(!ran.stderr.contains("waiting: "), "{}", ran.stderr);
    assert!(!place.names("runs/retrieval").iter().any(|name| name.contains(".claim")));
}

#[test]
fn what_a_process_left_that_was_killed_once_all_was_stored_is_cleared_away() {
    let place = Place::tiny();
    place.run(&["tiny.toml"]).succeeds();
    let cells = place.names("runs/retrieval");
    let owner = Owner { process_start: Some(1), ..Owner::here() };
    place.write(
        &format!("runs/retrieval/{}.claim", cells[0]),
        &claim_text(&owner, &"a".repeat(32), 60_000, 0),
    );
    let ran = place.run(&["tiny.toml"]).succeeds();
    assert_eq!(ran.stderr.matches("stored already as ").count(), 2, "{}", ran.stderr);
    assert!(!ran.stderr.contains("taken over"), "{}", ran.stderr);
    assert_eq!(place.names("runs/retrieval"), cells);
}

/// A store in which seed 1 is claimed and not stored; its key.
fn claimed() -> (Place, String) {
    let place = Place::tiny();
    place.run(&["tiny.toml", "-S", "seeds=[1]"]).succeeds();
    let key = place.names("runs/retrieval").remove(0);
    for folder in [&format!("runs/retrieval/{key}"), "reports"] {
        std::fs::remove_dir_all(place.path(folder)).unwrap();
    }
    (place, key)
}

fn claim(place: &Place, key: &str) -> Taken {
    match Claims::default().take(&place.path(&format!("runs/retrieval/{key}.claim"))).unwrap() {
        Turn::Ours(taken) => taken,
        Turn::Theirs(holder) => panic!("{holder}"),
    }
}

#[test]
fn what_another_process_computes_is_put_off_and_done_here_if_it_is_given_back() {
    let (place, key) = claimed();
    let taken = claim(&place, &key);
    let mut child = start(&place, &["tiny.toml"]);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut told = Vec::new();
    for line in lines.by_ref() {
        told.push(line);
        if told.last().unwrap().starts_with("waiting: ") {
            break;
        }
    }
    let put_off =
        format!("tiny, seed 1 (1 of 2): put off, for it is with process {} on ", std::process::id());
    assert!(told[1].starts_with(&put_off), "{told:?}");
    assert_eq!(told[2], "tiny, seed 2 (2 of 2)", "the other seed goes on");
    assert_eq!(
        told.last().unwrap(),
        "waiting: 1 seed is with other processes, and nothing else is to be done here"
    );
    drop(taken);
    let rest: Vec<String> = lines.collect();
    assert_eq!(rest[0], "tiny, seed 1 (1 of 2)");
    assert_eq!(child.wait().unwrap().code(), Some(0), "{rest:?}");
    let results: Value = serde_json::from_str(&place.read("reports/tiny/results.json")).unwrap();
    let seeds: Vec<u64> = (0..2).map(|at| results["seeds"][at]["seed"].as_u64().unwrap()).collect();
    assert_eq!(seeds, [1, 2], "in their order");
}

#[test]
fn ctrl_c_ends_the_wait_at_once_and_the_report_says_what_is_missing() {
    let (place, key) = claimed();
    let _taken = claim(&place, &key);
    let mut child = start(&place, &["tiny.toml"]);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.starts_with("waiting: ")));
    // The longest pause between two looks is two seconds.
    thread::sleep(Duration::from_millis(700));
    let asked = Instant::now();
    let sent = Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status().unwrap();
    assert!(sent.success());
    let rest: Vec<String> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest:?}");
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    assert!(
        rest.last().unwrap().starts_with("error: interrupted: 1 finished seed is kept in runs"),
        "{rest:?}"
    );
    let report = place.read("reports/tiny/report.md");
    assert!(report.contains("Incomplete: 1 of 2 seeds are finished; missing: 1."), "{report}");
    // It is still ours.
    assert!(place.path(&format!("runs/retrieval/{key}.claim")).is_file());
}

#[test]
fn a_ranking_that_another_process_computes_is_waited_for_without_reading_its_candidates_again() {
    let place = ranker::place();
    let one = ["tiny.toml", "-S", "seeds=[1]"];
    place.run(&one).succeeds();
    let key = place.names("runs/ranking").remove(0);
    std::fs::rename(place.path(&format!("runs/ranking/{key}")), place.path("ranking")).unwrap();
    let path = place.path(&format!("runs/ranking/{key}.claim"));
    let Turn::Ours(taken) = Claims::default().take(&path).unwrap() else { panic!("taken") };
    let mut child = start(&place, &one);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let told: Vec<String> = lines.by_ref().take(4).collect();
    assert!(told[1].starts_with("ranked, seed 1: stored already as "), "{told:?}");
    assert!(told[2].starts_with("ranked, seed 1: put off, for it is with process "), "{told:?}");
    assert!(told[3].starts_with("waiting: "), "{told:?}");
    thread::sleep(Duration::from_millis(500));
    // As the other process does at its end.
    std::fs::rename(place.path("ranking"), place.path(&format!("runs/ranking/{key}"))).unwrap();
    drop(taken);
    let rest: Vec<String> = lines.collect();
    assert_eq!(rest, [format!("ranked, seed 1, ranking: stored already as {key}")]);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_run_that_stops_early_leaves_to_others_what_they_compute() {
    let (place, key) = claimed();
    let _taken = claim(&place, &key);
    let wide = TINY.replace("\"tiny\"", "\"wide\"").replace("hidden_dim = 8", "hidden_dim = 16");
    place.write("wide.toml", &wide);
    place.run(&["wide.toml", "-S", "seeds=[1]"]).succeeds();
    let broken = place.names("runs/retrieval").into_iter().find(|name| !name.contains('.')).unwrap();
    place.write(&format!("runs/retrieval/{broken}/manifest.json"), "{\"version\": 99}");
    let ran = place.run(&["--fail-fast", "tiny.toml", "wide.toml"]);
    assert_eq!((ran.code, ran.errors().len()), (Some(100), 1), "{}", ran.stderr);
    let left = "  tiny: seed 1 is left to other processes, because the run stopped before";
    assert!(ran.stdout.lines().any(|line| line == left), "{}", ran.stdout);
}

/// A claim of a process on another machine that says nothing more.
fn silent(place: &Place, key: &str) -> Owner {
    let other = || Some("another".to_owned());
    let owner = Owner { host: "node7".to_owned(), machine: other(), boot: other(), ..Owner::here() };
    place.write(&format!("runs/retrieval/{key}.claim"), &claim_text(&owner, &"0".repeat(32), 1000, 3));
    owner
}

#[test]
fn what_a_silent_process_of_another_machine_left_behind_is_taken_over() {
    let (place, key) = claimed();
    let owner = silent(&place, &key);
    let ran = place.run(&["tiny.toml"]).succeeds();
    let expected = [
        format!("tiny, seed 1 (1 of 2): put off, for it is with {owner}"),
        format!("tiny, seed 1 (1 of 2): {owner}, is gone; taken over"),
    ];
    for line in expected {
        assert_eq!(ran.stderr.lines().filter(|found| *found == line).count(), 1, "{line}\n{}", ran.stderr);
    }
    let whole = |name: &String| !name.contains('.');
    assert_eq!(place.names("runs/retrieval").iter().filter(|name| whole(name)).count(), 2);
    assert_eq!(place.names("runs/retrieval").len(), 2, "nothing is left of the claims");
}

#[test]
fn lists_and_plans_say_who_is_at_work_and_what_was_left_behind() {
    let (place, key) = claimed();
    let taken = claim(&place, &key);
    let me = Owner::here();
    let listed = place.run(&["ls"]).succeeds().stdout;
    let at_work = format!("retrieval/{key} is being computed by process {} on {}, since ", me.pid, me.host);
    assert!(listed.contains(&at_work), "{listed}");
    let planned = place.run(&["plan", "tiny.toml"]).succeeds().stdout;
    assert!(planned.contains("being computed, see below"), "{planned}");
    let with = format!("tiny, seed 1: with process {} on {}, since ", me.pid, me.host);
    assert!(planned.contains(&with), "{planned}");
    assert!(
        planned.contains("1 to run, 0 stored, 0 waiting, 1 being computed by other processes"),
        "{planned}"
    );
    drop(taken);
    let owner = silent(&place, &key);
    let listed = place.run(&["ls"]).succeeds().stdout;
    assert!(listed.contains(&format!("retrieval/{key} is claimed by {owner}")), "{listed}");
    let gone = Owner { process_start: Some(1), ..Owner::here() };
    place.write(&format!("runs/retrieval/{key}.claim"), &claim_text(&gone, &"0".repeat(32), 1000, 3));
    let listed = place.run(&["ls"]).succeeds().stdout;
    let left = format!("retrieval/{key} was left behind by {gone}; the next run that needs it takes it over");
    assert!(listed.contains(&left), "{listed}");
    let planned = place.run(&["plan", "tiny.toml"]).succeeds().stdout;
    assert!(planned.contains("2 to run, 0 stored, 0 waiting;"), "{planned}");
}

#[test]
fn a_failed_seed_is_told_with_its_cause_and_the_others_go_on_if_asked_to() {
    let newer = "format version 99, this program knows up to ";
    for (arguments, stored) in [(&["--keep-going", "tiny.toml"][..], 2), (&["tiny.toml"][..], 1)] {
        let (place, key) = claimed();
        place.write(&format!("runs/retrieval/{key}/manifest.json"), "{\"version\": 99}");
        let ran = place.run(arguments);
        assert_eq!((ran.code, ran.errors().len()), (Some(100), 1), "{}", ran.stderr);
        assert!(ran.errors()[0].starts_with("error: tiny, seed 1: read "), "{}", ran.stderr);
        assert!(ran.errors()[0].contains(newer), "{}", ran.stderr);
        assert_eq!(place.names("runs/retrieval").len(), stored, "{}", ran.stderr);
        assert_eq!(place.path("reports/tiny").exists(), stored == 2);
    }
    // Several experiments go on by themselves.
    let (place, key) = claimed();
    place.write(&format!("runs/retrieval/{key}/manifest.json"), "{\"version\": 99}");
    place.write(
        "wide.toml",
        &TINY.replace("\"tiny\"", "\"wide\"").replace("hidden_dim = 8", "hidden_dim = 16"),
    );
    let ran = place.run(&["tiny.toml", "wide.toml"]);
    assert_eq!((ran.code, ran.errors().len()), (Some(100), 1), "{}", ran.stderr);
    assert_eq!(place.names("runs/retrieval").len(), 4);
    assert_eq!(place.names("reports"), ["summary", "tiny", "wide"]);
}
