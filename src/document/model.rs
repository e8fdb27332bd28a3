//! A document: sections of prose, tables, figures, facts and code.

use serde::{Deserialize, Serialize};

use super::chart::Chart;
use super::prose::Prose;
use super::table::Table;

/// All that a report shows, before it has a format. [`Document::check`] makes it printable.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// What it is called.
    pub title: String,
    /// What must never be overlooked ("simulated: not for reporting"). Every page, table and figure carries it.
    pub stamp: Option<String>,
    /// What a reader should know before the numbers; on top.
    pub warnings: Vec<Prose>,
    /// The parts, in order. A part of a deeper level belongs to the last one before it that is less deep.
    pub sections: Vec<Section>,
}

/// A part of a document.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// Its heading.
    pub heading: String,
    /// How deep it stands: 1 to 3.
    pub level: u8,
    /// What stands in it, in order.
    pub blocks: Vec<Block>,
}

/// What a section is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Block {
    /// A paragraph.
    Prose(Prose),
    /// A table.
    Table(Table),
    /// A figure.
    Figure(Figure),
    /// A list of names with what they stand for.
    Facts(Facts),
    /// Text of a program or a file, such as the resolved settings.
    Code(Code),
}

/// A chart with its caption.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// Its name in files and links: `a-z`, `0-9` and `-`, once in a document.
    pub id: String,
    /// What stands below it.
    pub caption: Prose,
    /// What it shows.
    pub chart: Chart,
}

/// Names with what they stand for: provenance, sizes, versions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// Set to fold it away under this heading where a format can.
    pub folded: Option<String>,
    /// The names and what they stand for, in order.
    pub entries: Vec<(String, Prose)>,
}

/// A listing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// What it is. It is folded away under this heading where a format can.
    pub heading: String,
    /// Its language, as fences of Markdown name it: `toml`. May be empty.
    pub language: String,
    /// The text; lines end in `\n`.
    pub text: String,
}

impl Document {
    /// An empty document.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }

    /// With a part at the end.
    #[must_use]
    pub fn with(mut self, section: Section) -> Self {
        self.sections.push(section);
        self
    }

    /// The tables, in order.
    pub fn tables(&self) -> impl Iterator<Item = &Table> {
        self.blocks().filter_map(|block| if let Block::Table(table) = block { Some(table) } else { None })
    }

    /// The figures, in order.
    pub fn figures(&self) -> impl Iterator<Item = &Figure> {
        self.blocks().filter_map(|block| if let Block::Figure(figure) = block { Some(figure) } else { None })
    }

    fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.sections.iter().flat_map(|section| &section.blocks)
    }
}

impl Section {
    /// An empty part of level 1.
    #[must_use]
    pub fn new(heading: impl Into<String>) -> Self {
        Self { heading: heading.into(), level: 1, blocks: Vec::new() }
    }

    /// At this depth, 1 to 3.
    #[must_use]
    pub fn level(self, level: u8) -> Self {
        Self { level, ..self }
    }

    /// With a block at the end.
    #[must_use]
    pub fn with(mut self, block: impl Into<Block>) -> Self {
        self.blocks.push(block.into());
        self
    }
}

impl From<&str> for Block {
    fn from(text: &str) -> Self {
        Self::Prose(text.into())
    }
}

macro_rules! blocks {
    ($($kind:ident),*) => {$(
        impl From<$kind> for Block {
            fn from(block: $kind) -> Self {
                Self::$kind(block)
            }
        }
    )*};
}
blocks!(Prose, Table, Figure, Facts, Code);
