//! Repositories and answers that cannot be used, mirrors, and fetches that end early.

use super::*;

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
