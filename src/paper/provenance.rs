//! Which experiments, files, settings and cells the numbers are from.

use super::block::{Block, manifests};
use super::model::{Input, Study};
use super::words::{listed, short};
use crate::document::{Cell, Column, Facts, Prose, Row, Section, Table};
use crate::run::Manifest;

/// The sections at the end of the document.
pub(super) fn sections(input: &Input<'_>, blocks: &[Block]) -> Vec<Section> {
    let mut settings = Section::new("Settings").with(
        "Settings that are not the same in all experiments; each experiment's own report has all of them with their origins.",
    );
    match differing(input.studies) {
        Some(table) => settings = settings.with(table),
        None => settings = settings.with("No setting differs."),
    }
    let mut provenance = Section::new("Provenance").with(experiments(input.studies));
    for block in blocks {
        provenance = provenance.with(data(block));
    }
    if !input.studies.is_empty() {
        provenance = provenance.with(cells(input.studies));
    }
    vec![settings, provenance]
}

fn experiments(studies: &[Study]) -> Facts {
    let entry = |study: &Study| {
        let seeds: Vec<String> = study.retrievals.iter().map(|manifest| manifest.seed.to_string()).collect();
        let text = Prose::default().code(&study.file).text(format!(
            ", {}{}",
            if seeds.len() == 1 { "seed " } else { "seeds " },
            listed(&seeds)
        ));
        let ranker = study.rankings.first().and_then(|manifest| manifest.ranker.as_ref());
        let text = match ranker {
            Some(ranker) => text.text(format!(
                "; {} re-ranked by {} ({}, {}, SHA-256 {})",
                study.retriever(),
                ranker.backbone.name,
                ranker.backbone.quantization,
                if ranker.tuned { "tuned" } else { "as it is" },
                short(&ranker.backbone.identity)
            )),
            None => text.text(format!("; {}", study.retriever())),
        };
        (study.experiment.clone(), text)
    };
    Facts { folded: None, entries: studies.iter().map(entry).collect() }
}

/// The split, its upstream files and the steps that made it.
fn data(block: &Block) -> Facts {
    let mut entries: Vec<(String, Prose)> = Vec::new();
    let split = block.lines.first().map_or("", |line| &line.method.split.fingerprint);
    entries.push(("split".to_owned(), Prose::default().code(split)));
    if let Some(data) = &block.dataset {
        entries.extend(data.sources.iter().map(|source| {
            let text = Prose::new(format!("{} bytes, SHA-256 ", source.bytes)).code(short(&source.sha256));
            (source.name.clone(), text)
        }));
        entries.extend(data.preparation.iter().map(|(step, count)| (step.clone(), Prose::new(count))));
        entries.extend(data.warnings.iter().map(|warning| ("note".to_owned(), Prose::new(warning))));
    }
    Facts { folded: Some(format!("Data of {}", block.title)), entries }
}

fn cells(studies: &[Study]) -> Table {
    let columns = vec![
        Column::text("Experiment"),
        Column::text("Stage"),
        Column::number("Seed"),
        Column::text("Key"),
        Column::text("bench"),
        Column::text("Platform"),
        Column::text("Finished"),
    ];
    let mut table = Table::new("cells", "Cells of the run store that this report was made from.", columns);
    for study in studies {
        for manifest in manifests(study) {
            table = table.row(Row::new(cell(study, manifest)).group(&study.experiment));
        }
    }
    table.note("Key: the first 16 hex digits of the content key; a cell lies in runs/STAGE/KEY.")
}

fn cell(study: &Study, manifest: &Manifest) -> Vec<Cell> {
    vec![
        Cell::text(&study.experiment),
        Cell::text(&manifest.stage),
        Cell::number(manifest.seed.to_string(), manifest.seed as f64),
        Cell::text(manifest.key.get(..16).unwrap_or(&manifest.key)),
        Cell::text(&manifest.code.version),
        Cell::text(&manifest.machine.platform),
        Cell::text(&manifest.times.finished),
    ]
}

/// Each setting that is not the same everywhere, with who has which value.
fn differing(studies: &[Study]) -> Option<Table> {
    let mut keys: Vec<&str> = Vec::new();
    for setting in studies.iter().flat_map(|study| &study.settings) {
        if !keys.contains(&setting.key.as_str()) && !["name", "description"].contains(&setting.key.as_str()) {
            keys.push(&setting.key);
        }
    }
    let columns = vec![Column::text("Setting"), Column::text("Value"), Column::text("Experiments")];
    let mut table = Table::new("settings", "Settings that differ between the experiments.", columns);
    for key in keys {
        let mut values: Vec<(String, Vec<&str>)> = Vec::new();
        for study in studies {
            let setting = study.settings.iter().find(|setting| setting.key == key);
            let value = setting.map_or_else(|| "–".to_owned(), |setting| setting.value.to_string());
            match values.iter_mut().find(|(known, _)| *known == value) {
                Some((_, names)) => names.push(&study.experiment),
                None => values.push((value, vec![&study.experiment])),
            }
        }
        if values.len() > 1 {
            for (value, names) in values {
                let cells = vec![Cell::text(key), Cell::text(value), Cell::text(names.join(", "))];
                table = table.row(Row::new(cells).group(key));
            }
        }
    }
    (!table.rows.is_empty()).then_some(table)
}
