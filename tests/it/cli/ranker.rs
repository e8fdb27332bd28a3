//! Two stages, from a file to a report.

use serde_json::Value;

use super::Place;
use crate::rank::tiny;

pub(super) const FILE: &str = r#"
name = "ranked"
seeds = [1, 2]

[dataset]
name = "synthetic"
users = 90
items = 40

[retriever]
kind = "popularity"

[evaluation]
cutoffs = [1, 3]
candidates = 5

[backbone]
name = "./model"
quantization = "f32"
compute_type = "f32"

[ranker]
history_items = 3
title_tokens = 12
lora_r = 2
batch_size = 8
max_steps = 6
validate_every_steps = 3
warmup_steps = 1
learning_rate = 1e-2
select_by = "ndcg@3"
negatives = 4
"#;

pub(super) fn place() -> Place {
    let place = Place::with(FILE);
    tiny::write(&place.path("model"), 5);
    place
}

pub(super) fn results(place: &Place) -> Value {
    serde_json::from_str(&place.read("reports/ranked/results.json")).unwrap()
}

#[test]
fn a_backbone_ranks_the_candidates_and_the_report_has_its_ladder() {
    let place = place();
    let ran = place.run(&["tiny.toml"]).succeeds();
    assert_eq!(place.names("runs/retrieval").len(), 2);
    assert_eq!(place.names("runs/ranking").len(), 2);
    for cell in place.names("runs/ranking") {
        let files = place.names(&format!("runs/ranking/{cell}"));
        let expected =
            ["adapter", "audit.json", "config.json", "curve.json", "manifest.json", "ranking.safetensors"];
        assert_eq!(files, expected);
        let adapter = place.names(&format!("runs/ranking/{cell}/adapter"));
        assert_eq!(adapter, ["adapter_config.json", "adapter_model.safetensors"]);
        // The folder's name alone: what is above it is private to a machine.
        let adapter: Value =
            serde_json::from_str(&place.read(&format!("runs/ranking/{cell}/adapter/adapter_config.json")))
                .unwrap();
        assert_eq!(adapter["base_model_name_or_path"], "model");
    }
    assert!(ran.stdout.contains("ranked by model\n"), "{}", ran.stdout);
    let results = results(&place);
    let ranker = &results["ranker"];
    assert_eq!(ranker["tuned"], true);
    assert_eq!(ranker["backbone"]["parameters"], tiny::config().parameters());
    let rungs: Vec<&str> =
        ranker["test"]["rungs"].as_array().unwrap().iter().map(|r| r["rung"].as_str().unwrap()).collect();
    assert_eq!(rungs, ["random", "retriever", "zero-shot", "tuned", "oracle"]);
    // A byte is a byte wherever it stands: both read-outs are one.
    assert_eq!(ranker["audit"]["labels"][1]["standalone"], serde_json::json!([66]));
    let steps: Vec<u64> =
        ranker["seeds"][0]["curve"].as_array().unwrap().iter().map(|p| p["step"].as_u64().unwrap()).collect();
    assert_eq!(steps, [0, 3, 6]);
    // The retriever's rung is what the first stage's own table says of R.
    let retriever = &ranker["test"]["rungs"][1]["overall"]["MRR@3"]["seeds"]["mean"];
    let first_stage = &results["summary"]["test"]["MRR@3"]["seeds"]["mean"];
    assert!((retriever.as_f64().unwrap() - first_stage.as_f64().unwrap()).abs() < 1e-12);
    assert!(place.read("reports/ranked/report.md").contains("| tuned (c, the result) |"));
}

#[test]
fn a_second_run_computes_nothing_and_another_prompt_keeps_the_candidates() {
    let place = place();
    place.run(&["tiny.toml"]).succeeds();
    let before = place.read("reports/ranked/results.json");
    let ran = place.run(&["tiny.toml"]).succeeds();
    assert_eq!(place.read("reports/ranked/results.json"), before);
    assert_eq!(ran.stderr.matches("stored already as ").count(), 4, "{}", ran.stderr);
    // How memory is used decides nothing; the prompt does.
    place.run(&["tiny.toml", "-S", "ranker.gradient_checkpointing=always"]).succeeds();
    assert_eq!(place.names("runs/ranking").len(), 2);
    place.run(&["tiny.toml", "-S", "ranker.history_items=2", "-S", "seeds=[1]"]).succeeds();
    assert_eq!((place.names("runs/retrieval").len(), place.names("runs/ranking").len()), (2, 3));
}

#[test]
fn the_candidates_are_those_of_the_experiment_without_a_backbone() {
    let place = place();
    let (first_stage, _) = FILE.split_once("[backbone]").unwrap();
    place.write("first.toml", &first_stage.replace("ranked", "first"));
    place.run(&["first.toml"]).succeeds();
    let cells = place.names("runs/retrieval");
    place.run(&["tiny.toml"]).succeeds();
    assert_eq!(place.names("runs/retrieval"), cells);
}

#[test]
fn a_moved_backbone_is_the_same_and_other_weights_are_not() {
    let place = place();
    place.run(&["tiny.toml", "-S", "seeds=[1]"]).succeeds();
    std::fs::rename(place.path("model"), place.path("moved")).unwrap();
    place.run(&["tiny.toml", "-S", "seeds=[1]", "-S", "backbone.name=./moved"]).succeeds();
    assert_eq!(place.names("runs/ranking").len(), 1);
    tiny::write(&place.path("moved"), 6);
    place.run(&["tiny.toml", "-S", "seeds=[1]", "-S", "backbone.name=./moved"]).succeeds();
    assert_eq!(place.names("runs/ranking").len(), 2);
}

#[test]
fn threads_change_no_score() {
    let hashes = |threads: &str| {
        let place = place();
        place.run(&["--threads", threads, "tiny.toml"]).succeeds();
        let results = results(&place);
        (0..2).map(|seed| results["ranker"]["seeds"][seed]["ranking_sha256"].clone()).collect::<Vec<_>>()
    };
    let one = hashes("1");
    assert!(one[0].is_string());
    assert_eq!(one, hashes("3"));
}

#[test]
fn without_tuning_there_is_no_adapter_and_the_backbone_is_the_result() {
    let place = place();
    place.run(&["tiny.toml", "-S", "ranker.tune=false", "-S", "ranker.validation_users=7"]).succeeds();
    let cell = place.names("runs/ranking").remove(0);
    assert!(!place.names(&format!("runs/ranking/{cell}")).contains(&"adapter".to_owned()));
    let results = results(&place);
    let rungs: Vec<&str> = results["ranker"]["test"]["rungs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["rung"].as_str().unwrap())
        .collect();
    assert_eq!(rungs, ["random", "retriever", "zero-shot", "oracle"]);
    assert_eq!(results["ranker"]["validation"]["ranked"]["mean"], 7.0);
    let report = place.read("reports/ranked/report.md");
    assert!(report.contains("Validation of the ranker is over 7 of "), "{report}");
    assert!(report.contains("Not all of R was ranked, so there are no means over all users."), "{report}");
}

#[test]
fn the_report_is_made_again_without_the_backbone() {
    let place = place();
    place.run(&["tiny.toml"]).succeeds();
    let before = place.read("reports/ranked/results.json");
    std::fs::remove_dir_all(place.path("model")).unwrap();
    let ran = place.run(&["report", "tiny.toml"]).succeeds();
    assert!(
        ran.stderr.contains("ranked: the backbone is not here; the stored seeds with its settings are taken"),
        "{}",
        ran.stderr
    );
    assert_eq!(place.read("reports/ranked/results.json"), before);
}

#[test]
fn a_report_of_a_damaged_ranking_says_that_it_is_incomplete_and_what_computes_it() {
    let place = place();
    place.run(&["tiny.toml"]).succeeds();
    let key = results(&place)["ranker"]["seeds"][1]["key"].as_str().unwrap()[..16].to_owned();
    place.write(&format!("runs/ranking/{key}/audit.json"), "cut");
    let ran = place.run(&["report", "tiny.toml"]).succeeds();
    let set_aside = format!(
        "the cell was set aside as runs/ranking/{key}.damaged-1; a report computes nothing: the next run"
    );
    assert!(ran.stderr.contains(&set_aside), "{}", ran.stderr);
    assert!(!ran.stderr.contains("and is computed again"), "{}", ran.stderr);
    let incomplete =
        "warning: ranked: incomplete, for seed 2 is not stored; `bench tiny.toml` computes what is missing";
    assert!(ran.stderr.contains(incomplete), "{}", ran.stderr);
    let warnings = results(&place)["warnings"].to_string();
    assert!(warnings.contains("Incomplete: 1 of 2 seeds are finished; missing: 2."), "{warnings}");
    let ran = place.run(&["tiny.toml"]).succeeds();
    assert_eq!(ran.stderr.matches("stored already as ").count(), 3, "{}", ran.stderr);
}

#[test]
fn rankings_by_two_backbones_of_one_name_are_not_mixed_when_neither_is_here() {
    let place = place();
    let one = ["tiny.toml", "-S", "seeds=[1]"];
    place.run(&one).succeeds();
    tiny::write(&place.path("model"), 6);
    place.run(&one).succeeds();
    let sixth = results(&place)["ranker"]["backbone"]["identity"].clone();
    // While it is here, its content decides.
    place.run(&[&["report"][..], &one].concat()).succeeds();
    assert_eq!(results(&place)["ranker"]["backbone"]["identity"], sixth);
    std::fs::remove_dir_all(place.path("model")).unwrap();
    place.run(&[&["report"][..], &one].concat()).fails(
        96,
        &["error: ranked: seed 1 is stored for 2 different versions of the backbone, and its files are not here to say which is \
           meant; bring them back, or remove the cells that are out of date"],
    );
}

#[test]
fn without_its_backbone_a_report_is_of_the_data_that_are_here() {
    let place = place();
    let interactions = |turn: usize| -> String {
        let rows = (0..30).flat_map(|user| (0..8).map(move |at| (user, at)));
        rows.map(|(user, at)| format!("u{user},i{},{at}\n", (user * turn + at * 3) % 20)).collect()
    };
    let titles: String = (0..20).map(|item| format!("i{item},Title {item}\n")).collect();
    let (_, rest) = FILE.split_once("[retriever]").unwrap();
    let head = "name = \"ranked\"\nseeds = [1]\n[dataset]\nname = \"csv\"\nratings_file = \"r.csv\"\nheader = false\n\
                user_column = 1\nitem_column = 2\nrating_column = false\ntime_column = 3\ntitles_file = \"t.csv\"\n\
                titles_header = false\ntitle_item_column = 1\ntitle_column = 2\n[retriever]";
    place.write("csv.toml", &format!("{head}{rest}"));
    place.write("data/t.csv", &titles);
    let split = |place: &Place| results(place)["dataset"]["ours"]["split_fingerprint"].clone();
    let mut splits = Vec::new();
    for turn in [7, 11] {
        place.write("data/r.csv", &interactions(turn));
        place.run(&["csv.toml"]).succeeds();
        splits.push(split(&place));
    }
    assert_ne!(splits[0], splits[1]);
    std::fs::rename(place.path("model"), place.path("away")).unwrap();
    for (turn, expected) in [(7, &splits[0]), (11, &splits[1])] {
        place.write("data/r.csv", &interactions(turn));
        place.run(&["report", "csv.toml"]).succeeds();
        assert_eq!(split(&place), *expected);
    }
}

#[test]
fn a_damaged_ranking_is_set_aside_and_computed_again() {
    let place = place();
    place.run(&["tiny.toml", "-S", "seeds=[1]"]).succeeds();
    let before = results(&place)["ranker"]["seeds"][0]["ranking_sha256"].clone();
    let cell = place.names("runs/ranking").remove(0);
    place.write(&format!("runs/ranking/{cell}/adapter/adapter_model.safetensors"), "cut");
    let ran = place.run(&["tiny.toml", "-S", "seeds=[1]"]).succeeds();
    assert!(ran.stderr.contains("the cell was set aside as "), "{}", ran.stderr);
    assert_eq!(results(&place)["ranker"]["seeds"][0]["ranking_sha256"], before);
    assert_eq!(place.names("runs/ranking").len(), 2);
}

#[test]
fn a_plan_tells_what_is_stored_and_what_would_run() {
    let place = place();
    let plan = |place: &Place| place.run(&["plan", "tiny.toml"]).succeeds().stdout;
    assert!(plan(&place).contains("2 to run, 0 stored, 0 waiting"), "{}", plan(&place));
    place.run(&["tiny.toml", "-S", "seeds=[1]"]).succeeds();
    assert!(plan(&place).contains("1 to run, 1 stored, 0 waiting"), "{}", plan(&place));
}

#[test]
fn a_plan_that_measures_times_layers_and_says_where_the_time_goes() {
    let place = place();
    // One that is timed as it is, and one that is so large that a few of its layers stand for all.
    let large = ["-S", "backbone.name=HuggingFaceTB/SmolLM2-135M", "-S", "backbone.weights=random"];
    for (overrides, least) in [(&[][..], 0.0), (&large[..], 1.0)] {
        let command = [&["plan", "--measure", "tiny.toml"][..], overrides].concat();
        let plan = place.run(&command).succeeds();
        assert!(plan.stderr.contains("timing layers of the backbone of ranked"), "{}", plan.stderr);
        let line = plan.stdout.lines().find(|line| line.starts_with("ranked: timed ")).expect("a line");
        let words: Vec<&str> = line.split([' ', ';']).collect();
        let number = |at: usize| words[at].parse::<f64>().unwrap();
        let time = |at: usize| if words[at + 1] == "s" { 1e3 * number(at) } else { number(at) };
        assert_eq!((words[4], words[13]), ("for", "for"), "{line}");
        let (learned, tokens, scored) = (time(2), number(9), time(11));
        assert!(learned > scored && scored > least && tokens > 20.0, "{line}");
        let shares: Vec<f64> =
            line.split(" %").filter_map(|text| text.rsplit(' ').next()?.parse().ok()).collect();
        assert!(shares.len() == 3 && (shares.iter().sum::<f64>() - 100.0).abs() < 2.0, "{line}");
        assert!(plan.stdout.contains("timed ") && !plan.stdout.contains("Both are rough"), "{}", plan.stdout);
        assert!(!place.path("runs/ranking").exists(), "nothing was computed");
    }
}

#[test]
fn a_backbone_that_cannot_be_run_is_told_before_any_work() {
    let place = place();
    let config = place.read("model/config.json").replace("LlamaForCausalLM", "GPT2LMHeadModel");
    place.write("model/config.json", &config);
    let ran = place.run(&["tiny.toml"]);
    assert_eq!(ran.code, Some(96), "{}", ran.stderr);
    assert!(ran.errors()[0].contains("GPT2LMHeadModel"), "{}", ran.stderr);
    assert!(!place.path("runs/retrieval").exists());
}

#[test]
fn a_backbone_that_is_not_here_is_waited_for_with_what_it_takes() {
    let place = place();
    let named = ["-S", "backbone.name=meta-llama/Llama-2-7b-hf", "-S", "backbone.quantization=nf4"];
    let ran = place.run(&[&["plan", "tiny.toml"][..], &named].concat()).succeeds();
    let missing = ran.stdout.split_once("Missing:\n").expect("a list").1;
    let begin = "  ranked needs the weights of the backbone: meta-llama/Llama-2-7b-hf is no folder here and not there in ";
    assert!(missing.starts_with(begin), "{missing}");
    for part in [
        "`bench fetch meta-llama/Llama-2-7b-hf` brings it; its licence has to be accepted first, at \
         https://huggingface.co/meta-llama/Llama-2-7b-hf; about 12.6 GiB to download, and 4.1 GiB of memory for its weights in \
         nf4; about ",
        " for a seed on this processor",
    ] {
        assert!(missing.contains(part), "{part}\n{missing}");
    }
}

#[test]
fn a_built_in_backbone_is_made_once_for_all_seeds() {
    let place = Place::with(FILE);
    let built_in =
        ["-S", "backbone.name=embedded:tiny", "-S", "pretrain.tokens=3000", "-S", "pretrain.vocabulary=400"];
    let run = |command: &str| place.run(&[&[command, "tiny.toml"][..], &built_in].concat()).succeeds();
    assert!(run("plan").stdout.contains("2 to run, 0 stored, 0 waiting"));
    let first = run("run");
    assert_eq!((place.names("runs/pretraining").len(), place.names("runs/ranking").len()), (1, 2));
    assert_eq!(first.stderr.matches("pre-train: ").count(), 1, "{}", first.stderr);
    let results = results(&place);
    let backbone = &results["ranker"]["backbone"];
    assert_eq!((&backbone["source"], &backbone["name"]), (&"embedded".into(), &"embedded:tiny".into()));
    // Its name in the store is the beginning of what it is made of.
    let identity = backbone["identity"].as_str().unwrap();
    assert_eq!(place.names("runs/pretraining"), [&identity[..16]]);
    let second = run("run");
    assert!(!second.stderr.contains("pre-train"), "{}", second.stderr);
    assert!(run("plan").stdout.contains("0 to run, 2 stored, 0 waiting"));
}

#[test]
fn an_unknown_built_in_backbone_is_told_with_those_there_are() {
    let place = Place::with(FILE);
    place.run(&["tiny.toml", "-S", "backbone.name=embedded:huge"]).fails(
        96,
        &["error: ranked: backbone.name is \"embedded:huge\", but the built-in backbones are embedded:tiny and embedded:small"],
    );
}

#[test]
fn the_list_of_runs_tells_rankings_apart() {
    let place = place();
    place.run(&["tiny.toml", "-S", "seeds=[1]"]).succeeds();
    place.run(&["tiny.toml", "-S", "seeds=[1]", "-S", "ranker.tune=false"]).succeeds();
    let listed = place.run(&["ls"]).succeeds().stdout;
    for by in ["model f32, tuned", "model f32, zero-shot"] {
        assert_eq!(listed.matches(by).count(), 1, "{listed}");
    }
}

#[test]
fn built_in_backbones_are_made_by_a_command_of_their_own() {
    let place = Place::with(FILE);
    let built_in =
        ["-S", "backbone.name=embedded:tiny", "-S", "pretrain.tokens=3000", "-S", "pretrain.vocabulary=400"];
    let pretrain = || place.run(&[&["pretrain", "tiny.toml"][..], &built_in].concat()).succeeds();
    let first = pretrain();
    let cell = place.names("runs/pretraining").remove(0);
    let row = |ran: &str| ran.lines().find(|line| line.contains("ranked")).unwrap().to_owned();
    let made = row(&first.stdout);
    for part in ["embedded:tiny", "made now", " s ", "KiB", &format!("runs/pretraining/{cell}")] {
        assert!(made.contains(part), "{part}: {made}");
    }
    let second = pretrain();
    assert!(row(&second.stdout).contains("stored already"), "{}", second.stdout);
    // A run takes it, and so does an experiment that names its folder.
    let ran = place.run(&[&["tiny.toml"][..], &built_in].concat()).succeeds();
    assert!(ran.stderr.contains(&format!("embedded:tiny: stored already as {cell}")), "{}", ran.stderr);
    let named = format!("backbone.name=./runs/pretraining/{cell}");
    place.run(&["plan", "tiny.toml", "-S", &named]).succeeds();
}

#[test]
fn there_is_nothing_to_make_for_other_backbones() {
    let place = place();
    let ran = place.run(&["pretrain", "tiny.toml"]).fails(4, &[]);
    assert_eq!(ran.stdout, "ranked: its backbone ./model is not a built-in one; nothing to make\n");
    let (first_stage, _) = FILE.split_once("[backbone]").unwrap();
    place.write("first.toml", first_stage);
    let ran = place.run(&["pretrain", "first.toml"]).fails(4, &[]);
    assert_eq!(ran.stdout, "ranked: it names no backbone; nothing to make\n");
    place.run(&["pretrain", "tiny.toml", "-S", "backbone.name=embedded:huge"]).fails(
        100,
        &["error: ranked: backbone.name is \"embedded:huge\", but the built-in backbones are embedded:tiny and embedded:small"],
    );
}

#[test]
fn plan_tells_a_ranking_that_is_missing_from_its_candidates() {
    let place = place();
    place.run(&["tiny.toml", "-S", "seeds=[1]"]).succeeds();
    let ranking = place.names("runs/ranking").remove(0);
    let retrieval = place.names("runs/retrieval").remove(0);
    let ran = place.run(&["plan", "tiny.toml", "-S", "seeds=[1]"]).succeeds();
    assert!(
        ran.stdout.ends_with(&format!("ranked: stored: 1 retrieval/{retrieval}, 1 ranking/{ranking}\n")),
        "{}",
        ran.stdout
    );
    let ran = place.run(&["plan", "tiny.toml", "-S", "seeds=[1]", "-S", "ranker.history_items=2"]).succeeds();
    let lines = format!(
        "ranked: stored: 1 retrieval/{retrieval}\nranked: ranking of seed 1 would run: the nearest stored cell is {ranking} of ranked: \
         ranker.history_items 3, not 2\n"
    );
    assert!(ran.stdout.ends_with(&lines), "{}", ran.stdout);
    tiny::write(&place.path("model"), 6);
    let ran = place.run(&["plan", "tiny.toml", "-S", "seeds=[1]"]).succeeds();
    assert!(ran.stdout.contains(&format!("{ranking} of ranked: content of the backbone ")), "{}", ran.stdout);
}

#[test]
fn a_manifest_names_the_files_of_the_backbone_with_their_hashes() {
    let place = place();
    place.run(&["tiny.toml", "-S", "seeds=[1]"]).succeeds();
    let cell = place.names("runs/ranking").remove(0);
    let manifest: Value =
        serde_json::from_str(&place.read(&format!("runs/ranking/{cell}/manifest.json"))).unwrap();
    let audit: Value = serde_json::from_str(&place.read(&format!("runs/ranking/{cell}/audit.json"))).unwrap();
    let files = manifest["ranker"]["backbone"]["files"].as_object().unwrap();
    for name in ["config.json", "model.safetensors", "tokenizer.json"] {
        let bytes = std::fs::read(place.path("model").join(name)).unwrap();
        assert_eq!(files[name], bench::run::sha256_hex(&bytes), "{name}");
    }
    assert_eq!(files["tokenizer.json"], audit["tokenizer"]);
    let process = &manifest["process"];
    assert_eq!(process["command"], "bench tiny.toml -S 'seeds=[1]'");
    assert_eq!((&process["resumed"], &process["exit"]), (&0.into(), &"finished".into()));
}

#[test]
fn a_ranking_without_its_candidates_is_planned_as_a_run() {
    let place = place();
    place.run(&["tiny.toml", "-S", "seeds=[1]"]).succeeds();
    let cell = place.names("runs/retrieval").remove(0);
    std::fs::remove_dir_all(place.path(&format!("runs/retrieval/{cell}"))).unwrap();
    let plan = place.run(&["plan", "tiny.toml", "-S", "seeds=[1]"]).succeeds().stdout;
    assert!(plan.contains("1 to run, 0 stored, 0 waiting"), "{plan}");
    assert!(plan.contains("retrieval of seed 1 would run"), "{plan}");
    let ran = place.run(&["tiny.toml", "-S", "seeds=[1]"]).succeeds();
    assert!(!ran.stderr.contains("train ranker"), "the ranking is used: {}", ran.stderr);
    assert_eq!(place.names("runs/retrieval"), [cell]);
}
