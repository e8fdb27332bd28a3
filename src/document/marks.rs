//! Best and second, from unrounded values.

use super::table::{Better, Mark, Table};

/// Who competes with whom in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Competition {
    /// All rows of the table.
    #[default]
    Table,
    /// The rows of one group.
    Group,
}

/// The places of `values`: all that equal the best are [`Mark::Best`], all that equal the next value are
/// [`Mark::Second`]. Equal means the same number, before any rounding. A competition of fewer than two has no places, and one
/// in which all are equal has no second. What is not a number has no place.
///
/// ```
/// use bench::document::{Better, Mark::{Best, Second}, marks};
/// let values = [Some(0.25), Some(0.5), None, Some(0.5), Some(0.125)];
/// assert_eq!(marks(&values, Better::Higher), [Some(Second), Some(Best), None, Some(Best), None]);
/// ```
#[must_use]
pub fn marks(values: &[Option<f64>], better: Better) -> Vec<Option<Mark>> {
    let known = || values.iter().flatten().copied().filter(|value| !value.is_nan());
    if known().count() < 2 {
        return vec![None; values.len()];
    }
    let beats = |a: f64, b: f64| if better == Better::Higher { a > b } else { a < b };
    let first = |among: &mut dyn Iterator<Item = f64>| among.reduce(|a, b| if beats(b, a) { b } else { a });
    let best = first(&mut known());
    let second = first(&mut known().filter(|value| Some(*value) != best));
    let place = |value: &Option<f64>| match *value {
        Some(_) if *value == best => Some(Mark::Best),
        Some(_) if *value == second => Some(Mark::Second),
        _ => None,
    };
    values.iter().map(place).collect()
}

impl Table {
    /// With marks in every column, and in every row, that says which of its numbers is better. Rows that are `unranked` stay
    /// out. Marks that were there are gone.
    #[must_use]
    pub fn mark(mut self, competition: Competition) -> Self {
        self.rows.iter_mut().flat_map(|row| &mut row.cells).for_each(|cell| cell.mark = None);
        for column in 0..self.columns.len() {
            let Some(better) = self.columns[column].better else { continue };
            for rows in self.rivals(competition) {
                let values: Vec<_> =
                    rows.iter().map(|row| self.rows[*row].cells.get(column)?.value).collect();
                for (row, mark) in rows.into_iter().zip(marks(&values, better)) {
                    if let Some(cell) = self.rows[row].cells.get_mut(column) {
                        cell.mark = mark;
                    }
                }
            }
        }
        for row in &mut self.rows {
            let Some(better) = row.better else { continue };
            let values: Vec<_> = row.cells.iter().map(|cell| cell.value).collect();
            for (cell, mark) in row.cells.iter_mut().zip(marks(&values, better)) {
                cell.mark = mark.or(cell.mark);
            }
        }
        self
    }

    /// The rows that compete with each other.
    fn rivals(&self, competition: Competition) -> Vec<Vec<usize>> {
        let ranked = (0..self.rows.len()).filter(|row| !self.rows[*row].unranked);
        let mut rivals: Vec<Vec<usize>> = Vec::new();
        for row in ranked {
            let with = rivals.iter_mut().find(|rivals| {
                competition == Competition::Table || self.rows[rivals[0]].group == self.rows[row].group
            });
            match with {
                Some(rivals) => rivals.push(row),
                None => rivals.push(vec![row]),
            }
        }
        rivals
    }
}
