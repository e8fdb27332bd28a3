//! A backbone small enough for tests, in memory and as a folder.

use std::path::Path;

use bench::backbone::{Architecture, ModelConfig, RopeConfig, RopeScaling, Weights};
use bench::experiment::{Experiment, Loaded, RankerSpec};
use bench::nn::quant::Storage;
use bench::seed::Seed;
use serde_json::{Value, json};

/// Tokens: the 256 bytes, a beginning and an end.
pub const VOCABULARY: usize = 258;

/// Two layers of width 32 with grouped queries.
pub fn config() -> ModelConfig {
    ModelConfig {
        architecture: Architecture::Llama,
        hidden: 32,
        intermediate: 64,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        head_dim: 8,
        vocab: VOCABULARY,
        rms_eps: 1e-5,
        rope: RopeConfig { theta: 10_000.0, scaling: RopeScaling::None },
        tied: true,
        qkv_bias: false,
        qk_norm: false,
        sliding_window: None,
        max_positions: 4096,
        bos: Some(256),
        eos: vec![257],
    }
}

/// Random weights of it.
pub fn weights(seed: u64) -> Weights {
    Weights::random(&config(), Storage::F32, Seed::new(seed))
}

/// The characters that byte-level tokenizers write bytes as (`bytes_to_unicode` of GPT-2).
fn alphabet() -> Vec<char> {
    let printable = |byte: u32| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let mut next = 256;
    (0..256)
        .map(|byte| {
            if printable(byte) {
                return char::from_u32(byte).unwrap();
            }
            next += 1;
            char::from_u32(next - 1).unwrap()
        })
        .collect()
}

/// A tokenizer whose tokens are bytes.
pub fn tokenizer() -> Value {
    let vocabulary: serde_json::Map<String, Value> =
        alphabet().into_iter().enumerate().map(|(id, c)| (c.to_string(), json!(id))).collect();
    let special = |id: u32, content: &str| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
               "special": true})
    };
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [special(256, "<s>"), special(257, "</s>")],
        "normalizer": null,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "post_processor": null,
        "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                  "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": vocabulary, "merges": []}
    })
}

/// Write a backbone to `folder`.
pub fn write(folder: &Path, seed: u64) {
    weights(seed).save(folder).unwrap();
    std::fs::write(folder.join("tokenizer.json"), tokenizer().to_string()).unwrap();
    std::fs::write(folder.join("tokenizer_config.json"), r#"{"bos_token": "<s>", "eos_token": "</s>"}"#)
        .unwrap();
}

/// Settings of a ranker with these lines in `[ranker]`.
pub fn spec(lines: &str) -> RankerSpec {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.toml");
    let text = format!(
        "name = \"x\"\nseeds = [1]\n[dataset]\nname = \"synthetic\"\n[retriever]\nkind = \"random\"\n[backbone]\nname = \"x\"\n[ranker]\n{lines}\n"
    );
    std::fs::write(&path, text).unwrap();
    match Experiment::check(&path, &[], &[]).unwrap_or_else(|problems| panic!("{problems}")) {
        Loaded::Runnable(experiment) => experiment.ranker.unwrap(),
        Loaded::Abstract => unreachable!(),
    }
}
