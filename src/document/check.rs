//! What a document must be before it is printed, so that no renderer can fail.

use std::collections::BTreeSet;
use std::ops::Deref;

use super::error::Error;
use super::model::{Block, Document, Section};
use super::prose::{Prose, Span};
use super::table::Table;

/// A document that can be printed: rectangular, finite, with sound ids and links, and without characters that act instead of
/// being seen. Made by [`Document::check`]; every renderer takes one and none can fail.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked(Document);

impl Deref for Checked {
    type Target = Document;

    fn deref(&self) -> &Document {
        &self.0
    }
}

/// What is wrong and what was expected.
type Fault = (String, String);

fn fault(found: impl Into<String>, expected: impl Into<String>) -> Result<(), Fault> {
    Err((found.into(), expected.into()))
}

impl Document {
    /// Makes it printable: control characters are replaced by spaces and `\u{FFFD}`, and everything is held against the rules that
    /// the fields state.
    ///
    /// # Errors
    /// The first rule that is broken: a level that is not 1 to 3, an id that is not one or is there twice, a table that is not
    /// rectangular, spans that do not add up, a footnote without its note, a number that is not finite, a link to elsewhere than
    /// the web or this document, or a chart whose parts do not fit.
    pub fn check(mut self) -> Result<Checked, Error> {
        self.clean();
        let mut ids = BTreeSet::new();
        for id in self.tables().map(|table| &table.id).chain(self.figures().map(|figure| &figure.id)) {
            let twice = !ids.insert(id.clone());
            let fault = if twice { fault("its id is there twice", "every id once") } else { check_id(id) };
            fault.map_err(|fault| self.error(format!("id {id:?}"), fault))?;
        }
        for warning in &self.warnings {
            check_prose(warning, &ids).map_err(|fault| self.error("a warning".to_owned(), fault))?;
        }
        for section in &self.sections {
            check_section(section, &ids).map_err(|(place, fault)| self.error(place, fault))?;
        }
        Ok(Checked(self))
    }

    fn error(&self, place: String, (found, expected): Fault) -> Error {
        Error { title: self.title.clone(), place, found, expected }
    }
}

fn check_id(id: &str) -> Result<(), Fault> {
    let sound = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if id.is_empty() || !id.bytes().all(sound) {
        return fault("not an id", "a-z, 0-9 and -, at least one");
    }
    Ok(())
}

fn check_section(section: &Section, ids: &BTreeSet<String>) -> Result<(), (String, Fault)> {
    let here = || format!("section {:?}", section.heading);
    if !(1..=3).contains(&section.level) {
        return fault(format!("level {}", section.level), "1 to 3").map_err(|fault| (here(), fault));
    }
    for block in &section.blocks {
        match block {
            Block::Prose(prose) => check_prose(prose, ids).map_err(|fault| (here(), fault))?,
            Block::Table(table) => {
                check_table(table, ids).map_err(|fault| (format!("table {:?}", table.id), fault))?;
            }
            Block::Figure(figure) => check_prose(&figure.caption, ids)
                .and_then(|()| figure.chart.check())
                .map_err(|fault| (format!("figure {:?}", figure.id), fault))?,
            Block::Facts(facts) => {
                for (name, value) in &facts.entries {
                    check_prose(value, ids).map_err(|fault| (format!("{}, {name:?}", here()), fault))?;
                }
            }
            Block::Code(_) => {}
        }
    }
    Ok(())
}

fn check_prose(prose: &Prose, ids: &BTreeSet<String>) -> Result<(), Fault> {
    for span in &prose.0 {
        let Span::Link { url, .. } = span else { continue };
        let here = url.strip_prefix('#').is_some_and(|id| ids.contains(id));
        let web = url.starts_with("https://") || url.starts_with("http://");
        if !here && (!web || url.contains(char::is_whitespace)) {
            return fault(
                format!("a link to {url:?}"),
                "http://, https://, or # and the id of a table or figure",
            );
        }
    }
    Ok(())
}

fn check_table(table: &Table, ids: &BTreeSet<String>) -> Result<(), Fault> {
    let width = table.columns.len();
    if width == 0 {
        return fault("no columns", "at least one");
    }
    let spanned = table.groups.iter().try_fold(0usize, |sum, group| sum.checked_add(group.span));
    let empty = table.groups.iter().any(|group| group.span == 0);
    if !table.groups.is_empty() && (spanned != Some(width) || empty) {
        return fault(
            "the spans of its column groups do not add up",
            format!("spans of at least 1, {width} together"),
        );
    }
    let footnotes: BTreeSet<&String> = table.notes.iter().filter_map(|note| note.mark.as_ref()).collect();
    let mut groups: Vec<&Option<String>> = Vec::new();
    for (at, row) in table.rows.iter().enumerate() {
        let at = at + 1;
        if row.cells.len() != width {
            return fault(format!("{} cells in row {at}", row.cells.len()), format!("{width}, one a column"));
        }
        if groups.last() != Some(&&row.group) {
            if groups.contains(&&row.group) {
                return fault(format!("row {at} is apart from the rest of its group"), "groups in one piece");
            }
            groups.push(&row.group);
        }
        for (cell, column) in row.cells.iter().zip(&table.columns) {
            let numbers = cell.value.iter().chain(cell.spread.iter().map(|spread| &spread.value));
            if let Some(number) = numbers.copied().find(|number| !number.is_finite()) {
                return fault(
                    format!("{number} in row {at}, column {:?}", column.title),
                    "a finite number, or none",
                );
            }
            if let Some(mark) = cell.footnotes.iter().find(|mark| !footnotes.contains(mark)) {
                return fault(format!("footnote {mark:?} in row {at}"), "a note with that mark");
            }
        }
    }
    table
        .notes
        .iter()
        .map(|note| &note.text)
        .chain([&table.caption])
        .try_for_each(|prose| check_prose(prose, ids))
}
