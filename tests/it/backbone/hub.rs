//! Models from the hub: a loopback server in its place, a temporary folder as the cache.

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

#[test]
fn a_model_is_fetched_into_the_cache_that_python_reads() {
    let files = one_file();
    let (server, cache) = (serve(files.clone()), tempfile::tempdir().unwrap());
    let hub = hub(&server, cache.path());
    let folder = get(&hub).unwrap();
    assert_eq!(
        paths(&server),
        ["main?blobs=true", "config.json", "tokenizer.json", "generation_config.json", "model.safetensors"],
        "the weights come last, and neither pickles nor the README at all"
    );
    assert_eq!(folder.path(), repository(cache.path()).join("snapshots").join(COMMIT));
    assert_eq!(folder.revision(), Some(COMMIT));
    assert_eq!(folder.shards(), [folder.path().join("model.safetensors")]);
    assert_eq!(folder.config().unwrap().hidden, 8);
    assert_eq!(folder.weight_bytes().unwrap(), 200_000);
    assert_eq!(std::fs::read_to_string(repository(cache.path()).join("refs/main")).unwrap(), COMMIT);
    for (name, hash) in [
        ("model.safetensors", sha256(&files["model.safetensors"])),
        ("config.json", git_id(&files["config.json"])),
    ] {
        let path = folder.path().join(name);
        assert_eq!(std::fs::read(&path).unwrap(), files[name]);
        #[cfg(unix)]
        assert_eq!(std::fs::read_link(path).unwrap(), Path::new("../../blobs").join(hash));
    }
    let hashes = folder.hashes(&Interrupt::default()).unwrap();
    let names: Vec<&str> = hashes.keys().map(String::as_str).collect();
    assert_eq!(names, ["config.json", "model.safetensors", "tokenizer.json"]);
    for (name, hash) in hashes {
        assert_eq!(hash, sha256(&files[name.as_str()]), "{name}");
    }
    let blobs = std::fs::read_dir(repository(cache.path()).join("blobs")).unwrap().count();
    assert_eq!(blobs, 4, "no parts are left");
}

#[test]
fn a_model_in_the_cache_needs_no_network() {
    let cache = tempfile::tempdir().unwrap();
    let server = serve(one_file());
    let mut hub = hub(&server, cache.path());
    let fetched = get(&hub).unwrap();
    let before = server.seen().len();
    assert_eq!(find(NAME, None, &hub).unwrap(), fetched);
    assert_eq!(find(NAME, Some(COMMIT), &hub).unwrap(), fetched);
    let there = present(NAME, None, &hub).unwrap();
    assert_eq!((there.is_complete(), there.bytes), (true, Some(200_000)));
    hub.offline = true;
    assert_eq!(get(&hub).unwrap(), fetched);
    assert_eq!(server.seen().len(), before, "nobody was asked");
    hub.offline = false;
    assert_eq!(get(&hub).unwrap(), fetched);
    assert_eq!(server.seen().len(), before + 1, "only what the branch is now");
}

#[test]
fn a_hub_that_cannot_be_reached_is_warned_of_where_the_cache_is_complete() {
    let cache = tempfile::tempdir().unwrap();
    let server = serve(one_file());
    let online = hub(&server, cache.path());
    let fetched = get(&online).unwrap();
    // The port was free a moment ago: nobody listens.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let away = Hub { endpoint: format!("http://{nobody}"), ..online.clone() };
    let listener = Listener::default();
    assert_eq!(fetch(NAME, None, &away, false, &listener, &Interrupt::default()).unwrap(), fetched);
    let said = listener.0.lock().unwrap().clone();
    assert!(said.last().unwrap().ends_with("; what was fetched earlier is used"), "{said:?}");
    let empty = tempfile::tempdir().unwrap();
    let text = message(get(&Hub { cache: empty.path().to_owned(), ..away }));
    let start = format!("http://{nobody}/api/models/{NAME}/revision/main: the connection failed: ");
    let end = format!(
        " (tries: 2); fetch again later, or save its files of http://{nobody}/{NAME} in a folder by hand and name the folder as \
         backbone.name"
    );
    assert!(text.starts_with(&start) && text.ends_with(&end), "{text}");
}

#[test]
fn only_the_shards_of_the_index_are_fetched() {
    let (server, cache) = (serve(sharded()), tempfile::tempdir().unwrap());
    let hub = hub(&server, cache.path());
    let folder = get(&hub).unwrap();
    let (a, b) = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors");
    assert_eq!(paths(&server)[3..], ["model.safetensors.index.json", "generation_config.json", a, b]);
    assert_eq!(folder.shards(), [folder.path().join(a), folder.path().join(b)]);
    assert_eq!(folder.index().unwrap()["z"], a);
    // What begins like a web page may be weights: their hash is known.
    assert_eq!(std::fs::read(folder.path().join(a)).unwrap(), b"<1");
    std::fs::remove_file(folder.path().join(b)).unwrap();
    let there = present(NAME, None, &hub).unwrap();
    assert_eq!((there.missing.as_slice(), there.bytes), ([b.to_owned()].as_slice(), Some(3)));
    assert_eq!(
        message(find(NAME, None, &hub)),
        format!(
            "{NAME} is no folder here and not complete ({b} missing) in {}; `bench fetch {NAME}` brings it",
            cache.path().display()
        )
    );
    let before = server.seen().len();
    get(&hub).unwrap();
    assert_eq!(server.seen().len(), before + 1, "the content is still there, and linked again");
}

#[test]
fn a_shard_that_the_repository_lacks_is_named() {
    let mut files = sharded();
    files.remove("model-00002-of-00002.safetensors");
    let (server, cache) = (serve(files), tempfile::tempdir().unwrap());
    assert_eq!(
        message(get(&hub(&server, cache.path()))),
        format!(
            "{NAME} at main has no model-00002-of-00002.safetensors; check backbone.name and backbone.revision"
        )
    );
}

#[test]
fn an_index_that_leads_out_of_its_folder_is_refused() {
    for odd in ["../../etc/passwd", "/etc/passwd.safetensors", "..safetensors", "a\\b.safetensors"] {
        let mut files = sharded();
        let index = json!({"weight_map": {"x": odd}}).to_string();
        files.insert("model.safetensors.index.json", index.into());
        let (server, cache) = (serve(files), tempfile::tempdir().unwrap());
        let text = message(get(&hub(&server, cache.path())));
        assert!(
            text.contains(&format!("weight_map names the file {odd:?}, expected NAME.safetensors")),
            "{text}"
        );
    }
}

#[test]
fn a_cut_download_goes_on_where_it_stopped() {
    let files = one_file();
    let weights = files["model.safetensors"].clone();
    let server = Server::start({
        let files = files.clone();
        move |request, to| match asked(&files, request) {
            Some((name, bytes)) if is_large(name) && request.offset().is_none() => {
                let headers = format!("Content-Length: {}\nETag: \"{}\"", bytes.len(), git_id(bytes));
                to.send("200 OK", &headers, &bytes[..150_000]);
            }
            _ => answer(&files, request, to),
        }
    });
    let cache = tempfile::tempdir().unwrap();
    let folder = get(&hub(&server, cache.path())).unwrap();
    assert_eq!(std::fs::read(folder.path().join("model.safetensors")).unwrap(), weights);
    assert_eq!(server.ranges().last().map(String::as_str), Some("bytes=150000-"));
}

#[test]
fn content_that_is_not_what_the_hub_announced_is_refused() {
    let files = one_file();
    let right = sha256(&files["model.safetensors"]);
    let mut changed = files["model.safetensors"].clone();
    changed[7] ^= 1;
    let server = Server::start({
        let (files, changed) = (files.clone(), changed.clone());
        move |request, to| match asked(&files, request) {
            Some((name, _)) if is_large(name) => to.whole(&changed),
            _ => answer(&files, request, to),
        }
    });
    let cache = tempfile::tempdir().unwrap();
    let hub = hub(&server, cache.path());
    let aside = repository(cache.path()).join("blobs").join(format!("{right}.rejected"));
    assert_eq!(
        message(get(&hub)),
        format!(
            "{}/{NAME}/resolve/{COMMIT}/model.safetensors: sha256 is {}, expected {right} (named by the hub); what arrived is set \
             aside as {}; delete it and fetch again; if it stays so, something between here and the hub changes files",
            server.base(),
            sha256(&changed),
            aside.display()
        )
    );
    assert!(find(NAME, None, &hub).is_err());
    assert!(!repository(cache.path()).join("refs/main").exists(), "a branch moves on when all is there");
}

#[test]
fn a_file_of_another_length_is_refused_before_it_comes() {
    let files = one_file();
    let server = Server::start({
        let files = files.clone();
        move |request, to| match asked(&files, request) {
            Some(("tokenizer.json", _)) => to.whole(b"{\"other\": 1}"),
            _ => answer(&files, request, to),
        }
    });
    let cache = tempfile::tempdir().unwrap();
    let text = message(get(&hub(&server, cache.path())));
    let url = format!("{}/{NAME}/resolve/{COMMIT}/tokenizer.json", server.base());
    assert!(text.starts_with(&format!("{url}: the server offers 12 bytes, expected 2; ")), "{text}");
}

/// A hub that sends every file to another server, as the real one sends large files to its storage.
#[test]
fn the_token_goes_to_the_hub_and_to_no_server_that_it_redirects_to() {
    let files = one_file();
    let storage = Server::start({
        let files = files.clone();
        move |request, to| {
            let name = request.path.trim_start_matches("/storage/").split('?').next().unwrap();
            to.good(request, &files[name], "\"storage\"");
        }
    });
    let storage_address = storage.base();
    let server = Server::start({
        let files = files.clone();
        move |request, to| {
            if request.header("authorization") != "Bearer hf_secret" {
                return to.send("401 Unauthorized", "X-Error-Code: RepoNotFound\nContent-Length: 0", b"");
            }
            match asked(&files, request) {
                Some((name, _)) => {
                    to.send(
                        "302 Found",
                        &format!("Location: {storage_address}/storage/{name}?signed=1\nContent-Length: 0"),
                        b"",
                    );
                }
                _ => answer(&files, request, to),
            }
        }
    });
    let cache = tempfile::tempdir().unwrap();
    let with_token = Hub { token: Token::new(" hf_secret\n"), ..hub(&server, cache.path()) };
    let folder = get(&with_token).unwrap();
    assert_eq!(std::fs::read(folder.path().join("model.safetensors")).unwrap(), files["model.safetensors"]);
    assert!(server.seen().iter().all(|request| request.header("authorization") == "Bearer hf_secret"));
    assert_eq!(storage.seen().len(), 4);
    assert!(storage.seen().iter().all(|request| request.header("authorization").is_empty()));
    assert!(!format!("{with_token:?}").contains("secret"), "{with_token:?}");
}

#[test]
fn a_redirect_within_the_hub_keeps_the_token() {
    let files = one_file();
    let server = Server::start({
        let files = files.clone();
        move |request, to| {
            let cached = request.path.strip_prefix("/cached/");
            match (cached, asked(&files, request)) {
                (Some(name), _) if request.header("authorization") == "Bearer t" => to.whole(&files[name]),
                (Some(_), _) => to.send("401 Unauthorized", "Content-Length: 0", b""),
                (None, Some((name, _))) => to.send(
                    "307 Temporary Redirect",
                    &format!("Location: /cached/{name}\nContent-Length: 0"),
                    b"",
                ),
                (None, None) => answer(&files, request, to),
            }
        }
    });
    let cache = tempfile::tempdir().unwrap();
    get(&Hub { token: Token::new("t"), ..hub(&server, cache.path()) }).unwrap();
}

/// The message of a hub that refuses: `what` is "listing" or "file".
fn refused(
    what: &'static str,
    status: &'static str,
    code: Option<&str>,
    token: Option<&str>,
) -> (String, String) {
    let files = one_file();
    let headers = code.map_or(String::new(), |code| format!("X-Error-Code: {code}\n")) + "Content-Length: 0";
    let server = Server::start(move |request, to| {
        if (request.path == LISTING) == (what == "listing") {
            to.send(status, &headers, b"");
        } else {
            answer(&files, request, to);
        }
    });
    let cache = tempfile::tempdir().unwrap();
    let hub = Hub { token: token.and_then(Token::new), ..hub(&server, cache.path()) };
    let text = message(get(&hub));
    assert!(token.is_none_or(|token| !text.contains(token)), "{text}");
    let url = match what {
        "listing" => format!("{}/api/models/{NAME}/revision/main", server.base()),
        _ => format!("{}/{NAME}/resolve/{COMMIT}/config.json", server.base()),
    };
    let rest = text
        .strip_prefix(&format!("{url}: the server answers {status}; "))
        .unwrap_or_else(|| panic!("{text}"));
    (rest.to_owned(), server.base())
}

#[test]
fn a_gated_repository_says_what_to_accept_and_which_token_to_set() {
    let (text, hub) = refused("file", "401 Unauthorized", Some("GatedRepo"), None);
    assert_eq!(
        text,
        format!(
            "{NAME} is gated: accept its licence at {hub}/{NAME}, then make a token at {hub}/settings/tokens and set HF_TOKEN (or run \
             `hf auth login`)"
        )
    );
    let (text, hub) = refused("file", "403 Forbidden", Some("GatedRepo"), Some("hf_secret"));
    assert_eq!(
        text,
        format!(
            "{NAME} is gated and the account of the token in use has no access: accept its licence at {hub}/{NAME} and wait for the \
             approval (a fine-grained token also needs the permission to read gated repositories)"
        )
    );
}

#[test]
fn a_repository_that_is_private_or_not_there_says_so() {
    for (status, code) in
        [("401 Unauthorized", Some("RepoNotFound")), ("401 Unauthorized", None), ("404 Not Found", None)]
    {
        let (text, hub) = refused("listing", status, code, None);
        assert_eq!(
            text,
            format!(
                "no public repository has the name {NAME}; check backbone.name, and for a private or gated one make a token at \
                 {hub}/settings/tokens and set HF_TOKEN (or run `hf auth login`)"
            )
        );
    }
    let (text, hub) = refused("listing", "404 Not Found", Some("RepoNotFound"), Some("hf_secret"));
    assert_eq!(
        text,
        format!(
            "no repository has the name {NAME}, or the token in use has no access to it; check backbone.name, or make a token at \
             {hub}/settings/tokens and set HF_TOKEN (or run `hf auth login`)"
        )
    );
    let (text, hub) = refused("listing", "404 Not Found", Some("RevisionNotFound"), None);
    assert_eq!(
        text,
        format!(
            "{NAME} has no branch, tag or commit main; check backbone.revision against {hub}/{NAME}/tree/main"
        )
    );
}

#[test]
fn a_token_that_no_header_may_have_is_refused_without_being_shown() {
    let (server, cache) = (serve(one_file()), tempfile::tempdir().unwrap());
    let text = message(get(&Hub { token: Token::new("hf_se\ncret"), ..hub(&server, cache.path()) }));
    let url = format!("{}/api/models/{NAME}/revision/main", server.base());
    assert_eq!(text, format!("{url}: the token holds characters that no header may have; set another one"));
    assert_eq!(server.seen().len(), 0);
}

#[test]
fn a_repository_without_safetensors_says_what_to_do() {
    let lacks = |change: &dyn Fn(&mut Files)| {
        let mut files = one_file();
        change(&mut files);
        let (server, cache) = (serve(files), tempfile::tempdir().unwrap());
        message(get(&hub(&server, cache.path())))
    };
    assert_eq!(
        lacks(&|files| drop(files.remove("model.safetensors"))),
        format!(
            "{NAME} at main has no model.safetensors; pickles such as pytorch_model.bin are not read, for they can run code: convert \
             the model (load it with transformers and call save_pretrained), or name a revision that has safetensors, such as refs/pr/1 \
             in some repositories"
        )
    );
    let text = lacks(&|files| {
        files.remove("tokenizer.json");
        files.insert("tokenizer.model", b"sentencepiece".into());
    });
    assert_eq!(
        text,
        format!(
            "{NAME} at main has no tokenizer.json; tokenizer.model alone is not read: load it with transformers' AutoTokenizer and call \
             save_pretrained, which writes tokenizer.json"
        )
    );
}

#[test]
fn a_model_that_cannot_be_run_is_refused_before_its_weights_come() {
    let mut files = one_file();
    files.insert("config.json", br#"{"architectures": ["GemmaForCausalLM"]}"#.into());
    let (server, cache) = (serve(files), tempfile::tempdir().unwrap());
    let text = message(get(&hub(&server, cache.path())));
    assert!(text.contains("architecture GemmaForCausalLM is not supported"), "{text}");
    assert!(!paths(&server).contains(&"model.safetensors".to_owned()));
}

#[test]
fn an_answer_that_is_no_listing_is_told() {
    for (body, problem) in [
        ("{}", "missing field `sha` at line 1 column 2"),
        (r#"{"sha": "../..", "siblings": []}"#, "the commit is \"../..\", expected 40 hex digits"),
    ] {
        let server = Server::start(move |_, to| to.whole(body.as_bytes()));
        let cache = tempfile::tempdir().unwrap();
        assert_eq!(
            message(get(&hub(&server, cache.path()))),
            format!(
                "the hub's description of {NAME} cannot be understood: {problem}; check HF_ENDPOINT, or try again later"
            )
        );
    }
}

/// A mirror that does not tell hashes: blobs are named by the `ETag` of the answer, or by their SHA-256.
#[test]
fn a_mirror_that_tells_no_hashes_is_enough() {
    let files = one_file();
    let server = Server::start({
        let files = files.clone();
        move |request, to| {
            if request.path == LISTING {
                let siblings: Vec<Value> = files.keys().map(|name| json!({"rfilename": name})).collect();
                let text = json!({"sha": COMMIT, "siblings": siblings}).to_string();
                return to.whole(text.as_bytes());
            }
            answer(&files, request, to);
        }
    });
    let cache = tempfile::tempdir().unwrap();
    let folder = get(&hub(&server, cache.path())).unwrap();
    #[cfg(unix)]
    assert_eq!(
        std::fs::read_link(folder.path().join("config.json")).unwrap(),
        Path::new("../../blobs").join(git_id(&files["config.json"]))
    );
    assert_eq!(std::fs::read(folder.path().join("model.safetensors")).unwrap(), files["model.safetensors"]);
}

#[test]
fn force_downloads_again_and_a_revision_is_asked_for_by_its_name() {
    let files = one_file();
    let server = Server::start({
        let files = files.clone();
        move |request, to| {
            if request.path.starts_with("/api/") {
                return to.whole(listing(&files).to_string().as_bytes());
            }
            answer(&files, request, to);
        }
    });
    let cache = tempfile::tempdir().unwrap();
    let hub = hub(&server, cache.path());
    fetch(NAME, Some("refs/pr/1"), &hub, false, &Silent, &Interrupt::default()).unwrap();
    assert_eq!(server.seen()[0].path, format!("/api/models/{NAME}/revision/refs%2Fpr%2F1?blobs=true"));
    assert_eq!(std::fs::read_to_string(repository(cache.path()).join("refs/refs/pr/1")).unwrap(), COMMIT);
    assert!(find(NAME, Some("refs/pr/1"), &hub).is_ok());
    assert!(find(NAME, None, &hub).is_err(), "main was not fetched");
    let before = server.seen().len();
    fetch(NAME, Some("refs/pr/1"), &hub, true, &Silent, &Interrupt::default()).unwrap();
    assert_eq!(server.seen().len(), before + 5);
    for odd in ["../main", "a//b", "", "a\\b"] {
        assert!(matches!(find(NAME, Some(odd), &hub), Err(Error::Revision { .. })), "{odd}");
    }
}

#[test]
fn an_interrupt_ends_a_fetch_and_what_arrived_stays() {
    let files = one_file();
    let interrupt = Interrupt::default();
    let server = Server::start({
        let (files, interrupt) = (files.clone(), interrupt.clone());
        move |request, to| match asked(&files, request) {
            Some((name, bytes)) if is_large(name) => {
                let headers = format!("Content-Length: {}\nETag: \"e\"", bytes.len());
                to.send("200 OK", &headers, &bytes[..100_000]);
                std::thread::sleep(Duration::from_millis(200));
                interrupt.request();
                to.stall();
            }
            _ => answer(&files, request, to),
        }
    });
    let cache = tempfile::tempdir().unwrap();
    let error = fetch(NAME, None, &hub(&server, cache.path()), false, &Silent, &interrupt).unwrap_err();
    assert!(error.is_interrupt());
    assert!(error.to_string().starts_with("interrupted; 100000 bytes are kept in "), "{error}");
}

#[test]
fn the_environment_says_where_models_are() {
    let read = |variables: &'static [(&str, &str)]| {
        Hub::from_variables(move |name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    };
    let hub = read(&[("HOME", "/home/me")]).unwrap();
    assert_eq!(hub.cache, Path::new("/home/me/.cache/huggingface/hub"));
    assert_eq!((hub.endpoint.as_str(), hub.token, hub.offline), ("https://huggingface.co", None, false));
    let cache = |variables| read(variables).unwrap().cache;
    assert_eq!(cache(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")]), Path::new("/x/huggingface/hub"));
    assert_eq!(
        cache(&[("HOME", "/h"), ("HF_HOME", "~/hf"), ("XDG_CACHE_HOME", "/x")]),
        Path::new("/h/hf/hub")
    );
    assert_eq!(cache(&[("HUGGINGFACE_HUB_CACHE", "/old"), ("HF_HOME", "/hf")]), Path::new("/old"));
    assert_eq!(cache(&[("HF_HUB_CACHE", "/new"), ("HUGGINGFACE_HUB_CACHE", "/old")]), Path::new("/new"));
    let hub = read(&[
        ("HF_ENDPOINT", "https://mirror.example/"),
        ("HF_TOKEN", " hf_x "),
        ("HF_HUB_OFFLINE", "yes"),
    ])
    .unwrap();
    assert_eq!((hub.endpoint.as_str(), hub.offline), ("https://mirror.example", true));
    assert_eq!(hub.token, Token::new("hf_x"));
    assert!(!read(&[("HF_HUB_OFFLINE", "0")]).unwrap().offline);
    assert_eq!(
        message(read(&[("HF_ENDPOINT", "http://me:secret@mirror.example")])),
        "the address in HF_ENDPOINT is plain http to another machine; expected https://HOST, or http:// with a loopback host such as \
         127.0.0.1"
    );
}

#[test]
fn a_saved_token_is_read_where_none_is_set() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("token"), "hf_saved\n").unwrap();
    let read = |more: &'static [(&'static str, &'static str)]| {
        let home = home.path().to_str().unwrap().to_owned();
        Hub::from_variables(move |name| match name {
            "HF_HOME" => Some(home.clone()),
            name => more.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()),
        })
        .unwrap()
        .token
    };
    assert_eq!(read(&[]), Token::new("hf_saved"));
    assert_eq!(read(&[("HF_TOKEN", "hf_set")]), Token::new("hf_set"));
    assert_eq!(read(&[("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]), None);
    assert_eq!(read(&[("HF_TOKEN_PATH", "/no/such/file")]), None);
}

#[test]
fn a_name_is_a_repository_or_a_folder() {
    for name in ["meta-llama/Llama-2-7b-hf", "Qwen/Qwen2.5-0.5B", "a/b_c.d"] {
        assert_eq!(Source::of(name), Source::Repository(name.to_owned()), "{name}");
    }
    for name in
        ["/a/b", "./a", "../a/b", "a", "a/b/c", "a--b/c", "a/..", "a/b/", "a b/c", "-a/b", "a/b.git", "", "/"]
    {
        assert!(!hub::is_repository(name), "{name}");
        assert_eq!(Source::of(name), Source::Folder(name.into()), "{name}");
    }
}

#[test]
fn a_local_folder_is_taken_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().to_str().unwrap();
    let hub = Hub::from_variables(|_| None).unwrap();
    let path = folder.path().display();
    assert_eq!(
        message(find(name, None, &hub)),
        format!(
            "{path}: no config.json, tokenizer.json, model.safetensors; a backbone's folder has config.json, tokenizer.json and \
             model.safetensors (or model.safetensors.index.json and its shards)"
        )
    );
    assert_eq!(present(name, None, &hub).unwrap().missing.len(), 3);
    for (file, bytes) in one_file() {
        std::fs::write(folder.path().join(file), bytes).unwrap();
    }
    let found = find(name, None, &hub).unwrap();
    assert_eq!((found.path(), found.revision()), (folder.path(), None));
    assert_eq!(fetch(name, None, &hub, false, &Silent, &Interrupt::default()).unwrap(), found);
    assert_eq!(
        message(find(name, Some("v1"), &hub)),
        format!(
            "backbone.revision is \"v1\", but {path} is a local folder, which has none; leave one of the two out"
        )
    );
    let hashes = found.hashes(&Interrupt::default()).unwrap();
    assert_eq!(hashes["model.safetensors"], sha256(&one_file()["model.safetensors"]));
    let gone = present("no/such", None, &hub).unwrap();
    assert_eq!((gone.folder, gone.missing.len(), gone.bytes), (None, 3, None));
}

/// Two processes fetch one model into one cache: each file is downloaded once.
#[test]
fn two_fetches_at_once_download_each_file_once() {
    let (server, cache) = (serve(one_file()), tempfile::tempdir().unwrap());
    let hub = Arc::new(hub(&server, cache.path()));
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let hub = Arc::clone(&hub);
            std::thread::spawn(move || get(&hub).unwrap())
        })
        .collect();
    let found: Vec<Folder> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert_eq!(found[0], found[1]);
    let files = server.seen().iter().filter(|request| request.path.contains("/resolve/")).count();
    assert_eq!(files, 4);
}

#[cfg(unix)]
#[test]
fn a_disk_without_room_is_told_before_the_weights_come() {
    let files = one_file();
    let server = Server::start({
        let files = files.clone();
        move |request, to| {
            if request.path != LISTING {
                return answer(&files, request, to);
            }
            let mut listing = listing(&files);
            for file in listing["siblings"].as_array_mut().unwrap() {
                if file["lfs"].is_object() {
                    file["lfs"]["size"] = json!(1u64 << 60);
                }
            }
            to.whole(listing.to_string().as_bytes());
        }
    });
    let cache = tempfile::tempdir().unwrap();
    let text = message(get(&hub(&server, cache.path())));
    let start = format!(
        "{NAME}: 1152921504606846976 bytes are still to be downloaded into {}, but only ",
        cache.path().display()
    );
    let end = " are free there; free some space, or set HF_HUB_CACHE to a folder on another disk";
    assert!(text.starts_with(&start) && text.ends_with(end), "{text}");
    assert!(!paths(&server).contains(&"model.safetensors".to_owned()));
}

#[test]
fn a_cache_that_cannot_be_written_names_the_variable_to_set() {
    let full = Error::from(bench::fetch::Error::DiskFull { path: "/c/blobs/x.part".into() });
    assert_eq!(
        full.to_string(),
        "write /c/blobs/x.part: no space is left on the disk; free some, or set HF_HUB_CACHE to a folder on another disk (what has \
         arrived is kept)"
    );
    let (server, folder) = (serve(one_file()), tempfile::tempdir().unwrap());
    let file = folder.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    let text = message(get(&hub(&server, &file)));
    assert!(text.ends_with(" (HF_HUB_CACHE names the folder of models)"), "{text}");
    assert_eq!(std::fs::read(&file).unwrap(), b"in the way");
}
