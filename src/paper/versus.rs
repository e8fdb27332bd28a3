//! Table IV: ours beside the published baselines that use language models.

use super::block::Block;
use super::by_method::Over;
use super::in_full::letters;
use super::percent_gain;
use super::published::{PublishedMethod, published};
use super::verdicts::Verdicts;
use super::words::{self, ROUNDING};
use crate::baseline::{Baseline, Scope};
use crate::document::{Better, Cell, Column, Competition, Row, Table, marks};
use crate::eval::Metric;

/// A dataset with what papers print of it.
struct Beside<'a> {
    at: usize,
    block: &'a Block,
    rows: Vec<PublishedMethod>,
    lines: Vec<usize>,
}

fn beside<'a>(blocks: &'a [Block], baselines: &[Baseline]) -> Vec<Beside<'a>> {
    let of = |(at, block): (usize, &'a Block)| {
        let dataset = block.dataset.as_ref().map_or("", |data| data.name.as_str());
        let rows = published(baselines, dataset, Scope::Overall);
        Beside { at, block, rows, lines: block.paper_lines() }
    };
    blocks.iter().enumerate().map(of).filter(|beside| !beside.rows.is_empty()).collect()
}

/// As the seed paper lays it out, for each dataset that has copied rows: a row a metric, a column a method.
pub(super) fn as_printed(blocks: &[Block], verdicts: &Verdicts, baselines: &[Baseline]) -> Vec<Table> {
    let all = beside(blocks, baselines);
    let with_context = all.iter().filter(|beside| beside.rows.iter().any(PublishedMethod::is_context));
    let of: Vec<&Beside<'_>> = with_context.collect();
    let several = of.len() > 1;
    of.into_iter().map(|beside| one(beside, verdicts, several)).collect()
}

fn one(beside: &Beside<'_>, verdicts: &Verdicts, several: bool) -> Table {
    let block = beside.block;
    let copied: Vec<&PublishedMethod> = beside.rows.iter().filter(|row| row.is_context()).collect();
    let printed = |metric: &Metric| copied.iter().any(|row| row.values.contains_key(metric));
    let metrics: Vec<(usize, Metric)> =
        verdicts.metrics.iter().copied().enumerate().filter(|(_, metric)| printed(metric)).collect();
    let mut columns = vec![Column::text("Metric")];
    columns.extend(copied.iter().map(|row| Column::number(&row.method)));
    let lines = || beside.lines.iter().map(|line| &block.lines[*line]);
    columns.extend(lines().map(|line| Column::number(format!("{} [{}]", line.short, line.letter))));
    columns.extend(lines().map(|line| {
        let title =
            if beside.lines.len() == 1 { "gain".to_owned() } else { format!("gain of {}", line.short) };
        Column::number(title).unit("%")
    }));
    let id = if several { format!("table-4-{}", block.id) } else { "table-4".to_owned() };
    let caption = format!(
        "Table IV: recommendation performance compared to LLM-based baselines, {}. Means over all {} users; published columns are \
         copied from papers, and none of them is tested.",
        block.title,
        words::thousands(block.users() as u64)
    );
    let mut table = Table::new(id, caption, columns)
        .group("", 1)
        .group(format!("{}, published", block.title), copied.len())
        .group(format!("{}, measured here", block.title), 2 * beside.lines.len());
    for (at, metric) in metrics {
        let means: Vec<_> = lines().map(|line| Over::All.mean(line, metric)).collect();
        let theirs = copied.iter().map(|row| Some(row.values.get(&metric)?.0).filter(|_| row.competes()));
        let ours = means.iter().map(|mean| mean.as_ref().map(|mean| mean.mean));
        let places = marks(&theirs.chain(ours).collect::<Vec<_>>(), Better::Higher);
        let mut cells = vec![Cell::text(metric.short())];
        cells.extend(copied.iter().zip(&places).map(|(row, mark)| match row.values.get(&metric) {
            Some((value, printed)) => Cell { mark: *mark, ..Cell::number(printed, *value) },
            None => Cell::text("N/A"),
        }));
        for ((mean, line), mark) in means.iter().zip(&beside.lines).zip(&places[copied.len()..]) {
            let letters = letters(block, verdicts.beaten(beside.at, *line, at));
            let cell =
                mean.as_ref().map_or_else(Cell::none, |mean| words::metric(mean).significance(letters));
            cells.push(Cell { mark: *mark, ..cell });
        }
        let highest = copied.iter().filter_map(|row| Some(row.values.get(&metric)?.0)).reduce(f64::max);
        cells.extend(means.iter().map(|mean| {
            words::percent(mean.as_ref().zip(highest).and_then(|(mean, most)| percent_gain(mean.mean, most)))
        }));
        table = table.row(cells);
    }
    table = table.note(
        "N/A: not printed. Gain: over the highest published number of the row, in percent of it; it is context where that column is not \
         comparable. Best and second are of those that may be compared.",
    );
    for row in &copied {
        table = table.note(format!("{}: {}", row.method, reason(row)));
    }
    table.note(ROUNDING)
}

/// Where a published row is from, and why it may be compared with ours or not.
fn reason(row: &PublishedMethod) -> String {
    let copied = row.copied_from.as_ref().map_or_else(String::new, |from| format!(", copied from {from}"));
    let word = match row.word() {
        "yes" => "comparable",
        "no" => "not comparable",
        _ => "unknown whether comparable",
    };
    format!("“{}” ({}){copied}; {word}: {}.", row.paper[1], row.paper[2], row.why)
}

/// Every published method in a row, tagged, with whether and why it may be compared; ours below.
pub(super) fn in_full(blocks: &[Block], verdicts: &Verdicts, baselines: &[Baseline]) -> Option<Table> {
    let metrics = &verdicts.metrics;
    let mut columns = vec![Column::text("Method"), Column::text("Comparable")];
    columns.extend(metrics.iter().map(|metric| Column::number(metric.short()).better(Better::Higher)));
    let caption =
        "Table IV in full: every published number over all users that is known of these datasets, and ours.";
    let mut table = Table::new("table-4-in-full", caption, columns);
    let mut reasons: Vec<String> = Vec::new();
    let known = beside(blocks, baselines);
    for Beside { at, block, rows, lines } in &known {
        for row in rows {
            let reason = reason(row);
            let number = reasons.iter().position(|known| *known == reason).unwrap_or_else(|| {
                reasons.push(reason);
                reasons.len() - 1
            });
            let name = Cell::text(&row.method).footnote((number + 1).to_string());
            let mut cells = vec![name, Cell::text(row.word())];
            cells.extend(metrics.iter().map(|metric| {
                let value = row.values.get(metric);
                value.map_or_else(Cell::none, |(value, printed)| Cell::number(printed, *value))
            }));
            let row = Row { unranked: !row.competes(), ..Row::new(cells).tag("published") };
            table = table.row(row.group(&block.title));
        }
        for line in lines {
            let of = &block.lines[*line];
            let mut cells =
                vec![Cell::text(format!("{} [{}]", of.method.name, of.letter)), Cell::text("measured")];
            for (place, metric) in metrics.iter().enumerate() {
                let letters = letters(block, verdicts.beaten(*at, *line, place));
                let mean = Over::All.mean(of, *metric);
                cells.push(mean.map_or_else(Cell::none, |mean| words::metric(&mean).significance(letters)));
            }
            table = table.row(Row::new(cells).group(&block.title));
        }
    }
    for (at, reason) in reasons.iter().enumerate() {
        table = table.footnote((at + 1).to_string(), reason.clone());
    }
    table = table.note("Best and second are of a dataset's methods that may be compared.");
    (!known.is_empty()).then(|| table.mark(Competition::Group))
}
