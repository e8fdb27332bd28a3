//! Tables: what is shown, beside the exact values that it was rounded from.

use serde::{Deserialize, Serialize};

use super::prose::Prose;

/// A table. Rows are as wide as there are columns; [`Document::check`](super::Document::check) sees to it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Its name in files and links: `a-z`, `0-9` and `-`, once in a document.
    pub id: String,
    /// What stands above it.
    pub caption: Prose,
    /// Headings above the columns' own, left to right. Empty, or their spans add up to the number of columns.
    pub groups: Vec<ColumnGroup>,
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows.
    pub rows: Vec<Row>,
    /// What stands below it: the rounding rule, n, |R|, seeds, the test and its correction, footnotes.
    pub notes: Vec<Note>,
}

/// A heading above several columns, such as a dataset above its metrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnGroup {
    /// The heading; empty above columns that belong to no group.
    pub title: String,
    /// Over how many columns.
    pub span: usize,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its heading.
    pub title: String,
    /// The unit of its numbers, shown in the heading.
    pub unit: Option<String>,
    /// What its cells are.
    pub kind: Kind,
    /// At which side its cells stand.
    pub align: Align,
    /// Which of its numbers [`Table::mark`] marks.
    pub better: Option<Better>,
}

/// What the cells of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Words: sorted by letters.
    Text,
    /// Numbers: sorted by their exact values.
    Number,
}

/// At which side the cells of a column stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Align {
    /// Left.
    Left,
    /// In the middle.
    Centre,
    /// Right.
    Right,
}

/// Which of two numbers is the better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// The higher.
    Higher,
    /// The lower.
    Lower,
}

/// A row.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// One for each column.
    pub cells: Vec<Cell>,
    /// The heading that it stands under together with its neighbours of the same group.
    pub group: Option<String>,
    /// Whether a line parts it from the row above.
    pub rule: bool,
    /// What the reader must know about all of it, in a word or two each: "published".
    pub tags: Vec<String>,
    /// Whether it stands outside of the competition for best and second: a published row, a perfect order.
    pub unranked: bool,
    /// For tables whose columns are the methods: which of its numbers [`Table::mark`] marks.
    pub better: Option<Better>,
}

/// A cell.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// What is shown: words, or a rounded number.
    pub text: String,
    /// The number before rounding. Sorting, CSV, JSON and marks use it.
    pub value: Option<f64>,
    /// What stands after a plus-minus sign.
    pub spread: Option<Spread>,
    /// Whether it is the best or the second.
    pub mark: Option<Mark>,
    /// Letters of the systems that it is significantly better than, set as a superscript.
    pub significance: String,
    /// Marks of footnotes ([`Note::mark`]), set as superscripts.
    pub footnotes: Vec<String>,
}

/// What stands after a plus-minus sign; a note says what it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// Rounded.
    pub text: String,
    /// Before rounding.
    pub value: f64,
}

/// A place in a competition. All that share a value share its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// First: bold.
    Best,
    /// The next value after the first: underlined.
    Second,
}

/// A line below a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// Set for a footnote: what cells refer to, such as `†`.
    pub mark: Option<String>,
    /// The line.
    pub text: Prose,
}

impl Table {
    /// A table without rows.
    #[must_use]
    pub fn new(id: impl Into<String>, caption: impl Into<Prose>, columns: Vec<Column>) -> Self {
        Self { id: id.into(), caption: caption.into(), columns, ..Self::default() }
    }

    /// With a heading above the next `span` columns; an empty one leaves them without.
    #[must_use]
    pub fn group(mut self, title: impl Into<String>, span: usize) -> Self {
        self.groups.push(ColumnGroup { title: title.into(), span });
        self
    }

    /// The heading above a column.
    #[must_use]
    pub fn group_of(&self, column: usize) -> Option<&str> {
        self.groups.get(self.group_index(column)).map(|group| group.title.as_str())
    }

    /// Index in [`Table::groups`] of the heading above a column.
    pub(super) fn group_index(&self, column: usize) -> usize {
        let mut end = 0;
        self.groups
            .iter()
            .take_while(|group| {
                end += group.span;
                end <= column
            })
            .count()
    }

    /// Whether any cell bears this mark.
    #[must_use]
    pub fn bears(&self, mark: Mark) -> bool {
        self.rows.iter().flat_map(|row| &row.cells).any(|cell| cell.mark == Some(mark))
    }

    /// With a row at the end.
    #[must_use]
    pub fn row(mut self, row: impl Into<Row>) -> Self {
        self.rows.push(row.into());
        self
    }

    /// With a line below.
    #[must_use]
    pub fn note(mut self, text: impl Into<Prose>) -> Self {
        self.notes.push(Note { mark: None, text: text.into() });
        self
    }

    /// With a footnote below, for cells that bear `mark`.
    #[must_use]
    pub fn footnote(mut self, mark: impl Into<String>, text: impl Into<Prose>) -> Self {
        self.notes.push(Note { mark: Some(mark.into()), text: text.into() });
        self
    }
}

impl Mark {
    /// `best` or `second`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Best => "best",
            Self::Second => "second",
        }
    }
}

impl Column {
    /// A column of words, to the left.
    #[must_use]
    pub fn text(title: impl Into<String>) -> Self {
        Self { title: title.into(), unit: None, kind: Kind::Text, align: Align::Left, better: None }
    }

    /// A column of numbers, to the right.
    #[must_use]
    pub fn number(title: impl Into<String>) -> Self {
        Self { kind: Kind::Number, align: Align::Right, ..Self::text(title) }
    }

    /// In this unit.
    #[must_use]
    pub fn unit(self, unit: impl Into<String>) -> Self {
        Self { unit: Some(unit.into()), ..self }
    }

    /// At this side.
    #[must_use]
    pub fn align(self, align: Align) -> Self {
        Self { align, ..self }
    }

    /// To be marked.
    #[must_use]
    pub fn better(self, better: Better) -> Self {
        Self { better: Some(better), ..self }
    }

    /// Heading and unit.
    #[must_use]
    pub fn heading(&self) -> String {
        self.unit.as_ref().map_or_else(|| self.title.clone(), |unit| format!("{} ({unit})", self.title))
    }
}

impl Row {
    /// A row.
    #[must_use]
    pub fn new(cells: Vec<Cell>) -> Self {
        Self { cells, ..Self::default() }
    }

    /// Under this heading.
    #[must_use]
    pub fn group(self, group: impl Into<String>) -> Self {
        Self { group: Some(group.into()), ..self }
    }

    /// Below a line.
    #[must_use]
    pub fn rule(self) -> Self {
        Self { rule: true, ..self }
    }

    /// With a tag.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Outside of the competition for best and second.
    #[must_use]
    pub fn unranked(self) -> Self {
        Self { unranked: true, ..self }
    }

    /// To be marked from left to right.
    #[must_use]
    pub fn better(self, better: Better) -> Self {
        Self { better: Some(better), ..self }
    }
}

impl From<Vec<Cell>> for Row {
    fn from(cells: Vec<Cell>) -> Self {
        Self::new(cells)
    }
}

impl Cell {
    /// Words.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// A number: as it is shown, and as it is.
    #[must_use]
    pub fn number(text: impl Into<String>, value: f64) -> Self {
        Self { text: text.into(), value: Some(value), ..Self::default() }
    }

    /// Nothing to show: a dash, sorted last.
    #[must_use]
    pub fn none() -> Self {
        Self::text("–")
    }

    /// With a spread: as it is shown, and as it is.
    #[must_use]
    pub fn spread(self, text: impl Into<String>, value: f64) -> Self {
        Self { spread: Some(Spread { text: text.into(), value }), ..self }
    }

    /// With letters of significance.
    #[must_use]
    pub fn significance(self, letters: impl Into<String>) -> Self {
        Self { significance: letters.into(), ..self }
    }

    /// With the mark of a footnote.
    #[must_use]
    pub fn footnote(mut self, mark: impl Into<String>) -> Self {
        self.footnotes.push(mark.into());
        self
    }

    /// What is set as a superscript: letters of significance, then marks of footnotes.
    #[must_use]
    pub fn superscript(&self) -> String {
        let letters = (!self.significance.is_empty()).then_some(self.significance.as_str());
        let all: Vec<&str> = letters.into_iter().chain(self.footnotes.iter().map(String::as_str)).collect();
        all.join(",")
    }
}
