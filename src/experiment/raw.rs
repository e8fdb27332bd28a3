//! What was typed: the values of one file, of the environment or of the command line, all optional, none
//! checked, each with its place.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Place, Problem};
use super::schema::Kind;
use super::settings::SECTIONS;

/// A value as it was typed.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Typed {
    Text(String),
    Integer(i128),
    Float(f64),
    Bool(bool),
    List(Vec<Typed>),
    Table,
    Date,
    HugeInteger,
}

impl Typed {
    fn from_toml(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::String(text) => Self::Text(text.clone().into_owned()),
            DeValue::Integer(digits) => {
                i128::from_str_radix(digits.as_str(), digits.radix()).map_or(Self::HugeInteger, Self::Integer)
            }
            DeValue::Float(digits) => digits.as_str().parse().map_or(Self::Float(f64::NAN), Self::Float),
            DeValue::Boolean(value) => Self::Bool(*value),
            DeValue::Datetime(_) => Self::Date,
            DeValue::Array(items) => Self::List(items.iter().map(|v| Self::from_toml(v.get_ref())).collect()),
            DeValue::Table(_) => Self::Table,
        }
    }

    /// A value from the environment or the command line. Where a string is expected, quotes are not needed.
    pub(super) fn from_word(text: &str, kind: Option<&Kind>) -> Self {
        let text_wanted = kind.is_some_and(Kind::is_text);
        let quoted = text.starts_with(['"', '\'']);
        if text_wanted && !quoted {
            return Self::Text(text.to_owned());
        }
        match DeValue::parse(text) {
            Ok(value) => Self::from_toml(value.get_ref()),
            Err(_) => Self::Text(text.to_owned()),
        }
    }

    /// The article and the name of the type.
    pub(super) const fn type_name(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) | Self::HugeInteger => "an integer",
            Self::Float(_) => "a number",
            Self::Bool(_) => "a boolean",
            Self::List(_) => "a list",
            Self::Table => "a table",
            Self::Date => "a date",
        }
    }
}

impl fmt::Display for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(&quote(text)),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Float(value) if value.is_nan() => f.write_str("nan"),
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::List(items) => {
                f.write_str("[")?;
                for (at, item) in items.iter().take(8).enumerate() {
                    write!(f, "{}{item}", if at == 0 { "" } else { ", " })?;
                }
                f.write_str(if items.len() > 8 { ", ...]" } else { "]" })
            }
            Self::Table => f.write_str("a table"),
            Self::Date => f.write_str("a date"),
            Self::HugeInteger => f.write_str("a huge integer"),
        }
    }
}

/// `text` in quotes, on one line and short enough for a message.
pub(super) fn quote(text: &str) -> String {
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    format!("{short:?}")
}

/// One typed setting.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    /// Dotted key; parts that TOML would have to quote are quoted.
    pub(super) key: String,
    pub(super) value: Typed,
    pub(super) place: Place,
}

/// The settings of one origin.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Layer {
    pub(super) entries: Vec<Entry>,
}

impl Layer {
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}

/// Broken lines of one file that are told one by one. Who names a text that is no TOML need not read all of it.
const MAX_ERRORS: usize = 20;

/// Read TOML. What follows a syntax error is read as far as it can be, so that all problems come at once.
pub(super) fn parse(path: &Path, text: &str) -> (Layer, Vec<Problem>) {
    let lines = Lines::new(path, text);
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut problems: Vec<Problem> = Vec::new();
    let mut broken: BTreeSet<Option<u32>> = BTreeSet::new();
    for error in errors {
        let place = lines.place(error.span().map_or(0, |span| span.start));
        let mut message = error.message().lines().collect::<Vec<_>>().join("; ");
        if let Some(key) = error.span().and_then(|span| text.get(span)).filter(|_| message == "duplicate key")
        {
            message = format!("{} is written twice", key.trim().replace(char::is_control, " "));
        }
        // One broken line can break the parser more than once; the first time says most.
        if broken.insert(line(&place)) {
            problems.push(Problem::new(place, format!("not valid TOML: {message}")));
        }
    }
    let mut layer = Layer::default();
    flatten("", table.get_ref(), &lines, &mut layer.entries);
    layer.entries.retain(|entry| !broken.contains(&line(&entry.place)));
    layer.entries.sort_by(|a, b| a.place.cmp(&b.place));
    problems.sort();
    let more = problems.len().saturating_sub(MAX_ERRORS);
    problems.truncate(MAX_ERRORS + 1);
    if more > 0
        && let Some(first_untold) = problems.last_mut()
    {
        first_untold.message = format!("not valid TOML, as are {more} lines in all from here on");
    }
    (layer, problems)
}

const fn line(place: &Place) -> Option<u32> {
    match place {
        Place::File { line, .. } => *line,
        _ => None,
    }
}

fn flatten(prefix: &str, table: &DeTable<'_>, lines: &Lines<'_>, entries: &mut Vec<Entry>) {
    for (name, value) in table {
        let key = format!("{prefix}{}", bare(name.get_ref()));
        match value.get_ref() {
            DeValue::Table(inner) if SECTIONS.contains(&key.as_str()) => {
                flatten(&format!("{key}."), inner, lines, entries);
            }
            other => {
                let place = lines.place(Spanned::span(name).start);
                entries.push(Entry { key, value: Typed::from_toml(other), place });
            }
        }
    }
}

/// The key as TOML writes it, so that a quoted dot is not taken for a section.
fn bare(name: &str) -> Cow<'_, str> {
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if plain { Cow::Borrowed(name) } else { Cow::Owned(quote(name)) }
}

/// Byte offsets as lines and columns.
struct Lines<'a> {
    path: &'a Path,
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(path: &'a Path, text: &'a str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { path, text, starts: std::iter::once(0).chain(ends).collect() }
    }

    fn place(&self, offset: usize) -> Place {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let start = self.starts[line - 1];
        let before = self.text.get(start..offset).unwrap_or("");
        let count = |n: usize| u32::try_from(n).ok();
        Place::File {
            path: self.path.to_owned(),
            line: count(line),
            column: count(before.chars().count() + 1),
        }
    }
}
