//! Text that does on a page what it looks like.

use super::chart::Chart;
use super::model::{Block, Document};
use super::prose::{Prose, Span};
use super::table::Table;

/// `text` without characters that act instead of being seen: line breaks and tabs become spaces, other control characters
/// and those that turn the direction of writing become `\u{FFFD}`. Titles of items are other people's.
#[must_use]
pub fn clean(text: &str) -> String {
    text.chars().map(|character| if "\n\r\t".contains(character) { ' ' } else { seen(character) }).collect()
}

/// The same for listings, which keep their lines and tabs.
pub(super) fn clean_code(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    text.chars()
        .map(|character| if "\n\t".contains(character) { character } else { seen(character) })
        .collect()
}

fn seen(character: char) -> char {
    let acts = character.is_control()
        || matches!(character, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
        // Not characters at all: XML forbids the two, and the rest is for programs' own use.
        || matches!(character, '\u{FFFE}' | '\u{FFFF}' | '\u{FDD0}'..='\u{FDEF}');
    if acts { '\u{FFFD}' } else { character }
}

impl Document {
    /// Control characters and the like made visible.
    pub(super) fn clean(&mut self) {
        self.map_texts(Map { words: &clean, code: &clean_code });
    }

    /// All words of it, changed.
    pub(super) fn map_texts(&mut self, map: Map<'_>) {
        map.each(&mut self.title);
        self.stamp.iter_mut().for_each(|text| map.each(text));
        self.warnings.iter_mut().for_each(|prose| prose.map_texts(map));
        for section in &mut self.sections {
            map.each(&mut section.heading);
            section.blocks.iter_mut().for_each(|block| block.map_texts(map));
        }
    }
}

/// How texts are changed.
#[derive(Clone, Copy)]
pub(super) struct Map<'a> {
    /// Words.
    pub words: &'a dyn Fn(&str) -> String,
    /// Listings.
    pub code: &'a dyn Fn(&str) -> String,
}

impl Map<'_> {
    fn each(self, text: &mut String) {
        *text = (self.words)(text);
    }
}

impl Block {
    fn map_texts(&mut self, map: Map<'_>) {
        match self {
            Self::Prose(prose) => prose.map_texts(map),
            Self::Table(table) => table.map_texts(map),
            Self::Figure(figure) => {
                figure.caption.map_texts(map);
                figure.chart.map_texts(map);
            }
            Self::Facts(facts) => {
                facts.folded.iter_mut().for_each(|text| map.each(text));
                for (name, value) in &mut facts.entries {
                    map.each(name);
                    value.map_texts(map);
                }
            }
            Self::Code(code) => {
                map.each(&mut code.heading);
                map.each(&mut code.language);
                code.text = (map.code)(&code.text);
            }
        }
    }
}

impl Prose {
    fn map_texts(&mut self, map: Map<'_>) {
        for span in &mut self.0 {
            match span {
                Span::Text(text) | Span::Emphasis(text) | Span::Strong(text) | Span::Code(text) => {
                    map.each(text)
                }
                Span::Link { text, url } => {
                    map.each(text);
                    map.each(url);
                }
            }
        }
    }
}

impl Table {
    fn map_texts(&mut self, map: Map<'_>) {
        self.caption.map_texts(map);
        self.groups.iter_mut().for_each(|group| map.each(&mut group.title));
        for column in &mut self.columns {
            map.each(&mut column.title);
            column.unit.iter_mut().for_each(|text| map.each(text));
        }
        for row in &mut self.rows {
            row.group.iter_mut().chain(&mut row.tags).for_each(|text| map.each(text));
            for cell in &mut row.cells {
                map.each(&mut cell.text);
                map.each(&mut cell.significance);
                cell.spread.iter_mut().for_each(|spread| map.each(&mut spread.text));
                cell.footnotes.iter_mut().for_each(|text| map.each(text));
            }
        }
        for note in &mut self.notes {
            note.mark.iter_mut().for_each(|text| map.each(text));
            note.text.map_texts(map);
        }
    }
}

impl Chart {
    fn map_texts(&mut self, map: Map<'_>) {
        self.texts().into_iter().for_each(|text| map.each(text));
    }
}
