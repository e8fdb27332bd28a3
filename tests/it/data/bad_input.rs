//! Bad input gets an exact message and no dataset.

use std::path::Path;
use std::sync::Mutex;

use bench::data::{Dataset, Split};
use bench::events::{Event, Reporter, Silent};
use bench::experiment::{ColumnRef, CsvSpec, DatasetSource, DatasetSpec, RecBoleSpec};

use super::formats::{RATINGS, TITLES, csv, folder, gzip, uncored};

fn message(spec: &DatasetSpec, folder: &Path) -> String {
    let text = Dataset::load(spec, folder, &Silent).expect_err("bad input").to_string();
    text.replace(&format!("{}/", folder.display()), "DIR/")
}

/// The message for a ratings file of these bytes beside good titles.
fn of_ratings(ratings: &[u8]) -> String {
    let folder = folder(&[("ratings.csv", ratings), ("titles.csv", TITLES.as_bytes())]);
    message(&uncored(DatasetSource::Csv(csv())), folder.path())
}

/// The message for a titles file of these bytes beside good ratings.
fn of_titles(titles: &[u8]) -> String {
    let folder = folder(&[("ratings.csv", RATINGS.as_bytes()), ("titles.csv", titles)]);
    message(&uncored(DatasetSource::Csv(csv())), folder.path())
}

/// The message for a meta file of these bytes.
fn of_meta(meta: &[u8]) -> String {
    let folder =
        folder(&[("beauty/ratings_Beauty.csv", b"u,B1,1,1\n"), ("beauty/meta_Beauty.json.gz", meta)]);
    message(&uncored(DatasetSource::Beauty), folder.path())
}

#[test]
fn a_missing_file_says_how_to_get_it() {
    let empty = folder(&[]);
    let missing = |source| message(&DatasetSpec::new(source), empty.path());
    assert_eq!(
        missing(DatasetSource::Beauty),
        "DIR/beauty/ratings_Beauty.csv: no such file; \
         get it with `bench fetch beauty`, or name the folder that holds it with --data-dir"
    );
    assert_eq!(
        missing(DatasetSource::Ml100k),
        "DIR/ml-latest-small/ratings.csv: no such file; \
         get it with `bench fetch ml-100k`, or name the folder that holds it with --data-dir"
    );
    assert_eq!(
        missing(DatasetSource::Csv(csv())),
        "DIR/ratings.csv: no such file; \
         correct the path in the experiment, or name the folder that holds it with --data-dir"
    );
    let half = folder(&[("games/ratings_Video_Games.csv", b"u,i,1,1\n")]);
    assert_eq!(
        message(&DatasetSpec::new(DatasetSource::Games), half.path()),
        "DIR/games/meta_Video_Games.json.gz: no such file; \
         get it with `bench fetch games`, or name the folder that holds it with --data-dir"
    );
}

#[test]
fn a_truncated_or_damaged_gzip_file_is_an_error_not_a_shorter_dataset() {
    let meta = "{'asin': 'B1', 'title': 'One'}\n".repeat(5000);
    let whole = gzip(meta.as_bytes());
    // The last eight bytes are the check; without them all text is there and still it is an error.
    for cut in [whole.len() / 2, whole.len() - 8, whole.len() - 1] {
        assert_eq!(
            of_meta(&whole[..cut]),
            "DIR/beauty/meta_Beauty.json.gz: the gzip data ends early; download the file again"
        );
    }
    let mut damaged = whole.clone();
    let check = damaged.len() - 6;
    damaged[check] ^= 1;
    assert_eq!(
        of_meta(&damaged),
        "DIR/beauty/meta_Beauty.json.gz: the gzip data is damaged; download the file again"
    );
}

#[test]
fn an_empty_file_and_a_lone_header_are_errors() {
    let empty =
        "DIR/ratings.csv: the file is empty, expected one interaction a row; download or export it again";
    assert_eq!(of_ratings(b""), empty);
    assert_eq!(of_ratings(b"\n\r\n"), empty);
    let header = "DIR/ratings.csv: a header but no rows, expected one interaction a row below it; export the file again";
    assert_eq!(of_ratings(b"user,item,rating,timestamp\n"), header);
    assert_eq!(
        of_titles(b"item,title\n"),
        "DIR/titles.csv: a header but no rows, expected one item and its title a row below it; export the file again"
    );
    let meta = "DIR/beauty/meta_Beauty.json.gz: the file is empty, expected one entry with an \"asin\" a line; \
        download or export it again";
    assert_eq!(of_meta(b""), meta);
    assert_eq!(of_meta(&gzip(b"")), meta);
}

#[test]
fn a_wrong_encoding_is_named_with_its_line() {
    assert_eq!(
        of_ratings(b"user,item,rating,timestamp\nann,x,1,1\nann,\xe9t\xe9,1,2\n"),
        "DIR/ratings.csv:3: the item id \"\\xe9t\\xe9\" is not UTF-8; save the file as UTF-8"
    );
    assert_eq!(
        of_ratings(b"user,it\xe9m\nann,x\n"),
        "DIR/ratings.csv:1: the name of column 2 \"it\\xe9m\" is not UTF-8; save the file as UTF-8"
    );
    assert_eq!(
        of_titles(b"item,title\nw,Wool\nx,Caf\xe9\n"),
        "DIR/titles.csv:3: the title \"Caf\\xe9\" is not UTF-8; save the file as UTF-8, \
         or set dataset.title_encoding = \"latin1\" if it is ISO-8859-1"
    );
    assert_eq!(
        of_meta(b"{'asin': 'B1', 'title': 'Caf\xe9'}\n"),
        "DIR/beauty/meta_Beauty.json.gz:1: the title \"Caf\\xe9\" is not UTF-8; save the file as UTF-8, \
         or set dataset.title_encoding = \"latin1\" if it is ISO-8859-1"
    );
    let utf16: Vec<u8> = "\u{feff}user,item\nann,x\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(
        of_ratings(&utf16),
        "DIR/ratings.csv: the text is UTF-16, expected UTF-8; save the file as UTF-8"
    );
}

#[test]
fn a_missing_column_names_the_columns_that_are_there() {
    assert_eq!(
        of_ratings(b"\xef\xbb\xbfuser,Item,rating,timestamp\r\nann,x,1,1\r\n"),
        "DIR/ratings.csv:1: no column \"item\"; the columns are \"user\", \"Item\", \"rating\", \"timestamp\""
    );
    let folder = folder(&[("ratings.csv", RATINGS.as_bytes()), ("titles.csv", TITLES.as_bytes())]);
    let with_user = |user, header| {
        message(&uncored(DatasetSource::Csv(CsvSpec { user, header, ..csv() })), folder.path())
    };
    assert_eq!(
        with_user(ColumnRef::Position(5), true),
        "DIR/ratings.csv:1: no column \"5\"; the columns are \"user\", \"item\", \"rating\", \"timestamp\""
    );
    assert_eq!(with_user(ColumnRef::Position(0), true), "DIR/ratings.csv: no column 0; columns count from 1");
    assert_eq!(
        with_user(ColumnRef::Name("user".to_owned()), false),
        "DIR/ratings.csv: column \"user\" is chosen by name but the file has no header; choose it by position"
    );
    let spec = CsvSpec { delimiter: '→', ..csv() };
    assert_eq!(
        message(&uncored(DatasetSource::Csv(spec)), folder.path()),
        "DIR/ratings.csv: the delimiter is '→', expected one ASCII character such as ',' or '\\t'"
    );
}

#[test]
fn a_row_of_the_wrong_width_is_named_with_its_line_under_any_line_end() {
    for end in ["\n", "\r\n"] {
        let text = ["user,item,rating,timestamp", "ann,x,1,1", "", "ann,y", ""].join(end);
        assert_eq!(
            of_ratings(text.as_bytes()),
            "DIR/ratings.csv:4: 2 columns, expected at least 4 (the time is column 4)"
        );
    }
    assert_eq!(
        of_titles(b"item,title\nw,\"Wool\nand more\"\nx,Matrix, The\n"),
        "DIR/titles.csv:4: 3 columns, expected the 2 of the header; quote fields that hold the delimiter"
    );
    assert_eq!(
        of_titles(b"item,title\nw,\"Wool\nx,X\n"),
        "DIR/titles.csv:2: a quoted field starts here and is never closed; close it, or switch quotes off"
    );
    assert_eq!(
        of_ratings(b"user,item,rating,timestamp\nann,,1,1\n"),
        "DIR/ratings.csv:2: the item is empty, expected an id"
    );
    assert_eq!(
        of_ratings(b"user,item,rating,timestamp\n \t,x,1,1\n"),
        "DIR/ratings.csv:2: the user is empty, expected an id",
        "blanks are no id"
    );
}

#[test]
fn a_stray_quote_is_an_error_and_swallows_no_rows() {
    let header = "user,item,rating,timestamp\n";
    let next = "close or remove it, or set dataset.quotes = false if quotes are text";
    // Fifty whole rows lie between the two quotes.
    let rows = "ann,x,1,1\n".repeat(50);
    assert_eq!(
        of_ratings(format!("{header}ann,y,1,1\n\"u1,i1,5,3\n{rows}u2\",i3,6,4\n").as_bytes()),
        format!(
            "DIR/ratings.csv:3: the quote that opens the user id \"u1,i1,5,3\" is not closed on its line; {next}"
        )
    );
    assert_eq!(
        of_ratings(format!("{header}\r\nann,\"x\r\ny\",1,1\r\n").as_bytes()),
        format!(
            "DIR/ratings.csv:3: the quote that opens the item id \"x\" is not closed on its line; {next}"
        )
    );
    assert_eq!(
        of_ratings(format!("{header}ann,x,1,\"1\n\"\n").as_bytes()),
        format!("DIR/ratings.csv:2: the quote that opens the time \"1\" is not closed on its line; {next}")
    );
    assert_eq!(
        of_ratings(b"user,\"item,rating,timestamp\nann,x,1,1\nann,y\",1,1\n"),
        format!(
            "DIR/ratings.csv:1: the quote that opens the name of column 2 \"item,rating,timestamp\" \
             is not closed on its line; {next}"
        )
    );
    assert_eq!(
        of_titles(b"item,title\n\"w,Wool\nx\",X\n"),
        format!(
            "DIR/titles.csv:2: the quote that opens the item id \"w,Wool\" is not closed on its line; {next}"
        )
    );
    // The rating need not be read to be guarded.
    let spec = CsvSpec { rating: Some(ColumnRef::Name("rating".to_owned())), ..csv() };
    let ratings = format!("{header}ann,x,\"5,1\nann,y,5\",1\n");
    let folder = folder(&[("ratings.csv", ratings.as_bytes()), ("titles.csv", TITLES.as_bytes())]);
    assert_eq!(
        message(&uncored(DatasetSource::Csv(spec)), folder.path()),
        format!(
            "DIR/ratings.csv:2: the quote that opens the rating \"5,1\" is not closed on its line; {next}"
        )
    );
}

#[test]
fn text_after_a_closing_quote_is_an_error() {
    let expected = "expected the delimiter or the end of the line; \
        write quotes inside a quoted field twice, or set dataset.quotes = false if quotes are text";
    assert_eq!(
        of_ratings(b"user,item,rating,timestamp\nann,\"u1\"x,1,1\n"),
        format!("DIR/ratings.csv:2: \"x,1,1\" follows the closing quote of column 2, {expected}")
    );
    // A stray quote in a title reaches to the next title that is quoted.
    assert_eq!(
        of_titles(b"item,title\nw,\"Wool\nx,X\ny,\"Yarn\"\n"),
        format!(
            "DIR/titles.csv:4: \"Yarn\\\"\" follows the closing quote of column 2 (opened on line 2), {expected}"
        )
    );
}

#[test]
fn columns_that_cannot_be_told_apart_are_an_error() {
    assert_eq!(
        of_ratings(b"user,item,rating,item,timestamp\nann,x,1,y,1\n"),
        "DIR/ratings.csv:1: columns 2 and 4 are both named \"item\"; rename one of them"
    );
    let of_spec = |ratings: &str, spec: CsvSpec| {
        let folder = folder(&[("ratings.csv", ratings.as_bytes()), ("titles.csv", TITLES.as_bytes())]);
        message(&uncored(DatasetSource::Csv(spec)), folder.path())
    };
    let (name, position) = (|name: &str| ColumnRef::Name(name.to_owned()), ColumnRef::Position);
    assert_eq!(
        of_spec(RATINGS, CsvSpec { item: position(1), ..csv() }),
        "DIR/ratings.csv: dataset.user_column and dataset.item_column are both column 1; choose one for each"
    );
    assert_eq!(
        of_spec(RATINGS, CsvSpec { time: Some(name("item")), ..csv() }),
        "DIR/ratings.csv: dataset.item_column and dataset.time_column are both column 2; choose one for each"
    );
    let inter = "user_id:token\titem_id:token\na\tx\n";
    let folder = folder(&[("toy.inter", inter.as_bytes())]);
    let spec = RecBoleSpec {
        item_field: "user_id".to_owned(),
        time_field: None,
        ..RecBoleSpec::new("toy.inter".into(), None)
    };
    assert_eq!(
        message(&uncored(DatasetSource::RecBole(spec)), folder.path()),
        "DIR/toy.inter: dataset.user_field and dataset.item_field are both column 1; choose one for each"
    );
}

#[test]
fn a_first_row_of_numbers_is_not_taken_for_a_header() {
    let folder = folder(&[("ratings.csv", b"ann,x,5,978300760\nann,y,4,978300761\n")]);
    let at = ColumnRef::Position;
    let spec = CsvSpec { user: at(1), item: at(2), time: Some(at(4)), titles: None, ..csv() };
    assert_eq!(
        message(&uncored(DatasetSource::Csv(spec.clone())), folder.path()),
        "DIR/ratings.csv:1: the first row was taken as the header, but its time (column 4) is \"978300760\", a number; \
         set dataset.header = false if the file has no header"
    );
    let rated = CsvSpec { rating: Some(at(3)), time: None, ..spec.clone() };
    assert_eq!(
        message(&DatasetSpec { min_rating: 1.0, ..uncored(DatasetSource::Csv(rated)) }, folder.path()),
        "DIR/ratings.csv:1: the first row was taken as the header, but its rating (column 3) is \"5\", a number; \
         set dataset.header = false if the file has no header"
    );
    let headless = uncored(DatasetSource::Csv(CsvSpec { header: false, ..spec }));
    assert_eq!(Dataset::load(&headless, folder.path(), &Silent).unwrap().report.rows_read, 2);
}

#[test]
fn halves_of_movielens_in_two_folders_are_not_joined() {
    let ratings = &b"userId,movieId,rating,timestamp\n1,1,5,1\n"[..];
    let movies = &b"movieId,title,genres\n1,Alien (1979),Action\n"[..];
    let of_files = |files: &[(&str, &[u8])]| {
        message(&DatasetSpec::new(DatasetSource::Ml100k), folder(files).path())
            .replace("/ml-latest-small/", "/UP/")
    };
    assert_eq!(
        of_files(&[("ml-latest-small/ratings.csv", ratings), ("movies.csv", movies)]),
        "DIR/UP/ratings.csv and DIR/movies.csv: one file in each of two folders, expected both in one; \
         put them together, or get both with `bench fetch ml-100k`"
    );
    assert_eq!(
        of_files(&[("ml-latest-small/movies.csv", movies), ("ratings.csv", ratings)]),
        "DIR/ratings.csv and DIR/UP/movies.csv: one file in each of two folders, expected both in one; \
         put them together, or get both with `bench fetch ml-100k`"
    );
    let next =
        "no such file; get it with `bench fetch ml-100k`, or name the folder that holds it with --data-dir";
    assert_eq!(of_files(&[("ratings.csv", ratings)]), format!("DIR/movies.csv: {next}"));
    assert_eq!(of_files(&[("movies.csv", movies)]), format!("DIR/ratings.csv: {next}"));
    assert_eq!(of_files(&[("ml-latest-small/ratings.csv", ratings)]), format!("DIR/UP/movies.csv: {next}"));
}

#[test]
fn a_file_that_is_no_table_gets_a_short_message() {
    let names: Vec<String> = (0..500).map(|n| format!("c{n}")).collect();
    assert_eq!(
        of_ratings(format!("{}\n1\n", names.join(",")).as_bytes()),
        "DIR/ratings.csv:1: no column \"user\"; the columns are \"c0\", \"c1\", \"c2\", \"c3\", \"c4\", \"c5\", \"c6\", \
         \"c7\", \"c8\", \"c9\", \"c10\", \"c11\", and 488 more"
    );
    assert_eq!(
        of_ratings(format!("user,{}\n1\n", "é".repeat(41)).as_bytes()),
        format!("DIR/ratings.csv:1: no column \"item\"; the columns are \"user\", \"{}\"...", "é".repeat(40))
    );
    assert_eq!(
        of_ratings(RATINGS.replace('\n', "\r").as_bytes()),
        "DIR/ratings.csv:1: a carriage return inside the first row, expected lines that end in LF or CRLF; \
         save the file with LF line ends"
    );
}

#[test]
fn a_time_that_is_no_number_is_named_with_its_line() {
    let of_time = |time: &str| {
        of_ratings(format!("user,item,rating,timestamp\nann,x,1,1\nann,y,1,{time}\n").as_bytes())
    };
    for (time, shown) in [
        ("2014-05-01", "\"2014-05-01\""),
        ("", "\"\""),
        ("NaN", "\"NaN\""),
        ("inf", "\"inf\""),
        ("1,5", "\"1,5\""),
    ] {
        let quoted = if time.contains(',') { format!("\"{time}\"") } else { time.to_owned() };
        assert_eq!(
            of_time(&quoted),
            format!(
                "DIR/ratings.csv:3: the time is {shown}, expected seconds as a number such as 1365984000 or 1.365984E9"
            )
        );
    }
    let spec = CsvSpec { rating: Some(ColumnRef::Name("rating".to_owned())), ..csv() };
    let folder = folder(&[
        ("ratings.csv", b"user,item,rating,timestamp\na,x,five,1\n"),
        ("titles.csv", b"item,title\nx,X\n"),
    ]);
    assert_eq!(
        message(&DatasetSpec { min_rating: 1.0, ..uncored(DatasetSource::Csv(spec)) }, folder.path()),
        "DIR/ratings.csv:2: the rating is \"five\", expected a number such as 4.0"
    );
}

#[test]
fn a_meta_line_that_is_no_entry_is_named_with_line_and_byte() {
    let whole = "{'asin': 'B1', 'title': 'One'}\n";
    let of_line = |line: &str| of_meta(format!("{whole}{line}\n").as_bytes());
    let wrong = "DIR/beauty/meta_Beauty.json.gz:2: neither a Python dict literal nor a JSON object";
    for (line, problem) in [
        ("[1]", "expected { at byte 1"),
        ("{'asin': 'B2", "a string starts here and is never closed at byte 10"),
        ("{'asin' 'B2'}", "expected : after a key at byte 9"),
        ("{'asin': B2}", "expected a value at byte 10"),
        ("{'asin': 'B2'} + 1", "expected nothing after the entry at byte 16"),
        ("{'a': __import__('os')}", "expected a value at byte 7"),
        (r"{'asin': '\xZZ'}", "expected a hexadecimal digit at byte 13"),
        ("{'a': [1 2]}", "expected , or the closing bracket at byte 10"),
    ] {
        assert_eq!(of_line(line), format!("{wrong}: {problem}; download the file again"), "{line}");
    }
    assert_eq!(
        of_line(&format!("{{'a': {}", "[".repeat(1_000_000))),
        format!("{wrong}: brackets are nested too deeply at byte 71; download the file again")
    );
    assert_eq!(
        of_line("{'title': 'no id'}"),
        "DIR/beauty/meta_Beauty.json.gz:2: no \"asin\" in this entry, expected the item id under that key"
    );
}

/// Keeps the warnings.
#[derive(Default)]
struct Warnings(Mutex<Vec<String>>);

impl Reporter for Warnings {
    fn emit(&self, event: Event<'_>) {
        if let Event::Warning(text) = event {
            self.0.lock().unwrap().push(text.to_owned());
        }
    }
}

#[test]
fn of_conflicting_titles_the_last_one_counts_and_a_warning_says_so() {
    let titles = "item,title\nw,Wool\nx,Old\ny,Y\nz,Z\nx,New\nw,Wool\nx,\n";
    let folder = folder(&[("ratings.csv", RATINGS.as_bytes()), ("titles.csv", titles.as_bytes())]);
    let warnings = Warnings::default();
    let dataset = Dataset::load(&uncored(DatasetSource::Csv(csv())), folder.path(), &warnings).unwrap();
    assert_eq!(dataset.items[1].title, "New", "an empty title never counts");
    let report = &dataset.report;
    assert_eq!(
        (report.title_entries, report.title_ids_repeated, report.title_ids_conflicting),
        (Some(7), 1, 1)
    );
    assert_eq!(
        *warnings.0.lock().unwrap(),
        ["ratings: 1 title is given again with another text; the last one counts (first: \"x\" on line 6)"]
    );
}

/// The warnings of loading a ratings file of these bytes.
fn warnings_of_ratings(ratings: &[u8]) -> Vec<String> {
    let folder = folder(&[("ratings.csv", ratings), ("titles.csv", TITLES.as_bytes())]);
    let warnings = Warnings::default();
    Dataset::load(&uncored(DatasetSource::Csv(csv())), folder.path(), &warnings).unwrap();
    warnings.0.into_inner().unwrap()
}

#[test]
fn a_plain_file_cut_off_inside_its_last_number_gets_a_warning() {
    // The cut leaves a row that is well formed, with another time: only the missing line end tells.
    let whole = RATINGS.replace("bob,z,4,3\n", "bob,z,4,1365984000\n");
    let cut = &whole[..whole.len() - 4];
    assert!(cut.ends_with("bob,z,4,1365984"));
    assert_eq!(
        warnings_of_ratings(cut.as_bytes()),
        [
            "ratings.csv ends without a line end, on line 8: if it was cut off there, that line's last value is wrong; \
          compare its size, 105 bytes, with the source's"
        ]
    );
    assert_eq!(warnings_of_ratings(gzip(cut.as_bytes()).as_slice()).len(), 1);
    assert_eq!(warnings_of_ratings(whole.as_bytes()), [""; 0]);
    assert_eq!(warnings_of_ratings(whole.replace('\n', "\r\n").as_bytes()), [""; 0]);
}

#[test]
fn a_dataset_that_the_core_or_the_titles_empty_is_an_error() {
    let folder_of = |titles: &[u8]| folder(&[("ratings.csv", RATINGS.as_bytes()), ("titles.csv", titles)]);
    let cored = DatasetSpec::new(DatasetSource::Csv(csv()));
    assert_eq!(
        message(&cored, folder_of(TITLES.as_bytes()).path()),
        "ratings: none of 7 interactions is left when users with fewer than 5 and items with fewer than 5 are dropped; \
         lower dataset.min_user_interactions or dataset.min_item_interactions"
    );
    assert_eq!(
        message(&cored, folder_of(b"item,title\nX,Xenon\n").path()),
        "ratings: none of the 4 items of the interactions has a title among 1 titles; \
         do both files name items by the same id?"
    );
}

#[test]
fn a_user_with_two_items_is_refused_by_leave_one_out() {
    let titled = b"item,title\nw,W\nx,X\ny,Y\nz,Z\n";
    let load = |ratings: &[u8]| {
        let folder = folder(&[("ratings.csv", ratings), ("titles.csv", titled)]);
        Dataset::load(&uncored(DatasetSource::Csv(csv())), folder.path(), &Silent).unwrap()
    };
    let split = |ratings: &[u8]| Split::leave_one_out(&load(ratings));
    let header = "user,item,rating,timestamp\nann,x,1,1\n";
    let two = format!("{header}ann,y,1,2\n");
    assert_eq!(
        split(two.as_bytes()).unwrap_err().to_string(),
        "ratings: user \"ann\" has 2 interactions, leave-one-out needs at least 3 (training, validation, test); \
         set dataset.min_user_interactions to 3 or more"
    );
    assert!(split(header.as_bytes()).unwrap_err().to_string().contains("user \"ann\" has 1 interaction,"));
    assert_eq!(split(format!("{two}ann,z,1,3\n").as_bytes()).unwrap().train[0].len(), 1);
}
