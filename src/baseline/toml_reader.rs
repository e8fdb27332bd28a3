//! Walks a TOML text and collects problems with their lines.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Problem;

/// The problems of one text.
pub(super) struct Reader {
    path: PathBuf,
    /// Byte offset of the start of each line.
    lines: Vec<usize>,
    pub problems: Vec<Problem>,
}

/// A table with the place of its header, and the keys that were asked for.
pub(super) struct Section<'a> {
    pub name: &'static str,
    pub table: &'a DeTable<'a>,
    pub at: Range<usize>,
    known: BTreeSet<&'static str>,
}

impl<'a> Section<'a> {
    pub fn new(name: &'static str, table: &'a DeTable<'a>, at: Range<usize>) -> Self {
        Self { name, table, at, known: BTreeSet::new() }
    }

    /// The value of a key, if present.
    pub fn get(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.insert(key);
        self.table.get(key)
    }
}

impl Reader {
    pub fn new(path: &Path, text: &str) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { path: path.to_owned(), lines, problems: Vec::new() }
    }

    /// The line of a byte offset, from 1.
    pub fn line(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset).max(1)
    }

    pub fn problem(&mut self, at: &Range<usize>, message: impl Into<String>) {
        let line = self.line(at.start);
        self.problems.push(Problem { path: self.path.clone(), line, message: message.into() });
    }

    /// A text that must be there and not be empty.
    pub fn text(&mut self, section: &mut Section<'_>, key: &'static str) -> Option<String> {
        let found = self.optional_text(section, key);
        if found.is_none() && !section.table.contains_key(key) {
            let name = section.name;
            self.problem(&section.at.clone(), format!("{name} has no {key}; expected {key} = \"...\""));
        }
        found
    }

    /// A text that may be absent.
    pub fn optional_text(&mut self, section: &mut Section<'_>, key: &'static str) -> Option<String> {
        let value = section.get(key)?;
        match value.get_ref().as_str().map(str::trim) {
            Some("") => self.problem(&value.span(), format!("{key} is empty")),
            Some(text) => return Some(text.to_owned()),
            None => {
                let kind = value.get_ref().type_str();
                self.problem(&value.span(), format!("{key} is of type {kind}; expected a string"));
            }
        }
        None
    }

    /// A whole number of at least 1 that may be absent.
    pub fn optional_count(&mut self, section: &mut Section<'_>, key: &'static str) -> Option<u64> {
        let value = section.get(key)?;
        let number =
            value.get_ref().as_integer().filter(|i| i.radix() == 10).and_then(|i| i.as_str().parse().ok());
        if number.is_none_or(|n| n == 0) {
            self.problem(&value.span(), format!("{key} is not a whole number of 1 or more"));
            return None;
        }
        number
    }

    /// A whole number of at least 1.
    pub fn count(&mut self, section: &mut Section<'_>, key: &'static str) -> Option<u64> {
        if !section.table.contains_key(key) {
            section.get(key);
            let name = section.name;
            self.problem(&section.at.clone(), format!("{name} has no {key}; expected {key} = 1 or more"));
            return None;
        }
        self.optional_count(section, key)
    }

    /// A finite number with its text.
    pub fn number(&mut self, value: &Spanned<DeValue<'_>>, what: &str) -> Option<(f64, String)> {
        let text = match value.get_ref() {
            DeValue::Float(float) => float.as_str(),
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
            other => {
                self.problem(
                    &value.span(),
                    format!("{what} is of type {}; expected a number", other.type_str()),
                );
                return None;
            }
        };
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Some((number, text.to_owned())),
            _ => {
                self.problem(&value.span(), format!("{what} is {text}; expected a finite number"));
                None
            }
        }
    }

    /// The tables of `[[key]]`, in order.
    pub fn sections<'a>(
        &mut self,
        root: &mut Section<'a>,
        key: &'static str,
        name: &'static str,
    ) -> Vec<Section<'a>> {
        let Some(value) = root.get(key) else { return Vec::new() };
        let Some(items) = value.get_ref().as_array() else {
            self.problem(
                &value.span(),
                format!("{key} is of type {}; expected {name}", value.get_ref().type_str()),
            );
            return Vec::new();
        };
        let mut found = Vec::new();
        for item in items.iter() {
            match item.get_ref().as_table() {
                Some(table) => found.push(Section::new(name, table, item.span())),
                None => {
                    self.problem(&item.span(), format!("an entry of {key} is not a table; expected {name}"))
                }
            }
        }
        found
    }

    /// Report every key of a section that nobody asked for.
    pub fn no_other_keys(&mut self, section: &Section<'_>) {
        for key in section.table.keys() {
            if !section.known.contains(key.get_ref().as_ref()) {
                let known: Vec<&str> = section.known.iter().copied().collect();
                let name = section.name;
                let message =
                    format!("{} is not a key of {name}; expected one of {}", key.get_ref(), known.join(", "));
                self.problem(&key.span(), message);
            }
        }
    }
}
