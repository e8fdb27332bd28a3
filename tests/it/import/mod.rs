//! Run files of other programs: ranks are what the lists say, and nothing makes the reader panic.

use std::io::Write;
use std::path::Path;

use bench::data::{ItemId, Part, Split};
use bench::import::{Error, Format, Imported, Names, read};
use proptest::prelude::*;

/// Four users of six items; the targets of the test are 1, 2, 3 and 4.
fn split() -> Split {
    let items = |ids: &[u32]| ids.iter().map(|id| ItemId::new(*id).unwrap()).collect::<Vec<_>>();
    Split {
        train: vec![items(&[5]), items(&[5, 6]), items(&[1]), items(&[2])],
        validation: items(&[6, 1, 2, 3]),
        test: items(&[1, 2, 3, 4]),
        n_items: 6,
        fingerprint: serde_json::from_str("\"ab\"").unwrap(),
    }
}

fn read_text(name: &str, bytes: &[u8], format: Format) -> Result<Imported, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    read(&path, format, &Names::dense(4, 6), &split(), Part::Test)
}

#[test]
fn larger_scores_come_first_and_equal_ones_by_item_id() {
    let text = "0 Q0 2 1 0.5 x\n0 Q0 1 2 0.5 x\n1 Q0 2 1 -1e3 x\n1 Q0 3 2 -2e3 x\n2 Q0 4 1 9 x\n";
    let found = read_text("a.run", text.as_bytes(), Format::Trec).unwrap();
    // User 0: a tie, which the smaller id wins. User 2 has a list without its target, user 3 none.
    assert_eq!(found.ranks.ranks, [1, 1, 0, 0]);
    assert_eq!(found.ranks.lengths, [2, 2, 1, 0]);
    assert_eq!(found.ranks.targets, [1, 2, 3, 4]);
    let counts = &found.counts;
    assert_eq!((counts.rows, counts.users, counts.users_missing, counts.tied_users), (5, 3, 1, 1));
    assert_eq!((counts.shortest, counts.longest, counts.other_ranks), (1, 2, 2));
}

#[test]
fn an_item_that_is_not_in_the_catalogue_keeps_its_place_and_a_seen_one_is_counted() {
    let text = "user,item,score\n0,new,3\n0,5,2\n0,1,1\n";
    let found = read_text("a.csv", text.as_bytes(), Format::Csv).unwrap();
    assert_eq!(found.ranks.ranks[0], 3);
    assert_eq!((found.counts.unknown_items, found.counts.seen_items), (1, 1));
}

#[test]
fn a_rank_is_taken_as_given_even_where_the_list_has_gaps() {
    let text = "user;item;rank\n0;1;37\n1;2;2\n1;3;1.0\n";
    let found = read_text("a.csv", text.as_bytes(), Format::Csv).unwrap();
    assert_eq!(found.ranks.ranks, [37, 2, 0, 0]);
    assert_eq!(found.ranks.lengths, [37, 2, 0, 0]);
    assert_eq!(found.order, "rank");
}

#[test]
fn compressed_files_and_windows_line_ends_are_read() {
    let text = "\u{feff}user\titem\tscore\r\n0\t1\t1\r\n";
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(text.as_bytes()).unwrap();
    let found = read_text("a.tsv.gz", &gz.finish().unwrap(), Format::Csv).unwrap();
    assert_eq!(found.ranks.ranks, [1, 0, 0, 0]);
    assert!(matches!(read_text("b.gz", b"no gzip", Format::Csv), Err(Error::Read { .. })));
}

#[test]
fn names_of_something_else_are_told_apart_from_a_few_unknown_ones() {
    let error = read_text("a.run", b"0 Q0 none 1 1 x\n", Format::Trec).unwrap_err().to_string();
    assert!(error.ends_with(
        "a.run: none of its items is known to the split (the first is \"none\"; the split has \"1\", ..); name them by dense ids, \
         or choose with --ids"
    ), "{error}");
    let missing = read(Path::new("nowhere.run"), Format::Trec, &Names::dense(4, 6), &split(), Part::Test);
    assert!(matches!(missing, Err(Error::Read { .. })));
}

proptest! {
    #[test]
    fn lists_written_by_score_and_by_rank_give_their_ranks(
        lists in prop::collection::vec(prop::sample::subsequence(vec![1u32, 2, 3, 4, 5, 6], 1..=6).prop_shuffle(), 4),
    ) {
        let (mut trec, mut csv) = (String::new(), "user,item,rank\n".to_owned());
        let mut expected = Vec::new();
        for (user, list) in lists.iter().enumerate() {
            for (at, item) in list.iter().enumerate() {
                trec.push_str(&format!("{user} Q0 {item} {} {} x\n", at + 1, 10 - at));
                csv.push_str(&format!("{user},{item},{}\n", at + 1));
            }
            let target = user as u32 + 1;
            expected.push(list.iter().position(|item| *item == target).map_or(0, |at| at as u32 + 1));
        }
        prop_assert_eq!(&read_text("a.run", trec.as_bytes(), Format::Trec).unwrap().ranks.ranks, &expected);
        prop_assert_eq!(&read_text("a.csv", csv.as_bytes(), Format::Csv).unwrap().ranks.ranks, &expected);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[userit,mscorank0-9.\n\t\" ]{0,120}") {
        for format in [Format::Trec, Format::Csv] {
            let _ = read_text("a.run", &bytes, format);
            let _ = read_text("a.run", format!("user,item,rank\n{text}").as_bytes(), format);
        }
    }
}
