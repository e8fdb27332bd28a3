//! What is fetched, from where, and when it is right.

use super::*;

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
