//! `report.md`.

pub(super) mod ranker;
mod record;
mod results;

use std::fmt::Write as _;

use super::format::{ROUNDING, cell, density, length, thousands};
use super::model::Report;

/// A Markdown table under construction.
struct Table(String);

impl Table {
    /// Numbers: the first column to the left, the others to the right.
    fn new(header: &[String]) -> Self {
        Self::aligned(header, "--:")
    }

    fn aligned(header: &[String], others: &str) -> Self {
        let mut table = Self(String::new());
        table.row(header);
        let rule: Vec<String> =
            (0..header.len()).map(|column| if column == 0 { "---" } else { others }.to_owned()).collect();
        table.row(&rule);
        table
    }

    fn row(&mut self, cells: &[String]) {
        let cells: Vec<String> = cells.iter().map(|text| cell(text)).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "| {} |", cells.join(" | "));
    }
}

fn header(names: &[&str]) -> Table {
    Table::new(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
}

/// A table of texts: all columns to the left.
fn text_header(names: &[&str]) -> Table {
    Table::aligned(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(), "---")
}

/// What headings of the first stage say where there is a second.
fn of_retriever(report: &Report) -> &'static str {
    if report.ranker.is_some() { " of the retriever" } else { "" }
}

/// The report as Markdown.
#[must_use]
pub fn markdown(report: &Report) -> String {
    let mut out = format!("# {}\n\n", report.experiment);
    if let Some(why) = &report.not_for_reporting {
        let _ = writeln!(out, "> **Not for reporting**: {why}.\n");
    }
    if !report.description.trim().is_empty() {
        let _ = writeln!(out, "{}\n", report.description.trim());
    }
    let _ = writeln!(out, "{}\n", report.what);
    for section in [
        warnings(report),
        dataset(report),
        ranker::sections(report),
        results::test(report),
        results::comparison(report),
        results::subset(report),
        results::averaging(report),
        results::validation(report),
        record::training(report),
        record::settings(report),
        record::provenance(report),
    ] {
        out.push_str(&section);
    }
    let _ = writeln!(out, "{ROUNDING}");
    out
}

fn warnings(report: &Report) -> String {
    if report.warnings.is_empty() {
        return String::new();
    }
    let list: String = report.warnings.iter().map(|warning| format!("- {}\n", cell(warning))).collect();
    format!("## Warnings\n\n{list}\n")
}

fn dataset(report: &Report) -> String {
    let ours = &report.dataset.ours;
    let mut table = header(&["Dataset", "Users", "Items", "Interactions", "Length", "Density"]);
    table.row(&[
        ours.name.clone(),
        thousands(ours.users),
        thousands(ours.items),
        thousands(ours.interactions),
        length(ours.mean_length),
        density(ours.density),
    ]);
    let mut notes = String::new();
    for published in &report.dataset.published {
        let printed = &published.statistics;
        let source = &published.source;
        table.row(&[
            format!("{} [{}]", source.table, source.id),
            printed.users.clone(),
            printed.items.clone(),
            printed.interactions.clone(),
            printed.length.clone(),
            printed.density.clone(),
        ]);
        let _ = write!(notes, " [{}]: {}, {}.", source.id, source.title, source.table);
        if let Some(note) = &printed.note {
            let _ = write!(notes, " Its row: {note}.");
        }
    }
    let mut text = format!(
        "## Dataset\n\nAfter preprocessing, held-out items included. Length is interactions / users, density is \
         interactions / (users x items), both as papers print them; \
         results.json has all digits.{notes}\n\n{}\n",
        table.0
    );
    if !ours.preparation.is_empty() {
        let mut steps = text_header(&["Preprocessing", "Value"]);
        for (what, value) in &ours.preparation {
            steps.row(&[what.clone(), value.clone()]);
        }
        let _ = writeln!(text, "{}", steps.0);
    }
    text
}
