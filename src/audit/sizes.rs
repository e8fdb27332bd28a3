//! How many users a dataset has, where somebody prints it in full.

use std::collections::{BTreeMap, BTreeSet};

use super::cells::Table;
use crate::baseline::Baseline;

/// |U| by dataset, as the file has it, and by dataset and protocol, as other papers have it.
pub(super) struct Sizes {
    own: BTreeMap<String, u64>,
    told: BTreeMap<(String, String), Option<u64>>,
}

impl Sizes {
    /// The file's own dataset table first, then its stated |U|, then the dataset tables of other papers with the same protocol
    /// where all of them agree.
    pub fn new(file: &Baseline, others: &[&Baseline]) -> Self {
        let mut own = BTreeMap::new();
        for row in &file.statistics {
            if let Some(users) = whole(&row.users) {
                own.entry(row.dataset.clone()).or_insert(users);
            }
        }
        for row in &file.retrieved {
            own.entry(row.dataset.clone()).or_insert(row.users);
        }
        let mut told: BTreeMap<(String, String), Option<u64>> = BTreeMap::new();
        for other in others {
            for row in &other.statistics {
                let users = whole(&row.users).filter(|users| PLAUSIBLE.contains(users));
                let same = other.rows.iter().filter(|number| number.dataset == row.dataset);
                for protocol in same.map(|number| number.protocol.as_str()).collect::<BTreeSet<_>>() {
                    told.entry((row.dataset.clone(), protocol.to_owned()))
                        .and_modify(|known| *known = known.filter(|known| Some(*known) == users))
                        .or_insert(users);
                }
            }
        }
        own.retain(|_, users| PLAUSIBLE.contains(users));
        Self { own, told }
    }

    /// |U| of a table.
    pub fn users(&self, table: &Table<'_>) -> Option<u64> {
        let protocol = &table.cells.first()?.row.protocol;
        let told = || *self.told.get(&(table.dataset.to_owned(), protocol.clone()))?;
        self.own.get(table.dataset).copied().or_else(told)
    }
}

/// Counts of users with which products still fit.
const PLAUSIBLE: std::ops::Range<u64> = 1..1_000_000_000_000;

/// A whole number as tables print it, `22,332`; `None` for `198K` and the like.
pub(super) fn whole(text: &str) -> Option<u64> {
    let digits: String = text.chars().filter(|c| !matches!(c, ',' | '_' | ' ' | '\u{a0}')).collect();
    digits.parse().ok()
}
