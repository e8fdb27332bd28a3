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

/// The paths of what [`files`] makes of the tables and figures of a document.
#[must_use]
pub fn parts(document: &Checked) -> Vec<String> {
    let tables =
        document.tables().flat_map(|table| ["csv", "tex"].map(|kind| format!("tables/{}.{kind}", table.id)));
    let figures = document.figures().flat_map(|figure| {
        [Theme::Light, Theme::Dark].into_iter().flat_map(|theme| {
            ["svg", "png"].map(|kind| format!("figures/{}-{}.{kind}", figure.id, theme.name()))
        })
    });
    tables.chain(figures).collect()
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
    files.extend(csv(document).into_iter().map(|(id, text)| file(format!("tables/{id}.csv"), text)));
    files.extend(latex_tables(document).into_iter().map(|(id, text)| file(format!("tables/{id}.tex"), text)));
    let stamp = document.stamp.as_deref();
    let pictures: Vec<_> =
        document.figures().flat_map(|figure| [(figure, Theme::Light), (figure, Theme::Dark)]).collect();
    // Nearly all of the time goes into the bitmaps.
    files.par_extend(pictures.into_par_iter().flat_map_iter(|(figure, theme)| {
        let path = format!("figures/{}-{}", figure.id, theme.name());
        let svg = file(format!("{path}.svg"), figure.chart.svg(stamp, theme));
        [svg, File { path: format!("{path}.png"), bytes: figure.chart.png(stamp, theme) }]
    }));
    files
}
