//! What is wrong with a machine, and what to do.

use super::{Place, Ran};

/// The state and the value of a line.
fn line<'a>(ran: &'a Ran, what: &str) -> Vec<(&'a str, &'a str)> {
    let parts = |line: &'a str| {
        let (state, rest) = line.split_once(' ')?;
        let rest = rest.trim_start();
        let value = rest.strip_prefix(what)?;
        value.starts_with(' ').then(|| (state, value.trim()))
    };
    ran.stdout.lines().filter_map(parts).collect()
}

#[test]
fn doctor_tells_facts_and_what_to_do_without_asking_anybody() {
    let place = Place::new();
    let ran = place.run(&["doctor", "--threads", "1"]).succeeds();
    assert_eq!(line(&ran, "bench"), [("ok", env!("CARGO_PKG_VERSION"))]);
    assert_eq!(line(&ran, "threads"), [("ok", "1")]);
    let [(state, value)] = line(&ran, "beauty")[..] else { panic!("{}", ran.stdout) };
    assert!(state == "warning" && value.ends_with("; bench fetch beauty"), "{}", ran.stdout);
    assert_eq!(line(&ran, "hub"), [("ok", "not asked; --online asks it")]);
    assert!(
        line(&ran, "token")[0].1.starts_with("not set: enough for public repositories"),
        "{}",
        ran.stdout
    );
    assert_eq!(line(&ran, "store"), [("ok", "0 cells, 0 B; 0 in work")]);
    assert_eq!(ran.stdout.lines().filter(|line| line.starts_with("warning ")).count(), 3, "{}", ran.stdout);
    assert!(ran.stdout.ends_with("3 warnings; each says what to do\n"), "{}", ran.stdout);
    assert_eq!(place.names("."), [""; 0], "it leaves nothing behind");
}

#[test]
fn doctor_tells_of_devices_or_that_there_is_no_driver() {
    let ran = Place::new().run(&["doctor"]).succeeds();
    let line = |start: &str| ran.stdout.lines().find(|line| line.starts_with(start)).map(str::to_owned);
    match bench::cuda::devices() {
        Ok(all) => {
            let line = line("ok       cuda:0").expect(&ran.stdout);
            assert!(line.contains(&all[0].name) && line.contains("compute capability"), "{line}");
        }
        Err(bench::cuda::Absent::NoDriver) => {
            let expected =
                "ok       device           the processor; no NVIDIA driver is installed (libcuda.so.1)";
            assert_eq!(line("ok       device").as_deref(), Some(expected));
        }
        Err(absent) => assert!(line("warning  device").expect(&ran.stdout).contains(&absent.to_string())),
    }
}

#[test]
fn doctor_knows_of_a_token_and_never_shows_it() {
    let place = Place::new();
    let mut command = place.command(&["doctor"]);
    command.env("HF_TOKEN", "hf_doNotShowThisToAnybody42").env("BENCH_RETRIEVER__DROPOUT", "0.2");
    let ran = Ran::from(command.output().unwrap()).succeeds();
    assert_eq!(line(&ran, "token"), [("ok", "set")]);
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("doNotShow"));
    let set = [("ok", "BENCH_RETRIEVER__DROPOUT: a setting of every experiment")];
    assert_eq!(line(&ran, "environment"), set);
}

#[test]
fn doctor_asks_the_hub_where_that_is_wanted() {
    use crate::backbone::hub::{one_file, serve};
    let (place, server) = (Place::new(), serve(one_file()));
    let run = |endpoint: &str| -> Ran {
        let mut command = place.command(&["doctor", "--online"]);
        command.env("HF_ENDPOINT", endpoint).env("HF_TOKEN", "hf_doNotShowThisToAnybody42");
        command.output().unwrap().into()
    };
    // This one knows its models and nobody's name.
    let ran = run(&server.base()).succeeds();
    let [(state, value)] = line(&ran, "hub")[..] else { panic!("{}", ran.stdout) };
    assert_eq!(state, "warning");
    assert!(
        value.starts_with(&format!("{}/api/whoami-v2: the server answers 404", server.base())),
        "{value}"
    );
    assert_eq!(server.seen().len(), 1, "one question, once");
    let ran = run("ftp://nowhere").succeeds();
    assert_eq!(line(&ran, "backbones")[0].0, "warning", "{}", ran.stdout);
    assert!(!ran.stdout.contains("doNotShow"));
}

#[test]
fn doctor_looks_after_the_store() {
    let place = Place::tiny();
    place.run(&["tiny.toml"]).succeeds();
    let cells = place.names("runs/retrieval");
    std::fs::remove_file(place.path(&format!("runs/retrieval/{}/weights.safetensors", cells[0]))).unwrap();
    let claim = "runs/retrieval/00000000000000aa.claim";
    place.write(claim, "{\"beat\": 1}");
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(7200);
    std::fs::File::open(place.path(claim)).unwrap().set_modified(old).unwrap();
    place.write("runs/retrieval/00000000000000bb.claim", "{\"beat\": 1}");
    place.write("runs/retrieval/00000000000000bb.checkpoint/train.safetensors", "half");
    let ran = place.run(&["doctor"]).succeeds();
    let store = line(&ran, "store");
    assert!(
        store[0].0 == "ok" && store[0].1.starts_with("1 cell, ") && store[0].1.ends_with("; 1 in work"),
        "{}",
        ran.stdout
    );
    assert!(
        store[1].0 == "warning" && store[1].1.starts_with("1 damaged, left over or out of date, "),
        "{}",
        ran.stdout
    );
    assert!(
        store[2].0 == "warning" && store[2].1.starts_with(&format!("{claim}: not renewed for an hour")),
        "{}",
        ran.stdout
    );
    assert_eq!(place.names("runs/retrieval").len(), 5, "it changes nothing");
}
