//! Figures of a dataset.

use std::num::NonZeroU32;

use super::block::{Block, Line, LineKind};
use super::verdicts::{Verdicts, intervals};
use super::words::thousands;
use crate::document::chart::{Axis, Bars, Chart, Estimate, IntervalRow, Intervals, Ladder, Rung, Series};
use crate::document::{Better, Figure};
use crate::eval::{Metric, MetricKind, expected_random};

/// Methods that one chart can tell apart.
const MOST: usize = 8;

/// Bars, improvements and ladder of each block.
pub(super) fn figures(blocks: &[Block], verdicts: &Verdicts) -> Vec<Vec<Figure>> {
    let ends = intervals(blocks, &verdicts.metrics);
    let of = |(at, block): (usize, &Block)| {
        let estimates = Estimates { block, ends: &ends[at], metrics: &verdicts.metrics };
        [bars(&estimates), improvement(at, block, verdicts), ladder(&estimates)]
            .into_iter()
            .flatten()
            .collect()
    };
    blocks.iter().enumerate().map(of).collect()
}

struct Estimates<'a> {
    block: &'a Block,
    ends: &'a [Vec<Option<(f64, f64)>>],
    metrics: &'a [Metric],
}

impl Estimates<'_> {
    fn of(&self, line: usize, metric: usize) -> Option<Estimate> {
        let mean = self.block.lines[line].means.overall(self.metrics[metric])?.mean;
        let held = self.ends[line][metric].filter(|(low, high)| *low <= mean && mean <= *high);
        Some(Estimate { value: mean, interval: held })
    }
}

/// Which lines are drawn: all, or what experiments end in where there are too many.
fn drawn(lines: &[Line]) -> Vec<usize> {
    let all: Vec<usize> = (0..lines.len()).collect();
    if all.len() <= MOST {
        return all;
    }
    all.into_iter().filter(|line| lines[*line].main).take(MOST).collect()
}

/// In all captions of intervals.
const HOW: &str = "by the crossed model of users and seeds, or over users alone with one seed";

fn bars(estimates: &Estimates<'_>) -> Option<Figure> {
    let Estimates { block, metrics, .. } = estimates;
    let series: Vec<Series> = drawn(&block.lines)
        .into_iter()
        .map(|line| Series {
            name: block.lines[line].method.name.clone(),
            values: (0..metrics.len()).map(|metric| estimates.of(line, metric)).collect(),
        })
        .collect();
    let caption =
        format!("Means over all {} users with 95 % intervals {HOW}.", thousands(block.users() as u64));
    (!series.is_empty() && !metrics.is_empty()).then(|| Figure {
        id: format!("metrics-{}", block.id),
        caption: caption.into(),
        chart: Chart::Bars(Bars {
            title: format!("{}: metrics by method", block.title),
            axis: Axis::new("mean over all users", 3),
            categories: metrics.iter().map(|metric| metric.short()).collect(),
            series,
        }),
    })
}

/// The gain of what experiments end in over the reference.
fn improvement(at: usize, block: &Block, verdicts: &Verdicts) -> Option<Figure> {
    let others = |line: &usize| *line != block.reference;
    let mut lines: Vec<usize> = block.paper_lines().into_iter().filter(others).collect();
    if lines.is_empty() {
        lines = (0..block.lines.len()).filter(others).collect();
    }
    lines.truncate(MOST);
    let reference = block.lines.get(block.reference)?;
    let rows: Vec<IntervalRow> = verdicts
        .metrics
        .iter()
        .enumerate()
        .map(|(metric, name)| {
            let values = lines.iter().map(|line| {
                let row = verdicts.against_reference(at, *line, block.reference)?.get(metric)?;
                let comparison = &row.comparison;
                let of = comparison.effect.mean_b;
                let ends = comparison.interval();
                let parts =
                    [comparison.effect.difference, ends.low, ends.high].map(|value| 100.0 * value / of);
                let held = parts.iter().all(|part| part.is_finite()) && parts[1] <= parts[2];
                held.then(|| Estimate::within(parts[0], parts[1], parts[2]))
            });
            IntervalRow { name: name.short(), values: values.collect() }
        })
        .collect();
    let caption = format!(
        "Improvement over {} of means over all {} users, in percent of its mean, with 95 % intervals {HOW}; the reference's mean is taken \
         as it is, and nothing is corrected for the number of intervals.",
        reference.method.name,
        thousands(block.users() as u64)
    );
    let any = rows.iter().any(|row| row.values.iter().any(Option::is_some));
    let shown = drawn(&block.lines);
    any.then(|| Figure {
        id: format!("improvement-{}", block.id),
        caption: caption.into(),
        chart: Chart::Intervals(Intervals {
            title: format!("{}: improvement over {}", block.title, reference.short),
            axis: Axis::new("improvement", 1).unit("%"),
            better: Some(Better::Higher),
            series: lines.iter().map(|line| block.lines[*line].method.name.clone()).collect(),
            looks: lines
                .iter()
                .map(|line| shown.iter().position(|other| other == line).unwrap_or(*line))
                .collect(),
            rows,
        }),
    })
}

/// From a random order of the candidates to a perfect one, with the rankers of one retriever between. NDCG at the largest cutoff,
/// over all users: who is not in R counts 0 on every rung.
fn ladder(estimates: &Estimates<'_>) -> Option<Figure> {
    let Estimates { block, metrics, .. } = estimates;
    let at = metrics.iter().rposition(|metric| metric.kind == MetricKind::Ndcg)?;
    let metric = metrics[at];
    let first = block.lines.iter().find(|line| line.kind.is_ranker())?;
    let shares = |line: usize| {
        let line = &block.lines[line];
        let same = |run: &crate::compare::Run| {
            first.method.runs.iter().any(|other| other.shared == run.shared && run.shared.is_some())
        };
        line.kind != LineKind::Imported && line.method.runs.iter().any(same)
    };
    let k = first.method.candidates;
    let found = first.means.retrieved()?.mean / (block.users().max(1) as f64);
    if found == 0.0 {
        // Nobody to rank: every rung is 0.
        return None;
    }
    let bound = |name: &str, value: f64| Rung {
        name: name.to_owned(),
        estimate: Estimate::exact(value * found),
        bound: true,
    };
    let mut rungs = vec![bound("random order", expected_random(metric, k))];
    for line in (0..block.lines.len()).filter(|line| shares(*line)).take(MOST) {
        let name = block.lines[line].method.name.clone();
        rungs.push(Rung { name, estimate: estimates.of(line, at)?, bound: false });
    }
    rungs.push(bound("perfect order", metric.of(NonZeroU32::new(1))));
    let caption = format!(
        "{metric} over all {} users. Random and perfect order are of the same {k} candidates, with |R| as the mean over seeds; 95 % intervals \
         {HOW}.",
        thousands(block.users() as u64)
    );
    Some(Figure {
        id: format!("ladder-{}", block.id),
        caption: caption.into(),
        chart: Chart::Ladder(Ladder {
            title: format!("{}: from a random to a perfect order", block.title),
            axis: Axis::new(metric.to_string(), 3),
            rungs,
        }),
    })
}
