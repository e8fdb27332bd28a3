//! Formats that mean the same give the same dataset: delimiters, compression, line ends, RecBole, both meta syntaxes.

use std::fs;
use std::io::Write;
use std::path::Path;

use bench::data::{Dataset, Part, Split};
use bench::events::Silent;
use bench::experiment::{
    ColumnRef, CsvSpec, DatasetSource, DatasetSpec, ItemOrder, RecBoleSpec, TieRule, TitleEncoding,
};
use flate2::{Compression, write::GzEncoder};
use tempfile::TempDir;

pub const RATINGS: &str = "user,item,rating,timestamp\n\
    ann,x,5,30\nann,y,3,10\nann,z,4,20\nbob,y,1,1\nbob,x,2,2\nbob,w,3,2\nbob,z,4,3\n";
pub const TITLES: &str = "item,title\nw,Wool\nx,\"Xenon, \"\"the gas\"\"\"\ny,Yarn &amp; Co\nz,Zoë\n";

pub fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    folder
}

/// No k-core, so that a handful of rows is a dataset, and ids by raw id, so that it is easily written down.
pub fn uncored(source: DatasetSource) -> DatasetSpec {
    DatasetSpec {
        min_user_interactions: 0,
        min_item_interactions: 0,
        item_order: ItemOrder::RawId,
        ..DatasetSpec::new(source)
    }
}

pub fn csv() -> CsvSpec {
    CsvSpec::new("ratings.csv".into(), Some("titles.csv".into()))
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Another way to write a text down.
type Variant<'a> = &'a dyn Fn(&str) -> Vec<u8>;

fn load(spec: &DatasetSpec, folder: &Path) -> Dataset {
    Dataset::load(spec, folder, &Silent).unwrap()
}

fn raw(dataset: &Dataset) -> Vec<String> {
    dataset
        .users
        .iter()
        .zip(&dataset.sequences)
        .map(|(user, sequence)| {
            let items: Vec<&str> =
                sequence.iter().map(|item| dataset.items[item.index()].raw_id.as_str()).collect();
            format!("{user}: {}", items.join(" "))
        })
        .collect()
}

#[test]
fn a_csv_file_becomes_sequences_in_time_order_with_ties_by_item_id() {
    let folder = folder(&[("ratings.csv", RATINGS.as_bytes()), ("titles.csv", TITLES.as_bytes())]);
    let dataset = load(&uncored(DatasetSource::Csv(csv())), folder.path());
    assert_eq!(dataset.name, "ratings");
    assert_eq!(raw(&dataset), ["ann: y z x", "bob: y w x z"]);
    let titles: Vec<&str> = dataset.items.iter().map(|item| item.title.as_str()).collect();
    assert_eq!(titles, ["Wool", "Xenon, \"the gas\"", "Yarn &amp; Co", "Zoë"]);
    assert_eq!((dataset.report.users_with_ties, dataset.report.users_with_tied_last_two), (1, 0));
    let split = Split::leave_one_out(&dataset).unwrap();
    assert_eq!(split.targets(Part::Validation).iter().map(|item| item.get()).collect::<Vec<_>>(), [4, 2]);
    assert_eq!(split.targets(Part::Test).iter().map(|item| item.get()).collect::<Vec<_>>(), [2, 4]);
    assert_eq!(split.train.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn the_named_rules_decide_ties_and_ids() {
    let folder = folder(&[("ratings.csv", RATINGS.as_bytes()), ("titles.csv", TITLES.as_bytes())]);
    let spec = uncored(DatasetSource::Csv(csv()));
    let by_file = load(&DatasetSpec { tie_rule: TieRule::FileOrder, ..spec.clone() }, folder.path());
    assert_eq!(raw(&by_file), ["ann: y z x", "bob: y x w z"]);
    let first_seen = load(&DatasetSpec { item_order: ItemOrder::FirstSeen, ..spec.clone() }, folder.path());
    assert_eq!(
        first_seen.items.iter().map(|item| item.raw_id.as_str()).collect::<Vec<_>>(),
        ["x", "y", "z", "w"]
    );
    assert_eq!(raw(&first_seen), ["ann: y z x", "bob: y x w z"]);
    let error =
        Dataset::load(&DatasetSpec { item_order: ItemOrder::PythonSet, ..spec }, folder.path(), &Silent);
    assert_eq!(
        error.unwrap_err().to_string(),
        "ratings: the item id \"x\" is no integer, expected integers for dataset.item_order = \"python-set\" \
         (the order of strings changes from process to process); use \"raw-id\""
    );
}

#[test]
fn by_default_ids_of_a_csv_dataset_go_by_the_sha_256_of_the_raw_id() {
    let folder = folder(&[("ratings.csv", RATINGS.as_bytes()), ("titles.csv", TITLES.as_bytes())]);
    let by_default = DatasetSpec::new(DatasetSource::Csv(csv()));
    assert_eq!(by_default.item_order, ItemOrder::Hashed);
    let spec = DatasetSpec { min_user_interactions: 0, min_item_interactions: 0, ..by_default };
    let dataset = load(&spec, folder.path());
    let ids: Vec<&str> = dataset.items.iter().map(|item| item.raw_id.as_str()).collect();
    // printf x | sha256sum: x 2d71..., w 50e7..., z 594e..., y a1fc...
    assert_eq!(ids, ["x", "w", "z", "y"]);
    assert_eq!(raw(&dataset), ["ann: y z x", "bob: y x w z"], "x and w share a time");
}

#[test]
fn integer_ids_are_dealt_in_numeric_order_and_others_in_byte_order() {
    let spec = DatasetSource::Csv(CsvSpec {
        titles: None,
        header: false,
        user: ColumnRef::Position(1),
        item: ColumnRef::Position(2),
        time: None,
        ..csv()
    });
    for (text, expected) in [("1,10\n1,9\n1,-2\n", ["-2", "9", "10"]), ("1,10\n1,9\n1,a\n", ["10", "9", "a"])]
    {
        let folder = folder(&[("ratings.csv", text.as_bytes())]);
        let dataset = load(&uncored(spec.clone()), folder.path());
        let ids: Vec<&str> = dataset.items.iter().map(|item| item.raw_id.as_str()).collect();
        assert_eq!(ids, expected);
        assert_eq!(dataset.items[0].title, expected[0], "without titles the id is the title");
        assert_eq!(dataset.report.title_entries, None);
        assert_eq!(
            dataset.report.users_with_ties, 0,
            "without a time column the file order is the time order"
        );
    }
}

#[test]
fn line_ends_byte_order_marks_blank_lines_compression_and_delimiters_change_nothing() {
    let crlf = |text: &str| text.replace('\n', "\r\n");
    let bom = |text: &str| format!("\u{feff}{text}");
    let unended = |text: &str| text.trim_end().to_owned();
    let blank = |text: &str| text.replace('\n', "\n\n");
    let expected = {
        let folder = folder(&[("ratings.csv", RATINGS.as_bytes()), ("titles.csv", TITLES.as_bytes())]);
        load(&uncored(DatasetSource::Csv(csv())), folder.path())
    };
    let variants: [Variant; 6] = [
        &|text| crlf(text).into_bytes(),
        &|text| bom(text).into_bytes(),
        &|text| bom(&crlf(text)).into_bytes(),
        &|text| unended(text).into_bytes(),
        &|text| blank(text).into_bytes(),
        &|text| gzip(crlf(text).as_bytes()),
    ];
    for (at, variant) in variants.iter().enumerate() {
        let folder = folder(&[("ratings.csv", &variant(RATINGS)), ("titles.csv", &variant(TITLES))]);
        let mut dataset = load(&uncored(DatasetSource::Csv(csv())), folder.path());
        assert_ne!(dataset.source_files, expected.source_files);
        dataset.source_files.clone_from(&expected.source_files);
        assert_eq!(dataset, expected, "variant {at}");
    }
    let tabs = RATINGS.replace(',', "\t");
    let folder = folder(&[("ratings.csv", tabs.as_bytes()), ("titles.csv", TITLES.as_bytes())]);
    let spec = CsvSpec { delimiter: '\t', ..csv() };
    assert_eq!(load(&uncored(DatasetSource::Csv(spec)), folder.path()).sequences, expected.sequences);
}

#[test]
fn blanks_around_ids_and_numbers_change_nothing() {
    let padded = RATINGS.replace(',', " ,\t ").replace('\n', " \n").replace("\nbob", "\n  bob");
    let titles = TITLES.replace("x,", " x ,").replace("z,", "\"z \",");
    let folder = folder(&[("ratings.csv", padded.as_bytes()), ("titles.csv", titles.as_bytes())]);
    let dataset = load(&uncored(DatasetSource::Csv(csv())), folder.path());
    assert_eq!(raw(&dataset), ["ann: y z x", "bob: y w x z"]);
    assert_eq!(dataset.items[3].title, "Zoë");
}

#[test]
fn times_in_nanoseconds_do_not_tie() {
    let text = "1,3,1365984000000000003\n1,1,1365984000000000001\n1,2,1365984000000000002\n";
    let folder = folder(&[("ratings.csv", text.as_bytes())]);
    let at = ColumnRef::Position;
    let spec = CsvSpec { titles: None, header: false, user: at(1), item: at(2), time: Some(at(3)), ..csv() };
    let spec = DatasetSpec { tie_rule: TieRule::FileOrder, ..uncored(DatasetSource::Csv(spec)) };
    let dataset = load(&spec, folder.path());
    assert_eq!(raw(&dataset), ["1: 1 2 3"]);
    assert_eq!(dataset.report.users_with_ties, 0);
}

#[test]
fn movielens_files_are_found_in_the_upstream_folder_or_in_the_data_folder_itself() {
    let ratings = &b"userId,movieId,rating,timestamp\n1,1,5,1\n"[..];
    let movies = &b"movieId,title,genres\n1,Alien (1979),Horror\n"[..];
    for below in ["", "ml-latest-small/"] {
        let (first, second) = (format!("{below}ratings.csv"), format!("{below}movies.csv"));
        let folder = folder(&[(&first, ratings), (&second, movies)]);
        let dataset = load(&uncored(DatasetSource::Ml100k), folder.path());
        let files: Vec<&str> = dataset.source_files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(files, [first, second]);
    }
}

#[test]
fn quotes_are_text_in_amazon_ratings() {
    let meta = &br#"{"asin": "\"B1", "title": "One"}"#[..];
    let folder = folder(&[("ratings_Beauty.csv", b"\"u1,\"B1,5,1\n"), ("meta_Beauty.json", meta)]);
    assert_eq!(raw(&load(&uncored(DatasetSource::Beauty), folder.path())), ["\"u1: \"B1"]);
}

#[test]
fn recbole_files_give_the_same_sequences() {
    let inter = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n\
        ann\tx\t5\t30.0\nann\ty\t3\t1E1\nann\tz\t4\t20\nbob\ty\t1\t1\nbob\tx\t2\t2\nbob\tw\t3\t2\nbob\tz\t4\t3\n";
    let item = "item_id:token\ttitle:token_seq\nw\tWool\nx\tThe \"X\ny\tYarn, Two\nz\tZoë\n";
    let folder = folder(&[("toy.inter", inter.as_bytes()), ("toy.item", item.as_bytes())]);
    let spec = RecBoleSpec::new("toy.inter".into(), Some("toy.item".into()));
    let dataset = load(&uncored(DatasetSource::RecBole(spec.clone())), folder.path());
    assert_eq!(dataset.name, "toy");
    assert_eq!(raw(&dataset), ["ann: y z x", "bob: y w x z"]);
    assert_eq!(dataset.items[1].title, "The \"X", "quotes are text in RecBole files");
    let wrong = RecBoleSpec { title_field: "movie_title".to_owned(), ..spec };
    let error = Dataset::load(&uncored(DatasetSource::RecBole(wrong)), folder.path(), &Silent).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{}:1: no column \"movie_title\"; the columns are \"item_id\", \"title\"",
            folder.path().join("toy.item").display()
        )
    );
}

#[test]
fn a_rating_threshold_drops_rows_before_anything_else() {
    let folder = folder(&[("ratings.csv", RATINGS.as_bytes()), ("titles.csv", TITLES.as_bytes())]);
    let with_rating = CsvSpec { rating: Some(ColumnRef::Name("rating".to_owned())), ..csv() };
    let spec = DatasetSpec { min_rating: 2.5, ..uncored(DatasetSource::Csv(with_rating)) };
    let dataset = load(&spec, folder.path());
    assert_eq!(raw(&dataset), ["ann: y z x", "bob: w z"]);
    assert_eq!((dataset.report.rows_read, dataset.report.rows_below_min_rating), (7, 2));
    let message = |spec: DatasetSpec| Dataset::load(&spec, folder.path(), &Silent).unwrap_err().to_string();
    assert_eq!(
        message(DatasetSpec { min_rating: 9.0, ..spec }),
        "ratings: none of 7 interactions is rated 9 or more; lower dataset.min_rating"
    );
    assert_eq!(
        message(DatasetSpec { min_rating: 3.0, ..uncored(DatasetSource::Csv(csv())) }),
        format!(
            "{}: dataset.min_rating is 3 but no rating column is named; name it or set min_rating to 0",
            folder.path().join("ratings.csv").display()
        )
    );
}

#[test]
fn both_meta_syntaxes_are_read_line_by_line_and_html_entities_stay() {
    let ratings = "u1,B1,5.0,1365984000\nu1,B2,5.0,1.365984E9\nu1,B3,4.0,1366000000\n\
        u1,B4,4.0,1366000001\nu1,B5,1.0,1366000002\nu1,B6,1.0,1366000003\n";
    let meta = concat!(
        r#"{'asin': 'B1', 'related': {'also_bought': ['B2', 'B3'], 'n': (1, -2.5e3, None)}, 'title': "It's a &amp; b"}"#,
        "\n",
        r"{u'title': u'caf\xe9 \u2764 \U0001F600 \'q\' \\ \n', u'asin': u'B2', 'price': 1.5, 'ok': True}",
        "\n",
        r#"{"asin": "B3", "title": "A \"J\" \u00e9 \ud83d\ude00 \/ &quot;", "price": null, "rank": [1, {"a": false}]}"#,
        "\n",
        r#"{"asin": "B4", "title": ""}"#,
        "\n",
        r"{'asin': 'B5', 'title': None}",
        "\n",
        r"{'asin': 'B6'}",
        "\n",
    );
    for name in ["beauty/meta_Beauty.json.gz", "beauty/meta_Beauty.json", "meta_Beauty.json"] {
        let meta = if name.ends_with("gz") { gzip(meta.as_bytes()) } else { meta.as_bytes().to_vec() };
        let folder = folder(&[("ratings_Beauty.csv", ratings.as_bytes()), (name, &meta)]);
        let dataset = load(&uncored(DatasetSource::Beauty), folder.path());
        let titles: Vec<&str> = dataset.items.iter().map(|item| item.title.as_str()).collect();
        assert_eq!(
            titles,
            ["It's a &amp; b", "café \u{2764} \u{1f600} 'q' \\", "A \"J\" é \u{1f600} / &quot;"]
        );
        assert_eq!(raw(&dataset), ["u1: B1 B2 B3"]);
        assert_eq!((dataset.report.items_without_title, dataset.report.rows_without_title), (3, 3));
        assert_eq!(dataset.report.users_with_ties, 1, "1365984000 and 1.365984E9 are one time");
        assert_eq!(dataset.source_files[1].path, name);
    }
}

#[test]
fn an_encoding_is_chosen_never_guessed() {
    let latin1 = b"item,title\nw,Wool\nx,Caf\xe9\ny,Y\nz,Z\n";
    let folder = folder(&[
        ("ratings.csv", RATINGS.as_bytes()),
        ("titles.csv", latin1),
        ("meta_Beauty.json", b"{'asin': 'x', 'title': 'Caf\xe9 \\u2764'}\n"),
        ("ratings_Beauty.csv", b"u,x,1,1\n"),
    ]);
    let spec = |source| DatasetSpec { title_encoding: TitleEncoding::Latin1, ..uncored(source) };
    let dataset = load(&spec(DatasetSource::Csv(csv())), folder.path());
    assert_eq!(dataset.items[1].title, "Café");
    let dataset = load(&spec(DatasetSource::Beauty), folder.path());
    assert_eq!(dataset.items[0].title, "Café \u{2764}", "escapes name characters in any encoding");
}
