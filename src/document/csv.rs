//! Tables as CSV (RFC 4180, UTF-8): exact values, for programs.
//!
//! Cells are what they are: text that begins with `=` is not changed, so do not let a spreadsheet run formulas of a file whose
//! titles you do not trust.

use super::table::{Kind, Row, Table};
use super::{Checked, Document};

/// Each table as its id and its CSV. A header, then a line a row. Columns come as in the table, below `group: heading` where
/// they have a group; numbers in full, so that they read back to the last bit; after a column what its cells bear, if any
/// does: `±`, `mark` (`best`, `second`), `significance`, `footnotes`. At the end, if any row has it: `row group`, `tags`,
/// and the document's `stamp` in every line.
#[must_use]
pub fn csv(document: &Checked) -> Vec<(String, String)> {
    document.tables().map(|table| (table.id.clone(), table_csv(table, document))).collect()
}

type Column<'a> = (String, Box<dyn Fn(&Row) -> String + 'a>);

pub(super) fn table_csv(table: &Table, document: &Document) -> String {
    let columns = columns(table, document.stamp.as_deref());
    let mut writer = ::csv::WriterBuilder::new().from_writer(Vec::new());
    // Writing to memory cannot fail, and all records have one length.
    let _ = writer.write_record(columns.iter().map(|(heading, _)| heading));
    for row in &table.rows {
        let _ = writer.write_record(columns.iter().map(|(_, field)| field(row)));
    }
    String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
}

fn columns<'a>(table: &'a Table, stamp: Option<&'a str>) -> Vec<Column<'a>> {
    let mut columns: Vec<Column<'a>> = Vec::new();
    let any = |test: &dyn Fn(&Row) -> bool| table.rows.iter().any(test);
    for (at, column) in table.columns.iter().enumerate() {
        let group = table.group_of(at).filter(|title| !title.is_empty());
        let heading =
            group.map_or_else(|| column.heading(), |title| format!("{title}: {}", column.heading()));
        let number = column.kind == Kind::Number;
        columns.push((
            heading.clone(),
            Box::new(move |row| match (number, row.cells[at].value) {
                (true, Some(value)) => value.to_string(),
                (true, None) if row.cells[at].text == "–" => String::new(),
                _ => row.cells[at].text.clone(),
            }),
        ));
        let mut extra = |what: &str, field: fn(&super::Cell) -> String| {
            if any(&|row| !field(&row.cells[at]).is_empty()) {
                columns.push((format!("{heading} {what}"), Box::new(move |row| field(&row.cells[at]))));
            }
        };
        extra("±", |cell| cell.spread.as_ref().map_or_else(String::new, |spread| spread.value.to_string()));
        extra("mark", |cell| cell.mark.map_or_else(String::new, |mark| mark.name().to_owned()));
        extra("significance", |cell| cell.significance.clone());
        extra("footnotes", |cell| cell.footnotes.join(" "));
    }
    if any(&|row| row.group.is_some()) {
        columns.push(("row group".to_owned(), Box::new(|row| row.group.clone().unwrap_or_default())));
    }
    if any(&|row| !row.tags.is_empty()) {
        columns.push(("tags".to_owned(), Box::new(|row| row.tags.join("; "))));
    }
    if let Some(stamp) = stamp {
        columns.push(("stamp".to_owned(), Box::new(move |_| stamp.to_owned())));
    }
    columns
}
