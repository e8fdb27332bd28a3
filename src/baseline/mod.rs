//! Published numbers as typed rows, each with its table, metric, split, protocol and source.
//!
//! The files of `baselines/` are built in; a user's own file has the same format (docs/formats.md).

mod read;
mod tags;
mod toml_reader;

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::eval::Metric;

/// Over which users a published number is a mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// All users; one whose item was not retrieved counts 0.
    Overall,
    /// The users whose item the paper's retriever found, ranked by the paper's ranker.
    RankerOnly,
    /// The users whose item was retrieved, ranked by a method that is not that ranker.
    RetrievedSubset,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 3] = [Self::Overall, Self::RankerOnly, Self::RetrievedSubset];

    /// The name in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Overall => "overall",
            Self::RankerOnly => "ranker-only",
            Self::RetrievedSubset => "retrieved-subset",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A paper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paper {
    /// Short name, unique among files.
    pub id: String,
    /// Title.
    pub title: String,
    /// Authors.
    pub authors: Option<String>,
    /// Where to find it: arXiv id or venue.
    pub source: String,
    /// Year.
    pub year: Option<u16>,
    /// What a reader of its numbers should know.
    pub note: Option<String>,
}

/// One published number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Name of the method, as printed.
    pub method: String,
    /// Dataset, by this program's names.
    pub dataset: String,
    /// Over which users.
    pub scope: Scope,
    /// Metric and cutoff.
    pub metric: Metric,
    /// The number, in [0, 1].
    pub value: f64,
    /// The number as the file writes it, for how many digits were printed; empty for a derived one.
    pub printed: String,
    /// The paper's table.
    pub table: String,
    /// `test` or `validation`.
    pub split: String,
    /// Protocol tag: what one must know to compare.
    pub protocol: String,
    /// How the number was derived, if the paper does not print it.
    pub derived: Option<String>,
    /// A remark on the table.
    pub note: Option<String>,
    /// What else decides whether the number may be compared.
    #[serde(default)]
    pub tags: Tags,
    /// Line in the file, from 1.
    pub line: usize,
}

/// What a `[[table]]` may say beside its protocol, all of it optional.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Tags {
    /// How many items are ranked for each user; left out where it is the whole catalogue or not known.
    pub candidates: Option<u32>,
    /// Over what the paper's program averages.
    pub averaging: Option<PaperAveraging>,
    /// The method whose candidates are ranked: R is what it finds, so its own overall number is its number over R times
    /// |R| / |U|. Only for numbers over R.
    pub retriever: Option<String>,
    /// Where the number was copied from, if not from the paper of the file.
    pub copied_from: Option<String>,
    /// Whether the number may be compared with those of this program's protocol.
    pub comparable: Option<Comparable>,
    /// Why it may be compared, or may not.
    pub why: Option<String>,
}

/// Over what a paper's program averages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PaperAveraging {
    /// Over users: each weighs the same.
    Users,
    /// Means of batches: the users of a short last batch weigh more. Such a recall is no whole number of users.
    Batches,
}

impl PaperAveraging {
    /// All of them, with their names in files.
    pub const ALL: [(&'static str, Self); 2] = [("users", Self::Users), ("batches", Self::Batches)];
}

/// Whether a published number may be compared with ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Comparable {
    /// Same data, split and ranked set.
    Yes,
    /// Some of them differ; context only.
    No,
    /// Nobody knows.
    Unknown,
}

impl Comparable {
    /// All of them, with their names in files.
    pub const ALL: [(&'static str, Self); 3] =
        [("yes", Self::Yes), ("no", Self::No), ("unknown", Self::Unknown)];
}

/// |R| of a paper, which no paper prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retrieved {
    /// Dataset.
    pub dataset: String,
    /// The retriever, as printed.
    pub method: String,
    /// `test` or `validation`.
    pub split: String,
    /// |U|.
    pub users: u64,
    /// |R|.
    pub retrieved: u64,
    /// Length of the candidate list.
    pub candidates: u32,
    /// How it was derived.
    pub how: String,
    /// Line in the file, from 1.
    pub line: usize,
}

/// A dataset's figures as a paper prints them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedStatistics {
    /// Dataset.
    pub dataset: String,
    /// The paper's table.
    pub table: String,
    /// Users, as printed.
    pub users: String,
    /// Items, as printed.
    pub items: String,
    /// Interactions, as printed.
    pub interactions: String,
    /// Mean length, as printed.
    pub length: String,
    /// Density, as printed.
    pub density: String,
    /// A remark.
    pub note: Option<String>,
}

/// A gain that a paper's text claims: `100 (method - over) / over`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// The table it is about.
    pub table: String,
    /// What is claimed.
    pub what: String,
    /// Dataset.
    pub dataset: String,
    /// The metric; `None` for a mean over all metrics of the table.
    pub metric: Option<Metric>,
    /// The method that gains.
    pub method: String,
    /// The method that it is compared with.
    pub over: String,
    /// Percent.
    pub percent: f64,
    /// Percent as the file writes it, for how many digits were printed.
    pub printed: String,
    /// Line in the file, from 1.
    pub line: usize,
}

/// One file of published numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Baseline {
    /// Where it was read from, for messages.
    pub path: PathBuf,
    /// The paper.
    pub paper: Paper,
    /// Its numbers in the order of the file. |R| / |U| is a derived row, Recall at the number of candidates.
    pub rows: Vec<Row>,
    /// |R| of its datasets.
    pub retrieved: Vec<Retrieved>,
    /// Its dataset table.
    pub statistics: Vec<PublishedStatistics>,
    /// The line of each of them in the file, from 1.
    pub statistics_lines: Vec<usize>,
    /// Its claims.
    pub claims: Vec<Claim>,
}

/// One thing wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, and what was expected.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.message)
    }
}

/// Why published numbers could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read.
    #[error("read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A folder that cannot be read.
    #[error(
        "{}: cannot be read as a folder of published numbers: {source}; name the folder that has them, or leave --baselines-dir \
         out for those built in",
        path.display()
    )]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A folder without any file of published numbers.
    #[error(
        "{}: no file of published numbers (*.toml) in this folder; name the folder that has them, or leave --baselines-dir out \
         for those built in",
        path.display()
    )]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// Everything that is wrong with a file, one line each.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Invalid(Vec<Problem>),
}

impl Baseline {
    /// Read the text of a file; `path` is for messages.
    ///
    /// # Errors
    /// All problems of the text at once.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        read::baseline(path, text).map_err(Error::Invalid)
    }

    /// Read a file.
    ///
    /// # Errors
    /// If it cannot be read, or all its problems at once.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text =
            std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        Self::parse(path, &text)
    }

    /// The rows of one dataset, method and scope.
    pub fn rows_of<'a>(
        &'a self,
        dataset: &'a str,
        method: &'a str,
        scope: Scope,
    ) -> impl Iterator<Item = &'a Row> {
        self.rows
            .iter()
            .filter(move |row| row.dataset == dataset && row.method == method && row.scope == scope)
    }
}

/// Every `.toml` file of a folder, in the order of their names.
///
/// # Errors
/// If the folder, an entry of it or a file cannot be read, or there is no such file; all problems of the first wrong file.
pub fn load_folder(folder: &Path) -> Result<Vec<Baseline>, Error> {
    let fail = |source| Error::Folder { path: folder.to_owned(), source };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(Error::Empty { path: folder.to_owned() });
    }
    paths.sort();
    paths.iter().map(|path| Baseline::load(path)).collect()
}

const BUILT_IN: [(&str, &str); 6] = [
    ("baselines/seed.toml", include_str!("../../baselines/seed.toml")),
    ("baselines/llamarec.toml", include_str!("../../baselines/llamarec.toml")),
    ("baselines/palr.toml", include_str!("../../baselines/palr.toml")),
    ("baselines/gpt4rec.toml", include_str!("../../baselines/gpt4rec.toml")),
    ("baselines/recmind.toml", include_str!("../../baselines/recmind.toml")),
    ("baselines/pod.toml", include_str!("../../baselines/pod.toml")),
];

/// The texts of the built-in files with their names, as they were when the program was built.
#[must_use]
pub const fn sources() -> &'static [(&'static str, &'static str)] {
    &BUILT_IN
}

/// The published numbers that this program comes with.
///
/// # Errors
/// Never for a released program: a test reads them all.
pub fn built_in() -> Result<Vec<Baseline>, Error> {
    BUILT_IN.iter().map(|(path, text)| Baseline::parse(Path::new(path), text)).collect()
}
