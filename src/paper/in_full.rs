//! Tables II and III in full: every method of every dataset in a row, the published beside ours.

use super::block::{Block, LineKind};
use super::by_method::{Over, gain};
use super::mean_gain;
use super::published::{PublishedMethod, published};
use super::verdicts::Verdicts;
use super::words;
use crate::baseline::{Baseline, Scope};
use crate::document::{Better, Cell, Column, Competition, Row, Table};

/// The letters of lines, in order.
pub(super) fn letters(block: &Block, lines: Vec<usize>) -> String {
    lines.into_iter().map(|line| block.lines[line].letter.as_str()).collect()
}

/// The table; `None` where no method has a mean over these users.
pub(super) fn table(
    (id, caption): (&str, &str),
    blocks: &[Block],
    verdicts: &Verdicts,
    baselines: &[Baseline],
    over: Over,
) -> Option<Table> {
    let metrics = &verdicts.metrics;
    // Where all have as many seeds, the caption says how many.
    let seeds = || blocks.iter().flat_map(|block| &block.lines).map(|line| line.method.runs.len());
    let seeds_differ = seeds().any(|count| Some(count) != seeds().next());
    let mut columns = vec![Column::text("Method")];
    columns.extend(seeds_differ.then(|| Column::number("Seeds")));
    columns.extend(metrics.iter().map(|metric| Column::number(metric.short()).better(Better::Higher)));
    columns.push(Column::number("mean gain").unit("%"));
    let mut table = Table::new(id, caption, columns);
    let mut sources: Vec<String> = Vec::new();
    for (at, block) in blocks.iter().enumerate() {
        let shown = |kind: LineKind| over == Over::All || kind != LineKind::Imported;
        for (line, of) in block.lines.iter().enumerate().filter(|(_, of)| shown(of.kind)) {
            let runs = of.method.runs.len();
            let name = format!("{} [{}]", of.method.name, of.letter);
            let mut cells = vec![Cell::text(name)];
            cells.extend(seeds_differ.then(|| Cell::number(runs.to_string(), runs as f64)));
            for (place, metric) in metrics.iter().enumerate() {
                let letters = over.letters((at, block), line, (place, *metric), verdicts);
                let mean = over.mean(of, *metric);
                cells.push(mean.map_or_else(Cell::none, |mean| words::metric(&mean).significance(letters)));
            }
            let gains: Vec<Option<f64>> =
                metrics.iter().map(|metric| gain(block, line, *metric, over)).collect();
            cells.push(if line == block.reference {
                Cell::none()
            } else {
                words::percent(mean_gain(&gains))
            });
            table = table.row(Row::new(cells).group(&block.title));
        }
        let dataset = block.dataset.as_ref().map_or("", |data| data.name.as_str());
        for row in of_papers(baselines, dataset, over) {
            let source = format!("“{}” ({}), {}.", row.paper[1], row.paper[2], row.table);
            let known = sources.iter().position(|known| *known == source).unwrap_or_else(|| {
                sources.push(source);
                sources.len() - 1
            });
            let mut cells = vec![Cell::text(&row.method).footnote((known + 1).to_string())];
            cells.extend(seeds_differ.then(Cell::none));
            cells.extend(metrics.iter().map(|metric| {
                let value = row.values.get(metric);
                value.map_or_else(Cell::none, |(value, printed)| Cell::number(printed, *value))
            }));
            cells.push(Cell::none());
            table = table.row(Row::new(cells).tag("published").unranked().group(&block.title));
        }
    }
    if table.rows.is_empty() {
        return None;
    }
    let mut table = table
        .note(
            "Best and second are those of a dataset. Mean gain: the mean over the metrics of the percent improvement over the dataset's \
             reference.",
        )
        .note(legend(blocks));
    if !sources.is_empty() {
        let users = match over {
            Over::R => " Their R is that of their own retriever, other users than ours.",
            Over::All => "",
        };
        table = table.note(format!(
            "Published rows are as printed, and outside of the competition and of all tests.{users}"
        ));
        for (at, source) in sources.into_iter().enumerate() {
            table = table.footnote((at + 1).to_string(), source);
        }
    }
    Some(table.mark(Competition::Group))
}

fn of_papers(baselines: &[Baseline], dataset: &str, over: Over) -> Vec<PublishedMethod> {
    match over {
        Over::All => published(baselines, dataset, Scope::Overall)
            .into_iter()
            .filter(|row| !row.is_context())
            .collect(),
        Over::R => [Scope::RankerOnly, Scope::RetrievedSubset]
            .into_iter()
            .flat_map(|scope| published(baselines, dataset, scope))
            .collect(),
    }
}

/// What the letters stand for; once where it is the same for all datasets.
pub(super) fn legend(blocks: &[Block]) -> String {
    let of = |block: &Block| {
        let names = block.lines.iter().map(|line| format!("{} = {}", line.letter, line.method.name));
        names.collect::<Vec<_>>().join("; ")
    };
    let all: Vec<String> = blocks.iter().map(of).collect();
    match all.as_slice() {
        [first, rest @ ..] if rest.iter().all(|other| other == first) => format!("Letters: {first}."),
        all => {
            let each = blocks.iter().zip(all).map(|(block, names)| format!("{}: {names}.", block.title));
            format!("Letters. {}", each.collect::<Vec<_>>().join(" "))
        }
    }
}
