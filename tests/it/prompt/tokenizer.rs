use bench::prompt::{Tokenizer, check_vocabulary};
use serde_json::json;

use super::{message, real, tiny};

/// `models/cases`: texts between marker lines, and the ids of each without special tokens.
fn cases(name: &str) -> Option<Vec<(String, Vec<u32>)>> {
    let folder = crate::support::shared()?.join("models/cases");
    let read =
        |end: &str| std::fs::read_to_string(folder.join(format!("{name}.{end}"))).expect("a file of cases");
    let texts = read("inp");
    let texts: Vec<&str> = texts.split("\n__ggml_vocab_test__\n").collect();
    let ids = read("out");
    let ids = ids.lines().map(|line| line.split_whitespace().map(|id| id.parse().expect("an id")).collect());
    Some(texts.into_iter().map(str::to_owned).zip(ids).collect())
}

#[test]
fn both_llama_tokenizers_give_the_ids_of_all_46_cases() {
    for (name, file) in [("llama2", "llama-spm"), ("llama3", "llama-bpe")] {
        let (Some(tokenizer), Some(cases)) = (real(name), cases(file)) else { return };
        assert_eq!(cases.len(), 46);
        for (text, ids) in cases {
            assert_eq!(tokenizer.encode(&text).expect("ids"), ids, "{name}: {text:?}");
        }
    }
}

#[test]
fn special_tokens_and_sizes_of_the_real_tokenizers_are_known() {
    for (name, bos, eos, size) in [
        ("llama2", Some(1), Some(2), 32_000),
        ("llama3", Some(128_000), Some(128_001), 128_256),
        // The end token of the chat, which its tokenizer_config.json names.
        ("qwen3", None, Some(151_645), 151_669),
    ] {
        let Some(tokenizer) = real(name) else { return };
        assert_eq!((tokenizer.bos(), tokenizer.eos(), tokenizer.vocab_size()), (bos, eos, size), "{name}");
    }
}

#[test]
fn text_that_looks_like_a_special_token_is_text() {
    let tiny = [tiny::sentence_pieces(tiny::PIECES), tiny::bytes(tiny::Words::Llama3, tiny::BYTES)];
    let real = ["llama2", "llama3", "qwen3"].map(real);
    for tokenizer in tiny.iter().chain(real.iter().flatten()) {
        for token in
            ["<s>", "</s>", "<unk>", "<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<|im_end|>"]
        {
            let ids = tokenizer.encode(token).expect("ids");
            assert!(ids.len() > 1, "{:?}: {token} is {ids:?}", tokenizer.path());
            assert_eq!(tokenizer.decode(&ids).expect("text"), token);
            assert!(tokenizer.token_to_id(token).is_none_or(|id| !ids.contains(&id)), "{token}");
        }
    }
}

#[test]
fn control_tokens_that_a_file_calls_ordinary_are_text_too_and_added_blanks_stay_tokens() {
    let mut file = tiny::bytes_json(tiny::Words::Llama3, &[]);
    let added = file["added_tokens"].as_array_mut().expect("a list");
    let first = added[1]["id"].as_u64().expect("an id") as u32 + 1;
    for (token, id) in ["<think>", "[TOOL]", "    "].into_iter().zip(first..) {
        let mut entry = added[1].clone();
        (entry["content"], entry["id"], entry["special"]) = (json!(token), json!(id), json!(false));
        added.push(entry);
    }
    let tokenizer = tiny::read(&file, None);
    assert_eq!(tokenizer.vocab_size() as u32, first + 3);
    let ids = |text: &str| tokenizer.encode(text).expect("ids");
    assert_eq!((ids("<think>").len(), ids("[TOOL]").len()), (7, 6));
    assert_eq!(ids("    "), [first + 2]);
    let Some(qwen) = real("qwen3") else { return };
    for token in ["<think>", "</think>", "<tool_call>", "<|fim_prefix|>"] {
        let id = qwen.token_to_id(token).expect("a token");
        assert!(!qwen.encode(token).expect("ids").contains(&id), "{token}");
    }
}

#[test]
fn the_end_token_comes_from_the_configuration_then_from_well_known_names() {
    let file = tiny::sentence_pieces_json(&[]);
    assert_eq!(tiny::read(&file, None).eos(), Some(2));
    let config = json!({"eos_token": {"content": "<unk>"}});
    assert_eq!(tiny::read(&file, Some(&config)).eos(), Some(0));
    assert_eq!(tiny::read(&file, Some(&json!({"eos_token": null}))).eos(), Some(2));
    assert_eq!(tiny::read(&file, None).with_eos(7).eos(), Some(7));
    let mut file = tiny::sentence_pieces_json(&[]);
    file["model"]["vocab"].as_object_mut().expect("a map").remove("</s>");
    file["added_tokens"].as_array_mut().expect("a list").pop();
    assert_eq!(tiny::read(&file, None).eos(), None);
}

#[test]
fn the_beginning_token_comes_from_the_post_processor_unless_llamas_class_says_otherwise() {
    let file = tiny::sentence_pieces_json(&[]);
    let mut bare = file.clone();
    bare["post_processor"] = json!(null);
    let config =
        |class: &str, add: bool| json!({"tokenizer_class": class, "add_bos_token": add, "bos_token": "<s>"});
    let (llama, plain) = ("LlamaTokenizerFast", "PreTrainedTokenizerFast");
    assert_eq!(tiny::read(&file, None).bos(), Some(1));
    assert_eq!(tiny::read(&bare, None).bos(), None);
    assert_eq!(tiny::read(&file, Some(&config(llama, false))).bos(), None);
    assert_eq!(tiny::read(&bare, Some(&config(llama, true))).bos(), Some(1));
    assert_eq!(tiny::read(&file, Some(&config(plain, false))).bos(), Some(1));
    assert_eq!(tiny::read(&bare, Some(&config(plain, true))).bos(), None);
}

#[test]
fn a_tokenizer_that_cuts_or_pads_by_itself_does_not() {
    let mut file = tiny::sentence_pieces_json(&[]);
    file["truncation"] =
        json!({"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0});
    file["padding"] = json!({"strategy": {"Fixed": 50}, "direction": "Right", "pad_to_multiple_of": null,
        "pad_id": 0, "pad_type_id": 0, "pad_token": "<unk>"});
    assert_eq!(tiny::read(&file, None).encode("abcdef").expect("ids").len(), 7);
}

#[test]
fn a_tokenizer_of_another_vocabulary_is_refused() {
    let tokenizer = tiny::sentence_pieces(&[]);
    let tokens = tokenizer.vocab_size();
    assert_eq!(tokens, 354);
    for rows in [tokens, tokens + 1, tokens + 1024] {
        check_vocabulary(&tokenizer, rows).unwrap_or_else(|problem| panic!("{rows}: {problem}"));
    }
    assert_eq!(
        message(check_vocabulary(&tokenizer, 353)),
        "tiny/tokenizer.json: token ids go up to 353, but the model has 353 embedding rows; use the tokenizer of this model"
    );
    assert_eq!(
        message(check_vocabulary(&tokenizer, 32_000)),
        "tiny/tokenizer.json: the tokenizer has 354 tokens, but the model has 32000 embedding rows, more than padding \
         explains; use the tokenizer of this model"
    );
}

#[test]
fn real_models_padded_rows_are_accepted_and_each_others_tokenizers_are_not() {
    let rows = [("llama2", 32_000), ("llama3", 128_256), ("qwen3", 151_936)];
    for (name, own) in rows {
        let Some(tokenizer) = real(name) else { return };
        for (other, rows) in rows {
            let accepted = check_vocabulary(&tokenizer, rows).is_ok();
            assert_eq!(accepted, rows == own, "{name} for {other}");
        }
    }
}

#[test]
fn files_that_are_no_tokenizer_are_refused_with_their_path() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tokenizer.json");
    let here = |text: String| text.replace(&folder.path().display().to_string(), "HERE");
    let missing = here(message(Tokenizer::from_file(&path)));
    assert!(missing.starts_with("read HERE/tokenizer.json: "), "{missing}");
    std::fs::write(&path, "{\"version\": \"1.0\", \"mod").expect("a file");
    let cut = here(message(Tokenizer::from_file(&path)));
    assert!(cut.starts_with("HERE/tokenizer.json: EOF while parsing"), "{cut}");
    assert!(cut.ends_with("; expected a tokenizer.json of Hugging Face; download the file again"), "{cut}");
    std::fs::write(&path, tiny::sentence_pieces_json(&[]).to_string()).expect("a file");
    std::fs::write(folder.path().join("tokenizer_config.json"), "[").expect("a file");
    let config = here(message(Tokenizer::from_file(&path)));
    assert!(config.starts_with("HERE/tokenizer_config.json: EOF"), "{config}");
    std::fs::write(folder.path().join("tokenizer_config.json"), "{\"eos_token\": \"<|eot|>\"}")
        .expect("a file");
    assert_eq!(
        here(message(Tokenizer::from_file(&path))),
        "HERE/tokenizer_config.json: the end-of-text token is \"<|eot|>\", but the tokenizer has no such token; use the \
         tokenizer that belongs to this file"
    );
}

#[test]
fn a_tokenizer_with_random_merges_is_refused() {
    let mut file = tiny::sentence_pieces_json(&["a b"]);
    file["model"]["dropout"] = json!(0.5);
    assert_eq!(
        message(Tokenizer::from_bytes("d/tokenizer.json", file.to_string().as_bytes(), None)),
        "d/tokenizer.json: the model drops merges at random (dropout 0.5), so a text has no fixed ids; set \"dropout\" to \
         null"
    );
}

/// Found by the fuzz target `tokenizer`: the library unwraps what it could not read.
#[test]
fn a_file_on_which_the_library_panics_is_an_error() {
    let text = r#"{"version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null, "added_tokens": [],
        "pre_tokenizer": null, "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
        "fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": {"a": 0}, "merges": []}}"#;
    assert!(Tokenizer::from_bytes("tokenizer.json", text.as_bytes(), None).is_ok());
    let mut bytes = text.as_bytes().to_vec();
    let at = text.find("trim_offsets").unwrap();
    bytes[at + 7] = 0xff;
    let error = Tokenizer::from_bytes("tokenizer.json", &bytes, None).unwrap_err().to_string();
    let begin = "tokenizer.json: the library of tokenizers gives up on it (Helper: ";
    assert!(error.starts_with(begin), "{error}");
    assert!(
        error.ends_with("; expected a tokenizer.json of Hugging Face; download the file again"),
        "{error}"
    );
}
