//! RecBole atomic files: tab-separated, never quoted, a header of `name:type` fields.

use super::csv::{located, stem};
use super::{Context, InteractionColumns, Raw, read_interactions, read_titles};
use crate::data::error::Error;
use crate::data::table::Layout;
use crate::experiment::{ColumnRef, RecBoleSpec};

pub(crate) fn read(spec: &RecBoleSpec, context: Context<'_>) -> Result<Raw, Error> {
    let inter = located(context.data_dir, &spec.inter)?;
    let item = spec.item.as_deref().map(|path| located(context.data_dir, path)).transpose()?;
    let layout = Layout { delimiter: b'\t', header: true, quotes: false, typed: true };
    let field = |name: &str| ColumnRef::Name(name.to_owned());
    let columns = InteractionColumns {
        user: field(&spec.user_field),
        item: field(&spec.item_field),
        rating: spec.rating_field.as_deref().map(field),
        time: spec.time_field.as_deref().map(field),
    };
    let (interactions, file) = read_interactions(&inter, layout, &columns, context)?;
    let mut source_files = vec![file];
    let titles = match &item {
        None => None,
        Some(path) => {
            let columns = (&field(&spec.item_field), &field(&spec.title_field));
            let (titles, file) =
                read_titles(path, layout, columns, |title| title.trim().to_owned(), context)?;
            source_files.push(file);
            Some(titles)
        }
    };
    Ok(Raw { name: stem(&inter), interactions, titles, source_files })
}
