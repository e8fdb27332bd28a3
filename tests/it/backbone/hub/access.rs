//! Tokens, gated repositories, and who hears of a token.

use super::*;

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
