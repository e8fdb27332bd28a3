//! From rows to one rank a user.

use std::cmp::Ordering;
use std::path::Path;

use super::rows::{Names, Row, Rows};
use super::{Error, Imported};
use crate::data::{Part, Split};
use crate::run::{ImportCounts, ImportedRanks};

/// Rank the target of every user of the split.
pub(super) fn rank(
    path: &Path,
    mut read: Rows,
    names: &Names,
    split: &Split,
    part: Part,
) -> Result<Imported, Error> {
    foreign(path, &read, names)?;
    let by_score = read.rows.first().is_some_and(|row| row.score.is_some());
    let targets = split.targets(part);
    let mut ranks = ImportedRanks {
        ranks: vec![0; targets.len()],
        lengths: vec![0; targets.len()],
        targets: targets.iter().map(|item| item.get()).collect(),
    };
    let mut counts = ImportCounts {
        rows: read.total,
        unknown_users: read.unknown_users.len() as u64,
        rows_of_unknown_users: read.rows_of_unknown_users,
        unknown_items: read.rows_of_unknown_items,
        shortest: u64::MAX,
        ..ImportCounts::default()
    };
    // Stable, so rows of a user stay in the order of the file.
    read.rows.sort_by_key(|row| row.user);
    for list in read.rows.chunk_by_mut(|a, b| a.user == b.user) {
        let user = list[0].user as usize;
        once(path, list)?;
        let target = targets[user].get();
        let found =
            if by_score { score_order(list, target, &mut counts) } else { rank_order(path, list, target)? };
        counts.seen_items += seen(list, split, part, user);
        let deepest = list.iter().filter_map(|row| row.rank).max().filter(|_| !by_score).unwrap_or(0);
        let length = deepest.max(list.len() as u32);
        (ranks.ranks[user], ranks.lengths[user]) = (found, length);
        counts.users += 1;
        counts.shortest = counts.shortest.min(u64::from(length));
        counts.longest = counts.longest.max(u64::from(length));
    }
    counts.users_missing = targets.len() as u64 - counts.users;
    let warnings = warnings(path, &read, &counts, targets.len());
    let order = if by_score { "score" } else { "rank" };
    Ok(Imported { bytes: 0, sha256: String::new(), order, ranks, counts, warnings })
}

/// Ids that are all unknown are those of something else.
fn foreign(path: &Path, read: &Rows, names: &Names) -> Result<(), Error> {
    let Some((user, item)) = &read.first else { return Ok(()) };
    let error = |what, found: &String, known: &str| Error::Foreign {
        path: path.to_owned(),
        what,
        found: found.clone(),
        known: known.to_owned(),
        ids: names.kind,
    };
    if read.rows.is_empty() {
        return Err(error("user", user, names.first_user()));
    }
    if read.rows.iter().all(|row| row.item > names.n_items()) {
        return Err(error("item", item, names.first_item()));
    }
    Ok(())
}

/// No item twice in a list.
fn once(path: &Path, list: &[Row]) -> Result<(), Error> {
    let mut items: Vec<(u32, u64)> = list.iter().map(|row| (row.item, row.line)).collect();
    items.sort_unstable();
    match items.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err(Error::Line {
            path: path.to_owned(),
            line: pair[1].1,
            what: format!(
                "the item stands already in line {} of this user's list; expected each item once",
                pair[0].1
            ),
        }),
        None => Ok(()),
    }
}

/// The place of the target by descending score, equal scores by ascending item id; 0 if it is not there.
fn score_order(list: &mut [Row], target: u32, counts: &mut ImportCounts) -> u32 {
    let score = |row: &Row| row.score.unwrap_or(f64::NEG_INFINITY);
    // Scores are finite, so they can be compared; 0 and -0 are one score.
    list.sort_by(|a, b| score(b).partial_cmp(&score(a)).unwrap_or(Ordering::Equal).then(a.item.cmp(&b.item)));
    counts.other_ranks += list
        .iter()
        .enumerate()
        .filter(|(at, row)| row.rank.is_some_and(|rank| rank as usize != at + 1))
        .count() as u64;
    let Some(at) = list.iter().position(|row| row.item == target) else { return 0 };
    let tied = list.iter().filter(|row| score(row) == score(&list[at])).count() > 1;
    counts.tied_users += u64::from(tied);
    at as u32 + 1
}

/// The rank that the file gives the target; 0 if it is not there.
fn rank_order(path: &Path, list: &mut [Row], target: u32) -> Result<u32, Error> {
    list.sort_by_key(|row| (row.rank, row.line));
    if let Some(pair) = list.windows(2).find(|pair| pair[0].rank == pair[1].rank) {
        let rank = pair[1].rank.unwrap_or(0);
        let what = format!(
            "rank {rank} stands already in line {} of this user's list; expected each rank once",
            pair[0].line
        );
        return Err(Error::Line { path: path.to_owned(), line: pair[1].line, what });
    }
    Ok(list.iter().find(|row| row.item == target).and_then(|row| row.rank).unwrap_or(0))
}

/// How many items of a list the user has met before.
fn seen(list: &[Row], split: &Split, part: Part, user: usize) -> u64 {
    let mut history: Vec<u32> = split.train[user].iter().map(|item| item.get()).collect();
    if part == Part::Test {
        history.push(split.validation[user].get());
    }
    history.sort_unstable();
    list.iter().filter(|row| history.binary_search(&row.item).is_ok()).count() as u64
}

fn warnings(path: &Path, read: &Rows, counts: &ImportCounts, users: usize) -> Vec<String> {
    let mut found = Vec::new();
    let path = path.display();
    if counts.users_missing > 0 {
        found.push(format!(
            "{path}: {} of {users} users of the split have no list; for them nothing counts as found",
            counts.users_missing
        ));
    }
    if let Some((name, line)) = read.unknown_users.iter().min_by_key(|(_, line)| **line) {
        found.push(format!(
            "{path}:{line}: the split has no user {name:?}; {} rows of {} such users are left out",
            counts.rows_of_unknown_users, counts.unknown_users
        ));
    }
    if let Some((line, name)) = &read.first_unknown_item {
        found.push(format!(
            "{path}:{line}: the catalogue has no item {name:?}; {} rows of {} such items keep their places in the lists",
            counts.unknown_items,
            read.unknown_items.len()
        ));
    }
    if counts.tied_users > 0 {
        found.push(format!(
            "{path}: the held-out item of {} users shares its score with another item; such ties go to the smaller item id",
            counts.tied_users
        ));
    }
    if counts.other_ranks > 0 {
        found.push(format!(
            "{path}: {} rows have another rank than the place that their score gives; the score counts",
            counts.other_ranks
        ));
    }
    if counts.seen_items > 0 {
        found.push(format!(
            "{path}: {} rows show an item of the user's own history, which a retriever that masks it would not",
            counts.seen_items
        ));
    }
    found
}
