//! Preprocessing in the protocol's order: titles, k-core, dense ids, time order.

use std::num::NonZeroU32;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::kcore::k_core;
use super::order::{by_raw_id, ordered};
use super::raw::{Interaction, Raw};
use super::{Dataset, Item, ItemId};
use crate::experiment::{DatasetSpec, ItemOrder, TieRule, TitleEncoding};

/// What each step of the preprocessing found and dropped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PrepReport {
    /// Rows of the ratings file.
    pub rows_read: u64,
    /// Rows below `min_rating`; they are in none of the counts that follow.
    pub rows_below_min_rating: u64,
    /// Distinct users in the rows.
    pub raw_users: usize,
    /// Distinct items in the rows.
    pub raw_items: usize,
    /// Entries of the titles file; `None` where there is none, and every item is kept.
    pub title_entries: Option<u64>,
    /// Entries that repeat an id with the same title.
    pub title_ids_repeated: u64,
    /// Entries that repeat an id with another title; the last one counts.
    pub title_ids_conflicting: u64,
    /// Items without a title, or with an empty one.
    pub items_without_title: usize,
    /// Their interactions.
    pub rows_without_title: usize,
    /// The bound for users.
    pub min_user_interactions: u32,
    /// The bound for items.
    pub min_item_interactions: u32,
    /// Rounds until the k-core stood still, the last one included.
    pub core_rounds: u32,
    /// Users that the k-core dropped.
    pub users_dropped_by_core: usize,
    /// Items that the k-core dropped.
    pub items_dropped_by_core: usize,
    /// Interactions that the k-core dropped.
    pub rows_dropped_by_core: usize,
    /// Interactions of a user with an item that the user met before; they stay.
    pub repeated_pairs: usize,
    /// Users whose last two interactions share their time, so that the tie rule decides which one is the test.
    pub users_with_tied_last_two: usize,
    /// Users with any two interactions at one time.
    pub users_with_ties: usize,
    /// How ties were broken.
    pub tie_rule: TieRule,
    /// How dense ids were dealt.
    pub item_order: ItemOrder,
    /// How titles were decoded.
    pub title_encoding: TitleEncoding,
}

/// Turn raw interactions into a dataset.
pub(crate) fn prepare(raw: Raw, spec: &DatasetSpec) -> Result<Dataset, Error> {
    let Raw { name, interactions, titles, source_files } = raw;
    let mut report = empty_report(spec);
    report.rows_read = interactions.rows_read;
    report.rows_below_min_rating = interactions.rows_below_min_rating;
    let (users, items, mut rows) = (interactions.users, interactions.items, interactions.rows);
    report.raw_users = users.len();
    report.raw_items = items.len();
    if rows.is_empty() {
        let (rows, min_rating) = (interactions.rows_read, spec.min_rating);
        return Err(Error::NothingRated { dataset: name, rows, min_rating });
    }

    if let Some(titles) = &titles {
        report.title_entries = Some(titles.entries);
        report.title_ids_repeated = titles.repeated;
        report.title_ids_conflicting = titles.conflicting;
        let titled: Vec<bool> =
            (0..items.len() as u32).map(|number| titles.get(items.bytes(number)).is_some()).collect();
        let before = rows.len();
        rows.retain(|row| titled[row.item as usize]);
        report.items_without_title = titled.iter().filter(|&&titled| !titled).count();
        report.rows_without_title = before - rows.len();
        if rows.is_empty() {
            return Err(Error::NoTitles { dataset: name, items: items.len(), titles: titles.len() });
        }
    }

    let before = (rows.len(), kept(&rows, users.len(), user).len(), kept(&rows, items.len(), item).len());
    let (min_user, min_item) = (spec.min_user_interactions, spec.min_item_interactions);
    report.core_rounds = k_core(&mut rows, users.len(), items.len(), min_user, min_item);
    if rows.is_empty() {
        return Err(Error::NothingLeft { dataset: name, interactions: before.0, min_user, min_item });
    }
    let kept_users = kept(&rows, users.len(), user);
    let kept_items = kept(&rows, items.len(), item);
    report.rows_dropped_by_core = before.0 - rows.len();
    report.users_dropped_by_core = before.1 - kept_users.len();
    report.items_dropped_by_core = before.2 - kept_items.len();

    // Users always go by raw id, so that shuffling the file changes nothing under the default rules.
    let user_order = by_raw_id(&users, kept_users);
    let item_order = ordered(spec.item_order, &items, kept_items, &name)?;
    let by_user = group(&rows, &user_order, users.len(), &dense(&item_order, items.len()));
    drop(rows);
    let sequences = in_time_order(by_user, spec.tie_rule, &mut report);
    Ok(Dataset {
        users: user_order.iter().map(|&number| users.text(number).to_owned()).collect(),
        items: item_order
            .iter()
            .map(|&number| {
                let raw_id = items.text(number).to_owned();
                let title = match &titles {
                    Some(titles) => titles.get(raw_id.as_bytes()).unwrap_or_default().to_owned(),
                    None => raw_id.clone(),
                };
                Item { raw_id, title }
            })
            .collect(),
        name,
        sequences,
        report,
        source_files,
    })
}

fn user(row: &Interaction) -> u32 {
    row.user
}

fn item(row: &Interaction) -> u32 {
    row.item
}

/// Numbers that occur, ascending.
fn kept(rows: &[Interaction], n: usize, key: fn(&Interaction) -> u32) -> Vec<u32> {
    let mut occurs = vec![false; n];
    for row in rows {
        occurs[key(row) as usize] = true;
    }
    (0..n as u32).filter(|&number| occurs[number as usize]).collect()
}

/// Position of each number in `order`; numbers that are not in it get a mark that is never read.
fn dense(order: &[u32], n: usize) -> Vec<u32> {
    let mut dense = vec![u32::MAX; n];
    for (at, &number) in order.iter().enumerate() {
        dense[number as usize] = at as u32;
    }
    dense
}

/// One interaction of a known user: its time and the position of its item in the item order.
#[derive(Clone, Copy, Default)]
struct Visit {
    time: i64,
    item: u32,
}

/// Compressed rows: the visits of all users one after the other, and where each user starts. File order is kept within
/// a user (a counting sort is stable).
fn group(
    rows: &[Interaction],
    user_order: &[u32],
    n_users: usize,
    item_at: &[u32],
) -> (Vec<Visit>, Vec<usize>) {
    let user_at = dense(user_order, n_users);
    let mut starts = vec![0usize; user_order.len() + 1];
    for row in rows {
        starts[user_at[row.user as usize] as usize + 1] += 1;
    }
    for at in 1..starts.len() {
        starts[at] += starts[at - 1];
    }
    let mut next = starts.clone();
    let mut visits = vec![Visit::default(); rows.len()];
    for row in rows {
        let slot = &mut next[user_at[row.user as usize] as usize];
        visits[*slot] = Visit { time: row.time, item: item_at[row.item as usize] };
        *slot += 1;
    }
    (visits, starts)
}

struct Sorted {
    sequence: Vec<ItemId>,
    tied_last_two: bool,
    tied: bool,
    repeated: usize,
}

fn in_time_order(
    (mut visits, starts): (Vec<Visit>, Vec<usize>),
    tie_rule: TieRule,
    report: &mut PrepReport,
) -> Vec<Vec<ItemId>> {
    let mut slices = Vec::with_capacity(starts.len() - 1);
    let mut rest = visits.as_mut_slice();
    for bounds in starts.windows(2) {
        let (slice, after) = rest.split_at_mut(bounds[1] - bounds[0]);
        slices.push(slice);
        rest = after;
    }
    let sorted: Vec<Sorted> = slices.into_par_iter().map(|visits| sort(visits, tie_rule)).collect();
    report.users_with_tied_last_two = sorted.iter().filter(|user| user.tied_last_two).count();
    report.users_with_ties = sorted.iter().filter(|user| user.tied).count();
    report.repeated_pairs = sorted.iter().map(|user| user.repeated).sum();
    sorted.into_iter().map(|user| user.sequence).collect()
}

fn sort(visits: &mut [Visit], tie_rule: TieRule) -> Sorted {
    match tie_rule {
        TieRule::ItemId => visits.sort_unstable_by_key(|visit| (visit.time, visit.item)),
        TieRule::FileOrder => visits.sort_by_key(|visit| visit.time),
    }
    let tied = |pair: &[Visit]| pair[0].time == pair[1].time;
    let mut seen: Vec<u32> = visits.iter().map(|visit| visit.item).collect();
    seen.sort_unstable();
    Sorted {
        sequence: visits.iter().map(|visit| item_id(visit.item)).collect(),
        tied_last_two: visits.windows(2).next_back().is_some_and(tied),
        tied: visits.windows(2).any(tied),
        repeated: seen.windows(2).filter(|pair| pair[0] == pair[1]).count(),
    }
}

/// The id of the item at a 0-based position. Interners stop two short of `u32::MAX`, so the sum does not saturate.
fn item_id(at: u32) -> ItemId {
    ItemId(NonZeroU32::MIN.saturating_add(at))
}

fn empty_report(spec: &DatasetSpec) -> PrepReport {
    PrepReport {
        rows_read: 0,
        rows_below_min_rating: 0,
        raw_users: 0,
        raw_items: 0,
        title_entries: None,
        title_ids_repeated: 0,
        title_ids_conflicting: 0,
        items_without_title: 0,
        rows_without_title: 0,
        min_user_interactions: spec.min_user_interactions,
        min_item_interactions: spec.min_item_interactions,
        core_rounds: 0,
        users_dropped_by_core: 0,
        items_dropped_by_core: 0,
        rows_dropped_by_core: 0,
        repeated_pairs: 0,
        users_with_tied_last_two: 0,
        users_with_ties: 0,
        tie_rule: spec.tie_rule,
        item_order: spec.item_order,
        title_encoding: spec.title_encoding,
    }
}
