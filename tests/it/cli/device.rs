//! Where an experiment computes, on the command line.

use bench::cuda::{Absent, devices};

use super::{Place, TINY};

#[test]
fn a_device_that_is_none_is_refused_where_it_was_typed() {
    let expected = "expected \"auto\", \"cpu\" or a device such as \"cuda:0\"";
    for typed in ["gpu", "cuda", "cuda:", "cuda:-1", "cuda:01", "cuda:99999999999", "CPU"] {
        let ran = Place::tiny().run(&["plan", "tiny.toml", "--device", typed]);
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    }
    Place::with(&format!("device = \"gpu\"\n{TINY}")).run(&["validate", "tiny.toml"]).fails(
        96,
        &["error: tiny.toml:1: device is \"gpu\"; expected \"auto\", \"cpu\" or a device such as \"cuda:0\""],
    );
    Place::tiny()
        .run(&["validate", "tiny.toml", "-S", "device=cpu", "--device", "cpu"])
        .fails(96, &["error: -S device=cpu: device was already given (-S device=cpu); give it once"]);
}

#[test]
fn a_device_that_is_not_there_is_waited_for_and_the_processor_needs_none() {
    let Err(absent) = devices() else { return println!("skipped: there is a device") };
    let needs = "tiny needs a device with ";
    let place = Place::tiny();
    for arguments in [["plan", "tiny.toml", "--device", "cuda:0"], ["run", "tiny.toml", "--device", "cuda:0"]]
    {
        let ran = place.run(&arguments);
        assert!(format!("{}{}", ran.stdout, ran.stderr).contains(needs), "{}\n{}", ran.stdout, ran.stderr);
        assert!(format!("{}{}", ran.stdout, ran.stderr).contains(&format!(" MiB of free memory: {absent}")));
        assert_eq!(ran.code, Some(if arguments[0] == "plan" { 0 } else { 96 }));
    }
    assert!(!place.path("runs/retrieval").exists(), "nothing was computed");
    let mut command = place.command(&["run", "tiny.toml"]);
    let output = command.env("BENCH_DEVICE", "cuda:0").output().unwrap();
    assert_eq!(output.status.code(), Some(96));
    // What was computed elsewhere, or on the processor, is used wherever it is asked for.
    place.run(&["run", "tiny.toml", "--device", "cpu"]).succeeds();
    let again = place.run(&["run", "tiny.toml", "--device", "cuda:0"]).succeeds();
    assert!(again.stderr.contains("stored already"), "{}", again.stderr);
    // A report whose settings name a device is replayed wherever there is a processor.
    let replayed = place.run(&["replay", "reports/tiny"]).succeeds();
    assert!(replayed.stdout.contains("identical"), "{}", replayed.stdout);
    let named = place.run(&["replay", "reports/tiny", "--device", "cuda:0"]);
    assert_eq!(named.code, Some(96), "{}", named.stderr);
    assert!(named.stderr.contains("it needs a device with "), "{}", named.stderr);
    if absent == Absent::NoDriver {
        let plain = Place::tiny().run(&["run", "tiny.toml"]).succeeds();
        assert!(!plain.stderr.contains("device"), "no driver is no news: {}", plain.stderr);
    }
}
