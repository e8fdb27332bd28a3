//! One file over HTTP: whole, cut, stalled, changed, and served by liars.

use std::io::Write as _;

use bench::events::Silent;
use bench::fetch::{FetchedFile, Origin};
use proptest::prelude::*;

use super::*;

/// The patience of tests of impatience.
const SHORT: Duration = Duration::from_millis(500);

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
fn a_cut_download_goes_on_where_it_stopped() {
    let body = rows(1);
    let server = Server::start({
        let body = body.clone();
        move |request, answer| match answer.number {
            0 => answer.send("200 OK", "Content-Length: 300000\nETag: \"one\"", &body[..120_000]),
            _ => answer.good(request, &body, "\"one\""),
        }
    });
    let (folder, path) = place("data.csv");
    let listener = Listener::default();
    let pinned = text_file(Some(&sha256(&body)));
    fetch_upstream(&pinned, folder.path(), &options(&server), &listener, &Interrupt::default()).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), body);
    assert_eq!(server.ranges(), ["", "bytes=120000-"]);
    assert_eq!(server.seen()[1].header("if-range"), "\"one\"");
    assert_eq!(
        listener.said(),
        [
            "tiny/data.csv: the connection was closed at byte 120000 of 300000; trying again in 0.005 s (try 2 of 3)"
        ]
    );
}

#[test]
fn a_date_names_the_version_where_there_is_no_strong_etag() {
    let body = rows(1);
    let date = "Wed, 26 Sep 2018 15:00:00 GMT";
    let server = Server::start({
        let body = body.clone();
        move |request, answer| {
            let known = format!("ETag: W/\"weak\"\nLast-Modified: {date}");
            match request.offset() {
                None => answer.send("200 OK", &format!("Content-Length: 300000\n{known}"), &body[..1_000]),
                Some(from) => answer.send(
                    "206 Partial Content",
                    &format!(
                        "Content-Range: bytes {from}-299999/300000\nContent-Length: {}\n{known}",
                        300_000 - from
                    ),
                    &body[from..],
                ),
            }
        }
    });
    let (folder, path) = place("data.csv");
    get(&text_file(None), folder.path(), &options(&server)).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), body);
    assert_eq!(server.ranges(), ["", "bytes=1000-"]);
    assert_eq!(server.seen()[1].header("if-range"), date);
}

#[test]
fn without_a_version_a_cut_download_starts_over() {
    let body = rows(1);
    let server = Server::start({
        let body = body.clone();
        move |_, answer| match answer.number {
            0 => answer.send("200 OK", "Content-Length: 300000", &body[..1_000]),
            _ => answer.whole(&body),
        }
    });
    let (folder, path) = place("data.csv");
    get(&text_file(None), folder.path(), &options(&server)).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), body);
    assert_eq!(server.ranges(), ["", ""]);
}

#[test]
fn a_stall_is_given_up_and_the_next_fetch_goes_on() {
    let body = rows(1);
    let server = Server::start({
        let body = body.clone();
        move |request, answer| match answer.number {
            0 => {
                answer.send("200 OK", "Content-Length: 300000\nETag: \"one\"", &body[..70_000]);
                answer.stall();
            }
            _ => answer.good(request, &body, "\"one\""),
        }
    });
    let (folder, path) = place("data.csv");
    let impatient = Options { tries: 1, stall_timeout: SHORT, ..options(&server) };
    assert_eq!(
        message(get(&text_file(None), folder.path(), &impatient)),
        format!(
            "{}: nothing arrived for 0.5 s at byte 70000 of 300000 (tries: 1); 70000 bytes are kept in {}.part: fetch again to go on, or {}",
            server.url("data.csv"),
            path.display(),
            by_hand(&path)
        )
    );
    let listener = Listener::default();
    fetch_upstream(&text_file(None), folder.path(), &impatient, &listener, &Interrupt::default()).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), body);
    assert_eq!(server.ranges(), ["", "bytes=70000-"]);
    assert_eq!(listener.said(), ["tiny/data.csv: going on from byte 70000"]);
    assert_eq!(names(path.parent().unwrap()), ["data.csv", "data.csv.sha256", "fetch.json"]);
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
fn a_file_that_changed_meanwhile_starts_over() {
    let (old, new) = (rows(1), rows(2));
    let server = Server::start({
        let new = new.clone();
        move |request, answer| match answer.number {
            0 => answer.send("200 OK", "Content-Length: 300000\nETag: \"old\"", &old[..90_000]),
            _ => answer.good(request, &new, "\"new\""),
        }
    });
    let (folder, path) = place("data.csv");
    let listener = Listener::default();
    fetch_upstream(&text_file(None), folder.path(), &options(&server), &listener, &Interrupt::default())
        .unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), new);
    assert_eq!(server.ranges(), ["", "bytes=90000-"]);
    assert_eq!(
        listener.said()[1],
        "tiny/data.csv: the server does not go on from there (the file changed, or it cannot); starting over"
    );
}

#[test]
fn a_changed_file_starts_over_even_where_the_server_ignores_if_range() {
    let (old, new) = (rows(1), rows(2));
    let server = Server::start({
        let new = new.clone();
        move |request, answer| match request.offset() {
            None if answer.number == 0 => {
                answer.send("200 OK", "Content-Length: 300000\nETag: \"old\"", &old[..90_000]);
            }
            None => answer.good(request, &new, "\"new\""),
            Some(from) => answer.send(
                "206 Partial Content",
                &format!(
                    "Content-Range: bytes {from}-299999/300000\nETag: \"new\"\nContent-Length: {}",
                    300_000 - from
                ),
                &new[from..],
            ),
        }
    });
    let (folder, path) = place("data.csv");
    let listener = Listener::default();
    fetch_upstream(&text_file(None), folder.path(), &options(&server), &listener, &Interrupt::default())
        .unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), new);
    assert_eq!(server.ranges(), ["", "bytes=90000-", ""]);
    assert_eq!(listener.said()[1], "tiny/data.csv: the file changed on the server; starting over");
}

#[test]
fn a_server_that_ignores_ranges_starts_over() {
    let body = rows(1);
    let server = Server::start({
        let body = body.clone();
        move |_, answer| {
            let sent = if answer.number == 0 { &body[..90_000] } else { &body[..] };
            answer.send("200 OK", "Content-Length: 300000\nETag: \"one\"", sent);
        }
    });
    let (folder, path) = place("data.csv");
    get(&text_file(Some(&sha256(&body))), folder.path(), &options(&server)).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), body);
    assert_eq!(server.ranges(), ["", "bytes=90000-"]);
}

#[test]
fn a_server_that_sends_another_range_is_given_up() {
    let body = rows(1);
    let server = Server::start(move |request, answer| match request.offset() {
        None => answer.send("200 OK", "Content-Length: 300000\nETag: \"one\"", &body[..90_000]),
        Some(_) => answer.send(
            "206 Partial Content",
            "Content-Range: bytes 0-299999/300000\nContent-Length: 300000\nETag: \"one\"",
            &body,
        ),
    });
    let (folder, path) = place("data.csv");
    let many = Options { tries: 50, ..options(&server) };
    let said = message(get(&text_file(None), folder.path(), &many));
    let start =
        format!("{}: the server sends another range than was asked for (tries: ", server.url("data.csv"));
    assert!(said.starts_with(&start), "{said}");
    assert_eq!(server.seen().len(), 8);
    assert!(!path.exists());
}

#[test]
fn an_interrupt_keeps_the_part_file() {
    let body = rows(1);
    let server = Server::start({
        let body = body.clone();
        move |request, answer| match answer.number {
            0 => {
                answer.send("200 OK", "Content-Length: 300000\nETag: \"one\"", &body[..50_000]);
                answer.stall();
            }
            _ => answer.good(request, &body, "\"one\""),
        }
    });
    let (folder, path) = place("data.csv");
    let listener = Listener { interrupt_at: Some(50_000), ..Listener::default() };
    let patient = options(&server);
    let start = std::time::Instant::now();
    let error = fetch_upstream(&text_file(None), folder.path(), &patient, &listener, &listener.interrupt)
        .unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(4), "the interrupt waited for the network");
    assert!(error.is_interrupt());
    assert_eq!(
        error.to_string(),
        format!(
            "interrupted; 50000 bytes are kept in {}.part, and the next fetch goes on from there",
            path.display()
        )
    );
    assert_eq!(std::fs::read(path.with_file_name("data.csv.part")).unwrap(), body[..50_000]);
    get(&text_file(None), folder.path(), &patient).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), body);
    assert_eq!(server.ranges(), ["", "bytes=50000-"]);
}

#[test]
fn a_part_that_was_damaged_meanwhile_is_not_used() {
    let body = rows(1);
    let server = Server::start({
        let body = body.clone();
        move |request, answer| match answer.number {
            0 => answer.send("200 OK", "Content-Length: 300000\nETag: \"one\"", &body[..50_000]),
            _ => answer.good(request, &body, "\"one\""),
        }
    });
    let (folder, path) = place("data.csv");
    let once = Options { tries: 1, ..options(&server) };
    message(get(&text_file(None), folder.path(), &once));
    let part = path.with_file_name("data.csv.part");
    let mut bytes = std::fs::read(&part).unwrap();
    bytes[1_234] ^= 1;
    std::fs::write(&part, bytes).unwrap();
    get(&text_file(None), folder.path(), &once).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), body);
    assert_eq!(server.ranges(), ["", ""]);
}

#[test]
fn bytes_after_the_checkpoint_are_fetched_again() {
    let body = rows(1);
    let server = Server::start({
        let body = body.clone();
        move |request, answer| match answer.number {
            0 => answer.send("200 OK", "Content-Length: 300000\nETag: \"one\"", &body[..50_000]),
            _ => answer.good(request, &body, "\"one\""),
        }
    });
    let (folder, path) = place("data.csv");
    let once = Options { tries: 1, ..options(&server) };
    message(get(&text_file(None), folder.path(), &once));
    // What a power cut may leave: a longer file whose end was never written.
    let mut part =
        std::fs::OpenOptions::new().append(true).open(path.with_file_name("data.csv.part")).unwrap();
    part.write_all(&[0; 4_096]).unwrap();
    get(&text_file(None), folder.path(), &once).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), body);
    assert_eq!(server.ranges(), ["", "bytes=50000-"]);
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_cuts_ends_in_the_same_bytes(cuts in prop::collection::vec(0usize..150_000, 0..6)) {
        let body = rows(1);
        let (count, expected) = (cuts.len(), body.clone());
        let server = Server::start(move |request, answer| {
            let from = request.offset().unwrap_or(0);
            let known = format!("ETag: \"one\"\nContent-Length: {}", body.len() - from);
            let end = cuts.get(answer.number).map_or(body.len(), |cut| body.len().min(from + cut));
            match from {
                0 => answer.send("200 OK", &known, &body[..end]),
                _ => {
                    let range = format!("{known}\nContent-Range: bytes {from}-299999/300000");
                    answer.send("206 Partial Content", &range, &body[from..end]);
                }
            }
        });
        let (folder, path) = place("data.csv");
        let patient = Options { tries: 20, backoff: Duration::ZERO, ..options(&server) };
        get(&text_file(None), folder.path(), &patient).unwrap();
        prop_assert_eq!(std::fs::read(&path).unwrap(), expected);
        prop_assert!(server.seen().len() <= count + 1);
    }
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
