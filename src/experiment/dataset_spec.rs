//! What an experiment says about its data: where the interactions come from and how they are preprocessed.
//! `data` reads these types; the rest of `experiment` fills them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One dataset, with every choice that decides its sequences.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetSpec {
    /// Where the raw interactions and titles come from.
    pub source: DatasetSource,
    /// Users with fewer interactions are dropped, repeatedly together with the items; 0 and 1 drop none.
    pub min_user_interactions: u32,
    /// Items with fewer interactions are dropped, repeatedly together with the users; 0 and 1 drop none.
    pub min_item_interactions: u32,
    /// Interactions rated lower are dropped before anything else; 0 means no threshold and no rating is read.
    pub min_rating: f64,
    /// How interactions of one user that share a timestamp are ordered.
    pub tie_rule: TieRule,
    /// How dense item ids are dealt.
    pub item_order: ItemOrder,
    /// How the bytes of a titles file become text.
    pub title_encoding: TitleEncoding,
}

impl DatasetSpec {
    /// `source` with the protocol's preprocessing: 5-core, no rating threshold, and the named deterministic rules.
    #[must_use]
    pub fn new(source: DatasetSource) -> Self {
        let item_order = ItemOrder::paper_default(&source);
        Self {
            source,
            min_user_interactions: 5,
            min_item_interactions: 5,
            min_rating: 0.0,
            tie_rule: TieRule::default(),
            item_order,
            title_encoding: TitleEncoding::default(),
        }
    }
}

/// Where raw interactions and titles come from. Relative paths are looked up below the data folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatasetSource {
    /// MovieLens ml-latest-small (610 users), which the papers call ML-100K.
    #[serde(rename = "ml-100k")]
    Ml100k,
    /// Amazon 2014 Beauty.
    Beauty,
    /// Amazon 2014 Video Games ratings with the 2018 titles.
    Games,
    /// Built in; needs no file.
    Synthetic(SyntheticSpec),
    /// Any delimited text file.
    Csv(CsvSpec),
    /// RecBole atomic files.
    #[serde(rename = "recbole")]
    RecBole(RecBoleSpec),
}

/// Order of a user's interactions that share a timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TieRule {
    /// By dense item id (what the reference does, given its ids).
    #[default]
    ItemId,
    /// By position in the ratings file.
    FileOrder,
}

/// How dense item ids 1..=n are dealt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ItemOrder {
    /// Ascending raw id: numeric if every raw item id is an integer, byte order otherwise.
    RawId,
    /// First appearance in the ratings file.
    FirstSeen,
    /// The order in which CPython iterates a set of the integer ids, which is what the reference does. It decides ties in
    /// time, so the reference's own MovieLens sequences need it. Ids that are no integers are an error: the order of
    /// strings changes there from process to process.
    PythonSet,
    /// Ascending SHA-256 of the raw id: as unrelated to the item as the reference's order of strings, but always the same.
    Hashed,
}

impl ItemOrder {
    /// What the reference's hash set does to a dataset's ids, made deterministic: CPython's order for MovieLens' integers, a
    /// hash for everything else. The order decides which of the interactions of one time comes last and is held out; raw ids
    /// often grow with time (Amazon's do), so by ascending raw id the newest product would be held out.
    #[must_use]
    pub const fn paper_default(source: &DatasetSource) -> Self {
        match source {
            DatasetSource::Ml100k => Self::PythonSet,
            _ => Self::Hashed,
        }
    }
}

/// How the bytes of a titles file become text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TitleEncoding {
    /// UTF-8, what the upstream files are; other bytes are an error.
    #[default]
    Utf8,
    /// ISO-8859-1, one character a byte: what the reference reads movies.csv as (15 kept ml-100k titles differ).
    Latin1,
}

/// A column of a delimited text file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ColumnRef {
    /// By its name in the header.
    Name(String),
    /// By its position, counted from 1.
    Position(usize),
}

/// Delimited text files with chosen columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CsvSpec {
    /// The interactions, one a row; plain or gzip (`.gz`).
    pub ratings: PathBuf,
    /// The titles, one item a row; plain or gzip. Without it every item is kept and its raw id is its title.
    pub titles: Option<PathBuf>,
    /// The delimiter of the ratings file (one ASCII character).
    pub delimiter: char,
    /// Whether the first row of the ratings file names its columns.
    pub header: bool,
    /// Whether `"` quotes fields that hold delimiters or line ends, in both files.
    pub quotes: bool,
    /// The raw user id.
    pub user: ColumnRef,
    /// The raw item id.
    pub item: ColumnRef,
    /// The rating; read only where `min_rating` is above 0.
    pub rating: Option<ColumnRef>,
    /// The time in seconds (or any number that grows with time). Without it the file order is the time order.
    pub time: Option<ColumnRef>,
    /// The delimiter of the titles file.
    pub titles_delimiter: char,
    /// Whether the first row of the titles file names its columns.
    pub titles_header: bool,
    /// The raw item id in the titles file.
    pub title_item: ColumnRef,
    /// The title in the titles file.
    pub title: ColumnRef,
}

impl CsvSpec {
    /// A comma-separated file with a header `user,item,rating,timestamp` and, if given, titles in `item,title`.
    #[must_use]
    pub fn new(ratings: PathBuf, titles: Option<PathBuf>) -> Self {
        let name = |name: &str| ColumnRef::Name(name.to_owned());
        Self {
            ratings,
            titles,
            delimiter: ',',
            header: true,
            quotes: true,
            user: name("user"),
            item: name("item"),
            rating: None,
            time: Some(name("timestamp")),
            titles_delimiter: ',',
            titles_header: true,
            title_item: name("item"),
            title: name("title"),
        }
    }
}

/// RecBole atomic files: tab-separated, with a typed header such as `user_id:token`. Field names go without the type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecBoleSpec {
    /// The `.inter` file.
    pub inter: PathBuf,
    /// The `.item` file. Without it every item is kept and its raw id is its title.
    pub item: Option<PathBuf>,
    /// Field of the user in the `.inter` file.
    pub user_field: String,
    /// Field of the item in both files.
    pub item_field: String,
    /// Field of the rating; read only where `min_rating` is above 0.
    pub rating_field: Option<String>,
    /// Field of the time. Without it the file order is the time order.
    pub time_field: Option<String>,
    /// Field of the title in the `.item` file.
    pub title_field: String,
}

impl RecBoleSpec {
    /// RecBole's usual field names: `user_id`, `item_id`, `rating`, `timestamp`, `title`.
    #[must_use]
    pub fn new(inter: PathBuf, item: Option<PathBuf>) -> Self {
        Self {
            inter,
            item,
            user_field: "user_id".to_owned(),
            item_field: "item_id".to_owned(),
            rating_field: Some("rating".to_owned()),
            time_field: Some("timestamp".to_owned()),
            title_field: "title".to_owned(),
        }
    }
}

/// The built-in dataset: users who follow series of one genre and brand, with titles that say so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SyntheticSpec {
    /// How many users are drawn.
    pub users: u32,
    /// How many items are drawn.
    pub items: u32,
    /// Seed of the generator; the data depend on nothing else.
    pub seed: u64,
    /// Mean number of interactions of a user, at least 5.
    pub mean_length: f64,
    /// How many genres there are.
    pub genres: u32,
    /// How many brands there are.
    pub brands: u32,
    /// How many parts the longest series has; lengths are uniform from 3 to this.
    pub series_length: u32,
    /// In how many editions, each an item of its own, every part comes; a user keeps to one of them.
    pub editions: u32,
    /// Chance that a user goes on to the next part of the series, where there is one.
    pub continue_series: f64,
    /// Chance that a user takes an item from the popular head instead of following a taste.
    pub popular: f64,
}

impl Default for SyntheticSpec {
    fn default() -> Self {
        Self {
            users: 800,
            items: 300,
            seed: 42,
            mean_length: 12.0,
            genres: 6,
            brands: 10,
            series_length: 6,
            editions: 1,
            continue_series: 0.6,
            popular: 0.15,
        }
    }
}
