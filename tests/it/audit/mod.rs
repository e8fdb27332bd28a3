//! What published numbers give away: the seed paper's faults are found with their numbers, and sound tables have none.

mod laws;
mod papers;

use std::path::Path;

use bench::audit::{Audit, Check, Finding, Severity, audit};
use bench::baseline::{Baseline, built_in};

/// The audit of one of the built-in files beside the others.
fn built(paper: &str) -> Audit {
    let files = built_in().unwrap();
    let file = files.iter().find(|file| file.paper.id == paper).unwrap();
    audit(file, &files)
}

/// The audit of a text alone.
fn of(text: &str) -> Audit {
    audit(&Baseline::parse(Path::new("mine.toml"), text).unwrap(), &[])
}

fn findings<'a>(audited: &'a Audit, check: Check, dataset: &str) -> Vec<&'a Finding> {
    audited.findings.iter().filter(|found| found.check == check && found.dataset == dataset).collect()
}

/// Whether nothing but notes was found.
fn is_clean(audited: &Audit) -> bool {
    audited.findings.iter().all(|found| found.severity == Severity::Note)
}
