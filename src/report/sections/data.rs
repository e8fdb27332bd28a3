//! The data.

use super::super::format::{density, length, thousands};
use super::super::model::Report;
use super::cells::{count, printed};
use crate::document::{Cell, Column, Row, Section, Table};

pub(super) fn dataset(report: &Report) -> Section {
    let ours = &report.dataset.ours;
    let columns = std::iter::once(Column::text("Dataset"))
        .chain(["Users", "Items", "Interactions", "Length", "Density"].map(Column::number));
    let mut table = Table::new(
        "dataset",
        format!(
            "{} after preprocessing, held-out items included: ours{}.",
            ours.name,
            if report.dataset.published.is_empty() { "" } else { " and as papers print it" }
        ),
        columns.collect(),
    )
    .row(vec![
        Cell::text(ours.name.clone()),
        count(ours.users),
        count(ours.items),
        count(ours.interactions),
        Cell::number(length(ours.mean_length), ours.mean_length),
        Cell::number(density(ours.density), ours.density),
    ]);
    for published in &report.dataset.published {
        let (row, source) = (&published.statistics, &published.source);
        table = table.row(
            Row::new(vec![
                Cell::text(format!("{} [{}]", source.table, source.id)),
                printed(&row.users),
                printed(&row.items),
                printed(&row.interactions),
                printed(&row.length),
                printed(&row.density),
            ])
            .tag("published")
            .unranked(),
        );
    }
    table = table.note(
        "Length is interactions / users, density is interactions / (users x items), both as papers print them; results.json has all digits.",
    );
    for published in &report.dataset.published {
        let source = &published.source;
        let note = published.statistics.note.as_ref().map_or_else(String::new, |n| format!(" Its row: {n}."));
        table = table.note(format!("[{}]: {}, {}.{note}", source.id, source.title, source.table));
    }
    let section = Section::new("Dataset").with(table);
    if ours.preparation.is_empty() {
        return section;
    }
    let columns = vec![Column::text("Step"), Column::text("Value")];
    let steps = Table::new(
        "preprocessing",
        format!("What preprocessing did to the {} users' data.", thousands(ours.users)),
        columns,
    );
    let row = |(what, value): &(String, String)| vec![Cell::text(what.clone()), Cell::text(value.clone())];
    section.with(ours.preparation.iter().map(row).fold(steps, Table::row))
}
