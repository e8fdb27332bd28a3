//! Rows of a run file, with names as numbers.

use std::collections::BTreeMap;
use std::path::Path;

use super::Error;

/// The format of a run file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `user Q0 item rank score tag`, separated by blanks.
    Trec,
    /// Delimited by comma, tab or semicolon, with a header.
    Csv,
}

impl Format {
    /// The name in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trec => "trec",
            Self::Csv => "csv",
        }
    }
}

/// The names of users and items in a run file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// `raw` or `dense`.
    pub kind: &'static str,
    users: BTreeMap<String, u32>,
    items: BTreeMap<String, u32>,
    first: (String, String),
}

impl Names {
    /// The ids of the upstream files; index u is the user at place u of the split, index i the item of id i + 1.
    #[must_use]
    pub fn raw(users: &[String], items: &[String]) -> Self {
        let numbered = |names: &[String], from: u32| -> BTreeMap<String, u32> {
            names.iter().enumerate().map(|(at, name)| (name.clone(), at as u32 + from)).collect()
        };
        let first = |names: &[String]| names.first().cloned().unwrap_or_default();
        Self {
            kind: "raw",
            users: numbered(users, 0),
            items: numbered(items, 1),
            first: (first(users), first(items)),
        }
    }

    /// Places of users from 0 and ids of items from 1, as the run store has them.
    #[must_use]
    pub fn dense(users: usize, items: usize) -> Self {
        let numbered = |from: u32, n: usize| (from..from + n as u32).map(|id| (id.to_string(), id)).collect();
        Self {
            kind: "dense",
            users: numbered(0, users),
            items: numbered(1, items),
            first: ("0".to_owned(), "1".to_owned()),
        }
    }

    pub(super) fn first_user(&self) -> &str {
        &self.first.0
    }

    pub(super) fn first_item(&self) -> &str {
        &self.first.1
    }

    pub(super) fn n_items(&self) -> u32 {
        self.items.len() as u32
    }
}

/// One row of a known user.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub user: u32,
    /// The item's id, or for one that the catalogue does not know a number beyond it.
    pub item: u32,
    pub score: Option<f64>,
    pub rank: Option<u32>,
    pub line: u64,
}

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub rows: Vec<Row>,
    /// Rows in all.
    pub total: u64,
    /// Unknown users by name, with the line of the first.
    pub unknown_users: BTreeMap<String, u64>,
    pub rows_of_unknown_users: u64,
    /// Unknown items: number by name; and the rows of them, and the line of the first.
    pub unknown_items: BTreeMap<String, u32>,
    pub rows_of_unknown_items: u64,
    pub first_unknown_item: Option<(u64, String)>,
    /// The first user and item.
    pub first: Option<(String, String)>,
}

const TREC_ROW: &str = "user Q0 item rank score tag";
const CSV_ROW: &str = "a header such as user,item,score and a row for each item of a user's list";

/// Read a text.
pub(super) fn read(path: &Path, text: &[u8], format: Format, names: &Names) -> Result<Rows, Error> {
    let mut rows = Rows::default();
    let at = |line, what: String| Error::Line { path: path.to_owned(), line, what };
    match format {
        Format::Trec => {
            trec(text, &mut |line, fields| rows.add(names, line, fields).map_err(|what| at(line, what)), &at)?
        }
        Format::Csv => {
            csv(text, &mut |line, fields| rows.add(names, line, fields).map_err(|what| at(line, what)), &at)?
        }
    }
    if rows.total == 0 {
        let expected = if format == Format::Trec { TREC_ROW } else { CSV_ROW };
        return Err(Error::Empty { path: path.to_owned(), expected });
    }
    Ok(rows)
}

/// Fields of a row as text.
struct Fields<'a> {
    user: &'a str,
    item: &'a str,
    score: Option<&'a str>,
    rank: Option<&'a str>,
}

impl Rows {
    fn add(&mut self, names: &Names, line: u64, fields: Fields<'_>) -> Result<(), String> {
        let score = fields.score.map(number).transpose()?;
        let rank = fields.rank.map(place).transpose()?;
        self.total += 1;
        if self.first.is_none() {
            self.first = Some((fields.user.to_owned(), fields.item.to_owned()));
        }
        let Some(&user) = names.users.get(fields.user) else {
            self.rows_of_unknown_users += 1;
            if !self.unknown_users.contains_key(fields.user) {
                self.unknown_users.insert(fields.user.to_owned(), line);
            }
            return Ok(());
        };
        let item = match names.items.get(fields.item) {
            Some(item) => *item,
            None => {
                self.rows_of_unknown_items += 1;
                self.first_unknown_item.get_or_insert_with(|| (line, fields.item.to_owned()));
                let next = names.n_items() + self.unknown_items.len() as u32 + 1;
                *self.unknown_items.entry(fields.item.to_owned()).or_insert(next)
            }
        };
        self.rows.push(Row { user, item, score, rank, line });
        Ok(())
    }
}

fn number(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(score) if score.is_finite() => Ok(score),
        Ok(_) => Err(format!("score is {text}; expected a finite number")),
        Err(_) => Err(format!("score {text:?} is not a number")),
    }
}

fn place(text: &str) -> Result<u32, String> {
    // Some programs write whole numbers as 1.0.
    let whole = text.strip_suffix(".0").unwrap_or(text);
    match whole.parse::<u32>() {
        Ok(0) => Err("rank is 0; expected ranks from 1".to_owned()),
        Ok(rank) => Ok(rank),
        Err(_) => Err(format!("rank {text:?} is not a whole number from 1")),
    }
}

type Add<'a> = dyn FnMut(u64, Fields<'_>) -> Result<(), Error> + 'a;

fn trec(text: &[u8], add: &mut Add<'_>, at: &dyn Fn(u64, String) -> Error) -> Result<(), Error> {
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let number = number as u64 + 1;
        let line = std::str::from_utf8(line).map_err(|_| at(number, "not UTF-8".to_owned()))?;
        let fields: Vec<&str> = line.split_whitespace().collect();
        match fields[..] {
            [] => {}
            [user, _, item, rank, score, _] => {
                // Some write ranks from 0. Scores order a TREC run, so the rank is only looked at.
                let rank = Some(rank).filter(|rank| *rank != "0");
                add(number, Fields { user, item, score: Some(score), rank })?;
            }
            _ => return Err(at(number, format!("{} fields; expected 6: {TREC_ROW}", fields.len()))),
        }
    }
    Ok(())
}

fn csv(text: &[u8], add: &mut Add<'_>, at: &dyn Fn(u64, String) -> Error) -> Result<(), Error> {
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    let header = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let delimiter = [b'\t', b',', b';'].into_iter().find(|byte| header.contains(byte)).unwrap_or(b',');
    let mut reader =
        ::csv::ReaderBuilder::new().delimiter(delimiter).trim(::csv::Trim::All).from_reader(text);
    let bad = |error: ::csv::Error| {
        let line = error.position().map_or(1, ::csv::Position::line);
        let what = match error.kind() {
            ::csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                format!("{len} fields; expected {expected_len}, as the header has")
            }
            ::csv::ErrorKind::Utf8 { .. } => "not UTF-8".to_owned(),
            _ => error.to_string(),
        };
        at(line, what)
    };
    let header = reader.headers().map_err(&bad)?.clone();
    let column = |name: &str| header.iter().position(|field| field.eq_ignore_ascii_case(name));
    let (user, item) = (column("user"), column("item"));
    let (score, rank) = (column("score"), column("rank"));
    let found = || header.iter().collect::<Vec<_>>().join(", ");
    let (Some(user), Some(item)) = (user, item) else {
        return Err(at(1, format!("the columns are {}; expected user, item and score or rank", found())));
    };
    if score.or(rank).is_none() {
        return Err(at(1, format!("the columns are {}; expected score or rank too", found())));
    }
    let mut record = ::csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(&bad)? {
        let line = record.position().map_or(0, ::csv::Position::line);
        let get = |column: usize| record.get(column).unwrap_or_default();
        for (name, column) in [("user", user), ("item", item)] {
            if get(column).is_empty() {
                return Err(at(line, format!("{name} is empty")));
            }
        }
        add(line, Fields { user: get(user), item: get(item), score: score.map(get), rank: rank.map(get) })?;
    }
    Ok(())
}
