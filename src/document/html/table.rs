//! Tables of a page.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::prose;
use crate::document::csv::table_csv;
use crate::document::latex::table_latex;
use crate::document::markdown::table_markdown;
use crate::document::table::{Align, Better, Cell, Column, Kind, Mark, Row, Table};
use crate::document::{Checked, Note};

/// The table in its box, with its tools above and its notes below.
pub(super) fn table(table: &Table, document: &Checked) -> Markup {
    let stamp = document.stamp.as_deref();
    let tails: Vec<usize> = (0..table.columns.len())
        .map(|at| table.rows.iter().map(|row| row.cells[at].superscript().chars().count()).max().unwrap_or(0))
        .collect();
    html! {
        figure.table id=(table.id) {
            div.caption id={ (table.id) "-caption" } {
                (prose(&table.caption))
                @if let Some(stamp) = stamp { span.stamp.small { (stamp) } }
            }
            (tools(table, document))
            div.box tabindex="0" role="region" aria-labelledby={ (table.id) "-caption" } {
                table aria-labelledby={ (table.id) "-caption" } {
                    (heads(table))
                    @for (at, rows) in table.rows.chunk_by(|a, b| a.group == b.group).enumerate() {
                        tbody {
                            @if let Some(group) = &rows[0].group {
                                tr { th.rowgroup scope="rowgroup" colspan=(table.columns.len()) { span { (group) } } }
                            }
                            @for (below, row) in rows.iter().enumerate() {
                                (one_row(table, row, &tails, (row.rule && (at > 0 || below > 0)) || (at > 0 && below == 0 && row.group.is_none())))
                            }
                        }
                    }
                }
            }
            (notes(table))
        }
    }
}

fn heads(table: &Table) -> Markup {
    html! {
        thead {
            @if !table.groups.is_empty() {
                tr {
                    @for (at, group) in table.groups.iter().enumerate() {
                        // A group that begins at the first column cannot stick without covering what it spans.
                        @if group.title.is_empty() {
                            td.group.first[at == 0 && group.span == 1] colspan=(group.span) {}
                        } @else {
                            th.group scope="colgroup" colspan=(group.span) { (group.title) }
                        }
                    }
                }
            }
            tr {
                @for (at, column) in table.columns.iter().enumerate() {
                    th class={ (side(column)) @if at == 0 { " first" } } scope="col" data-column=(at) data-kind=(kind(column))
                        data-first=[first(column)] {
                        button type="button" { (column.heading()) }
                    }
                }
            }
        }
    }
}

fn one_row(table: &Table, row: &Row, tails: &[usize], rule: bool) -> Markup {
    html! {
        tr.rule[rule] data-row data-group=[row.group.as_ref()] {
            @for (at, (cell, column)) in row.cells.iter().zip(&table.columns).enumerate() {
                @if at == 0 {
                    th scope="row" class=(side(column)) data-value=[cell.value] data-text=(cell.text) {
                        (content(cell))
                        @for tag in &row.tags { " " span.tag { (tag) } }
                    }
                } @else if column.kind == Kind::Number {
                    td class={ "number " (side(column)) " sup-" (tails[at].min(5)) }
                        data-value=[cell.value] { (content(cell)) }
                } @else {
                    td class=(side(column)) data-text=(cell.text) { (content(cell)) }
                }
            }
        }
    }
}

fn content(cell: &Cell) -> Markup {
    let superscript = cell.superscript();
    html! {
        @match cell.mark {
            Some(Mark::Best) => strong.best { (cell.text) },
            Some(Mark::Second) => span.second { (cell.text) },
            None => (cell.text),
        }
        @if let Some(spread) = &cell.spread { span.spread { " ± " (spread.text) } }
        @if !superscript.is_empty() { sup { (superscript) } }
    }
}

fn notes(table: &Table) -> Markup {
    let note = |note: &Note| {
        html! { li { @if let Some(mark) = &note.mark { sup { (mark) } " " } (prose(&note.text)) } }
    };
    html! {
        ul.notes {
            @if table.bears(Mark::Best) {
                li { strong.best { "Bold" } ": best" @if table.bears(Mark::Second) { "; " span.second { "underlined" } ": second" } "." }
            }
            @for each in &table.notes { (note(each)) }
        }
    }
}

/// Filters and copies. The texts to copy are in the page, unseen.
fn tools(table: &Table, document: &Checked) -> Markup {
    let stamp = document.stamp.as_deref();
    let copies = [
        ("LaTeX", "tex", table_latex(table, stamp)),
        ("CSV", "csv", table_csv(table, document)),
        ("Markdown", "md", table_markdown(table, stamp)),
    ];
    html! {
        div.tools {
            @if table.rows.len() > 1 {
                label { "Filter" input type="search" autocomplete="off" spellcheck="false"; }
                @for (column, heading, values) in choices(table) {
                    label { (heading)
                        select data-column=(column) {
                            option value="" { "all" }
                            // A sign before the value: a value may be empty, and the empty one means all.
                            @for value in values { option value={ "=" (value) } { (value) } }
                        }
                    }
                }
            }
            span.copies {
                @for (name, kind, _) in &copies {
                    button type="button" data-copy={ (table.id) "-" (kind) } { "Copy " (name) } " "
                }
            }
            span.count role="status" {}
            @for (_, kind, text) in &copies {
                // Unseen; escaped like all else.
                pre id={ (table.id) "-" (kind) } hidden { (text) }
            }
        }
    }
}

/// Columns of words with few values, and the groups of rows: name, heading, values.
fn choices(table: &Table) -> Vec<(String, String, BTreeSet<&str>)> {
    let few = |values: &BTreeSet<&str>| (2..=12).contains(&values.len()) && values.len() < table.rows.len();
    let groups: BTreeSet<&str> = table.rows.iter().filter_map(|row| row.group.as_deref()).collect();
    let groups = ("group".to_owned(), "Group".to_owned(), groups);
    let columns = table.columns.iter().enumerate().filter(|(_, column)| column.kind == Kind::Text).map(
        |(at, column)| {
            let values = table.rows.iter().map(|row| row.cells[at].text.as_str()).collect();
            (at.to_string(), column.heading(), values)
        },
    );
    std::iter::once(groups).chain(columns).filter(|(_, _, values)| few(values)).collect()
}

fn side(column: &Column) -> &'static str {
    match column.align {
        Align::Left => "left",
        Align::Centre => "centre",
        Align::Right => "right",
    }
}

fn kind(column: &Column) -> &'static str {
    if column.kind == Kind::Number { "number" } else { "text" }
}

/// In which direction a first click sorts, if not ascending.
fn first(column: &Column) -> Option<&'static str> {
    let descending = column.kind == Kind::Number && column.better != Some(Better::Lower);
    descending.then_some("descending")
}
