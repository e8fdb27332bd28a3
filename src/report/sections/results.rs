//! The retriever's tables of numbers.

use super::super::format::thousands;
use super::super::model::{Comparison, Report, SeedResult};
use super::super::names::{of_retriever, seeds};
use super::cells::{count, count_over, mean_sd, metric_columns, number, optional, percent, published, row};
use super::published::overall;
use crate::baseline::Scope;
use crate::document::{Cell, Column, Row, Section, Table};
use crate::eval::{Averaging, Metric, MetricKind, MetricTable, SeedSummary};

/// Columns of a metric table.
fn metrics(report: &Report) -> Vec<Metric> {
    report.summary.test.keys().copied().collect()
}

fn columns(first: &str, report: &Report) -> Vec<Column> {
    let mut columns = metric_columns(first, &metrics(report), false);
    columns.push(Column::number("|R|"));
    columns
}

fn seed_row(seed: &SeedResult, table: &MetricTable) -> Vec<Cell> {
    let values = table.values.values().map(|estimate| number(estimate.value));
    row(seed.seed.to_string(), values.chain([count(table.n_retrieved as u64)]))
}

/// Who was asked, in captions.
fn users(report: &Report) -> String {
    format!("|U| = {} users, {}", thousands(report.seeds[0].test.n_users as u64), seeds(report.seeds.len()))
}

pub(super) fn test(report: &Report) -> Section {
    let caption = format!("The last item of every user, ranked by the retriever: {}.", users(report));
    let mut table = Table::new("test", caption, columns("Seed", report));
    for seed in &report.seeds {
        table = table.row(seed_row(seed, &seed.test));
    }
    let several = report.seeds.len() > 1;
    let summary = &report.summary;
    let name = if several { "mean ± sd" } else { "mean of 1 seed" };
    let means = summary.test.values().map(|level| mean_sd(level.seeds.mean, level.seeds.sd));
    table = table.row(Row::new(row(name, means.chain([count_over(&summary.retrieved)]))).rule());
    if several {
        let errors = summary.test.values().map(|level| optional(level.se_seeds));
        table = table.row(row("SE over seeds", errors.chain([Cell::none()])));
    }
    let errors = summary.test.values().map(|level| number(level.se_users));
    table = table.row(row("SE over users", errors.chain([Cell::none()])));
    let found: Vec<&Comparison> = overall(report).collect();
    if let Some(first) = found.first() {
        let of = |name: Metric| {
            // One paper's row: another's figure only where this one has none.
            let of_metric = found.iter().filter(|comparison| comparison.metric == name);
            let best = of_metric.min_by_key(|comparison| comparison.source.id != first.source.id);
            best.map_or_else(Cell::none, |comparison| published(comparison))
        };
        let cells = metrics(report).into_iter().map(of).chain([Cell::none()]);
        table = table.row(Row::new(row(first.method.clone(), cells)).tag("published").unranked().rule());
    }
    table = table.note(format!(
        "M, N and R are MRR, NDCG and Recall; |R| is the number of users whose item is among the {k} candidates, so R@{k} = |R| / |U| \
         where users weigh the same.",
        k = report.candidates
    ));
    table = table.note(format!(
        "{}Seeds and users are two sources of error: SE over users is that of each user's mean over seeds.",
        if several { "± is the standard deviation over seeds (n - 1). " } else { "" }
    ));
    if !found.is_empty() {
        table = table.note("Sources of the published row are in the next table; it gets no marks.");
    }
    Section::new(format!("Test{}", of_retriever(report))).with(table)
}

pub(super) fn subset(report: &Report) -> Option<Section> {
    // Recall at the number of candidates is 1 by definition here, and a cutoff beyond it sees no more of R.
    let shown: Vec<Metric> = metrics(report)
        .into_iter()
        .filter(|metric| {
            metric.k < report.candidates || metric.k == report.candidates && metric.kind != MetricKind::Recall
        })
        .collect();
    if report.summary.test_retrieved_subset.is_empty() || shown.is_empty() {
        return None;
    }
    let caption = format!(
        "The same ranks over R, the users whose item is among the candidates: {}.",
        seeds(report.seeds.len())
    );
    let mut table = Table::new("retrieved", caption, metric_columns("Test users of R", &shown, false));
    let ours = |name: &Metric| {
        let ours = report.summary.test_retrieved_subset.get(name);
        ours.map_or_else(Cell::none, |s| mean_sd(s.mean, s.sd))
    };
    let name = if report.seeds.len() == 1 { "ours" } else { "ours, mean ± sd" };
    table = table.row(row(name, shown.iter().map(ours)));
    let theirs: Vec<&Comparison> =
        report.comparisons.iter().filter(|comparison| comparison.scope == Scope::RetrievedSubset).collect();
    if let Some(first) = theirs.first() {
        let find = |name: &Metric| theirs.iter().find(|comparison| comparison.metric == *name);
        let cells = shown.iter().map(|name| find(name).map_or_else(Cell::none, |c| published(c)));
        table = table.row(Row::new(row(first.method.clone(), cells)).tag("published").unranked());
        let cells = shown.iter().map(|name| percent(find(name).and_then(|c| c.relative)));
        table = table.row(row("relative difference (%)", cells)).note(format!(
            "Published: {} [{}]; its R are other users than ours, so there is no verdict.",
            first.source.table, first.source.id
        ));
    }
    // Only where every user weighs the same.
    let overall = match report.averaging {
        Averaging::Users => " Overall = this x |R| / |U|, seed by seed.",
        Averaging::Batches { .. } => "",
    };
    let text = format!("What a re-ranker starts from.{overall}");
    Some(Section::new("On the retrieved users only").with(text.as_str()).with(table))
}

pub(super) fn averaging(report: &Report) -> Option<Section> {
    let other = report.summary.test_other_averaging.as_ref()?;
    let name = |averaging: Averaging| match averaging {
        Averaging::Users => "mean over users".to_owned(),
        Averaging::Batches { size } => format!("mean of means of batches of {size}"),
    };
    let other_name = report.seeds[0].test_other_averaging.as_ref().map(|table| name(table.averaging))?;
    let summary = &report.summary.test;
    let change = summary.iter().map(|(name, level)| {
        let ours = level.seeds.mean;
        percent(other.get(name).filter(|_| ours > 0.0).map(|other| other.seeds.mean / ours - 1.0))
    });
    let caption = format!("Test under two averagings, means over {}.", seeds(report.seeds.len()));
    let columns = metric_columns("Averaging", &metrics(report), false);
    let table = Table::new("averaging", caption, columns)
        .row(
            Row::new(row(name(report.averaging), summary.values().map(|level| number(level.seeds.mean))))
                .tag("used here"),
        )
        .row(row(other_name, other.values().map(|level| number(level.seeds.mean))))
        .row(row("change (%)", change));
    let text = "The reference implementation averages its retriever's metrics over batches, so a short last batch weighs too much; \
                published retriever rows may carry that.";
    Some(Section::new("What the averaging does").with(text).with(table))
}

pub(super) fn validation(report: &Report) -> Section {
    let caption = format!(
        "The last but one item of every user, with the chosen weights and the same treatment as the test: {}.",
        users(report)
    );
    let mut table = Table::new("validation", caption, columns("Seed", report));
    for seed in &report.seeds {
        table = table.row(seed_row(seed, &seed.validation));
    }
    if report.seeds.len() > 1 {
        let means = report.summary.validation.values().map(|level| mean_sd(level.seeds.mean, level.seeds.sd));
        let retrieved: Vec<f64> =
            report.seeds.iter().map(|seed| seed.validation.n_retrieved as f64).collect();
        let retrieved = SeedSummary::of(&retrieved).map_or_else(Cell::none, |summary| count_over(&summary));
        table = table.row(Row::new(row("mean ± sd", means.chain([retrieved]))).rule());
    }
    Section::new(format!("Validation{}", of_retriever(report))).with(table)
}
