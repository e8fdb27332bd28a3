//! What a reader gets to check a paper.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read, Write};

use super::{Place, Ran, TINY, ranker};

/// The files of an archive by name.
fn unpacked(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut files = BTreeMap::new();
    for at in 0..zip.len() {
        let mut file = zip.by_index(at).unwrap();
        let mut content = Vec::new();
        file.read_to_end(&mut content).unwrap();
        files.insert(file.name().unwrap().into_owned(), content);
    }
    files
}

fn packed(files: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        writer.start_file(name.as_str(), zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// Unpack an archive into a folder of a place.
fn put(place: &Place, folder: &str, files: &BTreeMap<String, Vec<u8>>) {
    for (name, content) in files {
        let path = place.path(folder).join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn a_bundle_has_what_a_reader_needs_and_the_same_bytes_each_time() {
    let place = Place::tiny();
    place.run(&["tiny.toml"]).succeeds();
    let ran = place.run(&["bundle", "tiny.toml", "-o", "paper.zip"]).succeeds();
    assert!(
        ran.stdout.contains(" files of 2 cells, ") && ran.stdout.ends_with("paper.zip\n"),
        "{}",
        ran.stdout
    );
    let bytes = fs::read(place.path("paper.zip")).unwrap();
    let files = unpacked(&bytes);
    let cells = place.names("runs/retrieval");
    for name in [
        "README.txt",
        "SHA256SUMS",
        "bundle.json",
        "baselines/llamarec.toml",
        "experiments/typed/tiny.toml",
        "experiments/resolved/tiny.toml",
        "experiments/resolved/tiny.json",
        "reports/tiny/results.json",
        "reports/tiny/report.html",
        "reports/tiny/tables/test.csv",
        "reports/tiny/figures/metrics-light.svg",
        &format!("runs/retrieval/{}/retrieval.safetensors", cells[0]),
        &format!("runs/retrieval/{}/manifest.json", cells[1]),
    ] {
        assert!(files.contains_key(name), "{name} is not among {:?}", files.keys());
    }
    assert_eq!(files["experiments/typed/tiny.toml"], TINY.as_bytes());
    assert!(!files.keys().any(|name| name.contains("weights")), "weights are not asked for");
    let sums = String::from_utf8(files["SHA256SUMS"].clone()).unwrap();
    assert_eq!(sums.lines().count(), files.len() - 1);
    for line in sums.lines() {
        let (hash, name) = line.split_once("  ").unwrap();
        assert_eq!(bench::run::sha256_hex(&files[name]), hash, "{name}");
    }
    let checked = place.run(&["bundle", "--check", "paper.zip"]).succeeds().stdout;
    let said = format!(
        "paper.zip: {} files with the hashes that are listed, 2 cells that agree with their manifests\n",
        files.len() - 1
    );
    assert_eq!(checked, said);
    place.run(&["bundle", "tiny.toml", "-o", "again.zip"]).succeeds();
    assert!(fs::read(place.path("again.zip")).unwrap() == bytes, "the same bytes");
    let ran = place.run(&["bundle", "tiny.toml", "--weights", "-o", "all.zip"]).succeeds();
    assert!(ran.stdout.contains(" 2 cells, "), "{}", ran.stdout);
    let all = unpacked(&fs::read(place.path("all.zip")).unwrap());
    assert_eq!(all.keys().filter(|name| name.ends_with("/weights.safetensors")).count(), 2);
}

#[test]
fn a_reader_makes_the_report_again_from_a_bundle_and_replays_it() {
    let place = Place::tiny();
    place.run(&["tiny.toml"]).succeeds();
    place.run(&["bundle", "tiny.toml", "-o", "paper.zip"]).succeeds();
    let files = unpacked(&fs::read(place.path("paper.zip")).unwrap());
    let reader = Place::new();
    put(&reader, ".", &files);
    // As README.txt says.
    reader
        .run(&[
            "report",
            "experiments/resolved",
            "--runs-dir",
            "runs",
            "--baselines-dir",
            "baselines",
            "--reports-dir",
            "again",
        ])
        .succeeds();
    let parts = |text: &str| -> serde_json::Value {
        let mut results: serde_json::Value = serde_json::from_str(text).unwrap();
        // Settings now come from the resolved file.
        results.as_object_mut().unwrap().remove("settings");
        results
    };
    assert_eq!(
        parts(&reader.read("again/tiny/results.json")),
        parts(&reader.read("reports/tiny/results.json"))
    );
    let cell = format!("runs/retrieval/{}", reader.names("runs/retrieval")[0]);
    let ran = reader.run(&["replay", &cell]).succeeds();
    assert!(
        ran.stdout.contains("and weights.safetensors (SHA-256 "),
        "hashes of weights are in the manifest: {}",
        ran.stdout
    );
    assert!(ran.stdout.ends_with("identical\n"), "{}", ran.stdout);
    reader.run(&["replay", "reports/tiny"]).succeeds();
}

#[test]
fn what_is_not_stored_is_left_out_and_a_summary_goes_with_it() {
    let place = Place::tiny();
    place.write("twin.toml", &TINY.replace("\"tiny\"", "\"twin\""));
    place.write(
        "none.toml",
        &TINY.replace("\"tiny\"", "\"none\"").replace("hidden_dim = 8", "hidden_dim = 4"),
    );
    place.run(&["tiny.toml", "twin.toml", "-S", "seeds=[1]"]).succeeds();
    let all = [
        "bundle",
        "tiny.toml",
        "none.toml",
        "twin.toml",
        "-S",
        "seeds=[1]",
        "--summary",
        "summary",
        "-o",
        "p.zip",
    ];
    place.run(&all).fails(
        4,
        &["error: none.toml: nothing is stored of none; `bench none.toml` computes it; or --partial packs what is there"],
    );
    assert!(!fs::exists(place.path("p.zip")).unwrap());
    let ran = place.run(&[&all[..], &["--partial"]].concat()).succeeds();
    let left_out =
        "warning: none.toml: nothing is stored of none; `bench none.toml` computes it; it is left out";
    assert!(ran.stderr.contains(left_out), "{}", ran.stderr);
    assert!(ran.stdout.contains(" files of 1 cell, "), "both have the same cell: {}", ran.stdout);
    let files = unpacked(&fs::read(place.path("p.zip")).unwrap());
    assert!(files.contains_key("reports/summary/summary.json"));
    assert!(
        files.contains_key("reports/twin/results.json") && !files.contains_key("experiments/typed/none.toml")
    );
    let other = ["bundle", "tiny.toml", "-S", "seeds=[1]", "--summary", "../x", "-o", "p.zip"];
    assert_eq!(place.run(&other).code, Some(4));
}

#[test]
fn a_report_of_other_cells_than_are_stored_is_not_packed_beside_them() {
    let place = Place::tiny();
    place.run(&["tiny.toml"]).succeeds();
    let cells = place.names("runs/retrieval");
    place.write(&format!("runs/retrieval/{}/curve.json", cells[0]), "[]");
    let pack = |more: &[&str]| place.run(&[&["bundle", "tiny.toml", "-o", "p.zip"][..], more].concat());
    let manifest: serde_json::Value =
        serde_json::from_str(&place.read(&format!("runs/retrieval/{}/manifest.json", cells[0]))).unwrap();
    let seed = manifest["seed"].as_u64().unwrap();
    let missing = format!("tiny.toml: seed {seed} of tiny is not stored; `bench tiny.toml` computes it");
    let old = "reports/tiny: of other cells than are stored now; `bench report FILE` makes it again";
    let last = format!("error: {old}; or --partial packs what is there");
    pack(&[]).fails(4, &[&format!("error: {missing}"), &last]);
    let ran = pack(&["--partial"]).succeeds();
    for what in [missing.as_str(), old] {
        assert!(ran.stderr.contains(&format!("warning: {what}; it is left out")), "{}", ran.stderr);
    }
    let files = unpacked(&fs::read(place.path("p.zip")).unwrap());
    assert!(!files.keys().any(|name| name.starts_with("reports/")), "{:?}", files.keys());
    // One report more, and what is packed is whole as far as it goes.
    place.run(&["report", "tiny.toml"]).succeeds();
    place.run(&["bundle", "reports/tiny", "-o", "p.zip"]).fails(
        4,
        &["error: reports/tiny: incomplete: it has 1 of 2 seeds; `bench FILE` computes the others; or --partial packs what is there"],
    );
    place.run(&["bundle", "reports/tiny", "--partial", "-o", "p.zip"]).succeeds();
    place.run(&["bundle", "--check", "p.zip"]).succeeds();
}

#[test]
fn an_experiment_that_is_named_twice_is_packed_once_and_a_folder_is_no_archive() {
    let place = Place::tiny();
    place.run(&["tiny.toml", "-S", "seeds=[1]"]).succeeds();
    let both = ["bundle", "tiny.toml", "reports/tiny", "-S", "seeds=[1]", "-o", "p.zip"];
    place.run(&both).succeeds();
    let files = unpacked(&fs::read(place.path("p.zip")).unwrap());
    let index: serde_json::Value = serde_json::from_slice(&files["bundle.json"]).unwrap();
    assert_eq!(index["experiments"].as_array().unwrap().len(), 1);
    assert!(files.contains_key("experiments/typed/tiny.toml"));
    // The same name, but other cells.
    place.run(&["tiny.toml", "-S", "seeds=[2]", "--reports-dir", "others"]).succeeds();
    place.run(&["bundle", "tiny.toml", "others/tiny", "-S", "seeds=[1]", "-o", "q.zip"]).fails(
        4,
        &["error: others/tiny: another tiny is packed already, of other cells; give one of them another name"],
    );
    place
        .run(&["bundle", "tiny.toml", "-S", "seeds=[1]", "-o", "."])
        .fails(2, &["error: -o .: a folder; expected the file to write, such as -o ./bundle.zip"]);
}

#[test]
fn a_ranking_and_a_report_alone_are_packed_with_their_cells() {
    let place = ranker::place();
    place.run(&["tiny.toml"]).succeeds();
    let ran = place.run(&["bundle", "reports/ranked", "-o", "r.zip"]).succeeds();
    assert!(ran.stdout.contains(" files of 4 cells, "), "{}", ran.stdout);
    let files = unpacked(&fs::read(place.path("r.zip")).unwrap());
    let has = |end: &str| files.keys().filter(|name| name.ends_with(end)).count();
    assert_eq!((has("/ranking.safetensors"), has("/audit.json"), has("/adapter_config.json")), (2, 2, 2));
    assert_eq!(has("/adapter_model.safetensors"), 0);
    assert!(files.contains_key("experiments/resolved/ranked.toml"));
    place.run(&["bundle", "--check", "r.zip"]).succeeds();
    let reader = Place::new();
    put(&reader, ".", &files);
    crate::rank::tiny::write(&reader.path("model"), 5);
    let cell = format!("runs/ranking/{}", reader.names("runs/ranking")[0]);
    let ran = reader.run(&["replay", &cell]).succeeds();
    assert!(ran.stdout.ends_with("identical\n"), "{}", ran.stdout);
    assert!(ran.stderr.contains("stored already as "), "{}", ran.stderr);
}

#[test]
fn nothing_private_is_in_a_bundle_or_in_a_manifest() {
    const TOKEN: &str = "hf_AbCdEfGhIjKlMnOpQrStUvWxYz012345";
    let place = Place::new();
    place.write(
        "home/somebody/papers/tiny.toml",
        &TINY.replace("[dataset]", "description = \"see DATA\"\n[dataset]"),
    );
    let home = place.path("home/somebody").canonicalize().unwrap();
    let home = home.to_str().unwrap();
    let file = format!("{home}/papers/tiny.toml");
    let text = fs::read_to_string(&file).unwrap().replace("DATA", &format!("{home}/data and /home/anna/x"));
    fs::write(&file, text).unwrap();
    let run = |arguments: &[&str]| -> Ran {
        let mut command = place.command(arguments);
        command.env("HOME", home).env("HF_TOKEN", TOKEN).env("USER", "somebody");
        command.output().unwrap().into()
    };
    let threads = ["--runs-dir", &format!("{home}/runs"), "--reports-dir", &format!("{home}/reports")];
    run(&[&["run", &file][..], &threads].concat()).succeeds();
    let all = format!("{home}/all.zip");
    let ran = run(&[&["bundle", &file, "--weights", "-o", &all][..], &threads].concat()).succeeds();
    assert!(ran.stdout.contains("private folders were written otherwise in "), "{}", ran.stdout);
    let bytes = fs::read(&all).unwrap();
    let files = unpacked(&bytes);
    let working = place.path(".").canonicalize().unwrap();
    for (name, content) in files.iter().chain([(&"the archive".to_owned(), &bytes)]) {
        for private in [TOKEN, home, working.to_str().unwrap(), "/home/anna", "somebody"] {
            assert!(!contains(content, private) && !name.contains(private), "{private} is in {name}");
        }
    }
    let typed = String::from_utf8(files["experiments/typed/tiny.toml"].clone()).unwrap();
    assert!(typed.contains("description = \"see ~/data and ~/x\""), "{typed}");
    // What was written otherwise agrees with itself again.
    run(&["bundle", "--check", &all]).succeeds();
    let manifest = files.iter().find(|(name, _)| name.ends_with("/manifest.json")).unwrap().1;
    let manifest: serde_json::Value = serde_json::from_slice(manifest).unwrap();
    assert_eq!(manifest["process"]["command"], "bench run tiny.toml --runs-dir runs --reports-dir reports");
    // The manifest of the store has no folder either, whoever reads it.
    let cell = super::names(&place.path("home/somebody/runs/retrieval")).remove(0);
    let stored =
        fs::read(place.path("home/somebody/runs/retrieval").join(cell).join("manifest.json")).unwrap();
    assert!(!contains(&stored, home) && !contains(&stored, TOKEN));
    // A token that somebody wrote into a file is never packed.
    fs::write(&file, format!("# {TOKEN}\n{}", fs::read_to_string(&file).unwrap())).unwrap();
    let leak = format!("{home}/leak.zip");
    let ran = run(&[&["bundle", &file, "-o", &leak][..], &threads].concat());
    assert_eq!(ran.code, Some(96), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("experiments/typed/tiny.toml: it has the token of the hub (HF_TOKEN) in it"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains(TOKEN) && !fs::exists(&leak).unwrap());
}

#[test]
fn a_bundle_that_was_changed_is_told_file_by_file() {
    let place = Place::tiny();
    place.run(&["tiny.toml", "-S", "seeds=[1]"]).succeeds();
    place.run(&["bundle", "tiny.toml", "-S", "seeds=[1]", "-o", "paper.zip"]).succeeds();
    let files = unpacked(&fs::read(place.path("paper.zip")).unwrap());
    let cell = format!("runs/retrieval/{}", place.names("runs/retrieval")[0]);
    let mut changed = files.clone();
    changed.insert("README.txt".to_owned(), b"trust me".to_vec());
    changed.remove("bundle.json");
    changed.insert("more.txt".to_owned(), Vec::new());
    fs::write(place.path("changed.zip"), packed(&changed)).unwrap();
    let ran = place.run(&["bundle", "--check", "changed.zip"]);
    assert_eq!(ran.code, Some(103), "{}", ran.stderr);
    let hash = |bytes: &[u8]| bench::run::sha256_hex(bytes);
    let errors = [
        format!(
            "error: README.txt: SHA-256 {}; SHA256SUMS says {}",
            hash(b"trust me"),
            hash(&files["README.txt"])
        ),
        "error: bundle.json: missing".to_owned(),
        "error: more.txt: not in SHA256SUMS".to_owned(),
    ];
    assert_eq!(ran.errors(), errors);
    // Whoever writes the sums anew is caught by the cell's own manifest.
    let curve = format!("{cell}/curve.json");
    let mut forged = files.clone();
    forged.insert(curve.clone(), b"[]".to_vec());
    forged.remove("SHA256SUMS");
    let sums: String = forged.iter().map(|(name, bytes)| format!("{}  {name}\n", hash(bytes))).collect();
    forged.insert("SHA256SUMS".to_owned(), sums.into_bytes());
    fs::write(place.path("forged.zip"), packed(&forged)).unwrap();
    place
        .run(&["bundle", "--check", "forged.zip"])
        .fails(103, &[&format!("error: {curve}: not what the cell's manifest says")]);
    // Cut in the middle, or no archive at all.
    let whole = fs::read(place.path("paper.zip")).unwrap();
    fs::write(place.path("cut.zip"), &whole[..whole.len() / 2]).unwrap();
    let ran = place.run(&["bundle", "--check", "cut.zip"]);
    assert!(
        ran.code == Some(103) && ran.stderr.starts_with("error: cut.zip: not a sound zip: "),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_bundle_of_what_is_not_stored_is_refused() {
    let place = Place::tiny();
    place
        .run(&["bundle", "tiny.toml", "-o", "paper.zip"])
        .fails(4, &["error: tiny.toml: nothing is stored of tiny; `bench tiny.toml` computes it"]);
    assert_eq!(place.run(&["bundle", "tiny.toml"]).code, Some(2));
    assert_eq!(place.run(&["bundle"]).code, Some(2));
    assert_eq!(place.names("."), ["tiny.toml"]);
}

#[test]
fn files_that_inherit_keep_their_places_to_each_other() {
    let place = Place::new();
    let (top, rest) = TINY.split_once("[dataset]").unwrap();
    place.write("shared/base.toml", &format!("abstract = true\n[dataset]{rest}"));
    place.write("mine/tiny.toml", &format!("inherits = \"../shared/base.toml\"\n{top}"));
    place.run(&["mine/tiny.toml", "-S", "seeds=[1]"]).succeeds();
    place.run(&["bundle", "mine/tiny.toml", "-S", "seeds=[1]", "-o", "paper.zip"]).succeeds();
    let files = unpacked(&fs::read(place.path("paper.zip")).unwrap());
    let reader = Place::new();
    put(&reader, ".", &files);
    reader.run(&["validate", "experiments/typed/mine/tiny.toml"]).succeeds();
    let ran = reader.run(&["plan", "experiments/typed/mine/tiny.toml", "-S", "seeds=[1]"]).succeeds();
    assert!(ran.stdout.contains("0 to run, 1 stored"), "{}", ran.stdout);
}
