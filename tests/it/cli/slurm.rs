//! Submitting to Slurm and following it: with programs that only write down how they were called, with none, and with a real one.
#![cfg(unix)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Place, Ran, names, ranker};

/// The programs of a Slurm that only counts: arrays of at most 4 tasks, and a queue that is a file.
fn counting(place: &Place) {
    let programs = [
        (
            "sbatch",
            "[ \"$1\" = --version ] && exit; [ -e ../../../refuse ] && echo 'Invalid partition' >&2 && exit 1; printf '%s\\n' \"$*\" >> calls; cp \"${@: -1}\" /dev/null && wc -l < calls",
        ),
        ("squeue", "cat \"$(dirname \"$0\")/queue\" 2> /dev/null || true"),
        ("scontrol", "[ \"$2\" = config ] && echo 'MaxArraySize            = 4'"),
        ("sacct", "echo 'Slurm accounting storage is disabled' >&2; exit 1"),
    ];
    for (name, text) in programs {
        place.write(&format!("bin/{name}"), &format!("#!/bin/bash\n{text}\n"));
        std::fs::set_permissions(place.path(&format!("bin/{name}")), PermissionsExt::from_mode(0o755))
            .unwrap();
    }
}

/// The program where those are the first of the path.
fn with_slurm(place: &Place, arguments: &[&str]) -> Ran {
    let path = format!("{}:{}", place.path("bin").display(), std::env::var("PATH").unwrap());
    place.command(arguments).env("PATH", path).output().unwrap().into()
}

/// The program where nothing is on the path.
fn without_slurm(place: &Place, arguments: &[&str]) -> Ran {
    place.command(arguments).env("PATH", "").output().unwrap().into()
}

fn manifest(place: &Place, name: &str) -> Value {
    serde_json::from_str(&place.read(&format!("runs/submissions/{name}/submission.json"))).unwrap()
}

/// What was computed, byte by byte: the files of every cell but those that tell of times and of the machine.
fn computed(place: &Place) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for stage in ["retrieval", "ranking"] {
        for cell in place.names(&format!("runs/{stage}")) {
            let folder = place.path(&format!("runs/{stage}/{cell}"));
            let adapter = folder.join("adapter/adapter_model.safetensors");
            for file in names(&folder).iter().filter(|name| name.ends_with(".safetensors")) {
                found.push((format!("{stage}/{cell}/{file}"), std::fs::read(folder.join(file)).unwrap()));
            }
            found.extend(std::fs::read(adapter).ok().map(|bytes| (format!("{stage}/{cell}/adapter"), bytes)));
        }
    }
    found
}

#[test]
fn cells_are_submitted_as_arrays_with_their_dependencies_and_written_down() {
    let place = ranker::place();
    counting(&place);
    let submit = ["submit", "tiny.toml", "--name", "one", "--cpus", "3", "--mem", "1G", "--time", "2:00:00"];
    let options = ["--partition", "cpu", "--array-limit", "1", "--sbatch-arg=--constraint=a b"];
    let ran = with_slurm(&place, &[&submit[..], &options[..]].concat()).succeeds();
    assert!(ran.stdout.contains("/runs/submissions/one/submission.json\n"), "{}", ran.stdout);
    assert_eq!(
        place.read("runs/submissions/one/calls"),
        "--parsable --constraint=a b retrieval-0.sh\n\
         --parsable --dependency=aftercorr:1 --constraint=a b ranking-0.sh\n\
         --parsable --dependency=afterany:1:2 --constraint=a b report.sh\n"
    );
    let manifest = manifest(&place, "one");
    let batches = manifest["batches"].as_array().unwrap();
    assert_eq!(
        (&batches[0]["job"], &batches[1]["job"], &manifest["report"]),
        (&"1".into(), &"2".into(), &"3".into())
    );
    assert_eq!(
        batches[1]["resources"],
        serde_json::json!({ "cpus": 3, "memory_mib": 1024, "minutes": 120, "gpus": 0 })
    );
    assert_eq!(batches[1]["tasks"][1]["seed"], 2);
    let script = place.read("runs/submissions/one/ranking-0.sh");
    for line in
        ["#SBATCH --partition=cpu", "#SBATCH --array=0-1%1", "#SBATCH --time=0-02:00:00", "#SBATCH --requeue"]
    {
        assert!(script.contains(&format!("{line}\n")), "{script}");
    }
    assert_eq!(place.names("runs"), ["submissions"]);
    // What is not a cell is not listed as one.
    let listed = place.run(&["ls"]);
    assert!(!listed.stdout.contains("one") && !listed.stderr.contains("submission"), "{}", listed.stdout);
}

#[test]
fn what_is_stored_or_in_the_queue_is_not_submitted_again() {
    let place = ranker::place();
    counting(&place);
    place.run(&["tiny.toml", "-S", "seeds=[1]"]).succeeds();
    let all = "seeds=[1, 2, 3, 4, 5, 6]";
    let ran = with_slurm(&place, &["submit", "tiny.toml", "-S", all, "--name", "one"]).succeeds();
    assert!(ran.stdout.starts_with("2 cells stored already\n"), "{}", ran.stdout);
    // Five retrievals in arrays of four and one, because this Slurm allows no longer ones.
    let sizes = |name: &str| -> Vec<usize> {
        let batches = manifest(&place, name)["batches"].as_array().unwrap().clone();
        batches.iter().map(|batch| batch["tasks"].as_array().unwrap().len()).collect()
    };
    assert_eq!(sizes("one"), [4, 1, 4, 1]);
    place.write(
        "bin/queue",
        "1|0|RUNNING|None|n1|2026-11-25T22:00:00\n1|3|FAILED|NodeDown|n1|2026-11-25T22:00:00\n",
    );
    let ran =
        with_slurm(&place, &["submit", "tiny.toml", "-S", "seeds=[1, 2, 3]", "--name", "two"]).succeeds();
    assert!(ran.stdout.starts_with("2 cells stored already\n1 cell in Slurm already\n"), "{}", ran.stdout);
    assert_eq!(sizes("two"), [1, 1, 1]);
    let calls = place.read("runs/submissions/two/calls");
    assert!(
        calls.contains("--dependency=afterok:1_0 ranking-0.sh")
            || calls.contains("--dependency=afterok:1_0 ranking-1.sh"),
        "{calls}"
    );
    place.run(&["tiny.toml"]).succeeds();
    let ran = with_slurm(&place, &["submit", "tiny.toml"]).succeeds();
    assert_eq!(ran.stdout, "4 cells stored already\nnothing to submit\n");
}

#[test]
fn a_dry_run_shows_the_scripts_and_leaves_nothing() {
    let place = ranker::place();
    let ran = without_slurm(&place, &["submit", "tiny.toml", "--dry-run", "--name", "dry"]).succeeds();
    assert!(ran.stdout.contains("/runs/submissions/dry/retrieval-0.sh <==\n#!/bin/bash\n"), "{}", ran.stdout);
    assert!(ran.stdout.ends_with("nothing was submitted\n"), "{}", ran.stdout);
    assert_eq!(place.names("runs"), [""; 0]);
    let absent = without_slurm(&place, &["submit", "tiny.toml"]);
    assert_eq!(absent.code, Some(96));
    assert!(absent.stderr.contains("error: sbatch is not there"), "{}", absent.stderr);
    // Where the environment says to compute goes along: that of a node may be another one.
    for (more, expected) in [(&[][..], "device=cpu"), (&["-S", "device=auto"][..], "device=auto")] {
        let arguments = [&["submit", "tiny.toml", "--dry-run", "--name", "dry"][..], more].concat();
        let output = place.command(&arguments).env("BENCH_DEVICE", "cpu").output().unwrap();
        let scripts = String::from_utf8(output.stdout).unwrap();
        let named = scripts.matches("device=").count();
        assert!(named > 0 && scripts.matches(expected).count() == named, "{scripts}");
    }
    // A folder of runs that Slurm would take for a pattern.
    let odd = without_slurm(&place, &["submit", "tiny.toml", "--dry-run", "--runs-dir", "100%j"]);
    assert!(
        odd.stderr.contains("Slurm takes % in the path of a log for a number of the job"),
        "{}",
        odd.stderr
    );
}

#[test]
fn a_refusal_of_the_first_array_leaves_nothing_and_its_words_are_told() {
    let place = ranker::place();
    counting(&place);
    place.write("refuse", "");
    let ran = with_slurm(&place, &["submit", "tiny.toml", "--name", "one"]);
    assert_eq!(
        ran.errors(),
        ["error: sbatch --parsable retrieval-0.sh refused: Invalid partition; nothing was submitted"]
    );
    assert_eq!((ran.code, place.names("runs/submissions")), (Some(100), Vec::new()));
}

#[test]
fn the_jobs_of_a_submission_compute_what_a_run_computes() {
    let (place, alone) = (ranker::place(), ranker::place());
    counting(&place);
    alone.run(&["tiny.toml"]).succeeds();
    with_slurm(&place, &["submit", "tiny.toml", "--name", "one"]).succeeds();
    let path = "runs/submissions/one/submission.json";
    let ran = place.run(&["cell", path, "retrieval-0", "1"]).succeeds();
    assert!(ran.stdout.starts_with("ranked, seed 2, retrieval: stored as "), "{}", ran.stdout);
    assert_eq!((place.names("runs/retrieval").len(), place.names("runs/ranking").len()), (1, 0));
    for (array, index) in [("retrieval-0", "0"), ("ranking-0", "0"), ("ranking-0", "1")] {
        place.run(&["cell", path, array, index]).succeeds();
    }
    let again = place.run(&["cell", path, "ranking-0", "1"]).succeeds();
    assert!(again.stdout.starts_with("ranked, seed 2, ranking: stored already as "), "{}", again.stdout);
    // A cell writes no report.
    assert_eq!(place.names("reports"), [""; 0]);
    assert_eq!(computed(&place), computed(&alone));
    assert_eq!(computed(&place).len(), 6);
    place.run(&["cell", path, "ranking-0", "7"]).fails(96, &[
        "error: the submission one has no task 7 in a batch \"ranking-0\"; was it made again since its jobs were submitted?",
    ]);
}

#[test]
fn a_file_that_changed_since_is_told_and_nothing_is_computed() {
    let place = ranker::place();
    counting(&place);
    with_slurm(&place, &["submit", "tiny.toml", "--name", "one"]).succeeds();
    let [retrieval, ranking] = [0, 1].map(|at| {
        manifest(&place, "one")["batches"][at]["tasks"][0]["key"].as_str().unwrap()[..16].to_owned()
    });
    place.write("tiny.toml", &place.read("tiny.toml").replace("lora_r = 2", "lora_r = 4"));
    let path = "runs/submissions/one/submission.json";
    place.run(&["cell", path, "retrieval-0", "0"]).succeeds();
    let ran = place.run(&["cell", path, "ranking-0", "0"]);
    let [error] = ran.errors()[..] else { panic!("{}", ran.stderr) };
    assert!(
        error.starts_with("error: ranked, seed 1, ranking: tiny.toml: the ranking of seed 1 has the key "),
        "{error}"
    );
    assert!(error.contains(&format!(" now, but {ranking} when it was submitted: ")), "{error}");
    assert_eq!(ran.code, Some(96));
    assert_eq!((place.names("runs/retrieval"), place.names("runs/ranking").len()), (vec![retrieval], 0));
}

#[test]
fn the_status_is_told_from_the_store_alone_where_there_is_no_slurm() {
    let place = ranker::place();
    without_slurm(&place, &["status"]).fails(4, &[
        "error: runs: nothing was submitted from this folder of runs; `bench submit FILES` does, and --runs-dir names another",
    ]);
    counting(&place);
    let seeds = ["-S", "seeds=[1, 2, 3, 7]"];
    with_slurm(&place, &[&["submit", "tiny.toml", "--name", "one"], &seeds[..]].concat()).succeeds();
    let ran = without_slurm(&place, &["status"]);
    assert_eq!(ran.code, Some(106), "{}", ran.stdout);
    assert!(ran.stdout.ends_with("one: 8 cells, 8 unknown\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains(" 1-3, 7 "), "{}", ran.stdout);
    place.run(&[&["tiny.toml"], &seeds[..]].concat()).succeeds();
    place.write("runs/submissions/one/ended/report", "0 n1\n");
    let ran = without_slurm(&place, &["status", "one", "--watch", "5"]).succeeds();
    assert!(ran.stdout.ends_with("one: 8 cells, 8 done\n"), "{}", ran.stdout);
}

#[test]
fn what_failed_is_shown_with_its_log_and_submitted_again_with_more_memory() {
    let place = ranker::place();
    counting(&place);
    with_slurm(&place, &["submit", "tiny.toml", "--name", "one", "--mem", "40G"]).succeeds();
    place.write(
        "bin/queue",
        "1|0|OUT_OF_MEMORY|OutOfMemory|n1|2026-11-25T22:00:00\n1|1|RUNNING|None|n2|2026-11-25T22:00:00\n",
    );
    place.write(
        "runs/submissions/one/logs/retrieval-0.0.log",
        "x\nslurmstepd: error: Detected 1 oom-kill event(s)\n",
    );
    let ran = with_slurm(&place, &["status", "one"]);
    assert_eq!(ran.code, Some(100), "{}", ran.stdout);
    for words in
        ["OUT_OF_MEMORY", "oom-kill event(s)", "retrieval-0.0.log", "on n2 since 2026-11-25T22:00:00"]
    {
        assert!(ran.stdout.contains(words), "{words}: {}", ran.stdout);
    }
    // The rankings are nowhere in that queue: they are submitted again too, one of them behind the retrieval that runs.
    with_slurm(&place, &["submit", "--resubmit", "one", "--name", "two"]).succeeds();
    let manifest = manifest(&place, "two");
    assert_eq!((&manifest["again"], &manifest["batches"][0]["step"]), (&"one".into(), &"retrieval".into()));
    assert_eq!(manifest["batches"][0]["resources"]["memory_mib"], 80 << 10);
    assert_eq!(manifest["batches"][0]["tasks"].as_array().unwrap().len(), 1);
    assert_eq!(manifest["batches"][1]["after"], serde_json::json!([{ "same": 0 }]));
    assert_eq!(manifest["batches"][2]["after"], serde_json::json!([{ "job": "1_1" }]));
    assert_eq!(manifest["batches"][2]["resources"]["memory_mib"], 40 << 10);
}

#[test]
fn no_token_of_the_hub_gets_into_a_script_or_a_manifest() {
    let place = ranker::place();
    counting(&place);
    let path = format!("{}:{}", place.path("bin").display(), std::env::var("PATH").unwrap());
    let submit = |arguments: &[&str]| -> Ran {
        let mut command = place.command(arguments);
        command.env("PATH", &path).env("HF_TOKEN", "hf_verysecret").output().unwrap().into()
    };
    submit(&["submit", "tiny.toml", "--name", "one"]).succeeds();
    let found = Command::new("grep")
        .args(["-r", "verysecret", "runs"])
        .current_dir(place.path("."))
        .output()
        .unwrap();
    assert_eq!((found.status.code(), found.stdout), (Some(1), Vec::new()));
    submit(&["submit", "tiny.toml", "--name", "two", "--sbatch-arg=--export=HF_TOKEN=hf_verysecret"]).fails(2, &[
        "error: submission.json has the token of the environment variable HF_TOKEN in it, which is kept out of scripts and manifests; \
         leave it out: jobs inherit the environment",
    ]);
    assert_eq!(place.names("runs/submissions"), ["one"]);
}

/// A Slurm of three nodes on this machine.
struct Cluster {
    folder: tempfile::TempDir,
}

impl Cluster {
    fn script(&self, command: &str, more: &[&str]) -> Option<i32> {
        let mut script = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slurm/cluster.sh"));
        script.arg(command).arg(self.folder.path()).args(more).status().unwrap().code()
    }

    /// `None` where it is not asked for or not installed, which is told.
    fn start() -> Option<Self> {
        if std::env::var_os("BENCH_SLURM").is_none() {
            println!("skipped: BENCH_SLURM is not set (1 runs this test on a Slurm that it starts)");
            return None;
        }
        let cluster = Self { folder: tempfile::tempdir().unwrap() };
        match cluster.script("start", &["3"]) {
            Some(0) => Some(cluster),
            Some(77) => None,
            code => panic!("the cluster did not start: {code:?}"),
        }
    }

    fn command(&self, mut command: Command) -> Ran {
        command.env("SLURM_CONF", self.folder.path().join("slurm.conf")).env("HF_TOKEN", "hf_verysecret");
        command.output().unwrap().into()
    }

    /// A program of Slurm.
    fn slurm(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(program);
        command.args(arguments);
        let ran = self.command(command).succeeds();
        ran.stdout.trim().to_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.script("stop", &[]);
    }
}

/// Look every tenth of a second, for two minutes at most.
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "{what}: nothing in two minutes");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Both stages, of which the first takes some seconds for a seed.
fn slow(place: &Place) {
    let lru = "kind = \"lru\"\nhidden_dim = 64\nstate_dim = 64\nbatch_size = 8\nmax_epochs = 500\npatience = 100000";
    place.write("tiny.toml", &place.read("tiny.toml").replace("kind = \"popularity\"", lru));
}

#[test]
fn on_a_real_slurm_a_lost_node_costs_nothing_but_time() {
    let Some(cluster) = Cluster::start() else { return };
    let (place, alone) = (ranker::place(), ranker::place());
    slow(&place);
    slow(&alone);
    alone.run(&["--threads", "1", "tiny.toml"]).succeeds();
    let runs = "runs of it's $HOME";
    let bench =
        |arguments: &[&str]| cluster.command(place.command(&[&["--runs-dir", runs], arguments].concat()));
    let submission = |name: &str| format!("{runs}/submissions/{name}");
    bench(&["submit", "tiny.toml", "--name", "one", "--cpus", "1", "--mem", "600M"]).succeeds();
    let log = format!("{}/logs/retrieval-0.0.log", submission("one"));
    let begun = |times: usize| {
        let text = std::fs::read_to_string(place.path(&log)).unwrap_or_default();
        (text.lines().filter(|line| *line == "ranked, seed 1").count() >= times).then_some(())
    };
    until("the first cell begins", || begun(1));
    let ran = bench(&["status"]);
    assert_eq!(ran.code, Some(106), "{}", ran.stdout);
    let manifest: Value =
        serde_json::from_str(&place.read(&format!("{}/submission.json", submission("one")))).unwrap();
    let job = manifest["batches"][0]["job"].as_str().unwrap().to_owned();
    let task = format!("{job}_0");
    let node = cluster.slurm("squeue", &["-h", "-r", "-j", &task, "-o", "%N"]);
    assert!(ran.stdout.contains(&format!("on {node} since ")), "{}", ran.stdout);
    assert_eq!(cluster.script("kill", &[&node]), Some(0));
    cluster.slurm("scontrol", &["update", &format!("NodeName={node}"), "State=DOWN", "Reason=test"]);
    assert_eq!(
        place.names(&format!("{runs}/retrieval")).iter().filter(|name| !name.contains('.')).count(),
        0
    );
    until("the task is in the queue again", || {
        let state = cluster.slurm("squeue", &["-h", "-r", "-j", &task, "-o", "%T"]);
        (state == "PENDING").then_some(())
    });
    println!("{}", bench(&["status"]).stdout);
    // Slurm waits for two minutes before it tries a task again.
    cluster.slurm("scontrol", &["update", &format!("JobId={task}"), "StartTime=now"]);
    until("the first cell begins again", || begun(2));
    until("all is done", || {
        let ran = bench(&["status", "one"]);
        assert_ne!(ran.code, Some(100), "{}", ran.stdout);
        (ran.code == Some(0)).then(|| println!("{}", ran.stdout))
    });
    let ended = place.read(&format!("{}/ended/retrieval-0.0", submission("one")));
    assert!(ended.starts_with("0 n") && !ended.contains(&node), "{ended} was {node}");
    // The same bytes as without Slurm, and the same report but for times.
    std::fs::rename(place.path(runs), place.path("runs")).unwrap();
    assert_eq!(computed(&place), computed(&alone));
    assert_eq!(computed(&place).len(), 8);
    let report = |place: &Place| {
        let results = ranker::results(place);
        (results["summary"].clone(), results["ranker"]["test"].clone())
    };
    assert_eq!(report(&place), report(&alone));
    let found =
        Command::new("grep").args(["-r", "verysecret", "."]).current_dir(place.path(".")).output().unwrap();
    assert_eq!((found.status.code(), found.stdout), (Some(1), Vec::new()));
    std::fs::rename(place.path("runs"), place.path(runs)).unwrap();
    let ran = bench(&["submit", "tiny.toml"]).succeeds();
    assert_eq!(ran.stdout, "4 cells stored already\nnothing to submit\n");

    // Too little memory: told, what needs it is cancelled, and it is tried again with more.
    bench(&["submit", "tiny.toml", "-S", "seeds=[3]", "--name", "starved", "--cpus", "1", "--mem", "5M"])
        .succeeds();
    let ran = until("the starved cell ends", || {
        let ran = bench(&["status", "starved"]);
        (ran.stdout.contains("memory limit") && !ran.stdout.contains("pending")).then_some(ran)
    });
    println!("{}", ran.stdout);
    assert_eq!(ran.code, Some(100), "{}", ran.stdout);
    assert!(ran.stdout.contains("starved: 2 cells, 2 failed\n"), "{}", ran.stdout);
    bench(&["submit", "--resubmit", "starved", "--name", "fed"]).succeeds();
    until("the fed cells are done", || {
        let ran = bench(&["status", "fed", "--watch", "1"]);
        assert_eq!(ran.code, Some(0), "{}", ran.stdout);
        Some(())
    });

    // A file that changes while its jobs wait.
    bench(&[
        "submit",
        "tiny.toml",
        "-S",
        "seeds=[4]",
        "--name",
        "held",
        "--cpus",
        "1",
        "--sbatch-arg=--hold",
    ])
    .succeeds();
    let text = place.read("tiny.toml");
    place.write("tiny.toml", &text.replace("max_epochs = 500", "max_epochs = 10"));
    let manifest: Value =
        serde_json::from_str(&place.read(&format!("{}/submission.json", submission("held")))).unwrap();
    cluster.slurm("scontrol", &["release", manifest["batches"][0]["job"].as_str().unwrap()]);
    let ran = until("the changed cell ends", || {
        let ran = bench(&["status", "held"]);
        ran.stdout.contains("exit code 96").then_some(ran)
    });
    println!("{}", ran.stdout);
    assert!(ran.stdout.contains("has changed since"), "{}", ran.stdout);
}
