//! What rungs and methods are called.

use super::format::retriever;
use super::model::Report;
use super::ranker::{Ladder, RankerSection, RungResult};
use crate::eval::Rung;

/// The name of a rung in tables.
pub(super) fn rung_name(ranker: &RankerSection, rung: &RungResult) -> String {
    let several = ranker.test.rungs.iter().filter(|r| r.rung == rung.rung).count() > 1;
    let name = match rung.rung {
        Rung::Random => "random order (expected)",
        Rung::Retriever => "retriever's order",
        Rung::ZeroShot => "zero-shot",
        Rung::Tuned => "tuned",
        Rung::Oracle => "perfect order",
    };
    match &rung.read_out {
        Some(read_out) if several => format!("{name}, {read_out}"),
        _ => name.to_owned(),
    }
}

/// Whether a rung is the ranker's result.
pub(super) fn is_result(ranker: &RankerSection, ladder: &Ladder, rung: &RungResult) -> bool {
    ladder.result(&ranker.read_out).is_some_and(|result| std::ptr::eq(result, rung))
}

/// The name of a method in figures and sentences.
pub(super) fn method_name(report: &Report, rung: Rung) -> String {
    match rung {
        Rung::Retriever => retriever(&report.retriever).to_owned(),
        other => other.name().to_owned(),
    }
}

/// The letter under which a method is named in superscripts.
pub(super) fn letter(rung: Rung) -> Option<&'static str> {
    match rung {
        Rung::Retriever => Some("a"),
        Rung::ZeroShot => Some("b"),
        Rung::Tuned => Some("c"),
        Rung::Random | Rung::Oracle => None,
    }
}

/// `1 seed`, `3 seeds`.
pub(super) fn seeds(count: usize) -> String {
    format!("{count} {}", if count == 1 { "seed" } else { "seeds" })
}

/// What headings of the first stage say where there is a second.
pub(super) fn of_retriever(report: &Report) -> &'static str {
    if report.ranker.is_some() { " of the retriever" } else { "" }
}
