//! Raw files to a [`Dataset`] and its leave-one-out [`Split`], as section 1 of the protocol says.
//!
//! Steps, in order: drop interactions below the rating threshold (none by default); drop items without a title; drop
//! rare items and users until nothing changes; deal dense ids; order every user's items by time. Each choice that the
//! protocol leaves open is a named setting of [`DatasetSpec`], and [`PrepReport`] counts what each step did.
//!
//! Blanks around raw ids, numbers and titles are no part of them, in quotes or not.

mod error;
mod intern;
mod kcore;
mod order;
mod prepare;
mod raw;
mod source;
mod split;
mod table;
mod times;

use std::num::NonZeroU32;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::events::{Event, Reporter};
use crate::experiment::{DatasetSource, DatasetSpec};

pub use error::Error;
pub use prepare::PrepReport;
pub use raw::movielens::clean_movie_title;
pub use source::SourceFile;
pub use split::{Fingerprint, Part, Split};

/// Dense id of an item, from 1; 0 is padding and never an `ItemId`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[repr(transparent)]
pub struct ItemId(NonZeroU32);

impl ItemId {
    /// The id `id`, unless it is 0.
    #[must_use]
    pub const fn new(id: u32) -> Option<Self> {
        match NonZeroU32::new(id) {
            Some(id) => Some(Self(id)),
            None => None,
        }
    }

    /// The id, from 1.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// Position in [`Dataset::items`], from 0.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

impl std::fmt::Display for ItemId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// An item as its source names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Id in the raw files.
    pub raw_id: String,
    /// Title as the prompt shows it: movie titles are cleaned, others are as upstream writes them, HTML entities included.
    pub title: String,
}

/// Preprocessed interactions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dataset {
    /// `ml-100k`, `beauty`, `games`, `synthetic`, or the name of the file.
    pub name: String,
    /// Raw user ids, ascending (numeric if all are integers); index u is the user of `sequences[u]`.
    pub users: Vec<String>,
    /// Items; index i is the item of id i + 1.
    pub items: Vec<Item>,
    /// Every user's items in time order.
    pub sequences: Vec<Vec<ItemId>>,
    /// What the preprocessing did.
    pub report: PrepReport,
    /// The files that were read.
    pub source_files: Vec<SourceFile>,
}

/// The row of a dataset table.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// Users after preprocessing.
    pub users: usize,
    /// Items after preprocessing.
    pub items: usize,
    /// Interactions after preprocessing, held-out ones included.
    pub interactions: usize,
    /// Interactions a user.
    pub mean_length: f64,
    /// Share of the user-item matrix: interactions / (users x items).
    pub density: f64,
}

impl Dataset {
    /// Read and preprocess the data of `spec`. Relative paths and upstream files are looked up below `data_dir`.
    ///
    /// # Errors
    /// If a file is missing or malformed, or if nothing is left of it.
    pub fn load(spec: &DatasetSpec, data_dir: &Path, reporter: &dyn Reporter) -> Result<Self, Error> {
        let context = raw::Context {
            data_dir,
            min_rating: spec.min_rating,
            title_encoding: spec.title_encoding,
            reporter,
        };
        reporter.emit(Event::Started { stage: "read the data", total: None, unit: "rows" });
        let raw = match &spec.source {
            DatasetSource::Ml100k => raw::movielens::read(context),
            DatasetSource::Beauty => raw::amazon::BEAUTY.read(context),
            DatasetSource::Games => raw::amazon::GAMES.read(context),
            DatasetSource::Synthetic(spec) => raw::synthetic::read(spec, context),
            DatasetSource::Csv(spec) => raw::csv::read(spec, context),
            DatasetSource::RecBole(spec) => raw::recbole::read(spec, context),
        }?;
        for warning in raw.source_files.iter().filter_map(SourceFile::warning) {
            reporter.emit(Event::Warning(&warning));
        }
        if let Some((id, line)) = raw.titles.as_ref().and_then(|titles| titles.conflict.as_ref()) {
            let count = raw.titles.as_ref().map_or(0, |titles| titles.conflicting);
            reporter.emit(Event::Warning(&format!(
                "{}: {count} title{} given again with another text; the last one counts (first: {id:?} on line {line})",
                raw.name,
                if count == 1 { " is" } else { "s are" },
            )));
        }
        let dataset = prepare::prepare(raw, spec)?;
        let Statistics { users, items, interactions, .. } = dataset.statistics();
        reporter.emit(Event::Finished {
            summary: &format!("{}: {users} users, {items} items, {interactions} interactions", dataset.name),
        });
        Ok(dataset)
    }

    /// Counts over all interactions.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let (users, items) = (self.users.len(), self.items.len());
        let interactions: usize = self.sequences.iter().map(Vec::len).sum();
        Statistics {
            users,
            items,
            interactions,
            mean_length: interactions as f64 / users as f64,
            density: interactions as f64 / (users as f64 * items as f64),
        }
    }

    /// The title of an item of this dataset.
    ///
    /// # Panics
    /// If `item` is not of this dataset.
    #[must_use]
    pub fn title(&self, item: ItemId) -> &str {
        &self.items[item.index()].title
    }
}
