//! What a manifest says of machine and process.

use std::fs;
use std::path::Path;

use bench::run::{EnergyCounters, Machine, Manifest, ProcessRecord, executable_sha256, shown_command};

fn shown(words: &[&str]) -> String {
    shown_command(words.iter().map(|word| (*word).to_owned()), &["s3cret-token".to_owned()])
}

#[test]
fn a_command_line_has_no_folders_of_its_machine() {
    let typed = [
        "/usr/local/bin/bench",
        "run",
        "/home/anna/e.toml",
        "b.toml",
        "--runs-dir",
        "/srv/runs/",
        "--data-dir=~/data",
    ];
    assert_eq!(shown(&typed), "bench run e.toml b.toml --runs-dir runs --data-dir=data");
    assert_eq!(
        shown(&["bench", "-S", "dataset.ratings_file=/srv/x/r.csv"]),
        "bench -S dataset.ratings_file=r.csv"
    );
    assert_eq!(shown(&[r"C:\bin\bench", r"D:\e\a.toml", "../b.toml"]), "bench a.toml ../b.toml");
    assert_eq!(shown(&["bench", "/", "~"]), "bench '(folder)' '(folder)'");
}

#[test]
fn a_command_line_has_no_secrets_and_can_be_typed_again() {
    assert_eq!(shown(&["bench", "s3cret-token", "x=s3cret-token"]), "bench '***' '***'");
    assert_eq!(shown(&["bench", "--token=abc", "my_password=abc"]), "bench '--token=***' 'my_password=***'");
    assert_eq!(shown(&["bench", "hf_abcdefgh"]), "bench '***'");
    assert_eq!(shown(&["bench", "https://anna:pw@host/x"]), "bench https://host/x");
    // A number of tokens is no token.
    assert_eq!(shown(&["bench", "-S", "ranker.title_tokens=32"]), "bench -S ranker.title_tokens=32");
    assert_eq!(shown(&["bench", "-S", "seeds=[1, 2]", "it's"]), "bench -S 'seeds=[1, 2]' 'it'\\''s'");
}

/// A zone as Linux shows it.
fn zone(root: &Path, zone: &str, name: &str, energy: u64) {
    let folder = root.join(zone);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("name"), format!("{name}\n")).unwrap();
    fs::write(folder.join("max_energy_range_uj"), "1000000\n").unwrap();
    fs::write(folder.join("energy_uj"), format!("{energy}\n")).unwrap();
}

#[test]
fn energy_is_that_of_packages_and_memory_and_a_counter_may_start_again() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    assert!(EnergyCounters::open(root).is_none());
    zone(root, "intel-rapl:0", "package-0", 900_000);
    zone(root, "intel-rapl:0:0", "core", 10);
    zone(root, "intel-rapl:0:1", "dram", 0);
    zone(root, "intel-rapl-mmio:0", "package-0", 900_000);
    let mut counters = EnergyCounters::open(root).unwrap();
    assert_eq!(counters.read(), 0.0);
    zone(root, "intel-rapl:0", "package-0", 950_000);
    zone(root, "intel-rapl:0:0", "core", 999);
    zone(root, "intel-rapl-mmio:0", "package-0", 950_000);
    assert_eq!(counters.read(), 0.05);
    // 950,000 to the end of the range, and then 25,000 more; the memory used 500,000.
    zone(root, "intel-rapl:0", "package-0", 25_000);
    zone(root, "intel-rapl:0:1", "dram", 500_000);
    assert_eq!(counters.read(), 0.05 + 0.075 + 0.5);
    // A reading that fails changes nothing.
    fs::remove_file(root.join("intel-rapl:0/energy_uj")).unwrap();
    assert_eq!(counters.read(), 0.625);
}

#[test]
fn a_machine_says_what_it_is_and_the_program_which_it_is() {
    let here = Machine::here(3);
    assert_eq!(here.threads, 3);
    if cfg!(target_os = "linux") {
        assert!(here.processors.is_some_and(|n| n > 0));
        assert!(here.memory_bytes.is_some_and(|bytes| bytes > 1 << 20));
        assert!(here.system.is_some_and(|name| name.contains("kernel ")));
    }
    let own = fs::read(std::env::current_exe().unwrap()).unwrap();
    assert_eq!(executable_sha256().unwrap(), bench::run::sha256_hex(&own));
}

#[test]
fn a_manifest_of_before_these_facts_is_read_and_written_as_it_was() {
    let old = serde_json::json!({
        "version": 1, "stage": "retrieval", "key": "0".repeat(64), "experiments": [], "retriever": "lru", "seed": 1,
        "dataset": {
            "name": "d", "users": 1, "items": 1, "interactions": 1, "mean_length": 1.0, "density": 1.0,
            "split_fingerprint": "f", "sources": [], "preparation": [], "warnings": []
        },
        "code": {"version": "0.1.0", "stage_version": 1},
        "machine": {"platform": "linux x86_64", "threads": 1, "cpu_features": ""},
        "times": {"started": "a", "finished": "b", "wall_seconds": {}},
        "peak_memory_bytes": null, "training": null, "limit": null, "files": {}
    });
    let read: Manifest = serde_json::from_value(old.clone()).unwrap();
    assert_eq!(read.process, ProcessRecord::default());
    assert_eq!(serde_json::to_value(&read).unwrap(), old);
}
