//! What is there already, and what is remembered about it.

use bench::events::Silent;
use bench::fetch::{Log, Origin, datasets, fetch, instructions};

use super::transfers::wrong_hash;
use super::*;
use crate::support;

fn origins(fetched: &Fetched) -> Vec<Origin> {
    fetched.files.iter().map(|file| file.origin).collect()
}

#[test]
fn a_second_fetch_asks_nobody() {
    let server = Server::start(|request, answer| answer.good(request, &rows(1), "\"one\""));
    let (folder, path) = place("data.csv");
    for origin in [Origin::Downloaded, Origin::Present, Origin::Present] {
        assert_eq!(origins(&get(&text_file(None), folder.path(), &options(&server)).unwrap()), [origin]);
    }
    assert_eq!(server.seen().len(), 1);
    let record = std::fs::read_to_string(path.with_file_name("data.csv.sha256")).unwrap();
    assert_eq!(record, format!("{}  data.csv\n", sha256(&rows(1))));
    let log: Log =
        serde_json::from_slice(&std::fs::read(path.with_file_name("fetch.json")).unwrap()).unwrap();
    assert_eq!((log.format, log.dataset.as_str(), log.files.len()), (1, "tiny", 1));
    let entry = &log.files["data.csv"];
    assert_eq!((entry.url.as_deref(), entry.bytes), (Some(server.url("data.csv").as_str()), 300_000));
    assert_eq!((entry.sha256.as_str(), entry.etag.as_deref()), (sha256(&rows(1)).as_str(), Some("\"one\"")));
    assert!(
        entry.date.starts_with("20") && entry.date.ends_with('Z') && entry.date.len() == 20,
        "{}",
        entry.date
    );
}

#[test]
fn a_file_put_there_by_hand_is_recorded_and_used() {
    let server = Server::start(|_, answer| answer.whole(b"x"));
    let (folder, path) = place("data.csv");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, rows(1)).unwrap();
    for origin in [Origin::Recorded, Origin::Present] {
        assert_eq!(origins(&get(&text_file(None), folder.path(), &options(&server)).unwrap()), [origin]);
    }
    assert_eq!(server.seen().len(), 0);
}

#[test]
fn a_file_that_changed_here_is_an_error_and_is_not_touched() {
    let server = Server::start(|request, answer| answer.good(request, &rows(1), "\"one\""));
    let (folder, path) = place("data.csv");
    get(&text_file(None), folder.path(), &options(&server)).unwrap();
    std::fs::write(&path, rows(2)).unwrap();
    assert_eq!(
        message(get(&text_file(None), folder.path(), &options(&server))),
        format!(
            "{}: sha256 is {}, expected {} (recorded in {}.sha256); the file is left as it is: move it away, or fetch with --force to replace it",
            path.display(),
            sha256(&rows(2)),
            sha256(&rows(1)),
            path.display()
        )
    );
    assert_eq!(std::fs::read(&path).unwrap(), rows(2));
    assert_eq!(server.seen().len(), 1);
    let force = Options { force: true, ..options(&server) };
    assert_eq!(origins(&get(&text_file(None), folder.path(), &force).unwrap()), [Origin::Downloaded]);
    assert_eq!(std::fs::read(&path).unwrap(), rows(1));
}

#[test]
fn a_file_that_changed_upstream_is_noticed_by_its_record() {
    let server = Server::start(|_, answer| answer.whole(&rows(1 + u32::from(answer.number > 0))));
    let (folder, path) = place("data.csv");
    get(&text_file(None), folder.path(), &options(&server)).unwrap();
    std::fs::remove_file(&path).unwrap();
    let origin = format!("recorded in {}.sha256", path.display());
    assert_eq!(
        message(get(&text_file(None), folder.path(), &options(&server))),
        wrong_hash(&server.url("data.csv"), &sha256(&rows(2)), &sha256(&rows(1)), &origin, &path)
    );
    assert!(!path.exists());
    let force = Options { force: true, ..options(&server) };
    get(&text_file(None), folder.path(), &force).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), rows(2));
    assert_eq!(origins(&get(&text_file(None), folder.path(), &options(&server)).unwrap()), [Origin::Present]);
}

#[test]
fn a_record_that_is_no_record_is_said() {
    let server = Server::start(|_, answer| answer.whole(b"x"));
    let (folder, path) = place("data.csv");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, rows(1)).unwrap();
    std::fs::write(path.with_file_name("data.csv.sha256"), "abc").unwrap();
    assert_eq!(
        message(get(&text_file(None), folder.path(), &options(&server))),
        format!(
            "{}.sha256: does not begin with a sha256 (64 hex digits); delete it to record anew",
            path.display()
        )
    );
}

#[test]
fn a_resumed_download_with_the_wrong_hash_starts_over_once() {
    let (old, new) = (rows(1), rows(2));
    // The file changes under one and the same ETag.
    let server = Server::start({
        let new = new.clone();
        move |request, answer| match answer.number {
            0 => answer.send("200 OK", "Content-Length: 300000\nETag: \"one\"", &old[..90_000]),
            _ => answer.good(request, &new, "\"one\""),
        }
    });
    let (folder, path) = place("data.csv");
    get(&text_file(Some(&sha256(&new))), folder.path(), &options(&server)).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), new);
    assert_eq!(server.ranges(), ["", "bytes=90000-", ""]);
}

#[test]
fn an_unknown_dataset_is_named_with_the_nearest_one() {
    let (folder, _) = place("data.csv");
    let ask = |name| message(fetch(name, folder.path(), &Options::default(), &Silent, &Interrupt::default()));
    assert_eq!(
        ask("beuaty"),
        "beuaty is not a dataset that can be fetched; did you mean beauty?; known: ml-100k, beauty, games"
    );
    assert_eq!(ask("netflix"), "netflix is not a dataset that can be fetched; known: ml-100k, beauty, games");
}

#[test]
fn instructions_name_every_address_and_place() {
    assert_eq!(datasets(), ["ml-100k", "beauty", "games"]);
    assert_eq!(
        instructions("games").unwrap(),
        "games: `bench fetch games`, or by hand (DATA_DIR is what --data-dir names):\n  \
         save https://snap.stanford.edu/data/amazon/productGraph/categoryFiles/ratings_Video_Games.csv as DATA_DIR/games/ratings_Video_Games.csv\n  \
         save https://datarepo.eng.ucsd.edu/mcauley_group/data/amazon_v2/metaFiles2/meta_Video_Games.json.gz as DATA_DIR/games/meta_Video_Games.json.gz\n  \
         about the data: https://nijianmo.github.io/amazon/\n"
    );
    assert_eq!(
        instructions("ml-100k").unwrap(),
        "ml-100k: `bench fetch ml-100k`, or by hand (DATA_DIR is what --data-dir names):\n  \
         unpack https://files.grouplens.org/datasets/movielens/ml-latest-small.zip so that ratings.csv and movies.csv are in DATA_DIR/ml-latest-small/\n  \
         about the data: https://grouplens.org/datasets/movielens/latest/\n"
    );
}

#[test]
fn the_real_movielens_files_have_the_pinned_hashes() {
    let Some(shared) = support::shared() else { return };
    let source = shared.join("data/ml-latest-small");
    let files = ["ratings.csv", "movies.csv", "README.txt"];
    let members: Vec<_> = files
        .iter()
        .map(|name| (format!("ml-latest-small/{name}"), std::fs::read(source.join(name)).unwrap()))
        .collect();
    let server = Server::start({
        let archive = archives::pack(members.iter().map(|(name, content)| (name.as_str(), &content[..])));
        move |_, answer| answer.whole(&archive)
    });
    let folder = tempfile::tempdir().unwrap();
    let ask = || fetch("ml-100k", folder.path(), &options(&server), &Silent, &Interrupt::default()).unwrap();
    assert_eq!(origins(&ask()), [Origin::Unpacked; 3]);
    assert_eq!(origins(&ask()), [Origin::Present; 3]);
    assert_eq!(server.seen().len(), 1);
    assert_eq!(server.seen()[0].path, "/ml-latest-small/ml-latest-small.zip");
    for name in files {
        let there = std::fs::read(folder.path().join("ml-latest-small").join(name)).unwrap();
        assert_eq!(there, std::fs::read(source.join(name)).unwrap());
    }
}
