//! What a reader should know before the numbers.

use std::collections::BTreeSet;

use rayon::prelude::*;

use super::block::{Block, manifests};
use super::model::{Input, Study};
use super::verdicts::Verdicts;
use super::words::{count, counted, listed, short, thousands};
use super::{datasets, labels};
use crate::audit::{Audit, Severity, audit};
use crate::baseline::Baseline;
use crate::compare::Split;
use crate::document::Prose;
use crate::eval::{MetricKind, SeedSummary};

/// All warnings, what is missing first.
pub(super) fn warnings(input: &Input<'_>, blocks: &[Block], verdicts: &Verdicts) -> Vec<Prose> {
    let mut found: Vec<Prose> = limits(input.studies).into_iter().map(Prose::from).collect();
    found.extend(
        input.absent.iter().map(|absent| Prose::from(format!("{}: {}.", absent.experiment, absent.why))),
    );
    let plain = [
        incomplete(input.studies),
        splits(blocks),
        single_seeds(blocks),
        underpowered(blocks, verdicts),
        retrieved(blocks),
        nobody(blocks),
        read_outs(input.studies),
        averaging(input.studies),
        platforms(input.studies),
        datasets::differing(blocks, input.baselines),
    ];
    found.extend(plain.into_iter().flatten().map(Prose::from));
    found.extend(audits(blocks, input.baselines));
    found
}

/// What all of the document is stamped with: why a part of it is not for reporting.
pub(super) fn stamp(studies: &[Study]) -> Option<String> {
    let limits: BTreeSet<&str> = studies.iter().filter_map(Study::limit).collect();
    let limits: Vec<&str> = limits.into_iter().collect();
    (!limits.is_empty()).then(|| {
        let why = limits.join("; ");
        if why.contains("not for reporting") { why } else { format!("not for reporting: {why}") }
    })
}

fn limits(studies: &[Study]) -> Option<String> {
    let of: Vec<&Study> = studies.iter().filter(|study| study.limit().is_some()).collect();
    let names: Vec<&str> = of.iter().map(|study| study.experiment.as_str()).collect();
    let first = of.first()?.limit()?;
    Some(format!("Not for reporting: {} ({first}).", listed(&names)))
}

fn incomplete(studies: &[Study]) -> Vec<String> {
    let of = studies.iter().filter(|study| !study.missing().is_empty());
    of.map(|study| {
        let missing: Vec<String> = study.missing().iter().map(u64::to_string).collect();
        format!(
            "{} is incomplete: {} of {} stored; missing: {}; bench {} computes them.",
            study.experiment,
            study.retrievals.len(),
            counted(study.seeds.len(), "seed"),
            listed(&missing),
            study.file
        )
    })
    .collect()
}

/// Splits of one dataset that differ, and in what.
fn splits(blocks: &[Block]) -> Vec<String> {
    let mut found = Vec::new();
    for (at, block) in blocks.iter().enumerate() {
        for other in &blocks[..at] {
            let name = |block: &Block| block.dataset.as_ref().map(|data| data.name.clone());
            if name(block).is_none() || name(block) != name(other) {
                continue;
            }
            let split = |block: &Block| block.lines.first().map(|line| line.method.split.clone());
            let (Some(one), Some(two)) = (split(other), split(block)) else { continue };
            found.push(format!(
                "{} and {} are not paired: their splits differ (fingerprints {} and {}), so a user of one is not the user of the other; {}. \
                 Each has a block of its own.",
                experiments(other),
                experiments(block),
                short(&one.fingerprint),
                short(&two.fingerprint),
                differing(&one, &two)
            ));
        }
    }
    found
}

fn differing(one: &Split, other: &Split) -> String {
    let differences = one.differences(other);
    if differences.is_empty() {
        "what is stored about them does not tell why".to_owned()
    } else {
        format!("what differs: {}", differences.join("; "))
    }
}

fn experiments(block: &Block) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in block.lines.iter().flat_map(|line| &line.experiments) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    listed(&names)
}

fn single_seeds(blocks: &[Block]) -> Vec<String> {
    let of = |block: &Block| {
        let single: Vec<&str> = block
            .lines
            .iter()
            .filter(|line| line.method.runs.len() == 1)
            .map(|line| line.method.name.as_str())
            .collect();
        (!single.is_empty()).then(|| {
            format!(
                "{}: one seed of {}: no ±, and their tests are over users only: nothing is said about another training.",
                block.title,
                listed(&single)
            )
        })
    };
    blocks.iter().filter_map(of).collect()
}

/// What could not have been seen, by dataset: tests against the reference.
fn underpowered(blocks: &[Block], verdicts: &Verdicts) -> Vec<String> {
    let of = |(at, block): (usize, &Block)| {
        let of_block = verdicts.pairs.iter().enumerate();
        let rows = of_block
            .filter(|(_, pair)| pair.block == at && pair.b == block.reference)
            .flat_map(|(pair, _)| verdicts.rows(pair));
        let rows: Vec<_> = rows.collect();
        let weak = rows.iter().filter(|row| row.comparison.power().underpowered).count();
        if weak == 0 {
            return None;
        }
        let widest =
            verdicts.metrics.iter().rev().find(|metric| metric.kind == MetricKind::Ndcg)?.to_string();
        let least = rows
            .iter()
            .filter(|row| row.metric == widest)
            .filter_map(|row| Some((row.comparison.power().minimum?, row.comparison.effect.mean_b)))
            .min_by(|a, b| a.0.total_cmp(&b.0));
        let least = least.filter(|(_, mean)| *mean > 0.0).map(|(least, mean)| {
            format!(
                " The smallest difference in {widest} that any of them would find 80 times in 100 is {least:.4}, {:.1} % of the reference's \
                 mean.",
                100.0 * least / mean
            )
        });
        let found: Vec<SeedSummary> =
            block.lines.iter().filter_map(|line| line.means.retrieved()).take(1).collect();
        let of_r =
            found.first().map_or_else(String::new, |found| format!(", of whom {} are in R", count(found)));
        Some(format!(
            "{}: underpowered: {} of {} against {} see a difference smaller than what {} users{of_r}, would show.{}",
            block.title,
            weak,
            counted(rows.len(), "test"),
            block.lines[block.reference].method.name,
            thousands(block.users() as u64),
            least.unwrap_or_default()
        ))
    };
    blocks.iter().enumerate().filter_map(of).collect()
}

/// |R| that differs between retrievers.
fn retrieved(blocks: &[Block]) -> Vec<String> {
    let of = |block: &Block| {
        let mut sizes: Vec<(String, Vec<&str>)> = Vec::new();
        for line in block.lines.iter().filter(|line| line.kind != super::LineKind::Imported) {
            let Some(found) = line.means.retrieved() else { continue };
            let text = count(&found);
            match sizes.iter_mut().find(|(known, _)| *known == text) {
                Some((_, names)) => names.push(&line.method.name),
                None => sizes.push((text, vec![&line.method.name])),
            }
        }
        (sizes.len() > 1).then(|| {
            let each: Vec<String> =
                sizes.iter().map(|(size, names)| format!("{size} for {}", listed(names))).collect();
            format!(
                "{}: |R| differs: {}. Means over R (Table II) are of different users there; only means over all users (Table III) can be \
                 compared.",
                block.title,
                each.join("; ")
            )
        })
    };
    blocks.iter().filter_map(of).collect()
}

fn nobody(blocks: &[Block]) -> Vec<String> {
    let empty = |line: &super::Line| line.means.retrieved().is_none_or(|found| found.min == 0.0);
    let of = |block: &Block| {
        let names: Vec<&str> =
            block.lines.iter().filter(|line| empty(line)).map(|line| line.method.name.as_str()).collect();
        (!names.is_empty()).then(|| {
            format!(
                "{}: at least one seed of {} retrieved no held-out item at all: R is empty, and there are no means over it.",
                block.title,
                listed(&names)
            )
        })
    };
    blocks.iter().filter_map(of).collect()
}

fn read_outs(studies: &[Study]) -> Vec<String> {
    let names: Vec<&str> = studies
        .iter()
        .filter(|study| !study.reads_what_is_trained)
        .map(|study| study.experiment.as_str())
        .collect();
    let text = format!(
        "{}: letters are read from token ids that training never teaches; ranker.read_out = \"in-context\" reads the trained ones.",
        listed(&names)
    );
    if names.is_empty() { Vec::new() } else { vec![text] }
}

fn averaging(studies: &[Study]) -> Vec<String> {
    let by_batches = |study: &&Study| {
        study
            .settings
            .iter()
            .any(|setting| setting.key == "evaluation.averaging" && setting.value == "batches")
    };
    let names: Vec<&str> = studies.iter().filter(by_batches).map(|study| study.experiment.as_str()).collect();
    let text = format!(
        "{}: evaluation.averaging is \"batches\", but here every user weighs the same, for tests pair users.",
        listed(&names)
    );
    if names.is_empty() { Vec::new() } else { vec![text] }
}

fn platforms(studies: &[Study]) -> Vec<String> {
    let all = || studies.iter().flat_map(manifests);
    let versions: BTreeSet<&str> = all().map(|manifest| manifest.code.version.as_str()).collect();
    let platforms: BTreeSet<&str> = all().map(|manifest| manifest.machine.platform.as_str()).collect();
    let mut found = Vec::new();
    if versions.len() > 1 {
        let versions: Vec<&str> = versions.into_iter().collect();
        found.push(format!("Cells were computed by different versions of bench: {}.", listed(&versions)));
    }
    if platforms.len() > 1 {
        let platforms: Vec<&str> = platforms.into_iter().collect();
        found.push(format!(
            "Cells were computed on different platforms ({}), whose mathematical libraries may differ in a last bit.",
            listed(&platforms)
        ));
    }
    found
}

/// What an audit finds in the published numbers that are shown.
fn audits(blocks: &[Block], baselines: &[Baseline]) -> Vec<Prose> {
    let names: BTreeSet<&str> =
        blocks.iter().filter_map(|block| Some(block.dataset.as_ref()?.name.as_str())).collect();
    let used = |file: &&Baseline| file.rows.iter().any(|row| names.contains(row.dataset.as_str()));
    let files: Vec<&Baseline> = baselines.iter().filter(used).collect();
    let audits: Vec<Audit> = files.into_par_iter().map(|file| audit(file, baselines)).collect();
    let told = |audited: Audit| {
        let here = audited.findings.iter().filter(|finding| names.contains(finding.dataset.as_str()));
        let serious: Vec<_> = here.filter(|finding| finding.severity < Severity::Note).collect();
        let of = |severity| serious.iter().filter(|finding| finding.severity == severity).count();
        let first = serious.first()?;
        let (contradictions, doubts) = (of(Severity::Contradiction), of(Severity::Doubt));
        let mut counts = Vec::new();
        counts.extend((contradictions > 0).then(|| counted(contradictions, "contradiction")));
        counts.extend((doubts > 0).then(|| counted(doubts, "doubt")));
        let path = audited.path.display().to_string();
        Some(
            Prose::new(format!(
                "Published numbers of {}: {}, such as {}, {}, {}: {} ",
                audited.paper,
                listed(&counts),
                labels::dataset(&first.dataset),
                first.table,
                few(&first.cells),
                sentence(&first.meaning)
            ))
            .code(format!("bench audit {path}"))
            .text(" lists them."),
        )
    };
    audits.into_iter().filter_map(told).collect()
}

/// The first of a list of cells, and how many more there are.
fn few(cells: &str) -> String {
    let all: Vec<&str> = cells.split(", ").collect();
    match all.as_slice() {
        [first, _, _, ..] => format!("{first} and {} more", all.len() - 1),
        _ => cells.to_owned(),
    }
}

fn sentence(text: &str) -> String {
    let text = text.trim_end();
    if text.ends_with('.') { text.to_owned() } else { format!("{text}.") }
}
