//! The tables of numbers.

use std::collections::BTreeSet;

use super::super::compare::RULE;
use super::super::format::{count, mean_sd, metric, signed, thousands};
use super::super::model::{Comparison, Report, SeedResult};
use super::{Table, header, of_retriever};
use crate::baseline::Scope;
use crate::eval::{Averaging, Metric, MetricKind, MetricTable, SeedSummary};

/// Columns of a metric table.
fn metrics(report: &Report) -> Vec<Metric> {
    report.summary.test.keys().copied().collect()
}

fn metric_header(first: &str, report: &Report, last: Option<&str>) -> Table {
    let mut names = vec![first.to_owned()];
    names.extend(metrics(report).into_iter().map(Metric::short));
    names.extend(last.map(str::to_owned));
    Table::new(&names)
}

fn seed_row(seed: &SeedResult, table: &MetricTable) -> Vec<String> {
    let mut row = vec![seed.seed.to_string()];
    row.extend(table.values.values().map(|estimate| metric(estimate.value)));
    row.push(thousands(table.n_retrieved as u64));
    row
}

pub(super) fn test(report: &Report) -> String {
    let mut table = metric_header("Seed", report, Some("|R|"));
    for seed in &report.seeds {
        table.row(&seed_row(seed, &seed.test));
    }
    let n = report.seeds.len();
    let name = if n == 1 { "mean of 1 seed" } else { "**mean ± sd**" };
    let mut mean = vec![name.to_owned()];
    mean.extend(report.summary.test.values().map(|level| mean_sd(level.seeds.mean, level.seeds.sd)));
    mean.push(count(report.summary.retrieved.mean, report.summary.retrieved.sd));
    table.row(&mean);
    if n > 1 {
        let mut row = vec!["SE over seeds".to_owned()];
        row.extend(report.summary.test.values().map(|level| level.se_seeds.map_or_else(String::new, metric)));
        row.push(String::new());
        table.row(&row);
    }
    let mut row = vec!["SE over users".to_owned()];
    row.extend(report.summary.test.values().map(|level| metric(level.se_users)));
    row.push(String::new());
    table.row(&row);
    let published: Vec<&Comparison> = overall(report).collect();
    if let Some(first) = published.first() {
        let mut row = vec![format!("{} (published)", first.method)];
        for name in metrics(report) {
            // One paper's row: another's figure only where this one has none.
            let of_metric = published.iter().filter(|comparison| comparison.metric == name);
            let found = of_metric.min_by_key(|comparison| comparison.source.id != first.source.id);
            row.push(found.map_or_else(|| "-".to_owned(), |c| printed(c)));
        }
        row.push("-".to_owned());
        table.row(&row);
    }
    let users = thousands(report.seeds[0].test.n_users as u64);
    format!(
        "## Test{}\n\nThe last item of every user: |U| = {users}, {n} {}. M, N and R are MRR, NDCG and Recall; |R| is the \
         number of users whose item is among the {} candidates, so R@{} = |R| / |U| where users weigh the same. ± is the \
         standard deviation over seeds (n - 1). Seeds and users are two sources of error: SE over users is that of each \
         user's mean over seeds.{}\n\n{}\n",
        of_retriever(report),
        if n == 1 { "seed" } else { "seeds" },
        report.candidates,
        report.candidates,
        if published.is_empty() { "" } else { " Sources of the published row are in the next table." },
        table.0
    )
}

fn overall(report: &Report) -> impl Iterator<Item = &Comparison> {
    report.comparisons.iter().filter(|comparison| comparison.scope == Scope::Overall)
}

pub(super) fn printed(comparison: &Comparison) -> String {
    if comparison.derived.is_some() { metric(comparison.published) } else { comparison.printed.clone() }
}

pub(super) fn percent(relative: Option<f64>) -> String {
    relative.map_or_else(String::new, |share| format!("{:+.2} %", 100.0 * share))
}

pub(super) fn optional(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), metric)
}

pub(super) fn comparison(report: &Report) -> String {
    let rows: Vec<&Comparison> = overall(report).collect();
    let Some(first) = rows.first() else { return String::new() };
    let mut table = header(&[
        "Metric",
        "Ours",
        "SE users",
        "SE seeds",
        "Published",
        "Difference",
        "Relative",
        "Allowed",
        "Within 2 SE or 3 %",
        "Source",
    ]);
    let mut notes = BTreeSet::new();
    let mut sources = BTreeSet::new();
    for row in &rows {
        let (allowed, within) = row.verdict.map_or(("-".to_owned(), "-"), |verdict| {
            (metric(verdict.allowed), if verdict.within { "yes" } else { "**no**" })
        });
        table.row(&[
            row.metric.short(),
            metric(row.ours),
            optional(row.se_users),
            optional(row.se_seeds),
            format!("{}{}", printed(row), if row.derived.is_some() { " (derived)" } else { "" }),
            signed(row.difference),
            percent(row.relative),
            allowed,
            within.to_owned(),
            format!("{} [{}]", row.source.table, row.source.id),
        ]);
        sources.insert(format!(
            "- [{}] {}, {}. Protocol: {}.",
            row.source.id, row.source.title, row.source.source, row.protocol
        ));
        let derived = |how| format!("- {} of [{}] is derived, {how}.", row.metric.short(), row.source.id);
        notes.extend(row.derived.iter().map(derived));
    }
    let list: Vec<String> = sources.into_iter().chain(notes).collect();
    format!(
        "## Beside the published {}\n\nOurs is the mean over {} {}. Agreement is {RULE}{}. The published number has its own \
         noise of one run, which the rule does not count; it gets no significance mark.\n\n{}\n{}\n\n",
        first.method,
        report.seeds.len(),
        if report.seeds.len() == 1 { "seed" } else { "seeds" },
        if report.seeds.len() == 1 { " (one seed: SE over users only)" } else { "" },
        table.0,
        list.join("\n")
    )
}

pub(super) fn subset(report: &Report) -> String {
    if report.summary.test_retrieved_subset.is_empty() {
        return String::new();
    }
    // Recall at the number of candidates is 1 by definition here, and a cutoff beyond it sees no more of R.
    let shown: Vec<Metric> = metrics(report)
        .into_iter()
        .filter(|metric| {
            metric.k < report.candidates || metric.k == report.candidates && metric.kind != MetricKind::Recall
        })
        .collect();
    if shown.is_empty() {
        return String::new();
    }
    // Only where every user weighs the same.
    let overall = match report.averaging {
        Averaging::Users => " Overall = this x |R| / |U|, seed by seed.",
        Averaging::Batches { .. } => "",
    };
    let mut names = vec!["Test users of R".to_owned()];
    names.extend(shown.iter().map(|metric| metric.short()));
    let mut table = Table::new(&names);
    let mut row = vec![if report.seeds.len() == 1 { "ours" } else { "ours, mean ± sd" }.to_owned()];
    for name in &shown {
        let ours = report.summary.test_retrieved_subset.get(name);
        row.push(ours.map_or_else(|| "-".to_owned(), |s| mean_sd(s.mean, s.sd)));
    }
    table.row(&row);
    let published: Vec<&Comparison> =
        report.comparisons.iter().filter(|comparison| comparison.scope == Scope::RetrievedSubset).collect();
    let mut source = String::new();
    if let Some(first) = published.first() {
        let mut row = vec![format!("{} (published)", first.method)];
        let mut difference = vec!["relative difference".to_owned()];
        for name in &shown {
            let found = published.iter().find(|comparison| comparison.metric == *name);
            row.push(found.map_or_else(|| "-".to_owned(), |c| printed(c)));
            difference.push(found.map_or_else(|| "-".to_owned(), |c| percent(c.relative)));
        }
        table.row(&row);
        table.row(&difference);
        source = format!(
            " Published: {} [{}]; its R are other users than ours, so there is no verdict.",
            first.source.table, first.source.id
        );
    }
    format!(
        "## On the retrieved users only\n\nThe same ranks over R, the users whose item is among the candidates: what a \
         re-ranker starts from.{overall}{source}\n\n{}\n",
        table.0
    )
}

pub(super) fn averaging(report: &Report) -> String {
    let Some(other) = &report.summary.test_other_averaging else { return String::new() };
    let name = |averaging: Averaging| match averaging {
        Averaging::Users => "mean over users".to_owned(),
        Averaging::Batches { size } => format!("mean of means of batches of {size}"),
    };
    let used = name(report.averaging);
    let Some(other_name) = report.seeds[0].test_other_averaging.as_ref().map(|table| name(table.averaging))
    else {
        return String::new();
    };
    let mut table = metric_header("Test, mean over seeds", report, None);
    let mut row = |name: &str, values: Vec<String>| {
        table.row(&std::iter::once(name.to_owned()).chain(values).collect::<Vec<_>>());
    };
    row(
        &format!("{used} (used here)"),
        report.summary.test.values().map(|level| metric(level.seeds.mean)).collect(),
    );
    row(&other_name, other.values().map(|level| metric(level.seeds.mean)).collect());
    let change = report.summary.test.iter().map(|(name, level)| {
        let ours = level.seeds.mean;
        percent(other.get(name).filter(|_| ours > 0.0).map(|o| o.seeds.mean / ours - 1.0))
    });
    row("change", change.collect());
    format!(
        "## What the averaging does\n\nThe reference implementation averages its retriever's metrics over batches, so a \
         short last batch weighs too much; published retriever rows may carry that.\n\n{}\n",
        table.0
    )
}

pub(super) fn validation(report: &Report) -> String {
    let mut table = metric_header("Seed", report, Some("|R|"));
    for seed in &report.seeds {
        table.row(&seed_row(seed, &seed.validation));
    }
    if report.seeds.len() > 1 {
        let mut mean = vec!["**mean ± sd**".to_owned()];
        mean.extend(
            report.summary.validation.values().map(|level| mean_sd(level.seeds.mean, level.seeds.sd)),
        );
        let retrieved: Vec<f64> =
            report.seeds.iter().map(|seed| seed.validation.n_retrieved as f64).collect();
        mean.push(SeedSummary::of(&retrieved).map_or_else(String::new, |s| count(s.mean, s.sd)));
        table.row(&mean);
    }
    format!(
        "## Validation{}\n\nThe last but one item of every user, with the chosen weights and the same treatment as the test.\n\n{}\n",
        of_retriever(report),
        table.0
    )
}
