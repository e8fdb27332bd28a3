//! The audit of the letters.

use super::super::ranker::RankerSection;
use crate::document::{Align, Cell, Column, Prose, Section, Table};

pub(super) fn letters(ranker: &RankerSection) -> Section {
    let audit = &ranker.audit;
    let ids = |ids: &[u32]| ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    let columns = vec![
        Column::text("Letter"),
        Column::text("In context").align(Align::Right),
        Column::text("Standalone").align(Align::Right),
        Column::text("Same"),
    ];
    let mut table = Table::new("letters", "The token ids of each letter under both read-outs.", columns);
    for label in &audit.labels {
        let same = label.in_context == label.standalone;
        table = table.row(vec![
            Cell::text(label.label.clone()),
            Cell::text(ids(&label.in_context)),
            Cell::text(ids(&label.standalone)),
            Cell::text(if same { "yes" } else { "no" }),
        ]);
    }
    let verdict = if audit.differing() == 0 {
        "Both read-outs read the same ids.".to_owned()
    } else {
        format!("The two read-outs differ for {} of {} letters.", audit.differing(), audit.labels.len())
    };
    let several = audit.labels.iter().any(|label| label.standalone.len() != 1);
    let unreadable =
        if several { " Letters of several tokens on their own cannot be read that way." } else { "" };
    let text = Prose::new(format!(
        "Training teaches the token that a letter is after the line break that ends a prompt (in context; the ids before it are {}). The \
         reference reads the token of a letter on its own. {verdict}{unreadable} Scores are read {}: ",
        ids(&audit.context),
        audit.read_out
    ));
    let text = if audit.reads_what_is_trained() {
        text.text("the ids that training teaches.")
    } else {
        text.strong("other ids than training teaches").text(".")
    };
    Section::new("The letters").with(text).with(table)
}
