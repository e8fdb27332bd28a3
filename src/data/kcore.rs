//! The k-core of the interaction graph.

use super::raw::Interaction;

/// Drop every item with fewer than `min_item` interactions, then every user with fewer than `min_user`, and again until
/// nothing changes. Interactions are counted, not distinct pairs: repeated ones stay and count, as in the reference.
/// The result is the largest set that meets both bounds, so the order of the two does not matter.
///
/// Returns the number of rounds, the last of which changed nothing.
///
/// User and item numbers must lie below `n_users` and `n_items`.
pub(crate) fn k_core(
    rows: &mut Vec<Interaction>,
    n_users: usize,
    n_items: usize,
    min_user: u32,
    min_item: u32,
) -> u32 {
    let mut counts = vec![0u32; n_users.max(n_items)];
    let mut rounds = 0;
    loop {
        rounds += 1;
        let before = rows.len();
        keep_frequent(rows, &mut counts[..n_items], min_item, |row| row.item);
        keep_frequent(rows, &mut counts[..n_users], min_user, |row| row.user);
        if rows.len() == before {
            return rounds;
        }
    }
}

fn keep_frequent(
    rows: &mut Vec<Interaction>,
    counts: &mut [u32],
    min: u32,
    key: impl Fn(&Interaction) -> u32,
) {
    if min <= 1 {
        return;
    }
    counts.fill(0);
    for row in rows.iter() {
        let count = &mut counts[key(row) as usize];
        *count = count.saturating_add(1);
    }
    rows.retain(|row| counts[key(row) as usize] >= min);
}
