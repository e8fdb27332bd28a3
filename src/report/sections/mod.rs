//! A report as a document: sections of tables, figures and words, before they have a format.

mod cells;
mod data;
mod figures;
mod ladder;
mod letters;
mod published;
mod ranker;
mod record;
mod results;
mod significance;

use super::Error;
use super::format::ROUNDING;
use super::model::Report;
use super::names::method_name;
use crate::document::{Checked, Document, Prose, Section};
use crate::eval::Rung;

/// Every id that a table of a report can have: what [`write_report`](super::write_report) may take away when a report no longer has it.
pub(super) const TABLES: [&str; 24] = [
    "dataset",
    "preprocessing",
    "overall",
    "ranker-only",
    "headroom",
    "significance",
    "validation-overall",
    "validation-ranker-only",
    "validation-headroom",
    "ranker-published",
    "letters",
    "ranker-training",
    "learning-curve",
    "prompts",
    "rankings",
    "test",
    "published",
    "retrieved",
    "averaging",
    "validation",
    "training",
    "settings",
    "quirks",
    "runs",
];

/// Every id that a figure of a report can have.
pub(super) const FIGURES: [&str; 8] = [
    "metrics",
    "ladder",
    "improvement",
    "ranks",
    "by-history",
    "by-popularity",
    "retriever-curve",
    "ranker-curve",
];

/// The report as a document.
///
/// # Errors
/// If it is not printable, which would be a mistake of this program.
pub fn document(report: &Report) -> Result<Checked, Error> {
    let mut document = Document::new(report.experiment.clone());
    document.stamp = report.not_for_reporting.as_ref().map(|why| format!("Not for reporting: {why}"));
    document.warnings = report.warnings.iter().map(|warning| Prose::from(warning.as_str())).collect();
    document.sections.push(what(report));
    document.sections.push(data::dataset(report));
    document.sections.extend(ranker::sections(report));
    document.sections.push(results::test(report));
    if report.ranker.is_none() {
        document.sections.extend(figures::ranks(report));
    }
    document.sections.extend(published::comparison(report));
    document.sections.extend(results::subset(report));
    document.sections.extend(results::averaging(report));
    document.sections.push(results::validation(report));
    document.sections.extend(record::training(report));
    document.sections.push(record::settings(report));
    document.sections.push(record::provenance(report).with(ROUNDING));
    Ok(document.check()?)
}

fn what(report: &Report) -> Section {
    let mut section = Section::new("What was run");
    if !report.description.trim().is_empty() {
        section = section.with(report.description.trim());
    }
    section = section.with(report.what.as_str());
    if let Some(found) = found(report) {
        section = section.with(found);
    }
    figures::metrics(report).into_iter().fold(section, Section::with)
}

/// The result in a sentence or two.
fn found(report: &Report) -> Option<Prose> {
    let figures = report.figures.as_ref()?;
    let metric = figures.metric;
    let value = |rung| Some(figures.method(rung)?.overall.get(&metric)?.mean);
    let retriever = value(Rung::Retriever)?;
    let name = method_name(report, Rung::Retriever);
    let text = format!("{metric} over all users: {name} {retriever:.4}");
    let Some(ranker) = &report.ranker else { return Some(Prose::new(format!("{text}."))) };
    if ranker.backbone.is_random() {
        return Some(Prose::new(format!(
            "{text}. Of the ranker, whose weights are random, there is no result."
        )));
    }
    let Some(result) = [Rung::Tuned, Rung::ZeroShot].into_iter().find(|rung| figures.method(*rung).is_some())
    else {
        return Some(Prose::new(format!(
            "{text}. Not all of R was ranked, so there is no such number of the ranker."
        )));
    };
    let own = value(result)?;
    let mut prose = Prose::new(format!("{text}, ")).strong(format!("{} {own:.4}", result.name()));
    let significance = ranker.significance.as_ref();
    let contrast = significance.and_then(|s| Some((s, s.contrast(result, Rung::Retriever, metric)?)));
    if let Some((significance, contrast)) = contrast {
        let relative =
            contrast.relative.map_or_else(String::new, |share| format!("{:+.2} %, ", 100.0 * share + 0.0));
        let p = if contrast.p_holm < 0.0001 {
            "p by Holm below .0001".to_owned()
        } else {
            format!("p by Holm {:.4}", contrast.p_holm)
        };
        let verdict = match contrast.verdict(significance.alpha) {
            "better" => "better than chance explains",
            "worse" => "worse than chance explains",
            "the same" => "no user differs",
            _ => "which chance may explain",
        };
        let weak = if contrast.underpowered { "; underpowered" } else { "" };
        prose = prose.text(format!(" ({relative}{p}: {verdict}{weak})"));
    }
    Some(prose.text("."))
}
