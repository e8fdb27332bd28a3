//! How the numbers came about.

use std::collections::BTreeSet;

use super::super::format::{bytes, retriever, seconds, thousands};
use super::super::model::{Report, SeedResult};
use super::super::names::{of_retriever, seeds};
use super::cells::{count, number, optional};
use super::figures;
use crate::document::{Cell, Code, Column, Facts, Prose, Section, Table};
use crate::run::SettingRecord;

pub(super) fn training(report: &Report) -> Option<Section> {
    let trained: Vec<_> = report.seeds.iter().filter_map(|s| Some((s, s.training.as_ref()?))).collect();
    let (_, first) = trained.first()?;
    let columns = vec![
        Column::text("Seed"),
        Column::number("Best step"),
        Column::number(format!("{} there", first.selected_by)),
        Column::number("Steps"),
        Column::number("Epochs"),
        Column::number("Last loss").unit("nats"),
        Column::number("Wall time"),
        Column::number("Peak memory"),
        Column::text("Stopped"),
    ];
    let parameters = first.parameters.map(|n| format!("{} parameters, ", thousands(n))).unwrap_or_default();
    let caption = format!("Training{}: {parameters}{}.", of_retriever(report), seeds(report.seeds.len()));
    let mut table = Table::new("training", caption, columns);
    for (seed, training) in &trained {
        let wall: f64 = seed.times.wall_seconds.values().sum();
        table = table.row(vec![
            Cell::text(seed.seed.to_string()),
            count(training.best_step.into()),
            number(training.best_metric),
            count(training.steps.into()),
            count(training.epochs.into()),
            optional(training.last_loss),
            Cell::number(seconds(wall), wall),
            seed.peak_memory_bytes.map_or_else(Cell::none, |n| Cell::number(bytes(n), n as f64)),
            Cell::text(training.stop_reason.clone()),
        ]);
    }
    let parts: BTreeSet<&str> =
        report.seeds.iter().flat_map(|seed| seed.times.wall_seconds.keys().map(String::as_str)).collect();
    let parts: Vec<&str> = parts.into_iter().collect();
    let table = table.note(format!(
        "The best step is that of the best {} on validation as training sees it. Loss is the mean cross-entropy. Wall time is the sum of: \
         {}. Peak memory is that of the whole process.",
        first.selected_by,
        parts.join(", ")
    ));
    let section = Section::new(format!("Training{}", of_retriever(report))).with(table);
    Some(figures::retriever_curve(report).into_iter().fold(section, Section::with))
}

pub(super) fn settings(report: &Report) -> Section {
    let text =
        format!("{} settings in all; results.json lists every one with its origin.", report.settings.len());
    let mut section = Section::new("Settings").with(text.as_str());
    let kept = |keep: &dyn Fn(&SettingRecord) -> bool| -> Vec<&SettingRecord> {
        report.settings.iter().filter(|setting| keep(setting)).collect()
    };
    for (id, caption, none, kept) in [
        (
            "settings",
            "Settings that differ from the default.",
            "All settings have their defaults.",
            kept(&|setting| !setting.is_default),
        ),
        (
            "quirks",
            "The protocol's quirks, with the value used.",
            "None of the protocol's quirks applies.",
            kept(&|setting| setting.is_quirk),
        ),
    ] {
        if kept.is_empty() {
            section = section.with(none);
            continue;
        }
        let mut table = Table::new(id, caption, ["Setting", "Value", "From"].map(Column::text).to_vec());
        for setting in kept {
            table = table.row(vec![
                Cell::text(setting.key.clone()),
                Cell::text(setting.value.to_string()),
                Cell::text(setting.origin.clone()),
            ]);
        }
        section = section.with(table);
    }
    if report.settings.is_empty() { section } else { section.with(listing(report)) }
}

/// Every setting, as an experiment file would have it.
fn listing(report: &Report) -> Code {
    let line = |setting: &SettingRecord| {
        let SettingRecord { key, value, origin, .. } = setting;
        // What is not set, or follows from others, cannot be typed.
        let typed = !value.is_null() && !key.contains(' ');
        format!("{}{key} = {value}  # {origin}\n", if typed { "" } else { "# " })
    };
    Code {
        heading: format!("All {} settings, resolved", report.settings.len()),
        language: "toml".to_owned(),
        text: report.settings.iter().map(line).collect(),
    }
}

/// What later cells tell beside: the machine, the build, how often work went on, what it used. Nothing for early ones.
fn circumstances(report: &Report) -> Vec<(&'static str, String)> {
    let ranked = || report.ranker.iter().flat_map(|ranker| &ranker.seeds);
    let machines = || report.seeds.iter().map(|seed| &seed.machine).chain(ranked().map(|seed| &seed.machine));
    let codes = report.seeds.iter().map(|seed| &seed.code).chain(ranked().map(|seed| &seed.code));
    let processes =
        || report.seeds.iter().map(|seed| &seed.process).chain(ranked().map(|seed| &seed.process));
    let join = |values: BTreeSet<String>| values.into_iter().collect::<Vec<_>>().join("; ");
    let hardware = machines().filter_map(|machine| {
        let name = machine.processor.clone()?;
        let count = machine.processors.map(|n| format!(", {n} processor{}", if n == 1 { "" } else { "s" }));
        let memory = machine.memory_bytes.map(|n| format!(", {} of memory", bytes(n)));
        Some(format!("{name}{}{}", count.unwrap_or_default(), memory.unwrap_or_default()))
    });
    let resumed: u32 = processes().map(|process| process.resumed).sum();
    let energy: Vec<f64> = processes().filter_map(|process| process.energy_joules).collect();
    let told = energy.len();
    let facts = [
        ("processor", join(hardware.collect())),
        ("system", join(machines().filter_map(|machine| machine.system.clone()).collect())),
        ("program (SHA-256)", join(codes.filter_map(|code| code.executable_sha256.clone()).collect())),
        (
            "resumed from checkpoints",
            if resumed > 0 { format!("{resumed} times in all") } else { String::new() },
        ),
        (
            "energy of the processor",
            if told > 0 {
                format!(
                    "{:.1} kJ in all, for {told} of {} cells",
                    energy.iter().sum::<f64>() / 1e3,
                    processes().count()
                )
            } else {
                String::new()
            },
        ),
    ];
    facts.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

pub(super) fn provenance(report: &Report) -> Section {
    let distinct = |what: &dyn Fn(&SeedResult) -> String| {
        let values: BTreeSet<String> = report.seeds.iter().map(what).collect();
        Prose::from(values.into_iter().collect::<Vec<_>>().join("; "))
    };
    let mut entries = vec![
        (
            "bench".to_owned(),
            distinct(&|seed| format!("{} (stage version {})", seed.code.version, seed.code.stage_version)),
        ),
        (
            "split fingerprint (SHA-256)".to_owned(),
            Prose::default().code(report.dataset.ours.split_fingerprint.clone()),
        ),
        ("platform".to_owned(), distinct(&|seed| seed.machine.platform.clone())),
        ("threads".to_owned(), distinct(&|seed| seed.machine.threads.to_string())),
        ("instruction sets".to_owned(), distinct(&|seed| seed.machine.cpu_features.clone())),
    ];
    if report.seeds.iter().any(|seed| seed.machine.device.is_some()) {
        let device = |seed: &SeedResult| seed.machine.device.clone();
        let named = |seed: &SeedResult| device(seed).unwrap_or_else(|| "the processor".to_owned());
        entries.push(("device of the retriever".to_owned(), distinct(&named)));
    }
    entries
        .extend(circumstances(report).into_iter().map(|(name, value)| (name.to_owned(), Prose::from(value))));
    for source in &report.dataset.ours.sources {
        let value =
            Prose::new(format!("{} bytes, SHA-256 ", thousands(source.bytes))).code(source.sha256.clone());
        entries.push((source.name.clone(), value));
    }
    let columns =
        ["Seed", "Cell", "Finished (UTC)", "SHA-256 of candidates, scores and ranks"].map(Column::text);
    let mut runs = Table::new("runs", "The stored runs.", columns.to_vec());
    for seed in &report.seeds {
        runs = runs.row(vec![
            Cell::text(seed.seed.to_string()),
            Cell::text(seed.key.get(..16).unwrap_or(&seed.key)),
            Cell::text(seed.times.finished.clone()),
            seed.retrieval_sha256.as_ref().map_or_else(Cell::none, |hash| Cell::text(hash.clone())),
        ]);
    }
    let name = retriever(&report.retriever);
    let text = format!(
        "One seed of the {name} retriever gives bit-identical candidates, scores and ranks, whatever the number of threads and the \
         instruction set."
    );
    Section::new("Provenance").with(text.as_str()).with(Facts { folded: None, entries }).with(runs)
}
