//! The numbers of a file by table.

use std::collections::BTreeMap;

use super::digits::Printed;
use super::{Check, Finding, Severity};
use crate::baseline::{Baseline, Row, Scope};
use crate::eval::Metric;

/// A printed number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell<'a> {
    pub row: &'a Row,
    pub printed: Printed,
}

/// The numbers of one dataset in one table of a paper.
#[derive(Debug)]
pub(super) struct Table<'a> {
    pub name: &'a str,
    pub dataset: &'a str,
    pub split: &'a str,
    pub scope: Scope,
    /// In the order of the file.
    pub cells: Vec<Cell<'a>>,
}

impl<'a> Table<'a> {
    /// The number of a method.
    pub fn get(&self, method: &str, metric: Metric) -> Option<Cell<'a>> {
        self.cells.iter().find(|cell| cell.row.method == method && cell.row.metric == metric).copied()
    }

    /// The methods, in the order of the file.
    pub fn methods(&self) -> Vec<&'a str> {
        let mut found: Vec<&str> = Vec::new();
        for cell in &self.cells {
            if !found.contains(&cell.row.method.as_str()) {
                found.push(&cell.row.method);
            }
        }
        found
    }

    /// Whether the file says that its program averages batches.
    pub fn of_batches(&self) -> bool {
        self.cells
            .iter()
            .any(|cell| cell.row.tags.averaging == Some(crate::baseline::PaperAveraging::Batches))
    }

    /// A finding about some of its cells.
    pub fn finding(&self, severity: Severity, check: Check, cells: &[Cell<'_>]) -> Finding {
        let names: Vec<String> = cells.iter().map(|cell| name(cell.row)).collect();
        let first = cells.first().or(self.cells.first());
        Finding {
            severity,
            check,
            line: first.map_or(1, |cell| cell.row.line),
            dataset: self.dataset.to_owned(),
            table: self.name.to_owned(),
            cells: names.join(", "),
            numbers: String::new(),
            meaning: String::new(),
        }
    }
}

/// `MRR@5 of LlamaRec`.
pub(super) fn name(row: &Row) -> String {
    format!("{} of {}", row.metric, row.method)
}

/// All tables of a file.
pub(super) struct Cells<'a> {
    pub tables: Vec<Table<'a>>,
}

impl<'a> Cells<'a> {
    /// Derived numbers are not printed ones and are left out. All numbers of a table have as many places as the one with the
    /// most: programs and hands drop zeros at the end.
    pub fn new(file: &'a Baseline) -> Self {
        let mut tables: Vec<Table<'a>> = Vec::new();
        for row in file.rows.iter().filter(|row| row.derived.is_none()) {
            let Some(printed) = Printed::read(&row.printed) else { continue };
            let same = |table: &&mut Table<'_>| {
                (table.name, table.dataset, table.split, table.scope)
                    == (row.table.as_str(), row.dataset.as_str(), row.split.as_str(), row.scope)
            };
            let cell = Cell { row, printed };
            match tables.iter_mut().find(same) {
                Some(table) => table.cells.push(cell),
                None => tables.push(Table {
                    name: &row.table,
                    dataset: &row.dataset,
                    split: &row.split,
                    scope: row.scope,
                    cells: vec![cell],
                }),
            }
        }
        for table in &mut tables {
            let places = table.cells.iter().map(|cell| cell.printed.places).max().unwrap_or(0);
            for cell in &mut table.cells {
                cell.printed = cell.printed.at(places);
            }
        }
        Self { tables }
    }

    pub fn len(&self) -> usize {
        self.tables.iter().map(|table| table.cells.len()).sum()
    }

    /// Tables over the users of R.
    pub fn over_r(&self) -> impl Iterator<Item = &Table<'a>> {
        self.tables.iter().filter(|table| table.scope != Scope::Overall)
    }

    /// The table over all users with the most cells of `table`.
    pub fn overall_of(&self, table: &Table<'_>) -> Option<&Table<'a>> {
        let common = |other: &&Table<'_>| {
            table.cells.iter().filter(|cell| other.get(&cell.row.method, cell.row.metric).is_some()).count()
        };
        self.tables
            .iter()
            .filter(|other| {
                other.scope == Scope::Overall && (other.dataset, other.split) == (table.dataset, table.split)
            })
            .filter(|other| common(other) > 0)
            // The first of several.
            .min_by_key(|other| usize::MAX - common(other))
    }

    /// One cell, printed in two tables with digits that no number has.
    pub fn printed_twice(&self, findings: &mut Vec<Finding>) {
        let mut first: BTreeMap<_, (&Table<'_>, Cell<'_>)> = BTreeMap::new();
        for table in &self.tables {
            for &cell in &table.cells {
                let key =
                    (table.dataset, table.split, table.scope, cell.row.method.as_str(), cell.row.metric);
                let Some((other, earlier)) = first.get(&key) else {
                    first.insert(key, (table, cell));
                    continue;
                };
                let ((a, b), (c, d)) = (cell.printed.bounds(), earlier.printed.bounds());
                if a > d || c > b {
                    findings.push(Finding {
                        table: format!("{} and {}", other.name, table.name),
                        numbers: format!(
                            "{} in line {}, {} here",
                            earlier.row.printed, earlier.row.line, cell.row.printed
                        ),
                        meaning: "The same number of the same method is printed with two values.".to_owned(),
                        ..table.finding(Severity::Contradiction, Check::Twice, &[cell])
                    });
                }
            }
        }
    }
}
