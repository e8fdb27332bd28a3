//! MovieLens ml-latest-small: `ratings.csv` and `movies.csv`, comma-separated with a header.

use std::path::{Path, PathBuf};

use super::{Context, InteractionColumns, Raw, read_interactions, read_titles};
use crate::data::error::Error;
use crate::data::table::Layout;
use crate::experiment::ColumnRef;

pub(crate) fn read(context: Context<'_>) -> Result<Raw, Error> {
    let (ratings, movies) = locate(context.data_dir)?;
    let columns = InteractionColumns::named("userId", "movieId", "rating", "timestamp");
    let id = ColumnRef::Name("movieId".to_owned());
    let title = ColumnRef::Name("title".to_owned());
    let (interactions, titles) = rayon::join(
        || read_interactions(&ratings, Layout::csv(true), &columns, context),
        || read_titles(&movies, Layout::csv(true), (&id, &title), clean_movie_title, context),
    );
    let ((interactions, ratings), (titles, movies)) = (interactions?, titles?);
    Ok(Raw {
        name: "ml-100k".to_owned(),
        interactions,
        titles: Some(titles),
        source_files: vec![ratings, movies],
    })
}

/// `ratings.csv` and `movies.csv` of one folder, the upstream one or the data folder itself: ids of another release would
/// name other movies.
fn locate(data_dir: &Path) -> Result<(PathBuf, PathBuf), Error> {
    let pairs = [data_dir.join("ml-latest-small"), data_dir.to_owned()]
        .map(|folder| (folder.join("ratings.csv"), folder.join("movies.csv")));
    let there = pairs.each_ref().map(|(ratings, movies)| (ratings.is_file(), movies.is_file()));
    let [upstream, own] = pairs;
    let missing = |path| {
        let next = "get it with `bench fetch ml-100k`, or name the folder that holds it with --data-dir";
        Err(Error::Missing { path, next: next.to_owned() })
    };
    let apart = |first, second| {
        let next = "get both with `bench fetch ml-100k`".to_owned();
        Err(Error::Apart { first, second, next })
    };
    match there {
        [(true, true), _] => Ok(upstream),
        [_, (true, true)] => Ok(own),
        [(true, false), (false, true)] => apart(upstream.0, own.1),
        [(false, true), (true, false)] => apart(own.0, upstream.1),
        [(true, false), _] => missing(upstream.1),
        [(false, false), (true, false)] => missing(own.1),
        [(false, false), (false, true)] => missing(own.0),
        [(false, _), _] => missing(upstream.0),
    }
}

/// A title of movies.csv as the reference writes it (protocol, section 1).
///
/// The last seven characters are taken for the year and kept; of the rest, parenthesised parts and outer blanks go, and
/// what follows the last comma moves to the front if the last five characters, in lower case, hold ", a", ", an" or
/// ", the". The rules are followed to the letter, so a title without a year loses nothing and one that merely ends in ", Al"
/// is turned as well.
///
/// ```
/// use bench::data::clean_movie_title;
/// assert_eq!(clean_movie_title("Matrix, The (1999)"), "The Matrix (1999)");
/// assert_eq!(clean_movie_title("City of Lost Children, The (Cité des enfants perdus, La) (1995)"),
///     "The City of Lost Children (1995)");
/// assert_eq!(clean_movie_title("Misérables, Les (1995)"), "Misérables, Les (1995)");
/// ```
#[must_use]
pub fn clean_movie_title(raw: &str) -> String {
    const YEAR_CHARS: usize = 7;
    let year_at = raw.char_indices().rev().nth(YEAR_CHARS - 1).map_or(0, |(at, _)| at);
    let (name, year) = raw.split_at(year_at);
    let name = without_parentheses(name);
    let name = name.trim();
    let lower = name.to_lowercase();
    let tail_at = lower.char_indices().rev().nth(4).map_or(0, |(at, _)| at);
    // ", an" holds ", a"; both are listed because the protocol lists both.
    let turned = [", a", ", an", ", the"].iter().any(|article| lower[tail_at..].contains(article));
    match name.rsplit_once(", ") {
        Some((front, article)) if turned => format!("{article} {front}{year}"),
        _ => format!("{name}{year}"),
    }
}

/// Each "(" with everything up to the next ")" on the same line is removed; a "(" that is never closed stays.
fn without_parentheses(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('(') {
        let inside = &rest[open..];
        kept.push_str(&rest[..open]);
        match inside.find([')', '\n']) {
            Some(close) if inside.as_bytes()[close] == b')' => rest = &inside[close + 1..],
            _ => {
                kept.push('(');
                rest = &inside[1..];
            }
        }
    }
    kept.push_str(rest);
    kept
}
