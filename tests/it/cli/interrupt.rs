//! Ctrl-C.
#![cfg(unix)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::{Place, TINY};

fn signal(child: &Child, name: &str) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", child.id())]).status().unwrap();
    assert!(sent.success());
}

/// Each seed takes a second or more, so that there is time to interrupt the second one.
fn slow() -> Place {
    let text = TINY.replace("max_epochs = 3", "max_epochs = 400\npatience = 100000");
    Place::with(&text.replace("hidden_dim = 8\nstate_dim = 8", "hidden_dim = 64\nstate_dim = 64"))
}

#[test]
fn ctrl_c_keeps_the_finished_seeds_and_the_next_run_goes_on_from_there() {
    for name in ["INT", "TERM"] {
        let place = slow();
        let mut child =
            place.command(&["tiny.toml"]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        assert!(lines.any(|line| line == "tiny, seed 2 (2 of 2)"), "the second seed begins");
        signal(&child, name);
        let rest: Vec<String> = lines.collect();
        assert_eq!(child.wait().unwrap().code(), Some(130), "{rest:?}");
        let told = ["stopping at the next safe point; once more to stop at once"];
        assert_eq!(rest[..1], told);
        let kept = "error: interrupted: 1 finished seed is kept in runs, and the state of the work that was stopped; run the same command again to go \
                    on from there";
        assert_eq!(rest.last().unwrap(), kept);
        let in_work = |name: &String| name.ends_with(".checkpoint");
        let cells = place.names("runs/retrieval");
        assert_eq!((cells.len(), cells.iter().filter(|name| in_work(name)).count()), (2, 1));
        let report = place.read("reports/tiny/report.md");
        assert!(report.contains("Incomplete: 1 of 2 seeds are finished; missing: 2."), "{report}");
        if name == "INT" {
            let ran = place.run(&["tiny.toml"]).succeeds();
            let stored = ran.stderr.lines().filter(|line| line.contains("stored already as ")).count();
            assert_eq!(stored, 1, "{}", ran.stderr);
            assert!(ran.stderr.contains("training goes on after step "), "{}", ran.stderr);
            assert_eq!(place.names("runs/retrieval").len(), 2);
        }
    }
}

#[test]
fn an_interrupt_in_the_first_seed_leaves_its_state_and_no_report() {
    let place = slow();
    let mut child =
        place.command(&["tiny.toml"]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line == "tiny, seed 1 (1 of 2)"));
    signal(&child, "INT");
    let rest: Vec<String> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest:?}");
    let left = place.names("runs/retrieval");
    assert!(left.len() == 1 && left[0].ends_with(".checkpoint"), "{left:?}");
    assert_eq!(place.names("reports"), [""; 0]);
}
