//! The other commands, and what was typed wrongly.

use super::{Place, TINY};

#[test]
fn plan_says_what_would_run_what_is_stored_and_what_is_missing() {
    let place = Place::tiny();
    place.write(
        "games.toml",
        &TINY
            .replace("tiny", "games-tiny")
            .replace("name = \"synthetic\"\nusers = 150\nitems = 60", "name = \"games\""),
    );
    place.run(&["tiny.toml", "-S", "seeds=[1]"]).succeeds();
    let before = place.names("runs/retrieval");
    for arguments in [&["plan", "tiny.toml", "games.toml"][..], &["-n", "tiny.toml", "games.toml"]] {
        let ran = place.run(arguments).succeeds();
        let rows: Vec<Vec<&str>> = ran.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
        let has = |words: &[&str]| rows.iter().any(|row| row.starts_with(words));
        assert!(has(&["tiny", "1", "stored"]), "{}", ran.stdout);
        assert!(has(&["tiny", "2", "would", "run", "measured"]), "{}", ran.stdout);
        assert!(has(&["games-tiny", "1,", "2", "waiting"]), "{}", ran.stdout);
        assert!(ran.stdout.contains("1 to run, 1 stored, 2 waiting; about "), "{}", ran.stdout);
        assert!(ran.stdout.contains("get it with `bench fetch games`"), "{}", ran.stdout);
    }
    assert_eq!(place.names("runs/retrieval"), before, "a plan computes nothing");
}

#[test]
fn plan_says_which_cells_are_used_and_why_the_others_are_not_there() {
    let place = Place::tiny();
    let nothing = "tiny: retrieval of seeds 1, 2 would run: no cell of this stage and dataset is stored\n";
    let ran = place.run(&["plan", "tiny.toml"]).succeeds();
    assert!(ran.stdout.ends_with(nothing), "{}", ran.stdout);
    place.run(&["tiny.toml", "-S", "seeds=[1]"]).succeeds();
    let cell = place.names("runs/retrieval").remove(0);
    let ran = place.run(&["plan", "tiny.toml"]).succeeds();
    let lines = format!(
        "tiny: stored: 1 retrieval/{cell}\ntiny: retrieval of seed 2 would run: the nearest stored cell is {cell} of tiny: seed 1\n"
    );
    assert!(ran.stdout.ends_with(&lines), "{}", ran.stdout);
    let other =
        ["plan", "tiny.toml", "-S", "retriever.dropout=0.25", "-S", "retriever.blocks=1", "-S", "seeds=[1]"];
    let ran = place.run(&other).succeeds();
    let line = format!(
        "tiny: retrieval of seed 1 would run: the nearest stored cell is {cell} of tiny: retriever.blocks 2, not 1; \
         retriever.dropout 0.5, not 0.25\n"
    );
    assert!(ran.stdout.ends_with(&line), "{}", ran.stdout);
    // Synthetic data have no upstream files: other draws are other settings.
    let ran = place.run(&["plan", "tiny.toml", "-S", "dataset.seed=43", "-S", "seeds=[1]"]).succeeds();
    assert!(ran.stdout.ends_with(&format!("{cell} of tiny: dataset.seed 42, not 43\n")), "{}", ran.stdout);
    // An older version of the stage.
    let manifest = format!("runs/retrieval/{cell}/manifest.json");
    let old = place.read(&manifest).replace("\"stage_version\": 1", "\"stage_version\": 0");
    let key = place.read(&manifest);
    let key = key.split("\"key\": \"").nth(1).unwrap()[..64].to_owned();
    let (folder, other) = (format!("runs/retrieval/{cell}"), "runs/retrieval/ffffffffffffffff");
    let old = old.replace(&key, &"f".repeat(64));
    let sealed = bench::run::reseal(old.as_bytes(), &std::collections::BTreeMap::new(), &[]).unwrap();
    std::fs::write(place.path(&manifest), sealed).unwrap();
    std::fs::rename(place.path(&folder), place.path(other)).unwrap();
    let ran = place.run(&["plan", "tiny.toml", "-S", "seeds=[1]"]).succeeds();
    assert!(
        ran.stdout.ends_with("ffffffffffffffff of tiny: version of the stage 0, not 1\n"),
        "{}",
        ran.stdout
    );
}

#[test]
fn plan_counts_a_run_that_two_experiments_share_once() {
    let place = Place::tiny();
    place.write("twin.toml", &TINY.replace("tiny", "twin").replace("cutoffs = [1, 5]", "cutoffs = [3]"));
    let ran = place.run(&["plan", "tiny.toml", "twin.toml"]).succeeds();
    assert!(ran.stdout.contains("2 to run, 0 stored, 0 waiting"), "{}", ran.stdout);
    assert!(ran.stdout.contains("shared with a run above"), "{}", ran.stdout);
    assert_eq!(place.names("."), ["tiny.toml", "twin.toml"], "a plan writes nothing");
}

#[test]
fn validate_counts_the_files_and_a_folder_stands_for_its_files() {
    let place = Place::new();
    place.write("all/tiny.toml", TINY);
    place.write("all/base.toml", "abstract = true\nseeds = [1]\n");
    place.write("all/notes.txt", "no experiment");
    let ran = place.run(&["validate", "all"]).succeeds();
    assert_eq!(ran.stdout, "2 experiment files are valid (1 of them for others to inherit from)\n");
    assert_eq!(place.run(&["validate", "all/tiny.toml"]).succeeds().stdout, "1 experiment file is valid\n");
}

#[test]
fn nothing_selected_has_an_exit_code_of_its_own() {
    let place = Place::new();
    place.write("base.toml", "abstract = true\nseeds = [1]\n");
    place.run(&["base.toml"]).fails(
        4,
        &["error: base.toml is marked abstract = true, for others to inherit from; name a file that inherits it"],
    );
    place.write("empty/readme.txt", "");
    place.run(&["empty"]).fails(4, &["error: empty: no experiment file (*.toml) in this folder"]);
}

#[test]
fn ls_lists_what_is_stored() {
    let place = Place::tiny();
    assert_eq!(place.run(&["ls"]).succeeds().stdout, "runs: no stored run\n");
    place.run(&["tiny.toml"]).succeeds();
    let ran = place.run(&["ls"]).succeeds();
    for cell in place.names("runs/retrieval") {
        assert!(ran.stdout.contains(&cell), "{}", ran.stdout);
    }
    place.write(&format!("runs/retrieval/{}/manifest.json", place.names("runs/retrieval")[0]), "{");
    let ran = place.run(&["ls"]);
    assert_eq!((ran.code, ran.errors().len()), (Some(96), 1), "{}", ran.stderr);
}

#[test]
fn report_makes_the_same_report_from_the_store_and_without_the_data_all_but_what_only_they_tell() {
    let place = Place::with(&TINY.replace(
        "name = \"synthetic\"\nusers = 150\nitems = 60",
        "name = \"csv\"\nratings_file = \"ratings.csv\"",
    ));
    let mut ratings = String::from("user,item,timestamp\n");
    for user in 0..40 {
        for step in 0..7 {
            ratings.push_str(&format!("u{user},i{},{step}\n", (user * 3 + step * step) % 12));
        }
    }
    place.write("data/ratings.csv", &ratings);
    place.run(&["tiny.toml"]).succeeds();
    let files = ["reports/tiny/report.md", "reports/tiny/results.json"];
    let before = files.map(|name| place.read(name));
    let figures = place.names("reports/tiny/figures");
    std::fs::remove_dir_all(place.path("reports")).unwrap();
    place.run(&["report", "tiny.toml"]).succeeds();
    assert_eq!(files.map(|name| place.read(name)), before);
    assert_eq!(place.names("reports/tiny/figures"), figures);
    // Users' histories are in the data alone.
    place.run(&["report", "tiny.toml", "--data-dir", "nowhere"]).succeeds();
    let [mut with, without] = [before[1].clone(), place.read(files[1])]
        .map(|text| serde_json::from_str::<serde_json::Value>(&text).unwrap());
    let breakdowns = with["figures"].as_object_mut().unwrap().remove("breakdowns").unwrap();
    assert_eq!(breakdowns.as_array().unwrap().len(), 2);
    assert_eq!(with, without);
    let sentence =
        "by the length of histories and by the popularity of items is not drawn: both are in the data";
    assert!(!before[0].contains(sentence));
    assert!(place.read(files[0]).contains(sentence));
    let left: Vec<_> = figures.iter().filter(|name| !name.starts_with("by-")).cloned().collect();
    assert_eq!(figures.len(), left.len() + 8);
    assert_eq!(place.names("reports/tiny/figures"), left, "figures of the earlier report are gone");
    let ran = place.run(&["report", "tiny.toml", "-S", "retriever.dropout=0.3", "--data-dir", "nowhere"]);
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
    assert_eq!(ran.stdout, "tiny: no stored run; nothing to report\n");
}

#[test]
fn report_asks_for_the_data_where_two_versions_of_them_are_stored() {
    let place = Place::with(&TINY.replace(
        "name = \"synthetic\"\nusers = 150\nitems = 60",
        "name = \"csv\"\nratings_file = \"ratings.csv\"\nmin_user_interactions = 3\nmin_item_interactions = 1",
    ));
    for version in 0..2 {
        let mut ratings = String::from("user,item,timestamp\n");
        for row in 0..120 {
            ratings.push_str(&format!("u{},i{},{row}\n", row % 20, (row + version) % 11));
        }
        place.write("data/ratings.csv", &ratings);
        place.run(&["tiny.toml"]).succeeds();
    }
    place.run(&["report", "tiny.toml"]).succeeds();
    place.run(&["report", "tiny.toml", "--data-dir", "nowhere"]).fails(
        96,
        &["error: tiny: seed 1 is stored for 2 different versions of the data, and the data are not here to say which is \
           meant; remove the cells that are out of date, or name the data with --data-dir"],
    );
}

#[test]
fn settings_describe_themselves() {
    let place = Place::new();
    let settings = place.run(&["settings"]).succeeds().stdout;
    assert_eq!(settings.trim_end(), bench::experiment::settings_markdown().trim_end());
}

#[test]
fn fetch_brings_a_backbone_into_the_cache_of_the_hub() {
    use crate::backbone::hub::{COMMIT, NAME, one_file, serve};
    let (place, server) = (Place::new(), serve(one_file()));
    let run = |arguments: &[&str]| -> super::Ran {
        let mut command = place.command(arguments);
        command.env("HF_HUB_CACHE", place.path("hub")).env("HF_HOME", place.path("home"));
        command.env("HF_ENDPOINT", server.base());
        command.output().expect("start the program").into()
    };
    let snapshot = place.path("hub/models--tiny-models--llama/snapshots").join(COMMIT);
    assert_eq!(run(&["fetch", NAME]).succeeds().stdout, format!("{}\n", snapshot.display()));
    assert_eq!(place.names("."), ["hub"], "nothing is written into the folder of data");
    let text = snapshot.to_str().unwrap();
    assert_eq!(run(&["fetch", text]).succeeds().stdout, format!("{text}\n"), "a folder is only checked");
    let asked = server.seen().len();
    let other = format!("{NAME}@v2");
    let url = format!("{}/api/models/{NAME}/revision/v2", server.base());
    let page = format!("{}/{NAME}/tree/main", server.base());
    run(&["fetch", &other]).fails(
        100,
        &[&format!("error: {url}: the server answers 404 Not Found; {NAME} lost this file; look at {page}")],
    );
    assert_eq!(server.seen().len(), asked + 1);
    run(&["fetch", "./none"]).fails(
        96,
        &["error: ./none: no config.json, tokenizer.json, model.safetensors; a backbone's folder has config.json, tokenizer.json \
           and model.safetensors (or model.safetensors.index.json and its shards)"],
    );
}

#[test]
fn fetch_says_how_to_do_without_it_and_knows_its_names() {
    let place = Place::new();
    let printed = place.run(&["fetch", "beauty", "--print"]).succeeds().stdout;
    assert_eq!(printed.trim_end(), bench::fetch::instructions("beauty").unwrap().trim_end());
    place.run(&["fetch", "ml-100k", "beuty"]).fails(
        2,
        &["error: beuty is not a dataset that can be fetched; did you mean beauty?; known: ml-100k, beauty, games"],
    );
    let printed = place.run(&["fetch", "a/b", "--print"]).succeeds().stdout;
    assert!(printed.contains("\n  https://huggingface.co/a/b\n"), "{printed}");
    assert_eq!(place.names("."), [""; 0]);
}

#[test]
fn wrong_arguments_are_usage_errors() {
    let place = Place::tiny();
    for arguments in [
        &[][..],
        &["--no-such-option"],
        &["run"],
        &["tiny.toml", "-S", "novalue"],
        &["tiny.toml", "--threads", "0"],
    ] {
        assert_eq!(place.run(arguments).code, Some(2), "{arguments:?}");
    }
    place
        .run(&["vlidate", "tiny.toml"])
        .fails(2, &["error: vlidate is neither a command nor a file; did you mean validate?"]);
    let help = place.run(&["--help"]).succeeds().stdout;
    for code in ["0", "2", "4", "96", "100", "101", "102", "103", "106", "110", "130"] {
        assert!(help.contains(&format!("\n  {code:<4} ")), "{help}");
    }
}

#[test]
fn options_may_stand_before_or_behind_the_files() {
    let place = Place::tiny();
    place.run(&["--runs-dir", "elsewhere", "-S", "seeds=[1]", "tiny.toml", "-q"]).succeeds();
    assert_eq!(place.names("elsewhere/retrieval").len(), 1);
    place.run(&["-q", "validate", "tiny.toml"]).succeeds();
    let output = place
        .command(&["tiny.toml"])
        .env("BENCH_RUNS_DIR", "third")
        .env("BENCH_QUIET", "1")
        .output()
        .unwrap();
    let ran = super::Ran::from(output).succeeds();
    assert_eq!(ran.stderr, "");
    assert_eq!(place.names("third/retrieval").len(), 2);
}

#[test]
fn plan_says_what_a_run_makes_of_cells_that_are_not_whole() {
    let place = Place::tiny();
    place.run(&["tiny.toml"]).succeeds();
    let row = |ran: &super::Ran, words: &[&str]| {
        ran.stdout.lines().any(|line| line.split_whitespace().collect::<Vec<_>>().starts_with(words))
    };
    let manifest = |cell: &String| place.read(&format!("runs/retrieval/{cell}/manifest.json"));
    let cells = place.names("runs/retrieval");
    let first = cells.iter().find(|cell| manifest(cell).contains("\"seed\": 1,")).unwrap();
    let second = cells.iter().find(|cell| *cell != first).unwrap();
    std::fs::remove_file(place.path(&format!("runs/retrieval/{first}/weights.safetensors"))).unwrap();
    let ran = place.run(&["plan", "tiny.toml"]).succeeds();
    assert!(row(&ran, &["tiny", "1", "damaged,", "would", "run", "again"]), "{}", ran.stdout);
    assert!(row(&ran, &["tiny", "2", "stored"]), "{}", ran.stdout);
    assert!(ran.stdout.contains("1 to run, 1 stored, 0 waiting"), "{}", ran.stdout);
    place.write(&format!("runs/retrieval/{second}/manifest.json"), "{\"version\": 99}");
    let path = std::path::Path::new("runs").join("retrieval").join(second).join("manifest.json");
    let error = format!(
        "error: tiny, seed 2: read {}: format version 99, this program knows up to 1; update bench, or use another runs \
         folder",
        path.display()
    );
    let ran = place.run(&["plan", "tiny.toml"]).fails(100, &[&error]);
    assert!(row(&ran, &["tiny", "2", "cannot", "be", "read,", "see", "below"]), "{}", ran.stdout);
    assert_eq!(place.names("runs/retrieval"), cells, "a plan sets nothing aside");
    place.run(&["tiny.toml"]).fails(100, &[&error]);
}

#[test]
fn an_instruction_set_that_does_not_exist_is_a_usage_error() {
    let output = Place::new().command(&["settings"]).env("BENCH_SIMD", "avx3").output().unwrap();
    let ran = super::Ran::from(output)
        .fails(2, &["error: BENCH_SIMD is \"avx3\"; expected \"portable\", \"avx2\" or \"avx512\""]);
    assert_eq!(ran.stdout, "");
}

#[test]
fn a_folder_of_published_numbers_that_was_named_must_have_some() {
    let place = Place::tiny();
    place.write("empty/readme.txt", "");
    place
        .run(&["tiny.toml", "--baselines-dir", "baselnes"])
        .fails(96, &["error: baselnes: cannot be read as a folder of published numbers: No such file or directory (os error 2); name the folder \
           that has them, or leave --baselines-dir out for those built in"]);
    let empty = "error: empty: no file of published numbers (*.toml) in this folder; name the folder that has them, or leave \
                 --baselines-dir out for those built in";
    for command in ["run", "report"] {
        place.run(&[command, "tiny.toml", "--baselines-dir", "empty"]).fails(96, &[empty]);
    }
    assert_eq!(place.names("runs/retrieval"), [""; 0]);
    // Named, even with the name that it has without.
    assert_eq!(place.run(&["tiny.toml", "--baselines-dir", "baselines"]).code, Some(96));
    place.run(&["tiny.toml", "-S", "seeds=[1]"]).succeeds();
}

#[test]
fn a_weight_decay_that_the_rule_overwrites_is_told_in_the_report() {
    let place = Place::with(
        &TINY.replace("max_len", "weight_decay = 0.2\nweight_decay_rule = \"reference-0.01\"\nmax_len"),
    );
    place.run(&["tiny.toml", "-S", "seeds=[1]"]).succeeds();
    let report = place.read("reports/tiny/report.md");
    assert!(
        report.contains(
            "> - retriever.weight\\_decay is 0.2 (tiny.toml:14), but 0.01 was used: retriever.weight\\_decay\\_rule overwrites it.\n"
        ),
        "{report}"
    );
    assert!(
        report.contains("| retriever.weight\\_decay (used) | 0.01 | retriever.weight\\_decay\\_rule |\n"),
        "{report}"
    );
    place.run(&["tiny.toml", "-S", "seeds=[1]", "-S", "retriever.weight_decay=0.01"]).succeeds();
    assert!(!place.read("reports/tiny/report.md").contains("overwrites"));
}

#[test]
fn a_report_is_made_again_from_its_results_alone() {
    let place = Place::tiny();
    place.run(&["tiny.toml"]).succeeds();
    let files = ["report.md", "report.html", "report.tex", "results.json", "figures/metrics-light.svg"];
    let before = files.map(|name| place.read(&format!("reports/tiny/{name}")));
    place.write("elsewhere/results.json", &before[3]);
    let ran = place.run(&["report", "elsewhere/results.json"]).succeeds();
    assert!(ran.stdout.ends_with("elsewhere/results.json\n"), "{}", ran.stdout);
    assert_eq!(files.map(|name| place.read(&format!("elsewhere/{name}"))), before);
    let seedless = before[3].replacen("\"seeds\": [", "\"seeds\": [], \"other\": [", 1);
    place.write("elsewhere/results.json", &seedless);
    let ran = place.run(&["report", "elsewhere/results.json"]);
    assert!(ran.code == Some(96) && ran.stderr.contains("it has no seed"), "{}", ran.stderr);
    assert_eq!(place.read("elsewhere/results.json"), seedless, "what is read is not written");
    place.write("elsewhere/old.json", &before[3]);
    let ran = place.run(&["report", "elsewhere/old.json"]);
    assert!(ran.code == Some(96) && ran.stderr.contains("is called results.json"), "{}", ran.stderr);
    place.run(&["report", "elsewhere/results.json", "-S", "seeds=[1]"]).fails(
        2,
        &["error: -S changes the settings of experiments; what is in a results.json stays as it is"],
    );
    place.write("elsewhere/results.json", "{\"schema\": \"bench.results/9\"}");
    let ran = place.run(&["report", "elsewhere/results.json"]);
    assert!(
        ran.stderr.contains("elsewhere/results.json") && ran.stderr.contains("schema is bench.results/9")
    );
    assert_eq!(ran.code, Some(96), "{}", ran.stderr);
    assert!(place.read("elsewhere/report.md") == before[0], "a report that was there stays");
}

#[test]
fn quiet_does_not_hide_why_nothing_was_done() {
    let place = Place::with(
        &super::TINY.replace("name = \"synthetic\"\nusers = 150\nitems = 60", "name = \"beauty\""),
    );
    let ran = place.run(&["tiny.toml", "-q"]);
    assert_eq!(ran.code, Some(96), "{}", ran.stderr);
    assert!(ran.errors().iter().any(|line| line.contains("tiny needs ")), "{}", ran.stderr);
    place.run(&["report", "tiny.toml", "-q"]).fails(4, &["error: tiny: no stored run; nothing to report"]);
}
