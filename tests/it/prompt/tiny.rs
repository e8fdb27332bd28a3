//! Small tokenizers of both families, made in memory, so that every test of behaviour runs without downloaded files.

use std::sync::Arc;

use bench::prompt::Tokenizer;
use serde_json::{Map, Value, json};

/// Llama 2's kind: the whole text is one word, blanks are pieces, what is unknown falls back to bytes. `merges` are pairs
/// such as `"t h"`.
pub fn sentence_pieces(merges: &[&str]) -> Arc<Tokenizer> {
    Arc::new(read(&sentence_pieces_json(merges), None))
}

/// Its file.
pub fn sentence_pieces_json(merges: &[&str]) -> Value {
    let mut vocabulary = vec!["<unk>".to_owned(), "<s>".into(), "</s>".into()];
    vocabulary.extend((0..256).map(|byte| format!("<0x{byte:02X}>")));
    vocabulary.push("\u{2581}".into());
    vocabulary.extend((33u8..127).map(|byte| char::from(byte).to_string()));
    let mut file = base(vocabulary, merges);
    file["added_tokens"] = json!([special(0, "<unk>"), special(1, "<s>"), special(2, "</s>")]);
    file["normalizer"] = json!({"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": "\u{2581}"},
        {"type": "Replace", "pattern": {"String": " "}, "content": "\u{2581}"},
    ]});
    file["post_processor"] = template("<s>", 1);
    file["decoder"] = json!({"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "\u{2581}"}, "content": " "},
        {"type": "ByteFallback"}, {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    ]});
    file["model"]["byte_fallback"] = json!(true);
    file["model"]["fuse_unk"] = json!(true);
    file["model"]["unk_token"] = json!("<unk>");
    file
}

/// The same vocabulary behind the pre-tokenizer that newer files of Mistral and Llama 2 have, which parts words or not.
pub fn metaspace(merges: &[&str], split: bool) -> Arc<Tokenizer> {
    let mut file = sentence_pieces_json(merges);
    let metaspace =
        json!({"type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": "first", "split": split});
    file["normalizer"] = json!(null);
    file["pre_tokenizer"] = metaspace;
    Arc::new(read(&file, None))
}

/// How a byte-level tokenizer parts words.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Words {
    /// By Llama 3's pattern.
    Llama3,
    /// By GPT-2's pattern, with digits apart, as SmolLM 2 does.
    Gpt2,
}

/// Llama 3's kind: bytes, parted into words. Merges are written in the byte alphabet (blank is `Ġ`, line break `Ċ`).
pub fn bytes(words: Words, merges: &[&str]) -> Arc<Tokenizer> {
    Arc::new(read(&bytes_json(words, merges), None))
}

/// Its file.
pub fn bytes_json(words: Words, merges: &[&str]) -> Value {
    // GPT-2's printable stand-ins for the 256 bytes.
    let printable = |byte: u32| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let mut next = 256;
    let alphabet = (0..256u32).map(|byte| {
        let code = if printable(byte) {
            byte
        } else {
            next += 1;
            next - 1
        };
        char::from_u32(code).expect("a character").to_string()
    });
    let mut file = base(alphabet.collect(), merges);
    let n = file["model"]["vocab"].as_object().expect("a map").len();
    let (begin, end) = ("<|begin_of_text|>", "<|end_of_text|>");
    file["added_tokens"] = json!([special(n, begin), special(n + 1, end)]);
    let level = |use_regex: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex});
    let pattern = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    file["pre_tokenizer"] = match words {
        Words::Llama3 => json!({"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false},
            level(false),
        ]}),
        Words::Gpt2 => json!({"type": "Sequence", "pretokenizers": [
            {"type": "Digits", "individual_digits": true},
            level(true),
        ]}),
    };
    file["post_processor"] = template(begin, n);
    file["decoder"] = level(true);
    file
}

/// Read a file that is in memory.
pub fn read(file: &Value, config: Option<&Value>) -> Tokenizer {
    let bytes = file.to_string();
    let config = config.map(Value::to_string);
    Tokenizer::from_bytes("tiny/tokenizer.json", bytes.as_bytes(), config.as_deref().map(str::as_bytes))
        .unwrap_or_else(|problem| panic!("{problem}"))
}

fn base(mut vocabulary: Vec<String>, merges: &[&str]) -> Value {
    for merge in merges {
        let merged = merge.replacen(' ', "", 1);
        if !vocabulary.contains(&merged) {
            vocabulary.push(merged);
        }
    }
    let vocab: Map<String, Value> =
        vocabulary.into_iter().enumerate().map(|(id, token)| (token, json!(id))).collect();
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": vocab, "merges": merges,
        },
    })
}

fn special(id: usize, content: &str) -> Value {
    json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
           "normalized": false, "special": true})
}

fn template(token: &str, id: usize) -> Value {
    json!({
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": token, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {token: {"id": token, "ids": [id], "tokens": [token]}},
    })
}

/// Merges of the first kind that make some words of prompts, and what tempts tokens over seams.
pub const PIECES: &[&str] = &[
    "\u{2581} t",
    "\u{2581}t h",
    "\u{2581}th e",
    "\u{2581} (",
    "\u{2581}( 1",
    "( A",
    "1 )",
    "0 )",
    "\u{2581} \u{2581}",
    "a n",
    "an d",
    "I n",
    "# #",
    "## #",
    "; ;",
    "e r",
    "i n",
];

/// Merges of the second kind.
pub const BYTES: &[&str] = &[
    "\u{120} t",
    "\u{120}t h",
    "\u{120}th e",
    "\u{120} (",
    "\u{120} \u{10a}",
    "\u{10a} \u{10a}",
    ": \u{10a}",
    "! \u{10a}",
    ". .",
    "1 2",
    "\u{120} \u{120}",
    "# #",
    "## #",
    "e r",
    "i n",
    "; \u{10a}",
];
