//! The two tables of users: their ranks, and their candidates.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{Error, Ids, Listing, Source};
use crate::run::atomic;

/// A column of a part of a table.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Column {
    /// One text in every row, or none.
    Same(Option<String>),
    /// A text a row.
    Text(Vec<String>),
    /// A whole number a row, or none.
    Number(Vec<Option<i64>>),
    /// A number a row.
    Real(Vec<f32>),
    /// A yes or no a row.
    Flag(Vec<bool>),
}

/// Some rows of a table.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Frame {
    /// How many.
    pub rows: usize,
    /// Columns by name.
    pub columns: Vec<(&'static str, Column)>,
}

/// The writer that an atomic file lends.
pub(super) type Out<'a> = &'a mut (dyn Write + Send);

/// Writes the rows of all frames as one file.
pub(super) type WriteAll = fn(Out<'_>, &mut dyn Iterator<Item = Frame>) -> io::Result<()>;

/// Makes a frame of a listing.
type MakeFrame = fn(&Source<'_>, &Listing<'_>) -> Frame;

/// Write `ranks` and `candidates` of all seeds with an extension.
pub(super) fn write(
    source: &Source<'_>,
    folder: &Path,
    (extension, write_all): (&str, WriteAll),
) -> Result<Vec<PathBuf>, Error> {
    let listings: Vec<Listing<'_>> = source.seeds.iter().flat_map(|seed| Listing::of(*seed)).collect();
    let tables: [(&str, MakeFrame); 2] = [("ranks", ranks), ("candidates", candidates)];
    let mut written = Vec::new();
    for (name, frame) in tables {
        let path = folder.join(format!("{name}.{extension}"));
        // One list at a time: all candidates of all seeds at once would be large.
        atomic::write_with(&path, |file| write_all(file, &mut listings.iter().map(|of| frame(source, of))))?;
        written.push(path);
    }
    Ok(written)
}

/// What is the same in all rows of a listing.
fn head(source: &Source<'_>, listing: &Listing<'_>, rows: usize) -> Vec<(&'static str, Column)> {
    let same = |text: &str| Column::Same(Some(text.to_owned()));
    let dataset = source.seeds.first().map_or("", |seed| seed.retrieval.manifest.dataset.name.as_str());
    let seed = i64::try_from(listing.seed).ok();
    vec![
        ("experiment", same(source.experiment)),
        ("dataset", same(dataset)),
        ("seed", Column::Number(vec![seed; rows])),
        ("part", same(listing.part)),
        ("stage", same(listing.stage)),
        ("rung", same(listing.rung.name())),
        ("read_out", Column::Same(listing.read_out.map(str::to_owned))),
    ]
}

/// One row a user.
fn ranks(source: &Source<'_>, listing: &Listing<'_>) -> Frame {
    let (ids, first) = (source.ids, listing.retrieval);
    let rows = first.n_users();
    let users = 0..rows as u32;
    let whole =
        |values: &mut dyn Iterator<Item = u32>| Column::Number(values.map(|v| Some(i64::from(v))).collect());
    let mut columns = head(source, listing, rows);
    columns.extend([
        ("user", Column::Text(users.clone().map(|user| ids.user(user)).collect())),
        ("user_index", whole(&mut users.clone())),
        ("target", Column::Text(first.targets.iter().map(|item| ids.item(*item)).collect())),
        ("target_id", whole(&mut first.targets.iter().copied())),
        ("rank", Column::Number(listing.ranks().into_iter().map(|rank| rank.map(i64::from)).collect())),
        ("retrieved", Column::Flag(first.ranks.iter().map(|rank| *rank as usize <= listing.k).collect())),
    ]);
    Frame { rows, columns }
}

/// One row a user and candidate, best first.
fn candidates(source: &Source<'_>, listing: &Listing<'_>) -> Frame {
    let ids: &Ids = source.ids;
    let (mut users, mut indices, mut positions) = (Vec::new(), Vec::new(), Vec::new());
    let (mut items, mut item_ids, mut scores, mut targets) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for list in listing.lists() {
        let name = ids.user(list.user);
        let target = listing.retrieval.targets.get(list.user as usize).copied();
        for (at, (item, score)) in list.items.into_iter().enumerate() {
            users.push(name.clone());
            indices.push(Some(i64::from(list.user)));
            positions.push(Some(at as i64 + 1));
            items.push(ids.item(item));
            item_ids.push(Some(i64::from(item)));
            scores.push(score);
            targets.push(Some(item) == target);
        }
    }
    let rows = scores.len();
    let mut columns = head(source, listing, rows);
    columns.extend([
        ("user", Column::Text(users)),
        ("user_index", Column::Number(indices)),
        ("position", Column::Number(positions)),
        ("item", Column::Text(items)),
        ("item_id", Column::Number(item_ids)),
        ("score", Column::Real(scores)),
        ("is_target", Column::Flag(targets)),
    ]);
    Frame { rows, columns }
}
