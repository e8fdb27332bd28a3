//! How the numbers came about.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::super::format::{bytes, metric, retriever, seconds, thousands};
use super::super::model::{Report, SeedResult};
use super::results::optional;
use super::{header, of_retriever, text_header};

pub(super) fn training(report: &Report) -> String {
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
        "## Training{}\n\n{parameters}The best step is that of the best {} on validation as training sees it. Loss is the mean \
         cross-entropy in nats. Wall time is the sum of: {}. Peak memory is that of the whole process.\n\n{}\n",
        of_retriever(report),
        first.selected_by,
        parts.join(", "),
        table.0
    )
}

pub(super) fn settings(report: &Report) -> String {
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

pub(super) fn provenance(report: &Report) -> String {
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
        "## Provenance\n\nOne seed of the {name} retriever gives bit-identical candidates, scores and ranks, whatever the number \
         of threads and the instruction set.\n\n{}\n{}\n",
        table.0, runs.0
    )
}
