//! The gradient of an embedding table: rows are added where their ids point to.

use super::parallel::{self, Shared};

/// Rows of a task.
const ROWS: usize = 64;

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
    let mut order: Vec<(u32, u32)> = ids.iter().zip(0..).map(|(id, row)| (*id, row)).collect();
    order.sort_unstable();
    let d_table = Shared::new(d_table);
    // A task has the ids whose first row is among its own; it follows the last of them as far as it goes.
    parallel::each(order.len().div_ceil(ROWS), |task| {
        let from = task * ROWS;
        let mut at = from;
        while at > 0 && at < order.len() && order[at].0 == order[at - 1].0 {
            at += 1;
        }
        let end = (from + ROWS).min(order.len());
        while at < order.len() && (at < end || order[at].0 == order[at - 1].0) {
            let (id, row) = order[at];
            // SAFETY: every id belongs to one task.
            let to = unsafe { d_table.part(id as usize * d, d) };
            for (sum, x) in to.iter_mut().zip(&d_rows[row as usize * d..][..d]) {
                *sum += x;
            }
            at += 1;
        }
    });
}
