//! Amazon reviews: ratings without a header (user, item, rating, time), and meta files with one entry a line, written as
//! Python dict literals (2014) or JSON objects (2018).

use std::borrow::Cow;
use std::path::Path;

use super::literal::{self, Entry};
use super::{Context, InteractionColumns, Raw, Titles, decode_title, latin1, read_interactions, trimmed};
use crate::data::error::Error;
use crate::data::source::{Lines, SourceFile, find};
use crate::data::table::Layout;
use crate::experiment::TitleEncoding;

/// Which of the Amazon datasets, and what its files are called.
pub(crate) struct Amazon {
    pub(crate) name: &'static str,
    pub(crate) category: &'static str,
}

pub(crate) const BEAUTY: Amazon = Amazon { name: "beauty", category: "Beauty" };
pub(crate) const GAMES: Amazon = Amazon { name: "games", category: "Video_Games" };

impl Amazon {
    pub(crate) fn read(&self, context: Context<'_>) -> Result<Raw, Error> {
        let next = format!(
            "get it with `bench fetch {}`, or name the folder that holds it with --data-dir",
            self.name
        );
        let find_one = |file: String| {
            let (plain, gzip) = match file.strip_suffix(".gz") {
                Some(plain) => (plain.to_owned(), file.clone()),
                None => (file.clone(), format!("{file}.gz")),
            };
            let other = if file == plain { gzip } else { plain };
            let below = |file: &str| format!("{}/{file}", self.name);
            find(context.data_dir, &[&below(&file), &below(&other), &file, &other], &next)
        };
        let ratings = find_one(format!("ratings_{}.csv", self.category))?;
        let meta = find_one(format!("meta_{}.json.gz", self.category))?;
        // Ids and numbers need no quotes.
        let layout = Layout { quotes: false, ..Layout::csv(false) };
        let (interactions, titles) = rayon::join(
            || read_interactions(&ratings, layout, &InteractionColumns::first_four(), context),
            || read_meta(&meta, context),
        );
        let ((interactions, ratings), (titles, meta)) = (interactions?, titles?);
        Ok(Raw {
            name: self.name.to_owned(),
            interactions,
            titles: Some(titles),
            source_files: vec![ratings, meta],
        })
    }
}

/// Titles of a meta file. HTML entities stay; blanks around a title go.
fn read_meta(path: &Path, context: Context<'_>) -> Result<(Titles, SourceFile), Error> {
    const EXPECTED: &str = "one entry with an \"asin\" a line";
    let mut lines = Lines::open(path)?;
    let mut titles = Titles::default();
    while lines.advance()? {
        if lines.line().trim_ascii().is_empty() {
            continue;
        }
        let line = lines.number();
        // The whole line is decoded, not the title: escapes in it name characters already.
        let text = match context.title_encoding {
            TitleEncoding::Utf8 => Cow::Borrowed(lines.line()),
            TitleEncoding::Latin1 => Cow::Owned(latin1(lines.line()).into_bytes()),
        };
        let Entry { asin, title } = literal::entry(&text).map_err(|problem| Error::Literal {
            path: path.to_owned(),
            line,
            byte: problem.byte,
            problem: problem.problem,
        })?;
        let asin = asin.as_deref().map(trimmed).unwrap_or_default();
        if asin.is_empty() {
            return Err(Error::NoAsin { path: path.to_owned(), line });
        }
        let title = match title {
            Some(title) => decode_title(path, line, &title, TitleEncoding::Utf8)?,
            None => String::new(),
        };
        titles.insert(path, line, asin, title.trim())?;
    }
    if titles.entries == 0 {
        return Err(Error::Empty { path: path.to_owned(), expected: EXPECTED.to_owned() });
    }
    Ok((titles, lines.finish(context.data_dir)?))
}
