//! What makes a ranker impossible is told by the plan, and by a run before any work.

use serde_json::{Value, json};

use super::Place;
use super::ranker::place;
use crate::rank::tiny;

/// Both commands refuse with this one message, and nothing was computed.
#[track_caller]
fn refused(place: &Place, settings: &[&str], message: &str) {
    let typed: Vec<&str> = settings.iter().flat_map(|setting| ["-S", setting]).collect();
    let error = format!("error: ranked: {message}");
    for command in ["plan", "run"] {
        place.run(&[&[command, "tiny.toml"][..], &typed].concat()).fails(96, &[&error]);
    }
    assert!(!place.path("runs/retrieval").exists());
}

/// Change a JSON file of the model.
fn edit(place: &Place, name: &str, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_str(&place.read(name)).unwrap();
    change(&mut value);
    place.write(name, &value.to_string());
}

#[test]
fn a_tokenizer_of_another_vocabulary() {
    let place = place();
    edit(&place, "model/tokenizer.json", |file| file["model"]["vocab"]["zz"] = 300.into());
    refused(
        &place,
        &[],
        "./model/tokenizer.json: token ids go up to 300, but the model has 258 embedding rows; use the tokenizer of this model",
    );
}

#[test]
fn prompts_longer_than_the_model_was_made_for() {
    let place = place();
    edit(&place, "model/config.json", |config| config["max_position_embeddings"] = 300.into());
    let longest = {
        let ran = place.run(&["plan", "tiny.toml"]);
        let error = ran.errors()[0].to_owned();
        let number = error.split_once("can have ").unwrap().1.split_once(" tokens").unwrap().0;
        number.parse::<usize>().unwrap()
    };
    // A token is a byte: the instruction alone has more than 100.
    assert!((301..600).contains(&longest), "{longest}");
    refused(
        &place,
        &[],
        &format!(
            "with these titles and settings a prompt can have {longest} tokens, but the backbone ./model was made for 300 \
             (config.json), and what it says beyond them means nothing; set ranker.max_prompt_tokens = 300 (what longer prompts \
             lose is counted in the report), show fewer ranker.history_items, or use another backbone"
        ),
    );
    // What it advises is enough, and a longest prompt that just fits is no problem.
    place.run(&["plan", "tiny.toml", "-S", "ranker.max_prompt_tokens=300"]).succeeds();
    edit(&place, "model/config.json", |config| config["max_position_embeddings"] = longest.into());
    let ran = place.run(&["tiny.toml", "-S", "seeds=[1]"]).succeeds();
    assert!(!ran.stderr.contains("warning"), "{}", ran.stderr);
    let results: Value = serde_json::from_str(&place.read("reports/ranked/results.json")).unwrap();
    for part in ["test_prompts", "validation_prompts", "training_prompts"] {
        let most = results["ranker"]["seeds"][0][part]["longest"].as_u64().unwrap();
        assert!(most as usize <= longest, "{part}: {most} {longest}");
    }
}

#[test]
fn a_limit_that_the_fixed_text_fills() {
    // A token is a byte; a letter and the end come behind.
    let needed = bench::prompt::template::text(&[""], &[""; 5]).len() + 2;
    let message = format!(
        "ranker.max_prompt_tokens is 100, but a prompt of 5 candidates needs {needed} tokens before any title is in it; raise it to \
         more than {needed} or ask for fewer candidates"
    );
    refused(&place(), &["ranker.max_prompt_tokens=100"], &message);
}

#[test]
fn a_tokenizer_without_an_end() {
    let place = place();
    place.write("model/tokenizer_config.json", "{}");
    edit(&place, "model/tokenizer.json", |file| file["added_tokens"][1]["content"] = "<stop>".into());
    edit(&place, "model/config.json", |config| {
        config.as_object_mut().unwrap().remove("eos_token_id");
    });
    let message = "./model/tokenizer.json: the tokenizer names no end-of-text token; put a tokenizer_config.json with \
                   \"eos_token\" beside it";
    refused(&place, &[], message);
    // Nothing is taught without tuning.
    place.run(&["plan", "tiny.toml", "-S", "ranker.tune=false"]).succeeds();
}

#[test]
fn too_few_negatives_even_before_the_backbone_is_here() {
    let place = place();
    let settings =
        ["dataset.items=20", "ranker.negatives=25", "ranker.negatives_with_repetition=false", "seeds=[1]"];
    let ran = place.run(&["plan", "tiny.toml", "-S", settings[0], "-S", settings[1], "-S", settings[2]]);
    let error = ran.errors()[0].to_owned();
    let message = error.strip_prefix("error: ranked: ").unwrap();
    assert!(message.starts_with("ranker.negatives is 25, but for user 0 (from 0) only "), "{message}");
    refused(&place, &settings, message);
    std::fs::remove_dir_all(place.path("model")).unwrap();
    refused(&place, &settings, message);
}

#[test]
fn headers_of_weights_that_are_damaged_or_of_another_shape() {
    let place = place();
    let path = place.path("model/model.safetensors");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..6]).unwrap();
    let message = "./model/model.safetensors: 6 bytes, expected at least the 8 of a safetensors header; the file is damaged or was \
                   not fetched in full: fetch it again";
    refused(&place, &[], message);
    let (mut lies, n) = (whole.clone(), whole.len() - 8);
    lies[..8].copy_from_slice(&99_000_000u64.to_le_bytes());
    std::fs::write(&path, &lies).unwrap();
    let message = format!(
        "./model/model.safetensors: the header is said to have 99000000 bytes, but {n} follow, and at most 100000000 are read; the \
         file is damaged or was not fetched in full: fetch it again"
    );
    refused(&place, &[], &message);
    std::fs::write(&path, &whole).unwrap();
    edit(&place, "model/config.json", |config| config["intermediate_size"] = 48.into());
    let message = "./model/model.safetensors: model.layers.0.mlp.down_proj.weight has the shape [32, 64], but config.json makes it \
                   [32, 48]; are both of one model? Fetch them again";
    refused(&place, &[], message);
}

#[test]
fn an_index_that_lacks_a_tensor_of_its_shard() {
    let place = place();
    std::fs::rename(place.path("model/model.safetensors"), place.path("model/all.safetensors")).unwrap();
    let index = json!({"weight_map": {"model.norm.weight": "all.safetensors"}});
    place.write("model/model.safetensors.index.json", &index.to_string());
    let message = "./model/model.safetensors.index.json: model.embed_tokens.weight is not listed, but ./model/all.safetensors has \
                   it; fetch both again";
    refused(&place, &[], message);
}

#[test]
fn a_shard_that_is_not_there_is_missing_and_not_broken() {
    let place = place();
    let index = json!({"weight_map": {"model.norm.weight": "one.safetensors", "model.embed_tokens.weight": "two.safetensors"}});
    std::fs::rename(place.path("model/model.safetensors"), place.path("model/one.safetensors")).unwrap();
    place.write("model/model.safetensors.index.json", &index.to_string());
    let ran = place.run(&["plan", "tiny.toml"]).succeeds();
    let missing = "  ranked needs the weights of the backbone: ./model: no two.safetensors; a backbone's folder has config.json, \
                   tokenizer.json and model.safetensors (or model.safetensors.index.json and its shards)";
    assert!(ran.stdout.contains(missing), "{}", ran.stdout);
}

#[test]
fn a_weight_that_is_no_number_fails_the_seed_and_keeps_its_first_stage() {
    let place = place();
    let path = place.path("model/model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(&path, &bytes).unwrap();
    place.run(&["tiny.toml", "-S", "seeds=[1]"]).fails(
        100,
        &["error: ranked, seed 1: ./model/model.safetensors: model.norm.weight holds NaN at [31]; the file is damaged or its \
           training diverged: fetch it again, or name another model"],
    );
    assert_eq!(place.names("runs/retrieval").len(), 1);
}

#[test]
fn candidates_among_which_nobody_of_validation_is_are_told_before_the_backbone_is_read() {
    let place = place();
    // One random candidate of 40 for each of a few users.
    let settings = [
        "-S",
        "retriever.kind=random",
        "-S",
        "evaluation.candidates=1",
        "-S",
        "evaluation.cutoffs=[1]",
        "-S",
        "dataset.users=12",
        "-S",
        "dataset.min_user_interactions=3",
        "-S",
        "dataset.min_item_interactions=1",
        "-S",
        "ranker.select_by=ndcg@1",
    ];
    let run =
        |command: &str| place.run(&[&[command, "tiny.toml", "-S", "seeds=[1]"][..], &settings].concat());
    let message = "no held-out item of validation is among its user's 1 candidates, so nothing can choose an adapter; use a better \
                   retriever or more evaluation.candidates, or set ranker.tune = false";
    let ran = run("run").fails(100, &[&format!("error: ranked, seed 1: {message}")]);
    assert!(!ran.stderr.contains("load weights"), "{}", ran.stderr);
    // Now that candidates are stored, the plan knows.
    run("plan").fails(96, &[&format!("error: ranked: {message}")]);
}

#[test]
fn the_end_that_config_json_names_goes_before_a_guess() {
    let place = place();
    let file = place.read("model/tokenizer.json");
    let end = |config: &str| {
        place.write("model/tokenizer_config.json", config);
        let spec = bench::experiment::BackboneSpec {
            name: place.path("model").display().to_string(),
            revision: None,
            weights: bench::experiment::WeightsFrom::Files,
            quantization: bench::experiment::Quantization::F32,
            double_quantization: false,
            compute_type: bench::experiment::ComputeType::F32,
        };
        bench::pipeline::Located::find(&spec).unwrap().examine().unwrap().unwrap().eos()
    };
    edit(&place, "model/config.json", |config| config["eos_token_id"] = 7.into());
    assert!(file.contains("</s>"));
    assert_eq!(end("{}"), Some(7));
    // The tokenizer's own configuration is a statement too.
    assert_eq!(end(r#"{"eos_token": "</s>"}"#), Some(257));
    edit(&place, "model/config.json", |config| {
        config.as_object_mut().unwrap().remove("eos_token_id");
    });
    assert_eq!(end("{}"), Some(257));
    assert_eq!(tiny::config().eos, [257]);
}
