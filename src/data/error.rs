//! What can be wrong with raw data. Every message says where, what was found, what was expected, and what to do.

use std::io;
use std::path::PathBuf;

/// A dataset could not be read, prepared or split.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An input file is not there.
    #[error("{}: no such file; {next}", path.display())]
    Missing {
        /// The first place that was looked at.
        path: PathBuf,
        /// How to get it.
        next: String,
    },
    /// Two files that belong together lie in two folders.
    #[error(
        "{} and {}: one file in each of two folders, expected both in one; put them together, or {next}",
        first.display(), second.display()
    )]
    Apart {
        /// One file.
        first: PathBuf,
        /// The other one.
        second: PathBuf,
        /// How to get both.
        next: String,
    },
    /// The operating system refused.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A gzip stream ends early or fails its check.
    #[error("{}: the gzip data {problem}; download the file again", path.display())]
    Gzip {
        /// The file.
        path: PathBuf,
        /// `ends early` or `is damaged`.
        problem: &'static str,
        /// What the decoder says.
        source: io::Error,
    },
    /// A file of no bytes, or of blank lines only.
    #[error("{}: the file is empty, expected {expected}; download or export it again", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: String,
    },
    /// A header and nothing below it.
    #[error("{}: a header but no rows, expected {expected} below it; export the file again", path.display())]
    HeaderOnly {
        /// The file.
        path: PathBuf,
        /// What the rows should hold.
        expected: String,
    },
    /// The file starts with a UTF-16 byte order mark.
    #[error("{}: the text is UTF-16, expected UTF-8; save the file as UTF-8", path.display())]
    Utf16 {
        /// The file.
        path: PathBuf,
    },
    /// Bytes that are not UTF-8 in an id or a column name.
    #[error("{}:{line}: the {what} {found} is not UTF-8; save the file as UTF-8", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// 1-based line.
        line: u64,
        /// Which field.
        what: String,
        /// The bytes, escaped.
        found: String,
    },
    /// Bytes that are not UTF-8 in a title.
    #[error(
        "{}:{line}: the title {found} is not UTF-8; save the file as UTF-8, \
         or set dataset.title_encoding = \"latin1\" if it is ISO-8859-1",
        path.display()
    )]
    TitleNotUtf8 {
        /// The file.
        path: PathBuf,
        /// 1-based line.
        line: u64,
        /// The bytes, escaped.
        found: String,
    },
    /// A line longer than any real one.
    #[error("{}:{line}: the line is longer than {limit} bytes; is this a text file?", path.display())]
    LongLine {
        /// The file.
        path: PathBuf,
        /// 1-based line.
        line: u64,
        /// The limit in bytes.
        limit: usize,
    },
    /// A quoted field that never ends.
    #[error(
        "{}:{line}: a quoted field starts here and is never closed; close it, or switch quotes off", path.display()
    )]
    OpenQuote {
        /// The file.
        path: PathBuf,
        /// 1-based line on which the quote opens.
        line: u64,
    },
    /// A quoted id or number that goes on on the next line: nearly always a stray quote.
    #[error(
        "{}:{line}: the quote that opens the {what} {found} is not closed on its line; \
         close or remove it, or set dataset.quotes = false if quotes are text",
        path.display()
    )]
    QuotedLineBreak {
        /// The file.
        path: PathBuf,
        /// 1-based line on which the quote opens.
        line: u64,
        /// Which field.
        what: String,
        /// The field up to the end of the line.
        found: String,
    },
    /// Text between a closing quote and the delimiter.
    #[error(
        "{}:{line}: {found} follows the closing quote of column {column}{}, expected the delimiter or the end of the line; \
         write quotes inside a quoted field twice, or set dataset.quotes = false if quotes are text",
        path.display(),
        if opened == line { String::new() } else { format!(" (opened on line {opened})") }
    )]
    AfterQuote {
        /// The file.
        path: PathBuf,
        /// 1-based line of the closing quote.
        line: u64,
        /// 1-based column.
        column: usize,
        /// 1-based line on which the quote opens.
        opened: u64,
        /// The rest of the line.
        found: String,
    },
    /// Lines that end as on the classic Mac OS.
    #[error("{}:{line}: a carriage return inside the first row, expected lines that end in LF or CRLF; \
        save the file with LF line ends", path.display())]
    CarriageReturns {
        /// The file.
        path: PathBuf,
        /// 1-based line.
        line: u64,
    },
    /// A chosen column is not in the header.
    #[error("{}:{line}: no column {wanted:?}; the columns are {found}", path.display())]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// 1-based line of the header.
        line: u64,
        /// The name that was asked for.
        wanted: String,
        /// The names that are there.
        found: String,
    },
    /// A chosen name stands twice in the header.
    #[error(
        "{}:{line}: columns {} and {} are both named {name:?}; rename one of them",
        path.display(), positions.0, positions.1
    )]
    TwoColumns {
        /// The file.
        path: PathBuf,
        /// 1-based line of the header.
        line: u64,
        /// The name.
        name: String,
        /// The first two columns of that name, from 1.
        positions: (usize, usize),
    },
    /// The header seems to be a row of data.
    #[error(
        "{}:{line}: the first row was taken as the header, but its {what} (column {column}) is {found}, a number; \
         set dataset.header = false if the file has no header",
        path.display()
    )]
    HeaderIsRow {
        /// The file.
        path: PathBuf,
        /// 1-based line of the header.
        line: u64,
        /// Which field.
        what: &'static str,
        /// 1-based column.
        column: usize,
        /// The cell.
        found: String,
    },
    /// A column is asked for by name in a file without a header, or by position 0.
    #[error("{}: {problem}", path.display())]
    ColumnChoice {
        /// The file.
        path: PathBuf,
        /// What is wrong with the choice.
        problem: String,
    },
    /// A column was asked for that does not exist for this purpose.
    #[error("{}: dataset.min_rating is {min_rating} but no rating column is named; name it or set min_rating to 0",
        path.display())]
    NoRatingColumn {
        /// The file.
        path: PathBuf,
        /// The threshold.
        min_rating: f64,
    },
    /// A row that ends too early.
    #[error("{}:{line}: {found} columns, expected at least {expected} (the {what} is column {expected})", path.display())]
    FewColumns {
        /// The file.
        path: PathBuf,
        /// 1-based line.
        line: u64,
        /// How many columns the row has.
        found: usize,
        /// How many it needs.
        expected: usize,
        /// Which field is missing.
        what: String,
    },
    /// A row with more fields than the header names.
    #[error(
        "{}:{line}: {found} columns, expected the {expected} of the header; \
         quote fields that hold the delimiter", path.display()
    )]
    ManyColumns {
        /// The file.
        path: PathBuf,
        /// 1-based line.
        line: u64,
        /// How many columns the row has.
        found: usize,
        /// How many the header has.
        expected: usize,
    },
    /// An empty user or item id.
    #[error("{}:{line}: the {what} is empty, expected an id", path.display())]
    EmptyId {
        /// The file.
        path: PathBuf,
        /// 1-based line.
        line: u64,
        /// Which field.
        what: String,
    },
    /// A time or rating that is no number.
    #[error("{}:{line}: the {what} is {found}, expected {expected}", path.display())]
    NotANumber {
        /// The file.
        path: PathBuf,
        /// 1-based line.
        line: u64,
        /// Which field.
        what: String,
        /// The text, quoted.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A line of an Amazon meta file that is neither a Python dict literal nor a JSON object.
    #[error(
        "{}:{line}: neither a Python dict literal nor a JSON object: {problem} at byte {byte}; download the file again",
        path.display()
    )]
    Literal {
        /// The file.
        path: PathBuf,
        /// 1-based line.
        line: u64,
        /// 1-based byte in the line.
        byte: usize,
        /// What is wrong there.
        problem: &'static str,
    },
    /// A line of an Amazon meta file without an id.
    #[error("{}:{line}: no \"asin\" in this entry, expected the item id under that key", path.display())]
    NoAsin {
        /// The file.
        path: PathBuf,
        /// 1-based line.
        line: u64,
    },
    /// More users, items or interactions than 32 bits count.
    #[error("{}:{line}: more than 4294967294 {what}; split the file", path.display())]
    TooMany {
        /// The file.
        path: PathBuf,
        /// 1-based line.
        line: u64,
        /// Of what.
        what: &'static str,
    },
    /// No item of the ratings has a title.
    #[error(
        "{dataset}: none of the {items} items of the interactions has a title among {titles} titles; \
         do both files name items by the same id?"
    )]
    NoTitles {
        /// The dataset.
        dataset: String,
        /// How many items there are.
        items: usize,
        /// How many titles there are.
        titles: usize,
    },
    /// The rating threshold drops everything.
    #[error("{dataset}: none of {rows} interactions is rated {min_rating} or more; lower dataset.min_rating")]
    NothingRated {
        /// The dataset.
        dataset: String,
        /// Rows read.
        rows: u64,
        /// The threshold.
        min_rating: f64,
    },
    /// The k-core drops everything.
    #[error(
        "{dataset}: none of {interactions} interactions is left when users with fewer than {min_user} and items with \
         fewer than {min_item} are dropped; lower dataset.min_user_interactions or dataset.min_item_interactions"
    )]
    NothingLeft {
        /// The dataset.
        dataset: String,
        /// Interactions before the k-core.
        interactions: usize,
        /// `min_user_interactions`.
        min_user: u32,
        /// `min_item_interactions`.
        min_item: u32,
    },
    /// The reference's id order needs integer ids.
    #[error(
        "{dataset}: the item id {id:?} is no integer, expected integers for dataset.item_order = \"python-set\" \
         (the order of strings changes from process to process); use \"raw-id\""
    )]
    PythonSetOrder {
        /// The dataset.
        dataset: String,
        /// The first id that is no integer.
        id: String,
    },
    /// A user too short for leave-one-out.
    #[error(
        "{dataset}: user {user:?} has {found} interaction{}, leave-one-out needs at least 3 \
         (training, validation, test); set dataset.min_user_interactions to 3 or more",
        if *found == 1 { "" } else { "s" }
    )]
    ShortUser {
        /// The dataset.
        dataset: String,
        /// The raw user id.
        user: String,
        /// How many interactions the user has.
        found: usize,
    },
    /// A setting of the built-in dataset that cannot be met.
    #[error("dataset.{setting} is {found}, expected {expected}")]
    Synthetic {
        /// The setting.
        setting: &'static str,
        /// Its value.
        found: String,
        /// What it may be.
        expected: &'static str,
    },
}

/// Bytes as a quoted, shortened text for a message.
pub(crate) fn shown(bytes: &[u8]) -> String {
    const LIMIT: usize = 60;
    let cut = &bytes[..bytes.len().min(LIMIT)];
    let dots = if bytes.len() > LIMIT { "..." } else { "" };
    match std::str::from_utf8(cut) {
        Ok(text) => format!("{text:?}{dots}"),
        Err(problem) if bytes.len() > LIMIT && problem.error_len().is_none() => {
            format!("{:?}{dots}", String::from_utf8_lossy(&cut[..problem.valid_up_to()]))
        }
        Err(_) => format!("\"{}\"{dots}", cut.escape_ascii()),
    }
}
