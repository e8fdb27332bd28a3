//! Everything that a document is written as.

use rayon::prelude::*;

use super::chart::Theme;
use super::{Checked, csv, html, json, latex, latex_tables, markdown};

/// A file of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its path below the report's folder, with `/`.
    pub path: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

fn of_table(id: &str, kind: &str) -> String {
    format!("tables/{id}.{kind}")
}

fn of_figure(id: &str, theme: Theme, kind: &str) -> String {
    format!("figures/{id}-{}.{kind}", theme.name())
}

/// The paths of what [`files`] makes of tables and figures with these ids.
pub fn parts<'a>(
    tables: impl Iterator<Item = &'a str>,
    figures: impl Iterator<Item = &'a str>,
) -> impl Iterator<Item = String> {
    let tables = tables.flat_map(|id| ["csv", "tex"].map(|kind| of_table(id, kind)));
    let themes = |id| [(id, Theme::Light), (id, Theme::Dark)];
    let figures = figures.flat_map(themes);
    tables.chain(figures.flat_map(|(id, theme)| ["svg", "png"].map(|kind| of_figure(id, theme, kind))))
}

/// The document in every format, in this order: `<name>.md`, `<name>.tex`, `<name>.html`, `<name>.json`; for each table
/// `tables/<id>.csv` and `tables/<id>.tex`; for each figure `figures/<id>-light.svg`, `-light.png`, `-dark.svg` and `-dark.png`.
/// Nothing is written: the caller does that.
#[must_use]
pub fn files(document: &Checked, name: &str) -> Vec<File> {
    let file = |path: String, text: String| File { path, bytes: text.into_bytes() };
    let mut files = vec![
        file(format!("{name}.md"), markdown(document, "figures")),
        file(format!("{name}.tex"), latex(document, "figures")),
        file(format!("{name}.html"), html(document)),
        file(format!("{name}.json"), json(document)),
    ];
    files.extend(csv(document).into_iter().map(|(id, text)| file(of_table(&id, "csv"), text)));
    files.extend(latex_tables(document).into_iter().map(|(id, text)| file(of_table(&id, "tex"), text)));
    let stamp = document.stamp.as_deref();
    let pictures: Vec<_> =
        document.figures().flat_map(|figure| [(figure, Theme::Light), (figure, Theme::Dark)]).collect();
    // Nearly all of the time goes into the bitmaps.
    files.par_extend(pictures.into_par_iter().flat_map_iter(|(figure, theme)| {
        let path = |kind| of_figure(&figure.id, theme, kind);
        let svg = file(path("svg"), figure.chart.svg(stamp, theme));
        [svg, File { path: path("png"), bytes: figure.chart.png(stamp, theme) }]
    }));
    files
}
