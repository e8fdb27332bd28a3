//! One file over HTTP: whole, and served by servers that lie, fail or trickle; and a machine that is full.

use std::io::Write as _;

use bench::events::Silent;
use bench::fetch::{FetchedFile, Origin};

use super::*;

#[test]
fn a_good_server_gives_the_file_its_hash_and_a_record() {
    let body = rows(1);
    let server = Server::start({
        let body = body.clone();
        move |request, answer| answer.good(request, &body, "\"one\"")
    });
    let (folder, path) = place("data.csv");
    let fetched = get(&text_file(None), folder.path(), &options(&server)).unwrap();
    let file =
        FetchedFile { path: path.clone(), bytes: 300_000, sha256: sha256(&body), origin: Origin::Downloaded };
    assert_eq!((fetched.dataset.as_str(), fetched.files), ("tiny", vec![file]));
    assert_eq!(std::fs::read(&path).unwrap(), body);
    assert_eq!(names(path.parent().unwrap()), ["data.csv", "data.csv.sha256", "fetch.json"]);
    let seen = server.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].path, "/tiny/data.csv");
    assert_eq!(seen[0].header("accept-encoding"), "identity");
    assert_eq!(seen[0].header("user-agent"), concat!("bench/", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_trickle_is_a_stall() {
    let server = Server::start(|_, answer| {
        answer.send("200 OK", "Content-Length: 300000", b"");
        for _ in 0..100 {
            if !answer.more(b"x") {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    });
    let (folder, _) = place("data.csv");
    let impatient = Options { tries: 1, stall_timeout: SHORT, ..options(&server) };
    let said = message(get(&text_file(None), folder.path(), &impatient));
    let start = format!("{}: fewer than 1024 bytes arrived in 0.5 s at byte ", server.url("data.csv"));
    assert!(said.starts_with(&start), "{said}");
}

#[test]
fn a_length_that_promises_too_much_is_noticed() {
    let body = rows(1);
    let server = Server::start(move |_, answer| answer.send("200 OK", "Content-Length: 301000", &body));
    let (folder, path) = place("data.csv");
    assert_eq!(
        message(get(&text_file(None), folder.path(), &options(&server))),
        format!(
            "{}: the connection was closed at byte 300000 of 301000 (tries: 3); 300000 bytes are kept in {}.part: fetch again to go on, or {}",
            server.url("data.csv"),
            path.display(),
            by_hand(&path)
        )
    );
    assert_eq!(server.seen().len(), 3);
    assert!(!path.exists());
}

#[test]
fn a_length_that_promises_too_little_fails_the_pinned_hash() {
    let body = rows(1);
    let server = Server::start({
        let body = body.clone();
        move |_, answer| answer.send("200 OK", "Content-Length: 299000", &body)
    });
    let (folder, path) = place("data.csv");
    assert_eq!(
        message(get(&text_file(Some(&sha256(&body))), folder.path(), &options(&server))),
        wrong_hash(
            &server.url("data.csv"),
            &sha256(&body[..299_000]),
            &sha256(&body),
            "pinned by this program",
            &path
        )
    );
    assert_eq!(names(path.parent().unwrap()), ["data.csv.rejected"]);
}

#[test]
fn a_length_that_promises_too_little_cuts_a_gzip_file_visibly() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&rows(1)).unwrap();
    let packed = encoder.finish().unwrap();
    let length = packed.len() - 100;
    let server =
        Server::start(move |_, answer| answer.send("200 OK", &format!("Content-Length: {length}"), &packed));
    let (folder, path) = place("meta.json.gz");
    let upstream = one_file("meta.json.gz", None, Kind::Gzip { max_unpacked_bytes: 1 << 20 });
    assert_eq!(
        message(get(&upstream, folder.path(), &options(&server))),
        format!(
            "{}: the gzip file is cut short; what arrived is set aside as {}.rejected; {}",
            server.url("meta.json.gz"),
            path.display(),
            by_hand(&path)
        )
    );
}

#[test]
fn a_length_that_promises_too_little_is_suspected_of_text() {
    let server = Server::start(|_, answer| answer.send("200 OK", "Content-Length: 2", b"u1,i1\n"));
    let (folder, _) = place("data.csv");
    let listener = Listener::default();
    fetch_upstream(&text_file(None), folder.path(), &options(&server), &listener, &Interrupt::default())
        .unwrap();
    assert_eq!(listener.said(), ["tiny/data.csv: the last line has no end, so the file may be cut short"]);
}

#[test]
fn a_gzip_bomb_is_refused() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![0; 3 << 20]).unwrap();
    let packed = encoder.finish().unwrap();
    let server = Server::start(move |_, answer| answer.whole(&packed));
    let (folder, path) = place("meta.json.gz");
    let upstream = one_file("meta.json.gz", None, Kind::Gzip { max_unpacked_bytes: 1 << 20 });
    assert_eq!(
        message(get(&upstream, folder.path(), &options(&server))),
        format!(
            "{}: the gzip file unpacks to more than 1048576 bytes; what arrived is set aside as {}.rejected; {}",
            server.url("meta.json.gz"),
            path.display(),
            by_hand(&path)
        )
    );
}

#[test]
fn a_wrong_hash_is_refused_and_set_aside() {
    let body = rows(1);
    let found = sha256(&body);
    let server = Server::start(move |_, answer| answer.whole(&body));
    let (folder, path) = place("data.csv");
    let pinned = "0".repeat(64);
    assert_eq!(
        message(get(&text_file(Some(&pinned)), folder.path(), &options(&server))),
        wrong_hash(&server.url("data.csv"), &found, &pinned, "pinned by this program", &path)
    );
    assert_eq!(server.seen().len(), 1);
    assert_eq!(names(path.parent().unwrap()), ["data.csv.rejected"]);
}

#[test]
fn statuses_come_with_a_next_step() {
    let cases = [
        ("401 Unauthorized", "it wants to know who asks: {hand} with a browser"),
        ("403 Forbidden", "it wants to know who asks: {hand} with a browser"),
        ("404 Not Found", "the file has moved: look for it from the dataset's home page, or {hand}"),
        ("418 I'm a teapot", "{hand}"),
    ];
    for (status, advice) in cases {
        let server = Server::start(move |_, answer| answer.send(status, "Content-Length: 0", b""));
        let (folder, path) = place("data.csv");
        assert_eq!(
            message(get(&text_file(None), folder.path(), &options(&server))),
            format!(
                "{}: the server answers {status}; {}",
                server.url("data.csv"),
                advice.replace("{hand}", &by_hand(&path))
            )
        );
        assert_eq!(server.seen().len(), 1, "{status} is asked once");
    }
}

#[test]
fn a_failing_server_is_asked_again_and_then_given_up() {
    let server =
        Server::start(|_, answer| answer.send("500 Internal Server Error", "Content-Length: 0", b""));
    let (folder, path) = place("data.csv");
    assert_eq!(
        message(get(&text_file(None), folder.path(), &options(&server))),
        format!(
            "{}: the server answers 500 Internal Server Error (tries: 3); fetch again later, or {}",
            server.url("data.csv"),
            by_hand(&path)
        )
    );
    assert_eq!(server.seen().len(), 3);
}

#[test]
fn a_busy_server_says_when_to_come_back() {
    let body = rows(1);
    let server = Server::start(move |_, answer| match answer.number {
        0 => answer.send("503 Service Unavailable", "Content-Length: 0\nRetry-After: 0", b""),
        _ => answer.whole(&body),
    });
    let (folder, _) = place("data.csv");
    let listener = Listener::default();
    fetch_upstream(&text_file(None), folder.path(), &options(&server), &listener, &Interrupt::default())
        .unwrap();
    assert_eq!(
        listener.said(),
        ["tiny/data.csv: the server answers 503 Service Unavailable; trying again in 0 s (try 2 of 3)"]
    );
}

#[test]
fn nobody_listening_is_said() {
    let server = Server::start(|_, answer| answer.whole(b"x"));
    let (mirror, url) = (options(&server), server.url("data.csv"));
    drop(server);
    let (folder, path) = place("data.csv");
    assert_eq!(
        message(get(&text_file(None), folder.path(), &mirror)),
        format!(
            "{url}: the connection failed: Connection refused (os error 111) (tries: 3); fetch again later, or {}",
            by_hand(&path)
        )
    );
}

#[test]
fn too_many_bytes_are_refused_announced_or_not() {
    let body = vec![b'x'; 2 << 20];
    let server = Server::start(move |_, answer| match answer.number {
        0 => answer.whole(&body),
        _ => {
            let chunked = [format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
            answer.send("200 OK", "Transfer-Encoding: chunked", &chunked);
        }
    });
    let (folder, path) = place("data.csv");
    for problem in [
        "the server offers 2097152 bytes, more than the 1048576 that this file may have",
        "more than 1048576 bytes arrive, the most that this file may have",
    ] {
        assert_eq!(
            message(get(&text_file(None), folder.path(), &options(&server))),
            format!("{}: {problem}; {}", server.url("data.csv"), by_hand(&path))
        );
    }
    assert_eq!(server.seen().len(), 2);
}

#[test]
fn chunks_mark_their_own_end() {
    let body = rows(1);
    let server = Server::start({
        let body = body.clone();
        move |_, answer| {
            let chunked = [format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
            let sent = if answer.number == 0 { &chunked[..100_000] } else { &chunked[..] };
            answer.send("200 OK", "Transfer-Encoding: chunked", sent);
        }
    });
    let (folder, path) = place("data.csv");
    get(&text_file(None), folder.path(), &options(&server)).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), body);
    assert_eq!(server.seen().len(), 2);
}

#[test]
fn a_body_without_a_length_is_refused() {
    let server = Server::start(|_, answer| answer.send("200 OK", "", &rows(1)));
    let (folder, path) = place("data.csv");
    assert_eq!(
        message(get(&text_file(None), folder.path(), &options(&server))),
        format!(
            "{}: the server does not say how long the file is, so a cut would go unnoticed; {}",
            server.url("data.csv"),
            by_hand(&path)
        )
    );
}

#[test]
fn an_encoding_that_was_not_asked_for_is_refused() {
    let server =
        Server::start(|_, answer| answer.send("200 OK", "Content-Length: 1\nContent-Encoding: gzip", b"x"));
    let (folder, path) = place("data.csv");
    assert_eq!(
        message(get(&text_file(None), folder.path(), &options(&server))),
        format!(
            "{}: the server sends the file encoded (gzip), which was not asked for; {}",
            server.url("data.csv"),
            by_hand(&path)
        )
    );
}

#[test]
fn a_login_page_or_nothing_is_not_recorded() {
    for (body, problem) in [
        ("\n<!DOCTYPE html>", "a web page came in place of the file (a login page, or a proxy?)"),
        ("", "the file is empty"),
    ] {
        let server = Server::start(move |_, answer| answer.whole(body.as_bytes()));
        let (folder, path) = place("data.csv");
        assert_eq!(
            message(get(&text_file(None), folder.path(), &options(&server))),
            format!(
                "{}: {problem}; what arrived is set aside as {}.rejected; {}",
                server.url("data.csv"),
                path.display(),
                by_hand(&path)
            )
        );
        assert_eq!(names(path.parent().unwrap()), ["data.csv.rejected"]);
    }
}

#[test]
fn a_file_in_place_of_the_folder_is_said() {
    let server = Server::start(|_, answer| answer.whole(b"x"));
    let (folder, path) = place("data.csv");
    let tiny = path.parent().unwrap();
    std::fs::write(tiny, b"").unwrap();
    let source = std::fs::create_dir_all(tiny).unwrap_err();
    assert_eq!(
        message(get(&text_file(None), folder.path(), &options(&server))),
        format!("create the folder {}: {source}; name another one with --data-dir", tiny.display())
    );
    assert_eq!(server.seen().len(), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_said() {
    let body = rows(1);
    let server = Server::start(move |_, answer| answer.whole(&body));
    let (folder, path) = place("data.csv");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let part = path.with_file_name("data.csv.part");
    // Every write to this device fails as on a full disk.
    std::os::unix::fs::symlink("/dev/full", &part).unwrap();
    assert_eq!(
        message(get(&text_file(None), folder.path(), &options(&server))),
        format!(
            "write {}: no space is left on the disk; free some, or name a folder on another disk with --data-dir (what has arrived is kept)",
            part.display()
        )
    );
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn a_server_without_tls_is_refused() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        // Until the client hangs up.
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    });
    let (folder, path) = place("data.csv");
    let options = Options { mirror: Some(format!("https://{address}")), ..Options::default() };
    let said = message(get(&text_file(None), folder.path(), &options));
    thread.join().unwrap();
    assert_eq!(
        said,
        format!(
            "https://{address}/tiny/data.csv: no safe connection to 127.0.0.1: received corrupt message of type InvalidContentType; {}",
            by_hand(&path)
        )
    );
}

#[test]
fn two_fetches_at_once_ask_once() {
    let body = rows(1);
    let server = Server::start({
        let body = body.clone();
        move |_, answer| {
            std::thread::sleep(Duration::from_millis(200));
            answer.whole(&body);
        }
    });
    let (folder, path) = place("data.csv");
    let (upstream, options) = (text_file(None), options(&server));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                fetch_upstream(&upstream, folder.path(), &options, &Silent, &Interrupt::default()).unwrap();
            });
        }
    });
    assert_eq!(std::fs::read(&path).unwrap(), body);
    assert_eq!(server.seen().len(), 1);
}

pub(super) fn wrong_hash(url: &str, found: &str, expected: &str, origin: &str, path: &Path) -> String {
    format!(
        "{url}: sha256 is {found}, expected {expected} ({origin}); what arrived is set aside as {}.rejected; if upstream has a new version, results will not compare with those of the old one (fetch with --force takes it where the hash is only recorded)",
        path.display()
    )
}
