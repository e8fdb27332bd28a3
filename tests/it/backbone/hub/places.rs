//! Where models are: the environment, names, folders, a cache that others use too.

use super::*;

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
