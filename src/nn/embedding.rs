//! The gradient of an embedding table: rows are added where their ids point to.

use super::parallel::{self, Shared};

/// Ids of a task.
const IDS: usize = 64;

/// `d_table[ids[i]] += d_rows[i]`, the rows of one id in their order, whatever the number of threads.
///
/// `# Shapes: ids (m); d_rows (m, d); d_table (v, d)`
///
/// # Panics
/// When an id is not below v or a slice does not fit the shapes (a programming error of this crate).
pub fn scatter_add(d: usize, ids: &[u32], d_rows: &[f32], d_table: &mut [f32]) {
    assert!(
        d > 0 && d_rows.len() == ids.len() * d && d_table.len().is_multiple_of(d),
        "{} ids, {} rows' and {} table's elements of width {d}",
        ids.len(),
        d_rows.len(),
        d_table.len()
    );
    let v = d_table.len() / d;
    assert!(ids.iter().all(|&id| (id as usize) < v), "an id is not below {v}");
    scatter(d, &lists(ids), d_rows, d_table);
}

/// The rows of each id: those of `ids[t]` are `rows[offsets[t]..offsets[t + 1]]`, ascending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lists<I> {
    /// Each id once, ascending.
    pub ids: I,
    /// Where its rows begin, and the end.
    pub offsets: I,
    /// All rows.
    pub rows: I,
}

/// The rows of each id of a batch.
#[must_use]
pub fn lists(ids: &[u32]) -> Lists<Vec<u32>> {
    let mut order: Vec<(u32, u32)> = ids.iter().zip(0..).map(|(id, row)| (*id, row)).collect();
    order.sort_unstable();
    let mut lists = Lists { ids: Vec::new(), offsets: Vec::new(), rows: Vec::with_capacity(ids.len()) };
    for (at, (id, row)) in order.into_iter().enumerate() {
        if lists.ids.last() != Some(&id) {
            lists.ids.push(id);
            lists.offsets.push(at as u32);
        }
        lists.rows.push(row);
    }
    lists.offsets.push(ids.len() as u32);
    lists
}

/// [`scatter_add`] where the rows of each id are known.
///
/// # Panics
/// When the lists are not those of [`lists`] for these rows, or an id is not below v (a programming error of this crate).
pub fn scatter(d: usize, lists: &Lists<Vec<u32>>, d_rows: &[f32], d_table: &mut [f32]) {
    let Lists { ids, offsets, rows } = lists;
    assert!(ids.windows(2).all(|two| two[0] < two[1]) && offsets.len() == ids.len() + 1, "lists of ids");
    assert!(
        ids.last().is_none_or(|last| (*last as usize + 1) * d <= d_table.len()),
        "an id is not in the table"
    );
    let d_table = Shared::new(d_table);
    parallel::each(ids.len().div_ceil(IDS), |task| {
        for t in task * IDS..ids.len().min((task + 1) * IDS) {
            // SAFETY: every id is there once, so its row of the table belongs to one task.
            let to = unsafe { d_table.part(ids[t] as usize * d, d) };
            for &row in &rows[offsets[t] as usize..offsets[t + 1] as usize] {
                for (sum, x) in to.iter_mut().zip(&d_rows[row as usize * d..][..d]) {
                    *sum += x;
                }
            }
        }
    });
}
