//! What holds for any input.

use std::collections::BTreeMap;
use std::fmt::Write;

use bench::data::{Dataset, Error, Split, clean_movie_title};
use bench::events::Silent;
use bench::experiment::{CsvSpec, DatasetSource, DatasetSpec};
use proptest::prelude::*;

use super::formats::{folder, gzip, uncored};

/// (user, item, time) rows.
type Rows = Vec<(u8, u8, u8)>;

fn load(rows: &Rows, min_user: u32, min_item: u32) -> Result<Dataset, Error> {
    let mut text = String::from("user,item,timestamp\n");
    for (user, item, time) in rows {
        writeln!(text, "u{user},i{item},{time}").unwrap();
    }
    let folder = folder(&[("ratings.csv", text.as_bytes())]);
    let spec = DatasetSpec {
        min_user_interactions: min_user,
        min_item_interactions: min_item,
        ..DatasetSpec::new(DatasetSource::Csv(CsvSpec::new("ratings.csv".into(), None)))
    };
    Dataset::load(&spec, folder.path(), &Silent)
}

/// The k-core by the book: drop one offender at a time, users before items, until there is none.
fn naive_core(mut rows: Rows, min_user: u32, min_item: u32) -> Rows {
    let count = |rows: &Rows, key: &dyn Fn(&(u8, u8, u8)) -> u8, value: u8| {
        rows.iter().filter(|row| key(row) == value).count() as u32
    };
    loop {
        let offender = rows.iter().copied().find_map(|(user, item, _)| {
            if count(&rows, &|row| row.0, user) < min_user {
                Some((true, user))
            } else if count(&rows, &|row| row.1, item) < min_item {
                Some((false, item))
            } else {
                None
            }
        });
        match offender {
            None => return rows,
            Some((true, user)) => rows.retain(|row| row.0 != user),
            Some((false, item)) => rows.retain(|row| row.1 != item),
        }
    }
}

/// How a Python program prints a string.
fn python_repr(text: &str) -> String {
    let mut out = String::from("'");
    for c in text.chars() {
        match c {
            '\'' => out.push_str("\\'"),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 => write!(out, "\\x{:02x}", c as u32).unwrap(),
            c if c as u32 > 0xffff => write!(out, "\\U{:08x}", c as u32).unwrap(),
            c if c as u32 > 0x7f && (c as u32).is_multiple_of(2) => {
                write!(out, "\\u{:04x}", c as u32).unwrap()
            }
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

fn title_of_meta(line: &[u8]) -> Result<String, Error> {
    let mut meta = line.to_vec();
    meta.push(b'\n');
    let folder = folder(&[("ratings_Beauty.csv", b"u,B1,1,1\n"), ("meta_Beauty.json.gz", &gzip(&meta))]);
    let dataset = Dataset::load(&uncored(DatasetSource::Beauty), folder.path(), &Silent)?;
    Ok(dataset.items[0].title.clone())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_core_is_the_largest_set_that_meets_both_bounds(
        rows in prop::collection::vec((0u8..8, 0u8..8, 0u8..4), 1..80), min_user in 0u32..6, min_item in 0u32..6,
    ) {
        let expected = naive_core(rows.clone(), min_user, min_item);
        match load(&rows, min_user, min_item) {
            Err(error) => {
                prop_assert!(matches!(error, Error::NothingLeft { .. }), "{}", error);
                prop_assert_eq!(expected, Rows::new());
            }
            Ok(dataset) => {
                let mut kept: BTreeMap<String, Vec<String>> = BTreeMap::new();
                for (user, mut items) in dataset.users.iter().zip(dataset.sequences.iter().map(|sequence| {
                    sequence.iter().map(|item| dataset.items[item.index()].raw_id.clone()).collect::<Vec<_>>()
                })) {
                    items.sort();
                    kept.insert(user.clone(), items);
                }
                let mut theirs: BTreeMap<String, Vec<String>> = BTreeMap::new();
                for (user, item, _) in &expected {
                    theirs.entry(format!("u{user}")).or_default().push(format!("i{item}"));
                }
                theirs.values_mut().for_each(|items| items.sort());
                prop_assert_eq!(kept, theirs);
                prop_assert_eq!(dataset.report.rows_dropped_by_core, rows.len() - expected.len());
            }
        }
    }

    #[test]
    fn shuffling_the_ratings_file_changes_nothing_under_the_default_rules(
        rows in prop::collection::vec((0u8..6, 0u8..10, 0u8..5), 1..60), seed in any::<u64>(),
    ) {
        let mut shuffled = rows.clone();
        shuffled.sort_by_key(|row| {
            (u64::from(row.0) << 16 | u64::from(row.1) << 8 | u64::from(row.2)).wrapping_mul(seed | 1)
        });
        let (one, other) = (load(&rows, 0, 0).unwrap(), load(&shuffled, 0, 0).unwrap());
        prop_assert_eq!(&one.sequences, &other.sequences);
        prop_assert_eq!(&one.items, &other.items);
        if let Ok(split) = Split::leave_one_out(&one) {
            prop_assert_eq!(split.fingerprint, Split::leave_one_out(&other).unwrap().fingerprint);
        }
    }

    #[test]
    fn a_split_loses_and_invents_nothing(rows in prop::collection::vec((0u8..4, 0u8..20, 0u8..9), 12..60)) {
        if let Ok(dataset) = load(&rows, 3, 0) {
            let split = Split::leave_one_out(&dataset).unwrap();
            for (at, sequence) in dataset.sequences.iter().enumerate() {
                let mut whole = split.train[at].clone();
                whole.extend([split.validation[at], split.test[at]]);
                prop_assert_eq!(&whole, sequence);
            }
        }
    }

    #[test]
    fn a_title_survives_both_meta_syntaxes(title in "\\PC*[a-z]|[ -~\\n\\t\\r\u{1}-\u{ff}\u{1f600}]*[a-z]") {
        let python = format!("{{'x': [{{}}], 'title': {}, 'asin': 'B1'}}", python_repr(&title));
        let json = format!("{{\"asin\": \"B1\", \"title\": {}}}", serde_json::to_string(&title).unwrap());
        prop_assert_eq!(title_of_meta(python.as_bytes()).unwrap(), title.trim());
        prop_assert_eq!(title_of_meta(json.as_bytes()).unwrap(), title.trim());
    }

    #[test]
    fn no_bytes_of_a_meta_file_panic(tail in prop::collection::vec(any::<u8>(), 0..40), text in "[{}\\[\\]()'\"\\\\,:ux0-9a]{0,30}") {
        for line in [tail.as_slice(), text.as_bytes()] {
            for head in [&b""[..], b"{", b"{'title': ", b"{'asin': '"] {
                let _ = title_of_meta(&[head, line].concat());
            }
        }
    }

    #[test]
    fn no_bytes_of_a_table_panic(ratings in prop::collection::vec(any::<u8>(), 0..80), text in "[,\"\\n\\ra1]{0,40}") {
        for bytes in [ratings.as_slice(), text.as_bytes()] {
            let folder = folder(&[("ratings.csv", &[b"user,item,timestamp\n", bytes].concat()), ("raw.csv", bytes)]);
            for name in ["ratings.csv", "raw.csv"] {
                let spec = uncored(DatasetSource::Csv(CsvSpec::new(name.into(), None)));
                let _ = Dataset::load(&spec, folder.path(), &Silent);
            }
        }
    }

    #[test]
    fn cleaning_a_title_never_panics_and_keeps_its_year(title in "\\PC{0,30}", year in 1000u32..3000) {
        let _ = clean_movie_title(&title);
        let year = format!(" ({year})");
        let cleaned = clean_movie_title(&[title.as_str(), &year].concat());
        prop_assert!(cleaned.ends_with(&year), "{}", cleaned);
    }
}
