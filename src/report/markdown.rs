//! `report.md`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::compare::RULE;
use super::format::{ROUNDING, bytes, cell, count, mean_sd, metric, retriever, seconds, signed, thousands};
use super::model::{Comparison, Report, SeedResult};
use crate::baseline::Scope;
use crate::eval::{Averaging, Metric, MetricKind, MetricTable, SeedSummary};

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
        test(report),
        comparison(report),
        subset(report),
        averaging(report),
        validation(report),
        training(report),
        settings(report),
        provenance(report),
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
        ours.mean_length.to_string(),
        ours.density.to_string(),
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
         interactions / (users x items), both to full digits.{notes}\n\n{}\n",
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

fn test(report: &Report) -> String {
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
            let found = published.iter().find(|comparison| comparison.metric == name);
            row.push(found.map_or_else(|| "-".to_owned(), |c| printed(c)));
        }
        row.push("-".to_owned());
        table.row(&row);
    }
    let users = thousands(report.seeds[0].test.n_users as u64);
    format!(
        "## Test\n\nThe last item of every user: |U| = {users}, {n} {}. M, N and R are MRR, NDCG and Recall; |R| is the \
         number of users whose item is among the {} candidates, so R@{} = |R| / |U| where users weigh the same. ± is the \
         standard deviation over seeds (n - 1). Seeds and users are two sources of error: SE over users is that of each \
         user's mean over seeds.{}\n\n{}\n",
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

fn printed(comparison: &Comparison) -> String {
    if comparison.derived.is_some() { metric(comparison.published) } else { comparison.printed.clone() }
}

fn percent(relative: Option<f64>) -> String {
    relative.map_or_else(String::new, |share| format!("{:+.2} %", 100.0 * share))
}

fn optional(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), metric)
}

fn comparison(report: &Report) -> String {
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
        notes.extend(row.derived.iter().map(|how| format!("- {} is derived, {how}.", row.metric.short())));
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

fn subset(report: &Report) -> String {
    if report.summary.test_retrieved_subset.is_empty() {
        return String::new();
    }
    // Recall at the number of candidates is 1 by definition here.
    let shown: Vec<Metric> = metrics(report)
        .into_iter()
        .filter(|metric| !(metric.kind == MetricKind::Recall && metric.k == report.candidates))
        .collect();
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
         re-ranker starts from. Overall = this x |R| / |U|, seed by seed.{source}\n\n{}\n",
        table.0
    )
}

fn averaging(report: &Report) -> String {
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

fn validation(report: &Report) -> String {
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
        "## Validation\n\nThe last but one item of every user, with the chosen weights and the same treatment as the test.\n\n{}\n",
        table.0
    )
}

fn training(report: &Report) -> String {
    let trained = report.seeds.iter().filter_map(|seed| Some((seed, seed.training.as_ref()?)));
    let Some((_, first)) = trained.clone().next() else { return String::new() };
    let mut table = header(&[
        "Seed",
        "Best step",
        &format!("{} there", first.selected_by),
        "Steps",
        "Epochs",
        "Last loss",
        "Wall time",
        "Peak memory",
        "Stopped",
    ]);
    for (seed, training) in trained {
        table.row(&[
            seed.seed.to_string(),
            thousands(training.best_step.into()),
            metric(training.best_metric),
            thousands(training.steps.into()),
            training.epochs.to_string(),
            optional(training.last_loss),
            seconds(seed.times.wall_seconds.values().sum()),
            seed.peak_memory_bytes.map_or_else(|| "-".to_owned(), bytes),
            training.stop_reason.clone(),
        ]);
    }
    let parameters = first.parameters.map(|n| format!("{} parameters. ", thousands(n))).unwrap_or_default();
    let parts: BTreeSet<&str> =
        report.seeds.iter().flat_map(|seed| seed.times.wall_seconds.keys().map(String::as_str)).collect();
    let parts: Vec<&str> = parts.into_iter().collect();
    format!(
        "## Training\n\n{parameters}The best step is that of the best {} on validation as training sees it. Loss is the mean \
         cross-entropy in nats. Wall time is the sum of: {}. Peak memory is that of the whole process.\n\n{}\n",
        first.selected_by,
        parts.join(", "),
        table.0
    )
}

fn settings(report: &Report) -> String {
    let mut text = format!(
        "## Settings\n\n{} settings in all; results.json lists every one with its origin.\n\n",
        report.settings.len()
    );
    let mut write = |title: &str, none: &str, keep: &dyn Fn(&crate::run::SettingRecord) -> bool| {
        let mut table = text_header(&["Setting", "Value", "From"]);
        let kept: Vec<_> = report.settings.iter().filter(|setting| keep(setting)).collect();
        for setting in &kept {
            table.row(&[
                format!("`{}`", setting.key),
                format!("`{}`", setting.value),
                setting.origin.clone(),
            ]);
        }
        let body = if kept.is_empty() { format!("{none}\n") } else { table.0 };
        let _ = write!(text, "{title}\n\n{body}\n");
    };
    write("Those that differ from the default:", "None.", &|setting| !setting.is_default);
    write("The protocol's quirks, with the value used:", "None applies.", &|setting| setting.is_quirk);
    text
}

fn provenance(report: &Report) -> String {
    let first = &report.seeds[0];
    let distinct = |what: &dyn Fn(&SeedResult) -> String| {
        let values: BTreeSet<String> = report.seeds.iter().map(what).collect();
        values.into_iter().collect::<Vec<_>>().join("; ")
    };
    let mut table = text_header(&["What", "Value"]);
    let mut row = |what: &str, value: String| table.row(&[what.to_owned(), value]);
    row(
        "bench",
        distinct(&|seed| format!("{} (stage version {})", seed.code.version, seed.code.stage_version)),
    );
    row("split fingerprint (SHA-256)", format!("`{}`", report.dataset.ours.split_fingerprint));
    row("platform", distinct(&|seed| seed.machine.platform.clone()));
    row("threads", distinct(&|seed| seed.machine.threads.to_string()));
    row("instruction sets", distinct(&|seed| seed.machine.cpu_features.clone()));
    for source in &report.dataset.ours.sources {
        let value = format!("{} bytes, SHA-256 `{}`", thousands(source.bytes), source.sha256);
        row(&format!("`{}`", source.name), value);
    }
    let mut runs =
        text_header(&["Seed", "Cell", "Finished (UTC)", "SHA-256 of candidates, scores and ranks"]);
    for seed in &report.seeds {
        let hash = seed.retrieval_sha256.as_ref().map_or_else(|| "-".to_owned(), |hash| format!("`{hash}`"));
        let cell = format!("`{}`", seed.key.get(..16).unwrap_or(&seed.key));
        runs.row(&[seed.seed.to_string(), cell, seed.times.finished.clone(), hash]);
    }
    let name = retriever(&report.retriever);
    format!(
        "## Provenance\n\nOne seed of the {name} retriever gives bit-identical ranks on machines with the same instruction \
         sets ({}), whatever the number of threads.\n\n{}\n{}\n",
        first.machine.cpu_features, table.0, runs.0
    )
}
