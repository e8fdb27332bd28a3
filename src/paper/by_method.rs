//! Tables II and III as the seed paper lays them out: a row a metric, a column a method, datasets side by side.

use super::block::{Block, Line, LineKind};
use super::verdicts::Verdicts;
use super::words::{self, ROUNDING, listed};
use super::{mean_gain, percent_gain};
use crate::document::{Better, Cell, Column, Row, Table, marks};
use crate::eval::{Metric, SeedSummary};

/// Over whom means are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// The users of R: Table II.
    R,
    /// All users: Table III.
    All,
}

impl Over {
    pub(super) fn mean(self, line: &Line, metric: Metric) -> Option<SeedSummary> {
        match self {
            Self::R => line.means.over_r(metric),
            Self::All => line.means.overall(metric),
        }
    }

    /// The letters of the lines that a line is significantly better than. Over R they are those of the same tests, of lines that rank
    /// the same R: outside of it both have 0. R's means weigh seeds alike, which may turn a difference round; then there is no letter.
    pub(super) fn letters(
        self,
        (at, block): (usize, &Block),
        line: usize,
        (place, metric): (usize, Metric),
        verdicts: &Verdicts,
    ) -> String {
        let mean = |line: usize| self.mean(&block.lines[line], metric).map(|summary| summary.mean);
        let shown = |other: &usize| match self {
            Self::All => true,
            Self::R => verdicts.share_seeds(at, line, *other) && mean(line) > mean(*other),
        };
        let beaten = verdicts.beaten(at, line, place).into_iter().filter(shown);
        super::in_full::letters(block, beaten.collect())
    }
}

/// Columns of numbers beside each other before a table becomes two.
const WIDEST: usize = 12;

/// What a dataset shows: its methods, and those of them whose gain over the reference has a column.
struct Part<'a> {
    at: usize,
    block: &'a Block,
    lines: Vec<usize>,
    gains: Vec<usize>,
}

/// The table, or several where the datasets do not fit beside each other.
pub(super) fn tables(
    (id, caption): (&str, &str),
    blocks: &[Block],
    verdicts: &Verdicts,
    over: Over,
) -> Vec<Table> {
    let parts: Vec<Part<'_>> = blocks
        .iter()
        .enumerate()
        .map(|(at, block)| {
            let shown = |line: &usize| over == Over::All || block.lines[*line].kind.is_ranker();
            let mut lines: Vec<usize> = block.paper_lines().into_iter().filter(shown).collect();
            // What gains are of has a column even where the paper would have none.
            let of = block
                .lines
                .get(block.reference)
                .filter(|of| over == Over::All || of.kind != LineKind::Imported);
            if of.is_some() && !lines.is_empty() && !lines.contains(&block.reference) {
                lines.insert(0, block.reference);
            }
            let gains =
                lines.iter().copied().filter(|line| of.is_some() && *line != block.reference).collect();
            Part { at, block, lines, gains }
        })
        .filter(|part| !part.lines.is_empty())
        .collect();
    let mut tables: Vec<Vec<Part<'_>>> = Vec::new();
    for part in parts {
        let width = |part: &Part<'_>| part.lines.len() + part.gains.len();
        let taken = |parts: &Vec<Part<'_>>| parts.iter().map(width).sum::<usize>();
        match tables.last_mut().filter(|parts| taken(parts) + width(&part) <= WIDEST) {
            Some(parts) => parts.push(part),
            None => tables.push(vec![part]),
        }
    }
    let several = tables.len() > 1;
    tables
        .iter()
        .enumerate()
        .map(|(at, parts)| {
            let (mut id, mut caption) = (id.to_owned(), caption.to_owned());
            if several {
                id = format!("{id}-{}", at + 1);
                let names: Vec<&str> = parts.iter().map(|part| part.block.title.as_str()).collect();
                caption = format!("{caption} Part {}: {}.", at + 1, listed(&names));
            }
            table((&id, &caption), parts, verdicts, over)
        })
        .collect()
}

fn table((id, caption): (&str, &str), parts: &[Part<'_>], verdicts: &Verdicts, over: Over) -> Table {
    let mut columns = vec![Column::text("Metric")];
    for part in parts {
        let lines = part.lines.iter().map(|line| &part.block.lines[*line]);
        columns.extend(lines.map(|line| Column::number(heading(line))));
        columns.extend(part.gains.iter().map(|line| {
            let title = match part.gains.len() {
                1 => "gain".to_owned(),
                _ => format!("gain of {}", part.block.lines[*line].short),
            };
            Column::number(title).unit("%")
        }));
    }
    let mut table = Table::new(id, caption, columns).group("", 1);
    for part in parts {
        table = table.group(&part.block.title, part.lines.len() + part.gains.len());
    }
    let mut gains: Vec<Vec<Vec<Option<f64>>>> =
        parts.iter().map(|part| vec![Vec::new(); part.gains.len()]).collect();
    for (at, metric) in verdicts.metrics.iter().enumerate() {
        let mut cells = vec![Cell::text(metric.short())];
        for (part, gains) in parts.iter().zip(&mut gains) {
            cells.extend(values(part, (at, *metric), verdicts, over));
            for (line, gains) in part.gains.iter().zip(gains) {
                let gain = gain(part.block, *line, *metric, over);
                cells.push(words::percent(gain));
                gains.push(gain);
            }
        }
        table = table.row(cells);
    }
    if parts.iter().any(|part| !part.gains.is_empty()) {
        let mut cells = vec![Cell::text("mean gain")];
        for (part, gains) in parts.iter().zip(&gains) {
            cells.extend(part.lines.iter().map(|_| Cell::text("")));
            cells.extend(gains.iter().map(|gains| words::percent(mean_gain(gains))));
        }
        table = table.row(Row::new(cells).rule());
        table = table.note(format!("Gain: over {}, in percent of its mean.", references(parts)));
    }
    table.note(ROUNDING)
}

/// What gains are of: once where it is the same on all datasets.
fn references(parts: &[Part<'_>]) -> String {
    let parts = parts.iter().filter(|part| !part.gains.is_empty());
    let of = |part: &Part<'_>| part.block.lines[part.block.reference].method.name.clone();
    let all: Vec<(String, &str)> = parts.map(|part| (of(part), part.block.title.as_str())).collect();
    if all.iter().all(|(name, _)| *name == all[0].0) {
        return all.first().map(|(name, _)| name.clone()).unwrap_or_default();
    }
    listed(&all.iter().map(|(name, title)| format!("{name} on {title}")).collect::<Vec<_>>())
}

/// The name, and the letter under which superscripts have it.
fn heading(line: &Line) -> String {
    format!("{} [{}]", line.short, line.letter)
}

fn values(part: &Part<'_>, (at, metric): (usize, Metric), verdicts: &Verdicts, over: Over) -> Vec<Cell> {
    let means = part.lines.iter().map(|line| over.mean(&part.block.lines[*line], metric));
    let means: Vec<Option<SeedSummary>> = means.collect();
    let values: Vec<Option<f64>> = means.iter().map(|mean| Some(mean.as_ref()?.mean)).collect();
    let places = marks(&values, Better::Higher);
    let cells = means.iter().zip(places).zip(&part.lines);
    cells
        .map(|((mean, mark), line)| {
            let Some(mean) = mean else { return Cell::none() };
            let letters = over.letters((part.at, part.block), *line, (at, metric), verdicts);
            Cell { mark, ..words::metric(mean) }.significance(letters)
        })
        .collect()
}

/// In percent of the reference's mean.
pub(super) fn gain(block: &Block, line: usize, metric: Metric, over: Over) -> Option<f64> {
    let mean = |line: usize| over.mean(&block.lines[line], metric).map(|summary| summary.mean);
    percent_gain(mean(line)?, mean(block.reference)?)
}
