//! The rungs of a ranker, over all users and over R.

use super::super::format::count;
use super::super::model::Report;
use super::super::names::{is_result, letter, rung_name, seeds};
use super::super::ranker::{Ladder, RankerOnly, RankerSection, RungResult};
use super::super::significance::Significance;
use super::cells::{mean_sd, metric_columns, number, optional, row};
use crate::compare::contrast_tests;
use crate::document::{Block, Cell, Competition, Row, Table};
use crate::eval::{Metric, MetricKind, Rung, TwoLevel};

/// Which part of the data a ladder is of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Test,
    Validation,
}

impl Part {
    fn id(self, name: &str) -> String {
        match self {
            Self::Test => name.to_owned(),
            Self::Validation => format!("validation-{name}"),
        }
    }

    fn item(self) -> &'static str {
        match self {
            Self::Test => "the last item of every user",
            Self::Validation => "the last but one item of every user",
        }
    }
}

/// Who was ranked.
pub(super) fn ranked(ladder: &Ladder) -> String {
    if ladder.ranked == ladder.retrieved {
        format!("|R| = {}", count(ladder.retrieved.mean, ladder.retrieved.sd))
    } else {
        format!(
            "{} of |R| = {} users, drawn once for each seed",
            count(ladder.ranked.mean, ladder.ranked.sd),
            count(ladder.retrieved.mean, ladder.retrieved.sd)
        )
    }
}

fn is_bound(rung: &RungResult) -> bool {
    matches!(rung.rung, Rung::Random | Rung::Oracle)
}

/// The row of a rung: bounds stand outside of the competition.
fn rung_row(ranker: &RankerSection, ladder: &Ladder, rung: &RungResult, cells: Vec<Cell>) -> Row {
    let mut row = Row::new(row(rung_name(ranker, rung), cells));
    if is_result(ranker, ladder, rung) {
        row = row.tag("the result");
    }
    if is_bound(rung) { row.tag("bound").unranked() } else { row }
}

fn error_row(name: &str, of: &str, cells: impl IntoIterator<Item = Cell>) -> Row {
    Row::new(row(format!("{name} of {of}"), cells)).unranked()
}

/// The captions' end: seeds, and what the spread is.
fn over(report: &Report) -> String {
    let n = report.seeds.len();
    format!("{}{}", seeds(n), if n > 1 { ", mean ± standard deviation over seeds" } else { "" })
}

pub(super) fn only_r(report: &Report, ranker: &RankerSection, ladder: &Ladder, part: Part) -> Block {
    let Some(any) = ladder.rung(Rung::Oracle) else { return Block::from("There is no ladder.") };
    let metrics: Vec<Metric> = any.ranker_only.keys().copied().collect();
    if metrics.is_empty() {
        return Block::from("Nobody was ranked.");
    }
    let caption = format!("Ranker only, over R, {}: {}, {}.", part.item(), ranked(ladder), over(report));
    let columns = metric_columns("Order of the candidates", &metrics, true);
    let mut table = Table::new(part.id("ranker-only"), caption, columns);
    let significance = ranker.significance.as_ref().filter(|_| part == Part::Test);
    let mean = |rung: Rung, metric: Metric| {
        let read = ladder.rungs.iter().find(|found| found.rung == rung && tested(ranker, found));
        Some(read?.ranker_only.get(&metric)?.seeds.mean)
    };
    for rung in &ladder.rungs {
        let tested = tested(ranker, rung);
        // The tests over all users: who is outside of R differs in nothing.
        let letters = |metric: Metric| {
            let here = |other: &Rung| mean(rung.rung, metric) > mean(*other, metric);
            significance.filter(|_| tested).map(|found| beaten(found, rung.rung, metric, here))
        };
        let value = |metric: &Metric| {
            // The ends of the ladder are the same for every seed.
            let of = |v: &RankerOnly| mean_sd(v.seeds.mean, v.seeds.sd.filter(|_| !is_bound(rung)));
            let cell = rung.ranker_only.get(metric).map_or_else(Cell::none, of);
            letters(*metric).map_or(cell.clone(), |letters| cell.significance(letters))
        };
        let mut row = rung_row(ranker, ladder, rung, metrics.iter().map(value).collect());
        if let Some(letter) = letter(rung.rung).filter(|_| tested && significance.is_some()) {
            row.tags.insert(0, letter.to_owned());
        }
        table = table.row(row);
        if is_result(ranker, ladder, rung) {
            let error = |m: &Metric| optional(rung.ranker_only.get(m).map(|v| v.se_users_one_seed));
            let name = rung_name(ranker, rung);
            let cells = metrics.iter().map(error);
            table = table.row(error_row("SE over users, one run,", &name, cells));
        }
    }
    let mut table = table.mark(Competition::Table).note(
        "Random is the exact expected value; a perfect order puts the held-out item first. Users weigh the same. SE: standard error.",
    );
    if significance.is_some() {
        table = table.note(
            "Superscripts are those of the table over all users: outside of R all orders have 0, so a user's difference is tested once.",
        );
    }
    table.into()
}

pub(super) fn overall(report: &Report, ranker: &RankerSection, ladder: &Ladder, part: Part) -> Block {
    let Some(any) = ladder.rung(Rung::Oracle).and_then(|rung| rung.overall.as_ref()) else {
        return Block::from("Not all of R was ranked, so there are no means over all users.");
    };
    let metrics: Vec<Metric> = any.keys().copied().collect();
    let significance = ranker.significance.as_ref().filter(|_| part == Part::Test);
    let users = super::super::format::thousands(report.seeds[0].test.n_users as u64);
    let caption =
        format!("Overall, over all {users} users, {}: {}, {}.", part.item(), ranked(ladder), over(report));
    let mut columns = metric_columns("Order of the candidates", &metrics, true);
    for (column, metric) in columns.iter_mut().skip(1).zip(&metrics) {
        // No order changes it, so nobody wins.
        if metric.kind == MetricKind::Recall && metric.k >= report.candidates {
            column.better = None;
        }
    }
    let mut table = Table::new(part.id("overall"), caption, columns);
    for rung in &ladder.rungs {
        let Some(values) = &rung.overall else { continue };
        let tested = tested(ranker, rung);
        let cell = |(metric, level): (&Metric, &TwoLevel)| {
            let cell = mean_sd(level.seeds.mean, level.seeds.sd);
            let better = significance.filter(|_| tested).map(|s| beaten(s, rung.rung, *metric, |_| true));
            better.map_or(cell.clone(), |letters| cell.significance(letters))
        };
        let mut row = rung_row(ranker, ladder, rung, values.iter().map(cell).collect());
        if let Some(letter) = letter(rung.rung).filter(|_| tested && significance.is_some()) {
            row.tags.insert(0, letter.to_owned());
        }
        table = table.row(row);
        if is_result(ranker, ladder, rung) {
            let name = rung_name(ranker, rung);
            if values.values().all(|level| level.se_seeds.is_some()) {
                let errors = values.values().map(|level| optional(level.se_seeds));
                table = table.row(error_row("SE over seeds", &name, errors));
            }
            let errors = values.values().map(|level| number(level.se_users));
            table = table.row(error_row("SE over users", &name, errors));
        }
    }
    table = table.mark(Competition::Table).note(
        "Over all users = over R x |R| / |U| (equations 5 and 6 of the paper), seed by seed; users outside of R count 0.",
    );
    if let Some(significance) = significance {
        table = table.note(format!(
            "Superscripts: significantly better than the order of that letter (p by Holm below {} over all {} comparisons of this report); \
             {}. R@{} is the same for every order.",
            significance.alpha,
            significance.contrasts.len(),
            contrast_tests(&significance.contrasts),
            report.candidates
        ));
    }
    table.into()
}

/// Whether tests are about this rung: through the read-out that counts.
fn tested(ranker: &RankerSection, rung: &RungResult) -> bool {
    rung.read_out.as_deref().is_none_or(|read_out| read_out == ranker.read_out)
}

/// The letters of those that a rung is significantly better than, if they are `shown`.
fn beaten(significance: &Significance, rung: Rung, metric: Metric, shown: impl Fn(&Rung) -> bool) -> String {
    let others = [Rung::Retriever, Rung::ZeroShot, Rung::Tuned].into_iter().filter(shown);
    let beaten = others.filter(|other| *other != rung && significance.is_better(rung, *other, metric));
    let letters: Vec<&str> = beaten.filter_map(letter).collect();
    letters.join(",")
}

/// What the ranker adds; `None` without anything to say.
pub(super) fn gained(ladder: &Ladder, part: Part) -> Option<Table> {
    if ladder.gain.is_empty() && ladder.headroom.is_empty() {
        return None;
    }
    let metrics: Vec<Metric> = ladder.headroom.keys().copied().collect();
    let caption = "Above the retriever's order.";
    let columns = metric_columns("What the ranker adds", &metrics, false);
    let mut table = Table::new(part.id("headroom"), caption, columns);
    if !ladder.gain.is_empty() {
        let gain = |value: &dyn Fn(&TwoLevel) -> Cell| -> Vec<Cell> {
            metrics.iter().map(|m| ladder.gain.get(m).map_or_else(Cell::none, value)).collect()
        };
        table = table
            .row(row("gain, all users", gain(&|level| super::cells::signed(level.seeds.mean))))
            .row(row("SE over seeds of the gain", gain(&|level| optional(level.se_seeds))))
            .row(row("SE over users of the gain", gain(&|level| number(level.se_users))))
            .note("The gain is taken user by user, so what users have in common cancels.");
    }
    if !ladder.headroom.is_empty() {
        let share = |m: &Metric| {
            ladder.headroom.get(m).map_or_else(Cell::none, |s| {
                let cell = Cell::number(format!("{:.1}", 100.0 * s.mean), 100.0 * s.mean);
                s.sd.map_or(cell.clone(), |sd| cell.spread(format!("{:.1}", 100.0 * sd), 100.0 * sd))
            })
        };
        table = table.row(row("share of the headroom gained (%)", metrics.iter().map(share))).note(
            "The share of the headroom is (ranker - retriever) / (perfect - retriever), the same over R and over all users.",
        );
    }
    Some(table)
}
