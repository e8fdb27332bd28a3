//! Delimited text, row by row, with exact line numbers.
//!
//! The csv crate takes a record's line before it skips the rest of a CRLF and blank lines, so its errors point a line
//! or more too early; this reader is line-based, knows the quoting of RFC 4180, and copies nothing in the common case.

use std::ops::Range;
use std::path::Path;

use super::error::{Error, shown};
use super::source::{Lines, SourceFile};
use crate::experiment::ColumnRef;

/// How a delimited file is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) delimiter: u8,
    pub(crate) header: bool,
    pub(crate) quotes: bool,
    /// Whether column names carry a type, as in RecBole's `user_id:token`.
    pub(crate) typed: bool,
}

impl Layout {
    pub(crate) const fn csv(header: bool) -> Self {
        Self { delimiter: b',', header, quotes: true, typed: false }
    }
}

/// An open delimited file.
pub(crate) struct Table {
    lines: Lines,
    layout: Layout,
    /// Names of the columns and the line they are on.
    header: Option<(Vec<String>, u64)>,
    /// Line on which the current row starts.
    line: u64,
    fields: Vec<Range<usize>>,
    /// Text of a row with quotes, unquoted; `fields` point into it if `quoted`.
    unquoted: Vec<u8>,
    quoted: bool,
    /// Columns whose fields end on the line on which they start, and what they hold.
    one_line: Vec<(usize, &'static str)>,
    rows: u64,
}

impl Table {
    /// Open `path` and read its header, if it has one. `expected` says what the rows hold.
    pub(crate) fn open(path: &Path, layout: Layout, expected: &str) -> Result<Self, Error> {
        let lines = Lines::open(path)?;
        let mut table = Self {
            lines,
            layout,
            header: None,
            line: 0,
            fields: Vec::new(),
            unquoted: Vec::new(),
            quoted: false,
            one_line: Vec::new(),
            rows: 0,
        };
        if layout.header {
            if !table.advance()? {
                return Err(Error::Empty { path: path.to_owned(), expected: expected.to_owned() });
            }
            let mut names = Vec::with_capacity(table.fields.len());
            for column in 0..table.fields.len() {
                let name = table.bytes(column);
                let name = std::str::from_utf8(name).map_err(|_| Error::NotUtf8 {
                    path: path.to_owned(),
                    line: table.line,
                    what: format!("name of column {}", column + 1),
                    found: shown(name),
                })?;
                let name = if layout.typed { name.split(':').next().unwrap_or(name) } else { name };
                names.push(name.trim().to_owned());
            }
            table.header = Some((names, table.line));
            table.rows = 0;
        }
        Ok(table)
    }

    pub(crate) fn path(&self) -> &Path {
        self.lines.path()
    }

    /// Whether column names carry a type, as RecBole's do.
    pub(crate) fn typed(&self) -> bool {
        self.layout.typed
    }

    /// Line on which the current row starts.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// 0-based index of a chosen column.
    pub(crate) fn column(&self, column: &ColumnRef) -> Result<usize, Error> {
        let path = || self.lines.path().to_owned();
        match (column, &self.header) {
            (ColumnRef::Position(0), _) => Err(Error::ColumnChoice {
                path: path(),
                problem: "no column 0; columns count from 1".to_owned(),
            }),
            (ColumnRef::Position(position), Some((names, line))) if *position > names.len() => {
                Err(Error::NoColumn {
                    path: path(),
                    line: *line,
                    wanted: position.to_string(),
                    found: listed(names),
                })
            }
            (ColumnRef::Position(position), _) => Ok(position - 1),
            (ColumnRef::Name(name), None) => Err(Error::ColumnChoice {
                path: path(),
                problem: format!(
                    "column {name:?} is chosen by name but the file has no header; choose it by position"
                ),
            }),
            (ColumnRef::Name(name), Some((names, line))) => {
                let mut found = (0..names.len()).filter(|&column| names[column] == *name);
                match (found.next(), found.next()) {
                    (Some(column), None) => Ok(column),
                    (Some(first), Some(second)) => Err(Error::TwoColumns {
                        path: path(),
                        line: *line,
                        name: name.clone(),
                        positions: (first + 1, second + 1),
                    }),
                    (None, _) => Err(Error::NoColumn {
                        path: path(),
                        line: *line,
                        wanted: name.clone(),
                        found: listed(names),
                    }),
                }
            }
        }
    }

    /// What the header calls a column and on which line, if there is a header.
    pub(crate) fn header_cell(&self, column: usize) -> Option<(&str, u64)> {
        self.header.as_ref().and_then(|(names, line)| Some((names.get(column)?.as_str(), *line)))
    }

    /// Refuse line ends inside the fields of `column`, which hold a `what`: one stray quote would swallow the rows up to
    /// the next one.
    pub(crate) fn expect_one_line(&mut self, column: usize, what: &'static str) {
        self.one_line.push((column, what));
    }

    /// Read the next row, skipping blank lines; `false` at the end.
    pub(crate) fn advance(&mut self) -> Result<bool, Error> {
        loop {
            if !self.lines.advance()? {
                return Ok(false);
            }
            if !self.lines.line().is_empty() {
                break;
            }
        }
        self.line = self.lines.number();
        if self.rows == 0 && self.header.is_none() && self.lines.line().trim_ascii_end().contains(&b'\r') {
            return Err(Error::CarriageReturns { path: self.lines.path().to_owned(), line: self.line });
        }
        self.fields.clear();
        self.quoted = self.layout.quotes && self.lines.line().contains(&b'"');
        if self.quoted {
            self.split_quoted()?;
        } else {
            let line = self.lines.line();
            let mut start = 0;
            for (at, &byte) in line.iter().enumerate() {
                if byte == self.layout.delimiter {
                    self.fields.push(start..at);
                    start = at + 1;
                }
            }
            self.fields.push(start..line.len());
        }
        if let Some((names, _)) = &self.header
            && self.fields.len() > names.len()
        {
            return Err(Error::ManyColumns {
                path: self.lines.path().to_owned(),
                line: self.line,
                found: self.fields.len(),
                expected: names.len(),
            });
        }
        self.rows += 1;
        Ok(true)
    }

    /// Field `column` of the current row; `what` names it in the error.
    pub(crate) fn field(&self, column: usize, what: &str) -> Result<&[u8], Error> {
        if column < self.fields.len() {
            return Ok(self.bytes(column));
        }
        Err(Error::FewColumns {
            path: self.lines.path().to_owned(),
            line: self.line,
            found: self.fields.len(),
            expected: column + 1,
            what: what.to_owned(),
        })
    }

    /// Check that there were rows, and say what file it was.
    pub(crate) fn finish(self, below: &Path, expected: &str) -> Result<SourceFile, Error> {
        if self.rows == 0 {
            let (path, expected) = (self.lines.path().to_owned(), expected.to_owned());
            return Err(match self.header {
                Some(_) => Error::HeaderOnly { path, expected },
                None => Error::Empty { path, expected },
            });
        }
        self.lines.finish(below)
    }

    fn bytes(&self, column: usize) -> &[u8] {
        let text = if self.quoted { &self.unquoted } else { self.lines.line() };
        &text[self.fields[column].clone()]
    }

    /// RFC 4180: a field that starts with `"` ends at the next single `"`; inside, `""` is one quote and delimiters and
    /// line ends are text. Nothing but a delimiter or the end of the line may follow the closing quote.
    fn split_quoted(&mut self) -> Result<(), Error> {
        self.unquoted.clear();
        let mut start = 0;
        let mut at = 0;
        // Line on which the quote of the current field opens.
        let mut opened = None;
        loop {
            let line = self.lines.line();
            let Some(&byte) = line.get(at) else {
                let Some(opened) = opened else {
                    self.fields.push(start..self.unquoted.len());
                    return Ok(());
                };
                if let Some(what) = self.one_line_field(self.fields.len()) {
                    return Err(Error::QuotedLineBreak {
                        path: self.lines.path().to_owned(),
                        line: opened,
                        what,
                        found: shown(&self.unquoted[start..]),
                    });
                }
                self.unquoted.push(b'\n');
                if !self.lines.advance()? {
                    return Err(Error::OpenQuote { path: self.lines.path().to_owned(), line: opened });
                }
                at = 0;
                continue;
            };
            at += 1;
            if let Some(line_opened) = opened {
                if byte != b'"' {
                    self.unquoted.push(byte);
                    continue;
                }
                match line.get(at) {
                    Some(b'"') => {
                        self.unquoted.push(b'"');
                        at += 1;
                    }
                    Some(&next) if next != self.layout.delimiter => {
                        return Err(Error::AfterQuote {
                            path: self.lines.path().to_owned(),
                            line: self.lines.number(),
                            column: self.fields.len() + 1,
                            opened: line_opened,
                            found: shown(&line[at..]),
                        });
                    }
                    _ => opened = None,
                }
            } else if byte == self.layout.delimiter {
                self.fields.push(start..self.unquoted.len());
                start = self.unquoted.len();
            } else if byte == b'"' && (at == 1 || line[at - 2] == self.layout.delimiter) {
                opened = Some(self.lines.number());
            } else {
                self.unquoted.push(byte);
            }
        }
    }

    /// What the fields of `column` hold, if they must not hold line ends. Names of columns never may.
    fn one_line_field(&self, column: usize) -> Option<String> {
        if self.layout.header && self.header.is_none() {
            return Some(format!("name of column {}", column + 1));
        }
        self.one_line.iter().find(|(known, _)| *known == column).map(|(_, what)| (*what).to_owned())
    }
}

/// The first names, each shortened: a file that is no table may have thousands, of any length.
fn listed(names: &[String]) -> String {
    const NAMES: usize = 12;
    const CHARS: usize = 40;
    let mut list: Vec<String> = names
        .iter()
        .take(NAMES)
        .map(|name| match name.char_indices().nth(CHARS) {
            Some((cut, _)) => format!("{:?}...", &name[..cut]),
            None => format!("{name:?}"),
        })
        .collect();
    if names.len() > NAMES {
        list.push(format!("and {} more", names.len() - NAMES));
    }
    list.join(", ")
}
