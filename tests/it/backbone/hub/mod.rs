//! Models from the hub: a loopback server in its place, a temporary folder as the cache.

mod access;
mod fetching;
mod places;
mod refusals;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bench::backbone::hub::{self, Token};
use bench::backbone::{Error, Folder, Hub, Source, fetch, find, present};
use bench::events::{Event, Interrupt, Reporter, Silent};
use bench::fetch::Options;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::fetch::server::{Answer, Request, Server};

pub(crate) const NAME: &str = "tiny-models/llama";
pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const LISTING: &str = "/api/models/tiny-models/llama/revision/main?blobs=true";
const CONFIG: &str = r#"{"model_type": "llama", "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1,
    "num_attention_heads": 2, "vocab_size": 10, "max_position_embeddings": 16}"#;

/// What is in the repository: a large file has a SHA-256, a small one the name that git gives it.
pub(crate) type Files = BTreeMap<&'static str, Vec<u8>>;

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// 40 hex digits in place of git's SHA-1, which nothing here computes.
fn git_id(bytes: &[u8]) -> String {
    sha256(bytes)[..40].to_owned()
}

fn is_large(name: &str) -> bool {
    name.ends_with(".safetensors")
}

pub(crate) fn one_file() -> Files {
    let weights: Vec<u8> = (0..200_000u32).map(|i| (i * 7 % 251) as u8).collect();
    Files::from([
        ("config.json", CONFIG.into()),
        ("tokenizer.json", b"{}".into()),
        ("generation_config.json", b"{\"eos_token_id\": 2}".into()),
        ("model.safetensors", weights),
        ("README.md", b"# A model".into()),
        ("pytorch_model.bin", b"pickled".into()),
    ])
}

fn sharded() -> Files {
    let (a, b) = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors");
    let map = json!({"metadata": {"total_size": 3}, "weight_map": {"x": a, "y": b, "z": a}});
    let mut files = one_file();
    files.remove("model.safetensors");
    files.insert("model.safetensors.index.json", map.to_string().into());
    files.insert(a, b"<1".into());
    files.insert(b, b"2".into());
    files.insert("model-00003-of-00002.safetensors", b"not in the index".into());
    files
}

/// The hub's description of a repository.
fn listing(files: &Files) -> Value {
    let siblings: Vec<Value> = files
        .iter()
        .map(|(name, bytes)| {
            let mut file = json!({"rfilename": name, "size": bytes.len(), "blobId": git_id(bytes)});
            if is_large(name) {
                file["lfs"] = json!({"sha256": sha256(bytes), "size": bytes.len(), "pointerSize": 134});
            }
            file
        })
        .collect();
    json!({"id": NAME, "sha": COMMIT, "gated": false, "private": false, "siblings": siblings})
}

/// The file that a request asks for, if it asks for one.
fn asked<'a>(files: &'a Files, request: &Request) -> Option<(&'static str, &'a [u8])> {
    let name = request.path.strip_prefix(&format!("/{NAME}/resolve/{COMMIT}/"))?;
    files.iter().find(|(known, _)| **known == name).map(|(name, bytes)| (*name, bytes.as_slice()))
}

/// Answer as the hub does to all who ask.
fn answer(files: &Files, request: &Request, answer: &mut Answer) {
    if request.path == LISTING {
        return answer.whole(listing(files).to_string().as_bytes());
    }
    match asked(files, request) {
        Some((_, bytes)) => answer.good(request, bytes, &format!("\"{}\"", git_id(bytes))),
        None => answer.send("404 Not Found", "X-Error-Code: EntryNotFound\nContent-Length: 0", b""),
    }
}

pub(crate) fn serve(files: Files) -> Server {
    Server::start(move |request, to| answer(&files, request, to))
}

/// A hub at `server` whose cache is in `folder`.
fn hub(server: &Server, folder: &Path) -> Hub {
    Hub {
        cache: folder.to_owned(),
        endpoint: server.base(),
        token: None,
        offline: false,
        options: Options {
            tries: 2,
            connect_timeout: Duration::from_secs(8),
            stall_timeout: Duration::from_secs(8),
            backoff: Duration::from_millis(5),
            ..Options::default()
        },
    }
}

fn get(hub: &Hub) -> Result<Folder, Error> {
    fetch(NAME, None, hub, false, &Silent, &Interrupt::default())
}

fn message<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    result.expect_err("this must fail").to_string()
}

fn paths(server: &Server) -> Vec<String> {
    server.seen().iter().map(|request| request.path.rsplit('/').next().unwrap().to_owned()).collect()
}

fn repository(cache: &Path) -> PathBuf {
    cache.join("models--tiny-models--llama")
}

#[derive(Default)]
struct Listener(Mutex<Vec<String>>);

impl Reporter for Listener {
    fn emit(&self, event: Event<'_>) {
        if let Event::Warning(text) = event {
            self.0.lock().unwrap().push(text.to_owned());
        }
    }
}
