//! Ours beside published numbers.

use std::collections::BTreeSet;

use super::super::compare::RULE;
use super::super::model::{Comparison, Report};
use super::super::names::seeds;
use super::super::ranker::RankerSection;
use super::cells::{number, optional, percent, published, signed};
use crate::baseline::Scope;
use crate::document::{Cell, Column, Row, Section, Table};

/// Those over all users.
pub(super) fn overall(report: &Report) -> impl Iterator<Item = &Comparison> {
    report.comparisons.iter().filter(|comparison| comparison.scope == Scope::Overall)
}

pub(super) fn comparison(report: &Report) -> Option<Section> {
    let rows: Vec<&Comparison> = overall(report).collect();
    let first = rows.first()?;
    let (count, one) = (seeds(report.seeds.len()), report.seeds.len() == 1);
    let caption =
        format!("Ours, the mean over {count}, beside the published {} over all users.", first.method);
    let mut table = Table::new("published", caption, columns("Metric"));
    for row in &rows {
        table = table.row(vec![
            Cell::text(row.metric.short()),
            number(row.ours),
            optional(row.se_users),
            optional(row.se_seeds),
            theirs(row),
            signed(row.difference),
            percent(row.relative),
            optional(row.verdict.map(|verdict| verdict.allowed)),
            within(row),
            source(row),
        ]);
    }
    table = table
        .note(format!("Agreement is {RULE}{}.", if one { " (one seed: SE over users only)" } else { "" }));
    Some(Section::new(format!("Beside the published {}", first.method)).with(noted(table, &rows)))
}

pub(super) fn ranker(report: &Report, ranker: &RankerSection) -> Option<Section> {
    let rows: Vec<&Comparison> = ranker.comparisons.iter().collect();
    let first = rows.first()?;
    let caption =
        format!("Ours, the mean over {}, beside the published {}.", seeds(report.seeds.len()), first.method);
    let mut table = Table::new("ranker-published", caption, columns("Metric"));
    for row in &rows {
        let group = if row.scope == Scope::Overall { "over all users" } else { "over R" };
        let cells = vec![
            Cell::text(row.metric.short()),
            number(row.ours),
            optional(row.se_users),
            optional(row.se_seeds),
            theirs(row),
            signed(row.difference),
            percent(row.relative),
            optional(row.verdict.map(|verdict| verdict.allowed)),
            within(row),
            source(row),
        ];
        table = table.row(Row::new(cells).group(group));
    }
    // A group must be in one piece, and scopes over R have two names.
    table.rows.sort_by_key(|row| row.group.as_deref() != Some("over all users"));
    table = table
        .note(format!("Agreement is {RULE}; over R there is none, because a paper's R are other users."));
    Some(Section::new(format!("The ranker beside the published {}", first.method)).with(noted(table, &rows)))
}

fn columns(first: &str) -> Vec<Column> {
    vec![
        Column::text(first),
        Column::number("Ours"),
        Column::number("SE users"),
        Column::number("SE seeds"),
        Column::number("Published"),
        Column::number("Difference"),
        Column::number("Relative").unit("%"),
        Column::number("Allowed"),
        Column::text("Within 2 SE or 3 %"),
        Column::text("Source"),
    ]
}

fn theirs(row: &Comparison) -> Cell {
    let cell = published(row);
    if row.derived.is_some() { cell.footnote("†") } else { cell }
}

fn within(row: &Comparison) -> Cell {
    row.verdict.map_or_else(Cell::none, |verdict| Cell::text(if verdict.within { "yes" } else { "no" }))
}

fn source(row: &Comparison) -> Cell {
    Cell::text(format!("{} [{}]", row.source.table, row.source.id))
}

/// With the sources of published numbers, and how derived ones were made.
fn noted(mut table: Table, rows: &[&Comparison]) -> Table {
    table = table.note(
        "The published number has its own noise of one run, which the rule does not count; it gets no significance mark.",
    );
    let mut sources = BTreeSet::new();
    let mut derived = BTreeSet::new();
    for row in rows {
        let Comparison { source, protocol, .. } = row;
        sources.insert(format!("[{}] {}, {}. Protocol: {protocol}.", source.id, source.title, source.source));
        let of = |how| format!("{} of [{}] is derived, {how}.", row.metric.short(), source.id);
        derived.extend(row.derived.iter().map(of));
    }
    if !derived.is_empty() {
        table = table.footnote("†", derived.into_iter().collect::<Vec<_>>().join(" "));
    }
    sources.into_iter().fold(table, Table::note)
}
