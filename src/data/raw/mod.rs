//! Raw files to numbers: one small reader for each upstream format, all ending in the same two structures.

pub(crate) mod amazon;
pub(crate) mod csv;
pub(crate) mod literal;
pub(crate) mod movielens;
pub(crate) mod recbole;
pub(crate) mod synthetic;

use std::path::Path;

use super::error::{Error, shown};
use super::intern::{Batch, Interner, Refused};
use super::source::SourceFile;
use super::table::{Layout, Table};
use super::times::Times;
use crate::events::{Event, Reporter};
use crate::experiment::{ColumnRef, TitleEncoding};

/// One user met one item. Numbers are those of the interners; `time` orders, equal times are ties.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interaction {
    pub(crate) user: u32,
    pub(crate) item: u32,
    pub(crate) time: i64,
}

/// All interactions in file order.
#[derive(Debug, Default)]
pub(crate) struct Interactions {
    pub(crate) users: Interner,
    pub(crate) items: Interner,
    pub(crate) rows: Vec<Interaction>,
    pub(crate) rows_read: u64,
    pub(crate) rows_below_min_rating: u64,
}

/// Titles by raw item id; empty ones are not kept.
#[derive(Debug, Default)]
pub(crate) struct Titles {
    ids: Interner,
    text: Vec<Box<str>>,
    pub(crate) entries: u64,
    /// Entries that repeat an id with the same title.
    pub(crate) repeated: u64,
    /// Entries that repeat an id with another title.
    pub(crate) conflicting: u64,
    /// The first such entry: its id and line.
    pub(crate) conflict: Option<(String, u64)>,
}

impl Titles {
    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    pub(crate) fn get(&self, id: &[u8]) -> Option<&str> {
        self.ids.get(id).map(|number| &*self.text[number as usize])
    }

    /// Take a title. Of several for one id the last one counts, as in the dict that the reference builds; an entry whose
    /// title is empty never counts.
    pub(crate) fn insert(&mut self, path: &Path, line: u64, id: &[u8], title: &str) -> Result<(), Error> {
        self.entries += 1;
        if title.trim().is_empty() {
            return Ok(());
        }
        let number =
            self.ids.intern(id).map_err(|refused| refusal(&refused, path, line, "item", id, "items"))?;
        match self.text.get_mut(number as usize) {
            None => self.text.push(title.into()),
            Some(known) if **known == *title => self.repeated += 1,
            Some(known) => {
                self.conflicting += 1;
                self.conflict.get_or_insert_with(|| (String::from_utf8_lossy(id).into_owned(), line));
                *known = title.into();
            }
        }
        Ok(())
    }
}

/// What a reader hands to preprocessing.
pub(crate) struct Raw {
    pub(crate) name: String,
    pub(crate) interactions: Interactions,
    /// `None` where the source has no titles: every item is kept then.
    pub(crate) titles: Option<Titles>,
    pub(crate) source_files: Vec<SourceFile>,
}

/// Which column holds what, in a file of interactions.
pub(crate) struct InteractionColumns {
    pub(crate) user: ColumnRef,
    pub(crate) item: ColumnRef,
    pub(crate) rating: Option<ColumnRef>,
    pub(crate) time: Option<ColumnRef>,
}

impl InteractionColumns {
    pub(crate) fn named(user: &str, item: &str, rating: &str, time: &str) -> Self {
        let name = |name: &str| ColumnRef::Name(name.to_owned());
        Self { user: name(user), item: name(item), rating: Some(name(rating)), time: Some(name(time)) }
    }

    /// The Amazon order: user, item, rating, time.
    pub(crate) fn first_four() -> Self {
        Self {
            user: ColumnRef::Position(1),
            item: ColumnRef::Position(2),
            rating: Some(ColumnRef::Position(3)),
            time: Some(ColumnRef::Position(4)),
        }
    }
}

/// What every reader needs beside its own files.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) data_dir: &'a Path,
    pub(crate) min_rating: f64,
    pub(crate) title_encoding: TitleEncoding,
    pub(crate) reporter: &'a dyn Reporter,
}

const ROWS_PER_EVENT: u64 = 1 << 18;

/// Read a file of interactions: one pass, no allocation a row. Blanks around ids and numbers go.
pub(crate) fn read_interactions(
    path: &Path,
    layout: Layout,
    columns: &InteractionColumns,
    context: Context<'_>,
) -> Result<(Interactions, SourceFile), Error> {
    const EXPECTED: &str = "one interaction a row";
    let mut table = Table::open(path, layout, EXPECTED)?;
    let user_column = table.column(&columns.user)?;
    let item_column = table.column(&columns.item)?;
    let time_column = columns.time.as_ref().map(|column| table.column(column)).transpose()?;
    let rating_column = match &columns.rating {
        _ if context.min_rating <= 0.0 => None,
        Some(column) => Some(table.column(column)?),
        None => return Err(Error::NoRatingColumn { path: path.to_owned(), min_rating: context.min_rating }),
    };
    let chosen = [
        ("user", Some(&columns.user), Some(user_column)),
        ("item", Some(&columns.item), Some(item_column)),
        ("rating", columns.rating.as_ref(), rating_column),
        ("time", columns.time.as_ref(), time_column),
    ];
    check_columns(&table, &chosen)?;
    table.expect_one_line(user_column, "user id");
    table.expect_one_line(item_column, "item id");
    if let Some(column) = time_column {
        table.expect_one_line(column, "time");
    }
    // A stray quote swallows rows whether or not its column is read.
    if let Some(column) = columns.rating.as_ref().and_then(|column| table.column(column).ok()) {
        table.expect_one_line(column, "rating");
    }
    let mut data = Interactions::default();
    let mut times = Times::default();
    let mut pending = Pending::default();
    while table.advance()? {
        data.rows_read += 1;
        if data.rows_read.is_multiple_of(ROWS_PER_EVENT) {
            context.reporter.emit(Event::Advanced { done: data.rows_read, detail: "" });
        }
        let user = table.field(user_column, "user")?;
        let item = table.field(item_column, "item")?;
        if let Some(column) = rating_column {
            let found = table.field(column, "rating")?;
            let rating =
                number(found).ok_or_else(|| not_a_number(&table, "rating", found, "a number such as 4.0"))?;
            if rating < context.min_rating {
                data.rows_below_min_rating += 1;
                continue;
            }
        }
        let time = match time_column {
            // Without times the file order is the time order: positions never tie.
            None => data.rows_read as i64,
            Some(column) => {
                let found = table.field(column, "time")?;
                times.read(found, &mut data.rows).ok_or_else(|| {
                    not_a_number(
                        &table,
                        "time",
                        found,
                        "seconds as a number such as 1365984000 or 1.365984E9",
                    )
                })?
            }
        };
        pending.users.push(id(&table, user, "user")?);
        pending.items.push(id(&table, item, "item")?);
        data.rows.push(Interaction { user: 0, item: 0, time });
        if pending.users.is_full() {
            pending.flush(&mut data, &table)?;
        }
    }
    pending.flush(&mut data, &table)?;
    let file = table.finish(context.data_dir, EXPECTED)?;
    Ok((data, file))
}

/// What a column holds, how it was chosen, and its index if it is read.
type Chosen<'a> = (&'static str, Option<&'a ColumnRef>, Option<usize>);

/// Two choices must not be one column, and a header's cell above numbers must not be a number: then the file has no
/// header, which only columns chosen by name would tell.
fn check_columns(table: &Table, chosen: &[Chosen<'_>]) -> Result<(), Error> {
    let kind = if table.typed() { "field" } else { "column" };
    for (at, &(what, choice, column)) in chosen.iter().enumerate() {
        let Some(column) = column else { continue };
        if let Some((other, ..)) = chosen[..at].iter().find(|chosen| chosen.2 == Some(column)) {
            return Err(Error::ColumnChoice {
                path: table.path().to_owned(),
                problem: format!(
                    "dataset.{other}_{kind} and dataset.{what}_{kind} are both column {}; choose one for each",
                    column + 1
                ),
            });
        }
        if matches!(choice, Some(ColumnRef::Position(_)))
            && matches!(what, "rating" | "time")
            && let Some((cell, line)) = table.header_cell(column)
            && number(cell.as_bytes()).is_some()
        {
            return Err(Error::HeaderIsRow {
                path: table.path().to_owned(),
                line,
                what,
                column: column + 1,
                found: shown(cell.as_bytes()),
            });
        }
    }
    Ok(())
}

/// Read a delimited file of titles. `clean` turns the decoded text into the title.
pub(crate) fn read_titles(
    path: &Path,
    layout: Layout,
    columns: (&ColumnRef, &ColumnRef),
    clean: impl Fn(&str) -> String,
    context: Context<'_>,
) -> Result<(Titles, SourceFile), Error> {
    const EXPECTED: &str = "one item and its title a row";
    let mut table = Table::open(path, layout, EXPECTED)?;
    let id_column = table.column(columns.0)?;
    let title_column = table.column(columns.1)?;
    table.expect_one_line(id_column, "item id");
    let mut titles = Titles::default();
    while table.advance()? {
        let id = id(&table, table.field(id_column, "item")?, "item")?;
        let title =
            decode_title(path, table.line(), table.field(title_column, "title")?, context.title_encoding)?;
        titles.insert(path, table.line(), id, &clean(&title))?;
    }
    let file = table.finish(context.data_dir, EXPECTED)?;
    Ok((titles, file))
}

/// Bytes of a title to text.
pub(crate) fn decode_title(
    path: &Path,
    line: u64,
    bytes: &[u8],
    encoding: TitleEncoding,
) -> Result<String, Error> {
    match encoding {
        TitleEncoding::Latin1 => Ok(latin1(bytes)),
        TitleEncoding::Utf8 => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(Error::TitleNotUtf8 { path: path.to_owned(), line, found: shown(bytes) }),
        },
    }
}

/// ISO-8859-1 to text: byte b is the character U+00b.
pub(crate) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

/// A finite number, with blanks around it allowed.
pub(crate) fn number(bytes: &[u8]) -> Option<f64> {
    std::str::from_utf8(bytes).ok()?.trim().parse::<f64>().ok().filter(|value| value.is_finite())
}

/// Rows whose users and items have no numbers yet: the last ones of the interactions.
#[derive(Default)]
struct Pending {
    users: Batch,
    items: Batch,
    user_numbers: Vec<u32>,
    item_numbers: Vec<u32>,
}

impl Pending {
    fn flush(&mut self, data: &mut Interactions, table: &Table) -> Result<(), Error> {
        self.user_numbers.clear();
        self.item_numbers.clear();
        let users = data.users.intern_all(&self.users, &mut self.user_numbers);
        users.map_err(|refused| refusal(&refused, table.path(), table.line(), "user", b"", "users"))?;
        let items = data.items.intern_all(&self.items, &mut self.item_numbers);
        items.map_err(|refused| refusal(&refused, table.path(), table.line(), "item", b"", "items"))?;
        let first = data.rows.len() - self.user_numbers.len();
        let numbers = self.user_numbers.iter().zip(&self.item_numbers);
        for (row, (&user, &item)) in data.rows[first..].iter_mut().zip(numbers) {
            (row.user, row.item) = (user, item);
        }
        self.users.clear();
        self.items.clear();
        Ok(())
    }
}

/// An id without the blanks around it, checked while its line is at hand.
fn id<'a>(table: &Table, id: &'a [u8], what: &'static str) -> Result<&'a [u8], Error> {
    match std::str::from_utf8(id).map(str::trim) {
        Ok("") => Err(empty_id(table, what)),
        Ok(id) => Ok(id.as_bytes()),
        Err(_) => Err(refusal(&Refused::NotUtf8, table.path(), table.line(), what, id, what)),
    }
}

/// An id without the blanks around it; what is not UTF-8 is left to the interner to refuse.
pub(crate) fn trimmed(id: &[u8]) -> &[u8] {
    std::str::from_utf8(id).map_or(id, |id| id.trim().as_bytes())
}

/// Take an id that no file named.
pub(crate) fn intern_made(
    interner: &mut Interner,
    id: &str,
    plural: &'static str,
    context: Context<'_>,
) -> Result<u32, Error> {
    let line = interner.len() as u64 + 1;
    interner
        .intern(id.as_bytes())
        .map_err(|refused| refusal(&refused, context.data_dir, line, "made", id.as_bytes(), plural))
}

fn refusal(refused: &Refused, path: &Path, line: u64, what: &str, id: &[u8], plural: &'static str) -> Error {
    match refused {
        Refused::NotUtf8 => {
            Error::NotUtf8 { path: path.to_owned(), line, what: format!("{what} id"), found: shown(id) }
        }
        Refused::Full => Error::TooMany { path: path.to_owned(), line, what: plural },
    }
}

fn empty_id(table: &Table, what: &str) -> Error {
    Error::EmptyId { path: table.path().to_owned(), line: table.line(), what: what.to_owned() }
}

fn not_a_number(table: &Table, what: &str, found: &[u8], expected: &'static str) -> Error {
    Error::NotANumber {
        path: table.path().to_owned(),
        line: table.line(),
        what: what.to_owned(),
        found: shown(found),
        expected,
    }
}
