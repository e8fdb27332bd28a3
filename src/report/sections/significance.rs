//! Whether what the ranker adds is more than chance.

use super::super::format::{count, thousands};
use super::super::model::Report;
use super::super::names::seeds;
use super::super::ranker::RankerSection;
use super::super::significance::settings;
use super::figures;
use crate::compare::{contrast_notes, contrast_table, contrast_tests};
use crate::document::Section;

pub(super) fn section(report: &Report, ranker: &RankerSection) -> Section {
    let section = Section::new("Significance");
    let Some(found) = &ranker.significance else {
        let why = if ranker.test.retrieved.max == 0.0 {
            "R is empty: no order of the candidates differs from another, so there is nothing to compare."
        } else {
            "Not all of R was ranked, so nothing is known over all users, and there is no test."
        };
        return section.with(why);
    };
    let one = report.seeds.len() == 1;
    let unit = if one {
        "One seed: the test is about other users, and says nothing about another training."
    } else {
        "The test is about other users and another training together; seeds are compared one by one, for all rungs begin with the same \
         candidates of the retriever."
    };
    let caption = format!(
        "Each rung against a lower one, over all {} users of the test (|R| = {}, {}); {} comparisons, corrected by Holm.",
        thousands(report.seeds[0].test.n_users as u64),
        count(ranker.test.retrieved.mean, ranker.test.retrieved.sd),
        seeds(report.seeds.len()),
        found.contrasts.len()
    );
    let mut table = contrast_table("significance", caption, &found.contrasts, &found.pairs(), &settings());
    let tests = contrast_tests(&found.contrasts);
    table = table.note(format!("{}{}.", tests[..1].to_uppercase(), &tests[1..]));
    for note in contrast_notes(found.contrasts.len(), settings().design) {
        table = table.note(note);
    }
    let table =
        table.note(format!("R@{} is left out: no order of the candidates changes it.", report.candidates));
    let section = section.with(unit).with(table);
    figures::improvement(report, ranker).into_iter().fold(section, Section::with)
}
