//! Tables for a terminal.

use comfy_table::{
    Attribute, Cell as Shown, CellAlignment, ColumnConstraint, ContentArrangement, ContentLineStyle, LineStyle,
    TableStyle,
};

use super::Checked;
use super::clean::Map;
use super::model::Block;
use super::table::{Align, Cell, Mark, Row, Table};

/// How it may look. The caller knows whether a person looks at it, and whether `NO_COLOR` is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TerminalStyle {
    /// Whether bold, underline and colour may be used. Without, `*` and `_` stand before the best and the second.
    pub colour: bool,
    /// Whether rules and signs may be drawn with characters beyond ASCII.
    pub unicode: bool,
    /// The widest line, in columns; words are broken to fit. `None` for no limit.
    pub width: Option<u16>,
}

/// Title, stamp, warnings, prose, facts and tables. Figures are named, listings left out.
#[must_use]
pub fn terminal(document: &Checked, style: TerminalStyle) -> String {
    let mut document = (**document).clone();
    if !style.unicode {
        document.map_texts(Map { words: &ascii, code: &ascii });
    }
    let stamp = document.stamp.as_deref();
    let mut parts = vec![strong(&document.title, style)];
    parts.extend(stamp.map(|stamp| alarm(stamp, style)));
    parts.extend(document.warnings.iter().map(|warning| alarm(&format!("warning: {}", warning.plain()), style)));
    for section in &document.sections {
        parts.push(format!("\n{}", strong(&section.heading, style)));
        for block in &section.blocks {
            match block {
                Block::Prose(prose) => parts.push(prose.plain()),
                Block::Table(table) => parts.push(table_terminal(table, stamp, style)),
                Block::Figure(figure) => parts.push(format!("[figure {}: {}]", figure.id, figure.caption.plain())),
                Block::Facts(facts) => {
                    let entry = |(name, value): &(String, super::Prose)| format!("{name}: {}", value.plain());
                    parts.extend(facts.entries.iter().map(entry));
                }
                Block::Code(_) => {}
            }
        }
    }
    let mut text = parts.join("\n");
    text.push('\n');
    if style.unicode { text } else { text.replace('\u{A0}', " ") }
}

fn table_terminal(table: &Table, stamp: Option<&str>, style: TerminalStyle) -> String {
    let mut shown = empty(style);
    // Digits stay below each other if what follows them is equally wide in all rows.
    let tails: Vec<usize> = (0..table.columns.len())
        .map(|at| table.rows.iter().map(|row| tail(&row.cells[at], style).chars().count()).max().unwrap_or(0))
        .collect();
    let align = |at: usize| match table.columns[at].align {
        Align::Left => CellAlignment::Left,
        Align::Centre => CellAlignment::Center,
        Align::Right => CellAlignment::Right,
    };
    shown.set_header(table.columns.iter().enumerate().map(|(at, column)| {
        let group = table.group_of(at).filter(|title| !title.is_empty());
        let heading = column.heading();
        let heading = group.map_or_else(|| heading.clone(), |group| format!("{group}\n{heading}"));
        Shown::new(heading).set_alignment(align(at))
    }));
    let mut group = &None;
    for (index, row) in table.rows.iter().enumerate() {
        if row.group != *group {
            group = &row.group;
            let title = Shown::new(group.as_deref().unwrap_or_default());
            shown.add_row(std::iter::once(title).chain((1..table.columns.len()).map(|_| Shown::new(""))));
        } else if row.rule && index > 0 {
            shown.add_row(table.columns.iter().map(|_| Shown::new("")));
        }
        shown.add_row((0..table.columns.len()).map(|at| {
            let cell = in_row(row, at, tails[at], style).set_alignment(align(at));
            match row.cells[at].mark {
                Some(Mark::Best) if style.colour => cell.add_attribute(Attribute::Bold),
                Some(Mark::Second) if style.colour => cell.add_attribute(Attribute::Underlined),
                _ => cell,
            }
        }));
    }
    shown.column_iter_mut().enumerate().for_each(|(at, column)| {
        column.set_padding((u16::from(at > 0), 0));
        if at > 0 && table.columns[at].align == Align::Right {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    });
    let caption = match (table.caption.plain(), stamp) {
        (caption, Some(stamp)) => format!("{caption} ({stamp})"),
        (caption, None) => caption,
    };
    let mut lines = vec![caption, shown.trim_fmt()];
    if table.bears(Mark::Best) {
        let [best, second] = if style.colour { ["bold", "underlined"] } else { ["*", "_"] };
        let second = if table.bears(Mark::Second) { format!("; {second}: second") } else { String::new() };
        lines.push(format!("{best}: best{second}"));
    }
    lines.extend(table.notes.iter().map(|note| {
        note.mark.as_ref().map_or_else(|| note.text.plain(), |mark| format!("{mark} {}", note.text.plain()))
    }));
    lines.join("\n")
}

/// What follows the digits: the spread and what would be a superscript.
fn tail(cell: &Cell, style: TerminalStyle) -> String {
    let sign = if style.unicode { "±" } else { "+-" };
    let mut tail = cell.spread.as_ref().map_or_else(String::new, |spread| format!(" {sign} {}", spread.text));
    let superscript = cell.superscript();
    if !superscript.is_empty() {
        tail.push(' ');
        tail.push_str(&superscript);
    }
    tail
}

fn in_row(row: &Row, at: usize, width: usize, style: TerminalStyle) -> Shown {
    let cell = &row.cells[at];
    let sign = match cell.mark {
        Some(Mark::Best) if !style.colour => "*",
        Some(Mark::Second) if !style.colour => "_",
        _ => "",
    };
    let tail = tail(cell, style);
    let mut text = format!("{sign}{}{tail}", cell.text);
    if cell.value.is_some() {
        // No-break spaces: the table trims the others.
        text.push_str(&"\u{A0}".repeat(width - tail.chars().count()));
    }
    if at == 0 && !row.tags.is_empty() {
        text.push_str(&format!(" ({})", row.tags.join(", ")));
    }
    if at == 0 && row.group.is_some() {
        text.insert_str(0, "\u{A0}\u{A0}");
    }
    Shown::new(text)
}

/// A table with rules above, below and under the header.
fn empty(style: TerminalStyle) -> comfy_table::Table {
    let rule = if style.unicode { '─' } else { '-' };
    let rule = LineStyle::none().fill(rule).junction(rule);
    let space = ContentLineStyle::none();
    let mut table = comfy_table::Table::new();
    table.load_style(
        TableStyle::new()
            .top_border(rule)
            .header_lines(space)
            .header_separator(rule)
            .content_lines(space)
            .bottom_border(rule),
    );
    table.force_no_tty();
    if style.colour {
        table.enforce_styling();
    }
    if let Some(width) = style.width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    table
}

fn strong(text: &str, style: TerminalStyle) -> String {
    if style.colour { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// In yellow, which is told apart from white by those who do not see red, and says its word anyway.
fn alarm(text: &str, style: TerminalStyle) -> String {
    if style.colour { format!("\u{1b}[33m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// What a terminal without Unicode can show: signs of ours spelt out, other people's characters as `?`.
fn ascii(text: &str) -> String {
    let spell = |character: char| match character {
        '±' => "+-".to_owned(),
        '–' | '—' | '−' => "-".to_owned(),
        '\u{A0}' => " ".to_owned(),
        '×' => "x".to_owned(),
        '≤' => "<=".to_owned(),
        '≥' => ">=".to_owned(),
        '→' => "->".to_owned(),
        '†' => "+".to_owned(),
        '‡' => "++".to_owned(),
        '…' => "...".to_owned(),
        '’' | '‘' => "'".to_owned(),
        '“' | '”' => "\"".to_owned(),
        other if other.is_ascii() => other.to_string(),
        _ => "?".to_owned(),
    };
    text.chars().map(spell).collect()
}
