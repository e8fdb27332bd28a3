//! The short form of a report for a terminal: at most 80 columns for the papers' seven metrics.

use comfy_table::{Attribute, Cell, CellAlignment, Table};

use super::format::{count, metric, thousands};
use super::model::{Comparison, Report};
use super::names::rung_name;
use super::ranker::{Ladder, RankerSection};
use crate::baseline::Scope;
use crate::document::{TerminalStyle, ruled_table};
use crate::eval::{Metric, Rung};

/// The test table of a report, ending in a newline: seeds, mean and standard deviation, and the published row of the
/// same method with whether ours agrees with it. It is narrow whatever the width of the terminal.
#[must_use]
pub fn terminal(report: &Report, style: TerminalStyle) -> String {
    let metrics: Vec<Metric> = report.summary.test.keys().copied().collect();
    let summary = &report.summary;
    let mut rows = Rows { table: ruled_table(style.colour, style.unicode), style };
    rows.header(&report.dataset.ours.name, metrics.iter().map(|metric| metric.short()), "|R|");
    for seed in &report.seeds {
        let values = seed.test.values.values().map(|estimate| metric(estimate.value));
        rows.add(&format!("seed {}", seed.seed), values, &thousands(seed.test.n_retrieved as u64), false);
    }
    if report.seeds.len() > 1 {
        let means = summary.test.values().map(|level| metric(level.seeds.mean));
        rows.add("mean", means, &count(summary.retrieved.mean, None), true);
        let spread = |sd: Option<f64>| sd.map_or_else(|| "-".to_owned(), metric);
        let sds = summary.test.values().map(|level| spread(level.seeds.sd));
        let sd = summary.retrieved.sd.map_or_else(|| "-".to_owned(), |sd| format!("{sd:.1}"));
        rows.add("sd", sds, &sd, false);
    }
    let published: Vec<&Comparison> =
        report.comparisons.iter().filter(|comparison| comparison.scope == Scope::Overall).collect();
    let find = |name: &Metric| published.iter().find(|comparison| comparison.metric == *name);
    if !published.is_empty() {
        let values =
            metrics.iter().map(|name| find(name).map_or_else(|| "-".to_owned(), |c| metric(c.published)));
        rows.add("published", values, "-", false);
        let verdicts = metrics.iter().map(|name| {
            let verdict = find(name).and_then(|comparison| comparison.verdict);
            verdict.map_or("-", |verdict| if verdict.within { "yes" } else { "no" }).to_owned()
        });
        rows.add("agrees", verdicts, "-", false);
    }
    // Columns are already one space apart.
    rows.table.column_iter_mut().for_each(|column| {
        column.set_padding((1, 0));
    });
    let mut text = format!("{}\n", report.experiment);
    if let Some(why) = &report.not_for_reporting {
        text.push_str(&format!("not for reporting: {why}\n"));
    }
    text.push_str(&rows.table.trim_fmt());
    text.push('\n');
    if let Some(first) = published.first() {
        text.push_str(&format!("published: {}; agrees: within 2 standard errors or 3 %\n", first.method));
    }
    if let Some(ranker) = &report.ranker {
        text.push_str(&ladder(ranker, style));
    }
    text
}

/// The rungs of a ranker on the test, over R and over all users, as means over the seeds.
fn ladder(ranker: &RankerSection, style: TerminalStyle) -> String {
    let test: &Ladder = &ranker.test;
    let Some(any) = test.rung(Rung::Oracle) else { return String::new() };
    let over_r: Vec<Metric> = any.ranker_only.keys().copied().collect();
    let users = count(test.ranked.mean, None);
    let mut rows = Rows { table: ruled_table(style.colour, style.unicode), style };
    rows.header("over R", over_r.iter().map(|metric| metric.short()), "users");
    let result = test.result(&ranker.read_out);
    let is_result = |rung| result.is_some_and(|result| std::ptr::eq(result, rung));
    for rung in &test.rungs {
        let values =
            over_r.iter().map(|m| rung.ranker_only.get(m).map_or("-".to_owned(), |v| metric(v.seeds.mean)));
        rows.add(&short(ranker, rung), values, &users, is_result(rung));
    }
    let share = over_r.iter().map(|m| {
        test.headroom.get(m).map_or_else(|| "-".to_owned(), |share| format!("{:.1}%", 100.0 * share.mean))
    });
    rows.add("headroom gained", share, "-", false);
    rows.table.column_iter_mut().for_each(|column| {
        column.set_padding((1, 0));
    });
    let mut text = format!("ranked by {}\n{}\n", ranker.backbone.name, rows.table.trim_fmt());
    let overall = result.and_then(|result| result.overall.as_ref());
    if let Some(overall) = overall {
        let cells: Vec<String> = over_r
            .iter()
            .filter_map(|m| Some(format!("{} {}", m.short(), metric(overall.get(m)?.seeds.mean))))
            .collect();
        text.push_str(&format!("over all users: {}\n", cells.join("  ")));
    }
    text
}

/// The name of a rung in few characters.
fn short(ranker: &RankerSection, rung: &super::ranker::RungResult) -> String {
    let name = rung_name(ranker, rung);
    name.replace(" order (expected)", "")
        .replace("retriever's order", "retriever")
        .replace("perfect order", "perfect")
}

struct Rows {
    table: Table,
    style: TerminalStyle,
}

impl Rows {
    fn header(&mut self, first: &str, middle: impl Iterator<Item = String>, last: &str) {
        let cells = self.cells(first, middle, last, false);
        self.table.set_header(cells);
    }

    fn add(&mut self, first: &str, middle: impl Iterator<Item = String>, last: &str, bold: bool) {
        let cells = self.cells(first, middle, last, bold);
        self.table.add_row(cells);
    }

    fn cells(&self, first: &str, middle: impl Iterator<Item = String>, last: &str, bold: bool) -> Vec<Cell> {
        let texts = std::iter::once(first.to_owned()).chain(middle).chain([last.to_owned()]);
        let cell = |(column, text): (usize, String)| {
            let side = if column == 0 { CellAlignment::Left } else { CellAlignment::Right };
            let cell = Cell::new(text).set_alignment(side);
            if bold && self.style.colour { cell.add_attribute(Attribute::Bold) } else { cell }
        };
        texts.enumerate().map(cell).collect()
    }
}
