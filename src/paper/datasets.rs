//! Table I: the datasets, ours beside the published.

use super::block::Block;
use super::words::{counted, thousands};
use crate::baseline::Baseline;
use crate::document::{Cell, Column, Prose, Row, Table};

/// The columns of the seed paper's Table I. Ours in full, the published as printed.
pub(super) fn table(blocks: &[Block], baselines: &[Baseline]) -> Table {
    let columns = vec![
        Column::text("Dataset"),
        Column::number("Users"),
        Column::number("Items"),
        Column::number("Interact"),
        Column::number("Length"),
        Column::number("Density"),
    ];
    let mut table = Table::new("table-1", "Table I: dataset statistics after preprocessing.", columns);
    let mut notes: Vec<Prose> = Vec::new();
    for block in blocks {
        let Some(data) = &block.dataset else { continue };
        let number = |n: u64| Cell::number(thousands(n), n as f64);
        let finite = |text: String, value: f64| {
            if value.is_finite() { Cell::number(text, value) } else { Cell::none() }
        };
        let row = Row::new(vec![
            Cell::text(&block.title),
            number(data.users),
            number(data.items),
            number(data.interactions),
            finite(format!("{:.2}", data.mean_length), data.mean_length),
            finite(format!("{:.0e}", data.density), data.density),
        ]);
        table = table.row(row.rule());
        for baseline in baselines {
            for printed in baseline.statistics.iter().filter(|statistics| statistics.dataset == data.name) {
                let texts = [&printed.users, &printed.items, &printed.interactions, &printed.length];
                let cells = texts.into_iter().chain([&printed.density]).map(|text| as_printed(text));
                let row = Row::new(std::iter::once(Cell::text(&block.title)).chain(cells).collect());
                table = table.row(row.tag("published").unranked());
                let remark = printed.note.as_ref().map_or_else(String::new, |note| format!("; {note}"));
                let source = &baseline.paper.source;
                notes
                    .push(format!("{}, published: {}, {source}{remark}.", block.title, printed.table).into());
            }
        }
    }
    table = table.note(
        "Interact: interactions that remain. Length: interactions a user, rounded to the nearest 2nd decimal. Density: interactions / \
         (users x items), rounded to one digit.",
    );
    let with = |table: Table, note: Prose| table.note(note);
    notes.into_iter().fold(table, with)
}

/// A number as it is printed. `148K` is not exact, so it has no value.
fn as_printed(text: &str) -> Cell {
    let value: Option<f64> = text.replace(',', "").parse().ok();
    Cell { value: value.filter(|value| value.is_finite()), ..Cell::text(text) }
}

/// Where the papers' data are others than ours, for every dataset whose users or items differ.
pub(super) fn differing(blocks: &[Block], baselines: &[Baseline]) -> Vec<String> {
    let mut found = Vec::new();
    for block in blocks {
        let Some(data) = &block.dataset else { continue };
        let number = |text: &str| text.replace(',', "").parse::<u64>().ok();
        let other = baselines.iter().flat_map(|baseline| &baseline.statistics).find(|printed| {
            printed.dataset == data.name
                && (number(&printed.users).is_some_and(|users| users != data.users)
                    || number(&printed.items).is_some_and(|items| items != data.items))
        });
        if let Some(printed) = other {
            found.push(format!(
                "This is not the published {}: {} and {} here, {} and {} in {}; published numbers are not like for like.",
                block.title,
                counted(data.users as usize, "user"),
                counted(data.items as usize, "item"),
                printed.users,
                printed.items,
                printed.table
            ));
        }
    }
    found
}
