//! Downloads that were cut, stalled or interrupted, and go on; or start over where they must.

use std::io::Write as _;

use proptest::prelude::*;

use super::*;

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
