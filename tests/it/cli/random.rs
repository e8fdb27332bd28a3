//! Backbones with random weights: speed and memory without a model's files, and nothing of it for reporting.

use serde_json::Value;

use super::Place;
use super::ranker::{self, FILE, results};
use crate::rank::tiny;

const STAMP: &str = "ot for reporting: the backbone";

/// A folder with nothing but the description of a model, and an experiment with two short steps of tuning.
fn place() -> Place {
    let place = Place::with(
        &FILE
            .replace("name = \"./model\"", "name = \"./model\"\nweights = \"random\"")
            .replace("max_steps = 6", "max_steps = 1")
            .replace("seeds = [1, 2]", "seeds = [1]"),
    );
    place.write("model/config.json", &tiny::config().to_json());
    place
}

fn manifest(place: &Place, stage: &str) -> Value {
    let cell = place.names(&format!("runs/{stage}")).remove(0);
    serde_json::from_str(&place.read(&format!("runs/{stage}/{cell}/manifest.json"))).unwrap()
}

#[test]
fn a_shape_is_enough_for_a_run_whose_results_are_stamped_in_every_format() {
    let place = place();
    let ran = place.run(&["tiny.toml"]).succeeds();
    assert!(ran.stdout.contains(&format!("n{STAMP}'s weights are random\n")), "{}", ran.stdout);
    assert!(
        ran.stderr.contains("./model: its weights are random, drawn for the shape in its config.json; "),
        "{}",
        ran.stderr
    );
    // The model's folder is as it was.
    assert_eq!(place.names("model"), ["config.json"]);
    let found = results(&place);
    assert_eq!(found["not_for_reporting"], "the backbone's weights are random");
    let first = found["warnings"][0].as_str().unwrap();
    assert!(first.starts_with("The weights of model are random, drawn for its shape: "), "{first}");
    assert!(first.ends_with("so their lengths are near those of its own, not the same."), "{first}");
    let backbone = &found["ranker"]["backbone"];
    assert_eq!(backbone["source"], "random");
    assert_eq!(backbone["random"], serde_json::json!({"shape": "config.json", "tokenizer": "titles"}));
    assert_eq!(backbone["parameters"], tiny::config().parameters());
    assert_eq!(found["ranker"]["tuned"], true);
    assert!(found["ranker"]["seeds"][0]["training"]["last_loss"].is_number());
    assert_eq!(manifest(&place, "ranking")["limit"], "the backbone's weights are random");
    // The first stage is a real one.
    assert_eq!(manifest(&place, "retrieval")["limit"], Value::Null);
    for file in ["report.html", "report.md", "report.tex", "tables/overall.csv", "tables/overall.tex"] {
        let text = place.read(&format!("reports/ranked/{file}"));
        assert!(text.contains(STAMP) && text.contains("s weights are random"), "{file}");
    }
    let figures = place.names("reports/ranked/figures");
    let drawn: Vec<&String> = figures.iter().filter(|name| name.ends_with(".svg")).collect();
    assert!(!drawn.is_empty());
    for name in drawn {
        let svg = place.read(&format!("reports/ranked/figures/{name}"));
        assert!(svg.contains("Not for reporting"), "{name}");
    }
    let listed = place.run(&["ls"]).succeeds().stdout;
    assert!(listed.contains("model f32, tuned, random weights"), "{listed}");
    // A second run finds it, and so does a report without the folder.
    let again = place.run(&["tiny.toml"]).succeeds();
    assert_eq!(again.stderr.matches("stored already as ").count(), 2, "{}", again.stderr);
}

#[test]
fn without_tuning_and_without_a_tokenizer_of_its_own_it_runs_too() {
    let place = place();
    place.run(&["tiny.toml", "-S", "ranker.tune=false"]).succeeds();
    assert_eq!(results(&place)["not_for_reporting"], "the backbone's weights are random");
    // Its own tokenizer makes other prompts, so it is another backbone.
    let made = results(&place)["ranker"]["backbone"]["identity"].clone();
    place.write("model/tokenizer.json", &tiny::tokenizer().to_string());
    place.run(&["tiny.toml", "-S", "ranker.tune=false"]).succeeds();
    let found = results(&place);
    assert_eq!(found["ranker"]["backbone"]["random"]["tokenizer"], "tokenizer.json");
    assert_ne!(found["ranker"]["backbone"]["identity"], made);
    assert_eq!(place.names("runs/ranking").len(), 2);
    let replayed = place.run(&["replay", &format!("runs/ranking/{}", short(&found))]).succeeds();
    assert!(replayed.stdout.contains("identical"), "{}", replayed.stdout);
}

fn short(found: &Value) -> String {
    found["ranker"]["seeds"][0]["key"].as_str().unwrap()[..16].to_owned()
}

#[test]
fn random_weights_and_those_of_files_have_different_keys_and_the_candidates_are_shared() {
    let place = place();
    tiny::write(&place.path("model"), 5);
    place.run(&["tiny.toml", "-S", "backbone.weights=files"]).succeeds();
    let real = results(&place);
    assert_eq!(real["not_for_reporting"], Value::Null);
    assert_eq!(real["ranker"]["backbone"].get("random"), None);
    place.run(&["tiny.toml"]).succeeds();
    let random = results(&place);
    assert_ne!(short(&real), short(&random));
    assert_ne!(real["ranker"]["seeds"][0]["ranking_sha256"], random["ranker"]["seeds"][0]["ranking_sha256"]);
    assert_eq!((place.names("runs/retrieval").len(), place.names("runs/ranking").len()), (1, 2));
}

#[test]
fn the_key_of_a_run_with_files_does_not_know_of_random_weights() {
    let place = ranker::place();
    let load = |overrides: &[&str]| {
        let overrides: Vec<_> = overrides.iter().map(|text| text.parse().unwrap()).collect();
        bench::experiment::Experiment::load(&place.path("tiny.toml"), &overrides, &[]).unwrap()
    };
    let (plain, random) = (load(&[]), load(&["backbone.weights=random"]));
    assert!(!plain.ranking_key_material().contains("weights\":"));
    assert_eq!(plain.ranking_key_material(), random.ranking_key_material());
}

#[test]
fn threads_change_no_random_weight() {
    let hash = |threads: &str| {
        let place = place();
        place.run(&["--threads", threads, "tiny.toml", "-S", "ranker.tune=false"]).succeeds();
        results(&place)["ranker"]["seeds"][0]["ranking_sha256"].clone()
    };
    let one = hash("1");
    assert!(one.is_string());
    assert_eq!(one, hash("2"));
}

#[test]
fn a_plan_knows_the_shape_of_known_models_and_downloads_nothing() {
    let place = place();
    let named = [
        "plan",
        "tiny.toml",
        "-S",
        "backbone.name=meta-llama/Llama-2-7b-hf",
        "-S",
        "backbone.quantization=nf4",
    ];
    let plan = place.run(&named).succeeds().stdout;
    assert!(plan.contains("1 to run, 0 stored, 0 waiting"), "{plan}");
    // 4.1 GiB of weights, a quarter of them embedding and output layer in f32, and 1.6 for prompts of a micro-batch.
    assert!(plan.contains("5.7 GiB"), "{plan}");
    let told = "ranked: its weights are random, drawn for the shape in the table of known models, for its config.json is not here; prompts are \
                tokenized by a tokenizer made from the titles, ";
    assert!(plan.contains(told), "{plan}");
    assert!(!place.path("hub").exists() && !place.path("runs/ranking").exists());
}

#[test]
fn a_shape_that_nobody_knows_is_told_with_those_that_are_known() {
    let place = place();
    let ran = place.run(&["tiny.toml", "-S", "backbone.name=somebody/Llama-9-1B"]);
    assert_eq!(ran.code, Some(96), "{}", ran.stderr);
    let error = ran.errors()[0];
    let begin =
        "error: ranked: backbone.weights is \"random\", but the shape of somebody/Llama-9-1B is not known: ";
    assert!(error.starts_with(begin), "{error}");
    for part in
        ["meta-llama/Llama-3.1-8B, ", "Qwen/Qwen3-8B", "a folder with config.json (and tokenizer.json, "]
    {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert!(!place.path("runs/retrieval").exists());
    place.run(&["plan", "tiny.toml", "-S", "backbone.name=embedded:tiny"]).fails(
        96,
        &["error: tiny.toml:19: backbone.weights is \"random\", but embedded:tiny is built in and needs no files; write \"files\", or name another \
           backbone"],
    );
    let small = bench::backbone::ModelConfig { vocab: 200, bos: None, eos: Vec::new(), ..tiny::config() };
    place.write("model/config.json", &small.to_json());
    place.run(&["plan", "tiny.toml"]).fails(
        96,
        &["error: ranked: the embedding of ./model has 200 rows (vocab_size in config.json), but a tokenizer for any titles has 258 tokens or \
           more; put the model's tokenizer.json beside its config.json"],
    );
}

#[test]
fn nothing_compares_exports_or_packs_what_random_weights_ranked() {
    let place = place();
    place.write(
        "first.toml",
        &FILE.split_once("[backbone]").unwrap().0.replace("ranked", "first").replace("[1, 2]", "[1]"),
    );
    place.run(&["tiny.toml", "first.toml"]).succeeds();
    let refused = "error: ranked: the weights of its backbone are random, so what it ranked is not for reporting and is compared with nothing; \
                   compare ranked:retriever, or run the experiment with backbone.weights = \"files\"";
    for method in ["tiny.toml", "tiny.toml:tuned", "tiny.toml:zero-shot"] {
        place.run(&["compare", "first.toml", method, "--gate", "NDCG@3 >= -1%"]).fails(96, &[refused]);
    }
    place.run(&["compare", "first.toml", "tiny.toml:retriever"]).succeeds();
    // The report over several experiments has the real one alone, and says what it leaves out.
    let summary = place.read("reports/summary/summary.md");
    assert!(summary.contains("ranked: left out, for the weights of its backbone are random: "), "{summary}");
    assert!(summary.contains("| first | retrieval |") && !summary.contains("| ranked |"), "{summary}");
    assert!(!summary.contains("zero-shot") && !summary.contains("f32"), "{summary}");
    assert!(!summary.contains("ot for reporting:"), "{summary}");
    let alone = place.run(&["report", "tiny.toml", "--summary", "alone"]).succeeds();
    assert!(
        alone.stdout.contains("alone: ranked: left out, for the weights of its backbone are random: "),
        "{}",
        alone.stdout
    );
    assert!(!place.path("reports/alone").exists());
    place.run(&["bundle", "tiny.toml", "first.toml", "-o", "paper.zip"]).fails(
        4,
        &["error: reports/ranked: the weights of the backbone of ranked are random, so it is not for reporting and not packed for readers of a \
           paper; leave it out"],
    );
    place.run(&["bundle", "reports/ranked", "-o", "paper.zip"]).fails(
        4,
        &["error: reports/ranked: the weights of the backbone of ranked are random, so it is not for reporting and not packed for readers of a \
           paper; leave it out"],
    );
    assert!(!place.path("paper.zip").exists());
    let exported = place.run(&["export", "tiny.toml", "--format", "csv,trec,peft", "--to", "out"]).succeeds();
    assert!(
        exported.stdout.contains(
            "so its rankings are not for reporting and are not exported; its retriever's lists are\n"
        ),
        "{}",
        exported.stdout
    );
    assert!(place.names("out/ranked").iter().all(|name| !name.contains("ranking") && name != "adapter"));
    assert!(
        place.read("out/ranked/ranks.csv").contains(",retrieval,")
            && !place.read("out/ranked/ranks.csv").contains(",ranking,")
    );
    place.run(&["export", "tiny.toml", "--format", "peft", "--to", "out"]).fails(
        4,
        &["error: ranked: no adapter is exported: the weights of the backbone are random, so it fits no model"],
    );
}
