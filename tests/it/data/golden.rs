//! The three real datasets against one realisation of the reference preprocessing.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use bench::data::{Dataset, Part, Split};
use bench::events::Silent;
use bench::experiment::{DatasetSource, DatasetSpec, ItemOrder, TitleEncoding};
use flate2::read::MultiGzDecoder;

use crate::support::shared;

fn data_dir() -> Option<PathBuf> {
    shared().map(|shared| shared.join("data"))
}

fn load(spec: &DatasetSpec, data_dir: &Path) -> Dataset {
    Dataset::load(spec, data_dir, &Silent).unwrap()
}

fn gunzip(path: &Path) -> String {
    let mut text = String::new();
    MultiGzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    text
}

/// Raw items by raw user, in the golden order.
fn golden_sequences(data_dir: &Path, name: &str) -> Vec<(String, Vec<String>)> {
    gunzip(&data_dir.join(format!("golden/{name}.sequences.tsv.gz")))
        .lines()
        .map(|line| {
            let (user, items) = line.split_once('\t').unwrap();
            (user.to_owned(), items.split(' ').map(str::to_owned).collect())
        })
        .collect()
}

/// Raw id, title as the reference reads it, title read as UTF-8, in the golden order.
fn golden_titles(data_dir: &Path, name: &str) -> Vec<(String, String, String)> {
    gunzip(&data_dir.join(format!("golden/{name}.titles.jsonl.gz")))
        .lines()
        .map(|line| {
            let row: Vec<serde_json::Value> = serde_json::from_str(line).unwrap();
            let id = row[0].as_str().map_or_else(|| row[0].to_string(), str::to_owned);
            let title = |at: usize| row[at.min(row.len() - 1)].as_str().unwrap().to_owned();
            (id, title(1), title(2))
        })
        .collect()
}

/// Time of every interaction by (user, item), straight from the ratings file; repeated pairs keep all their times.
fn raw_times(path: &Path, header: bool) -> BTreeMap<(String, String), Vec<i64>> {
    let mut times: BTreeMap<_, Vec<i64>> = BTreeMap::new();
    for line in std::fs::read_to_string(path).unwrap().lines().skip(usize::from(header)) {
        let fields: Vec<&str> = line.split(',').collect();
        times
            .entry((fields[0].to_owned(), fields[1].to_owned()))
            .or_default()
            .push(fields[3].parse().unwrap());
    }
    times
}

fn raw_sequence(dataset: &Dataset, user: usize) -> Vec<&str> {
    dataset.sequences[user].iter().map(|item| dataset.items[item.index()].raw_id.as_str()).collect()
}

/// Same users; for each the same items at the same times, so the same order wherever times differ.
/// Returns how many users have exactly the golden order, and how many have no ties.
fn assert_same_up_to_ties(dataset: &Dataset, data_dir: &Path, ratings: &str, header: bool) -> (usize, usize) {
    let golden: BTreeMap<_, _> = golden_sequences(data_dir, &dataset.name).into_iter().collect();
    let times = raw_times(&data_dir.join(ratings), header);
    assert_eq!(dataset.users.len(), golden.len());
    let (mut exact, mut untied) = (0, 0);
    for (at, user) in dataset.users.iter().enumerate() {
        let ours = raw_sequence(dataset, at);
        let theirs: Vec<&str> = golden[user].iter().map(String::as_str).collect();
        let timed = |items: &[&str]| -> Vec<i64> {
            items.iter().map(|item| times[&(user.clone(), (*item).to_owned())][0]).collect()
        };
        let our_times = timed(&ours);
        assert_eq!(our_times, timed(&theirs), "times of user {user}");
        assert!(our_times.is_sorted(), "order of user {user}");
        let sorted = |items: &[&str]| {
            let mut keyed: Vec<(i64, String)> =
                timed(items).into_iter().zip(items.iter().map(|&item| item.to_owned())).collect();
            keyed.sort();
            keyed
        };
        assert_eq!(sorted(&ours), sorted(&theirs), "items of user {user}");
        if our_times.windows(2).all(|pair| pair[0] < pair[1]) {
            untied += 1;
            assert_eq!(ours, theirs, "user {user} has no ties");
        }
        exact += usize::from(ours == theirs);
    }
    (exact, untied)
}

fn assert_statistics(dataset: &Dataset, raw: (usize, usize, u64), kept: (usize, usize, usize)) {
    assert_eq!((dataset.report.raw_users, dataset.report.raw_items, dataset.report.rows_read), raw);
    let statistics = dataset.statistics();
    assert_eq!((statistics.users, statistics.items, statistics.interactions), kept);
}

#[test]
fn ml_100k_has_the_published_statistics_and_the_golden_order() {
    let Some(data_dir) = data_dir() else { return };
    let dataset = load(&DatasetSpec::new(DatasetSource::Ml100k), &data_dir);
    assert_statistics(&dataset, (610, 9_724, 100_836), (610, 3_650, 90_274));
    assert_eq!(format!("{:.2}", dataset.statistics().mean_length), "147.99");
    assert_eq!(format!("{:.0e}", dataset.statistics().density), "4e-2");
    let (exact, untied) = assert_same_up_to_ties(&dataset, &data_dir, "ml-latest-small/ratings.csv", true);
    assert_eq!(untied, dataset.users.len() - dataset.report.users_with_ties);
    assert!(exact >= untied);
    assert_eq!(dataset.report.repeated_pairs, 0);
    let files: Vec<&str> = dataset.source_files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(files, ["ml-latest-small/ratings.csv", "ml-latest-small/movies.csv"]);
    assert!(dataset.source_files[0].sha256.starts_with("aa289ca8"));
    assert!(dataset.source_files[1].sha256.starts_with("5a5f32dd"));
}

#[test]
fn ml_100k_in_python_set_order_is_the_reference_preprocessing_ties_and_ids_included() {
    let Some(data_dir) = data_dir() else { return };
    let spec = DatasetSpec {
        item_order: ItemOrder::PythonSet,
        title_encoding: TitleEncoding::Latin1,
        ..DatasetSpec::new(DatasetSource::Ml100k)
    };
    let dataset = load(&spec, &data_dir);
    let ours: Vec<(String, String)> =
        dataset.items.iter().map(|item| (item.raw_id.clone(), item.title.clone())).collect();
    let theirs: Vec<(String, String)> =
        golden_titles(&data_dir, "ml-100k").into_iter().map(|(id, title, _)| (id, title)).collect();
    assert_eq!(ours, theirs);
    for (at, (user, items)) in golden_sequences(&data_dir, "ml-100k").into_iter().enumerate() {
        assert_eq!(dataset.users[at], user);
        assert_eq!(raw_sequence(&dataset, at), items, "user {user}");
    }
}

#[test]
fn beauty_has_the_published_statistics_and_the_golden_order_up_to_ties() {
    let Some(data_dir) = data_dir() else { return };
    let dataset = load(&DatasetSpec::new(DatasetSource::Beauty), &data_dir);
    assert_statistics(&dataset, (22_363, 12_101, 198_502), (22_332, 12_086, 198_215));
    assert_eq!(dataset.report.items_without_title, 7);
    assert_eq!(dataset.report.users_with_tied_last_two, 9_704);
    assert_same_up_to_ties(&dataset, &data_dir, "beauty/ratings_Beauty.csv", false);
}

#[test]
fn games_has_the_published_statistics_and_exactly_the_golden_order() {
    let Some(data_dir) = data_dir() else { return };
    let dataset = load(&DatasetSpec::new(DatasetSource::Games), &data_dir);
    assert_statistics(&dataset, (15_264, 7_676, 147_861), (15_264, 7_676, 147_861));
    assert_eq!(dataset.report.users_with_ties, 0);
    let (exact, untied) = assert_same_up_to_ties(&dataset, &data_dir, "games/ratings_Video_Games.csv", false);
    assert_eq!((exact, untied), (15_264, 15_264));
}

#[test]
fn titles_are_those_that_the_reference_reads() {
    let Some(data_dir) = data_dir() else { return };
    let both = &[TitleEncoding::Utf8, TitleEncoding::Latin1][..];
    let sources = [
        ("ml-100k", DatasetSource::Ml100k, both),
        ("beauty", DatasetSource::Beauty, &both[..1]),
        ("games", DatasetSource::Games, &both[..1]),
    ];
    for (name, source, encodings) in sources {
        let golden: BTreeMap<_, _> = golden_titles(&data_dir, name)
            .into_iter()
            .map(|(id, latin1, utf8)| (id, (latin1, utf8)))
            .collect();
        for &encoding in encodings {
            let spec = DatasetSpec { title_encoding: encoding, ..DatasetSpec::new(source.clone()) };
            let dataset = load(&spec, &data_dir);
            assert_eq!(dataset.items.len(), golden.len());
            for item in &dataset.items {
                let (latin1, utf8) = &golden[&item.raw_id];
                let expected = if encoding == TitleEncoding::Latin1 { latin1 } else { utf8 };
                assert_eq!(&item.title, expected, "{name} {}", item.raw_id);
            }
        }
    }
}

#[test]
fn splits_of_the_real_datasets_have_known_fingerprints() {
    let Some(data_dir) = data_dir() else { return };
    let sources = [DatasetSource::Ml100k, DatasetSource::Beauty, DatasetSource::Games];
    let fingerprints = sources.map(|source| {
        let dataset = load(&DatasetSpec::new(source), &data_dir);
        let split = Split::leave_one_out(&dataset).unwrap();
        assert_eq!(split.n_items, dataset.items.len());
        for part in [Part::Validation, Part::Test] {
            let histories = split.histories(part);
            for (at, sequence) in dataset.sequences.iter().enumerate() {
                let known = histories[at].len();
                assert_eq!(known, sequence.len() - if part == Part::Test { 1 } else { 2 });
                assert_eq!(histories[at], sequence[..known]);
                assert_eq!(split.targets(part)[at], sequence[known]);
            }
        }
        split.fingerprint.to_string()
    });
    // What fingerprints.py beside this file prints: the golden sequences and the documented bytes, without this crate.
    assert_eq!(
        fingerprints,
        [
            "b5817022b76ad599663452f50ae71fc6c56e09d80c03fab7efdacfe66bef5f1f",
            "4e57dbf6071b0ebef2b6bcff43ad9cea9cbd08feb9774c73849297d988800888",
            "8e704916f7b1c0929db223312e6b8180ad073b512e518720f36d16ee53d296ca",
        ]
    );
}
