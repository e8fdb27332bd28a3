//! A comparison as a document.

use super::method::listed;
use super::{Compared, Error, Pair, Verdict};
use crate::document::{Cell, Checked, Column, Document, Facts, Prose, Row, Section, Table};
use crate::significance;

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
        let settings = &self.family.settings;
        let columns = vec![
            Column::text("Metric"),
            Column::number("Reference"),
            Column::number("Method"),
            Column::number("Difference"),
            Column::number("Relative").unit("%"),
            Column::number("low"),
            Column::number("high"),
            Column::number("p"),
            Column::number("Holm"),
            Column::number("d_z"),
            Column::number("win"),
            Column::number("tie"),
            Column::number("loss"),
            Column::number("MDE"),
            Column::text("Verdict"),
        ];
        let users = self.methods[self.reference].users();
        let count = self.rows().len();
        let caption = format!("Means over all {users} users; {count} comparisons, corrected by Holm.");
        let mut table = Table::new("comparison", caption, columns)
            .group("", 5)
            .group(format!("{} % interval", percent(settings.level)), 2)
            .group("p-value", 2)
            .group("", 1)
            .group("users", 3)
            .group("", 2);
        for (pair, rows) in self.by_pair() {
            let group =
                format!("{} against {}", self.methods[pair.method].name, self.methods[self.reference].name);
            for row in rows {
                table = table.row(Row::new(cells(row, settings.design.alpha)).group(group.clone()));
            }
        }
        self.notes().into_iter().fold(table, Table::note)
    }

    fn by_pair(&self) -> impl Iterator<Item = (&Pair, &[significance::Row])> {
        self.pairs.iter().zip(self.rows().chunks(self.metrics.len().max(1)))
    }

    fn notes(&self) -> Vec<String> {
        let settings = &self.family.settings;
        let mut notes: Vec<String> = self.by_pair().map(|(pair, rows)| self.how(pair, rows)).collect();
        notes.push(format!(
            "Difference: method - reference, of means over users and seeds; who is not among a ranker's users counts 0. Relative: in \
             percent of the reference, from unrounded values. Values are rounded to the nearest 4th decimal, percents to the 2nd. p is \
             two-sided; Holm: corrected over all {} comparisons of this table. Intervals are not corrected.",
            self.rows().len()
        ));
        notes.push(format!(
            "Verdict: better or worse where p by Holm is below {}. d_z: mean over standard deviation of the users' differences. win, tie, \
             loss: users for whom the method is better, the same, worse. MDE: the smallest difference that would be found {} times in 100 \
             at p < {} without correction; underpowered: the observed one is smaller.",
            settings.design.alpha,
            percent(settings.design.power),
            settings.design.alpha
        ));
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
    fn how(&self, pair: &Pair, rows: &[significance::Row]) -> String {
        let mut tests: Vec<&str> = Vec::new();
        let mut intervals: Vec<&str> = Vec::new();
        let mut told: Vec<&str> = Vec::new();
        for row in rows {
            let comparison = &row.comparison;
            let once = |all: &mut Vec<&'static str>, one| {
                if !all.contains(&one) {
                    all.push(one)
                }
            };
            once(&mut tests, comparison.primary().method.name());
            once(&mut intervals, comparison.interval().method.name());
            // What is told of power is in the row.
            let notes = comparison.notes.iter().filter(|note| !note.starts_with("underpowered"));
            for note in notes.chain(&comparison.interval().notes) {
                if !told.contains(&note.as_str()) {
                    told.push(note);
                }
            }
        }
        let mut text = format!(
            "{} against {}: {}; test: {}; interval: {}",
            self.methods[pair.method].name,
            self.methods[self.reference].name,
            pair.reason,
            tests.join(" or "),
            intervals.join(" or ")
        );
        for note in told {
            text.push_str("; ");
            text.push_str(note);
        }
        text.push('.');
        text
    }
}

fn cells(row: &significance::Row, alpha: f64) -> Vec<Cell> {
    let comparison = &row.comparison;
    let (effect, ends, power) = (&comparison.effect, comparison.interval(), comparison.power());
    let finite =
        |value: f64, text: String| if value.is_finite() { Cell::number(text, value) } else { Cell::none() };
    let plain = |value: f64| finite(value, format!("{value:.4}"));
    let signed = |value: f64| finite(value, format!("{:+.4}", value + 0.0));
    let users = |n: usize| Cell::number(n.to_string(), n as f64);
    let relative = effect.relative.map(|share| 100.0 * share);
    vec![
        Cell::text(row.metric.clone()),
        plain(effect.mean_b),
        plain(effect.mean_a),
        signed(effect.difference),
        relative.map_or_else(Cell::none, |percent| finite(percent, format!("{:+.2}", percent + 0.0))),
        signed(ends.low),
        signed(ends.high),
        p_value(row.p),
        p_value(row.p_holm),
        effect.d_z.map_or_else(Cell::none, |d| finite(d, format!("{:+.3}", d + 0.0))),
        users(effect.wins),
        users(effect.ties),
        users(effect.losses),
        power.minimum.map_or_else(Cell::none, plain),
        Cell::text(verdict(row, alpha)),
    ]
}

fn p_value(p: f64) -> Cell {
    if p < 0.0001 { Cell::number("<.0001", p) } else { Cell::number(format!("{p:.4}"), p) }
}

fn verdict(row: &significance::Row, alpha: f64) -> String {
    let effect = &row.comparison.effect;
    let word = if effect.wins == 0 && effect.losses == 0 {
        "the same"
    } else if row.p_holm >= alpha {
        "undecided"
    } else if effect.difference > 0.0 {
        "better"
    } else {
        "worse"
    };
    let weak = if row.comparison.power().underpowered { ", underpowered" } else { "" };
    format!("{word}{weak}")
}

fn percent(share: f64) -> f64 {
    // 100 * 0.95 is 95 to a reader.
    (1e4 * share).round() / 1e2
}
