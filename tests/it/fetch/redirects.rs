//! Where a redirect may lead.

use super::*;

/// The message of a fetch whose server redirects to `location`.
fn redirected(location: &'static str) -> (String, String, usize) {
    let server = Server::start(move |_, answer| {
        answer.send("302 Found", &format!("Location: {location}\nContent-Length: 0"), b"");
    });
    let (folder, path) = place("data.csv");
    let said = message(get(&text_file(None), folder.path(), &options(&server)));
    let (start, end) = (format!("{}: ", server.url("data.csv")), format!("; {}", by_hand(&path)));
    assert!(said.starts_with(&start) && said.ends_with(&end), "{said}");
    (said[start.len()..said.len() - end.len()].to_owned(), server.base(), server.seen().len())
}

#[test]
fn another_scheme_or_machine_is_refused() {
    for (location, problem) in [
        ("ftp://127.0.0.1/data.csv", "redirected from http to ftp, which is refused"),
        ("file:///etc/passwd", "redirected from http to file, which is refused"),
        (
            "http://name:secret@elsewhere.example/data.csv?token=secret",
            "redirected to http://elsewhere.example/data.csv, plain http to another machine, which is refused",
        ),
        ("http://exa mple/", "redirected to an address that cannot be read"),
    ] {
        let (said, _, requests) = redirected(location);
        assert_eq!((said.as_str(), requests), (problem, 1));
    }
}

#[test]
fn a_loop_ends() {
    let (said, _, requests) = redirected("/tiny/data.csv");
    assert_eq!((said.as_str(), requests), ("redirected more than 5 times", 6));
}

#[test]
fn a_redirect_to_nowhere_is_refused() {
    let server = Server::start(|_, answer| answer.send("301 Moved Permanently", "Content-Length: 0", b""));
    let (folder, path) = place("data.csv");
    assert_eq!(
        message(get(&text_file(None), folder.path(), &options(&server))),
        format!("{}: redirected to nowhere; {}", server.url("data.csv"), by_hand(&path))
    );
}

#[test]
fn a_relative_redirect_is_followed_and_resumed_through() {
    let body = rows(1);
    let server = Server::start({
        let body = body.clone();
        move |request, answer| match request.path.as_str() {
            "/tiny/data.csv" => answer.send("302 Found", "Location: ../v2/real.csv\nContent-Length: 0", b""),
            _ if request.offset().is_none() => {
                answer.send("200 OK", "Content-Length: 300000\nETag: \"one\"", &body[..60_000]);
            }
            _ => answer.good(request, &body, "\"one\""),
        }
    });
    let (folder, path) = place("data.csv");
    get(&text_file(Some(&sha256(&body))), folder.path(), &options(&server)).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), body);
    assert_eq!(server.ranges(), ["", "", "bytes=60000-", "bytes=60000-"]);
}

#[test]
fn a_mirror_that_is_not_safe_is_refused_without_being_shown() {
    let (folder, _) = place("data.csv");
    let options =
        Options { mirror: Some("http://name:secret@mirror.example".to_owned()), ..Options::default() };
    assert_eq!(
        message(get(&text_file(None), folder.path(), &options)),
        "the mirror address is plain http to another machine; expected https://HOST/FOLDER, or http:// with a loopback host such as 127.0.0.1"
    );
}
