//! Any delimited text file with chosen columns.

use std::path::{Path, PathBuf};

use super::{Context, InteractionColumns, Raw, read_interactions, read_titles};
use crate::data::error::Error;
use crate::data::table::Layout;
use crate::experiment::CsvSpec;

pub(crate) fn read(spec: &CsvSpec, context: Context<'_>) -> Result<Raw, Error> {
    let ratings = located(context.data_dir, &spec.ratings)?;
    let titles = spec.titles.as_deref().map(|path| located(context.data_dir, path)).transpose()?;
    let layout = |path: &Path, delimiter: char, header| match u8::try_from(delimiter) {
        Ok(delimiter) if delimiter.is_ascii() && !b"\"\r\n".contains(&delimiter) => {
            Ok(Layout { delimiter, header, quotes: spec.quotes, typed: false })
        }
        _ => Err(Error::ColumnChoice {
            path: path.to_owned(),
            problem: format!(
                "the delimiter is {delimiter:?}, expected one ASCII character such as ',' or '\\t'"
            ),
        }),
    };
    let ratings_layout = layout(&ratings, spec.delimiter, spec.header)?;
    let columns = InteractionColumns {
        user: spec.user.clone(),
        item: spec.item.clone(),
        rating: spec.rating.clone(),
        time: spec.time.clone(),
    };
    let (interactions, file) = read_interactions(&ratings, ratings_layout, &columns, context)?;
    let mut source_files = vec![file];
    let titles = match &titles {
        None => None,
        Some(path) => {
            let layout = layout(path, spec.titles_delimiter, spec.titles_header)?;
            let columns = (&spec.title_item, &spec.title);
            let (titles, file) =
                read_titles(path, layout, columns, |title| title.trim().to_owned(), context)?;
            source_files.push(file);
            Some(titles)
        }
    };
    Ok(Raw { name: stem(&ratings), interactions, titles, source_files })
}

/// A path of an experiment: absolute, or below the data folder.
pub(crate) fn located(data_dir: &Path, path: &Path) -> Result<PathBuf, Error> {
    let path = data_dir.join(path);
    if path.is_file() {
        return Ok(path);
    }
    let next =
        "correct the path in the experiment, or name the folder that holds it with --data-dir".to_owned();
    Err(Error::Missing { path, next })
}

/// The file name without its extensions.
pub(crate) fn stem(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned()
}
