//! A comparison as a document.

use super::method::listed;
use super::table::{contrast_notes, contrast_table, contrast_tests};
use super::{Compared, Contrast, Error, Pair, Verdict};
use crate::document::{Checked, Document, Facts, Prose, Section, Table};

impl Compared {
    /// The table of all comparisons under what is compared, and what came of gates.
    ///
    /// # Errors
    /// If it is not printable, which would be a mistake of this program.
    pub fn document(&self, verdicts: &[Verdict]) -> Result<Checked, Error> {
        let reference = &self.methods[self.reference].name;
        let others: Vec<String> =
            self.pairs.iter().map(|pair| self.methods[pair.method].name.clone()).collect();
        let section = Section::new("Comparison").with(self.table()).with(self.facts());
        let mut document = Document::new(format!("{} against {reference}", listed(&others))).with(section);
        if !verdicts.is_empty() {
            let lines = verdicts.iter().map(|verdict| Prose::from(verdict.to_string()));
            document = document.with(lines.fold(Section::new("Gates"), Section::with));
        }
        Ok(document.check()?)
    }

    fn facts(&self) -> Facts {
        let entry = |method: &super::Method| {
            let found: Vec<String> = method.runs.iter().map(|run| run.retrieved.to_string()).collect();
            let seed = if method.runs.len() == 1 { "seed" } else { "seeds" };
            let mut text = format!("{}, {seed} {}, |R| {}", method.stage, method.seeds(), listed(&found));
            if method.candidates > 0 {
                text.push_str(&format!(" at {} candidates", method.candidates));
            }
            (method.name.clone(), Prose::from(text))
        };
        Facts { folded: None, entries: self.methods.iter().map(entry).collect() }
    }

    fn table(&self) -> Table {
        let users = self.methods[self.reference].users();
        let count = self.rows().len();
        let caption = format!("Means over all {users} users; {count} comparisons, corrected by Holm.");
        let reference = &self.methods[self.reference].name;
        let heading = |pair: &Pair| format!("{} against {reference}", self.methods[pair.method].name);
        let groups: Vec<(String, usize)> =
            self.pairs.iter().map(|pair| (heading(pair), self.metrics.len())).collect();
        let table = contrast_table("comparison", caption, &self.contrasts(), &groups, &self.family.settings);
        self.notes().into_iter().fold(table, Table::note)
    }

    fn notes(&self) -> Vec<String> {
        let contrasts = self.contrasts();
        let by_pair = self.pairs.iter().zip(contrasts.chunks(self.metrics.len().max(1)));
        let mut notes: Vec<String> = by_pair.map(|(pair, contrasts)| self.how(pair, contrasts)).collect();
        notes.extend(contrast_notes(self.rows().len(), self.family.settings.design));
        let base = &self.methods[self.reference];
        let differ = |of: fn(&super::Method) -> Vec<usize>| {
            let all: Vec<usize> = self.methods.iter().flat_map(of).collect();
            all.iter().any(|one| *one != all[0])
        };
        if differ(|method| method.runs.iter().map(|run| run.retrieved).collect()) {
            notes.push(
                "|R| differs between seeds or methods. Over all users that hinders no comparison; over R alone it would, so there is none."
                    .to_owned(),
            );
        }
        if self.methods.iter().any(|method| method.candidates != base.candidates) {
            notes.push(
                "The candidate lists differ in length. That is part of what is compared: a longer list finds more for its ranker."
                    .to_owned(),
            );
        }
        let deepest = self.metrics.iter().map(|metric| metric.k).max().unwrap_or(0);
        for method in self.methods.iter().filter(|method| (1..deepest).contains(&method.candidates)) {
            notes.push(format!(
                "{}: with {} candidates a ranker's metrics at larger cutoffs are those at {}.",
                method.name, method.candidates, method.candidates
            ));
        }
        notes
    }

    /// The test of a pair, and what its comparisons have to tell.
    fn how(&self, pair: &Pair, contrasts: &[Contrast]) -> String {
        format!(
            "{} against {}: {}; {}.",
            self.methods[pair.method].name,
            self.methods[self.reference].name,
            pair.reason,
            contrast_tests(contrasts)
        )
    }
}
