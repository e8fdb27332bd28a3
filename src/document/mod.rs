//! Reports before they have a format, and the formats.
//!
//! This module knows nothing of experiments. A [`Document`] is sections of prose, [`Table`]s, [`Figure`]s, facts and code;
//! tables hold what is shown beside the exact values that it was rounded from. [`Document::check`] makes it printable once, and
//! then no renderer can fail: [`markdown`], [`latex`], [`csv`], [`json`], [`terminal`] and [`html`] are functions of a
//! [`Checked`] document, and give the same bytes for the same document. [`files`] is all of them at once. Nothing here writes
//! or prints.
//!
//! ```
//! use bench::document::{Better, Cell, Column, Competition, Document, Row, Section, Table, html, markdown};
//!
//! let score = |value: f64| Cell::number(format!("{value:.4}"), value);
//! let table = Table::new(
//!     "overall",
//!     "Overall results, 126 users",
//!     vec![Column::text("Method"), Column::number("NDCG@10").better(Better::Higher), Column::number("Recall@10")],
//! )
//! .group("", 1)
//! .group("ML-100K", 2)
//! .row(vec![Cell::text("LRURec"), score(0.065812).spread("0.0021", 0.002104), score(0.140912)])
//! .row(vec![Cell::text("ours"), score(0.085524).significance("a").footnote("†"), score(0.147537)])
//! .row(Row::new(vec![Cell::text("LlamaRec"), score(0.0658), Cell::none()]).tag("published").unranked())
//! .footnote("†", "three seeds")
//! .note("Rounded to 4 places from unrounded values.")
//! .mark(Competition::Table);
//!
//! let mut document = Document::new("A report").with(Section::new("Results").with("What was found.").with(table));
//! document.stamp = Some("simulated: not for reporting".to_owned());
//! let document = document.check()?;
//! assert!(markdown(&document, "figures").contains("| ours | **0.0855**<sup>a,†</sup> | 0.1475 |"));
//! assert!(html(&document).contains("simulated: not for reporting"));
//! # Ok::<(), bench::document::Error>(())
//! ```

pub mod chart;
mod check;
mod clean;
mod csv;
mod error;
mod files;
mod html;
mod json;
mod latex;
mod markdown;
mod marks;
mod model;
mod prose;
mod table;
mod terminal;

pub use chart::{Chart, Theme};
pub use check::Checked;
pub use clean::clean;
pub use csv::csv;
pub use error::Error;
pub use files::{File, files, parts};
pub use html::html;
pub use json::{SCHEMA, json, read_json};
pub use latex::{PACKAGES, latex, latex_tables};
pub use markdown::markdown;
pub use marks::{Competition, marks};
pub use model::{Block, Code, Document, Facts, Figure, Section};
pub use prose::{Prose, Span};
pub use table::{Align, Better, Cell, Column, ColumnGroup, Kind, Mark, Note, Row, Spread, Table};
pub use terminal::{TerminalStyle, ruled_table, terminal};
