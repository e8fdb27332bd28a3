//! Tables for a terminal.

use comfy_table::{Attribute, Cell as Shown, CellAlignment, ContentLineStyle, LineStyle, TableStyle};

use super::Checked;
use super::clean::Map;
use super::model::Block;
use super::table::{Align, Cell, Kind, Mark, Row, Table};

/// How it may look. The caller knows whether a person looks at it, and whether `NO_COLOR` is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TerminalStyle {
    /// Whether bold, underline and colour may be used. Without, `*` and `_` stand before the best and the second.
    pub colour: bool,
    /// Whether rules and signs may be drawn with characters beyond ASCII.
    pub unicode: bool,
    /// Width of the terminal in columns: a wider table is cut into several below each other. `None` for no limit.
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
    parts.extend(
        document.warnings.iter().map(|warning| alarm(&format!("warning: {}", warning.plain()), style)),
    );
    for section in &document.sections {
        parts.push(format!("\n{}", strong(&section.heading, style)));
        for block in &section.blocks {
            match block {
                Block::Prose(prose) => parts.push(prose.plain()),
                Block::Table(table) => parts.push(table_terminal(table, stamp, style)),
                Block::Figure(figure) => {
                    parts.push(format!("[figure {}: {}]", figure.id, figure.caption.plain()))
                }
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
    let caption = match (table.caption.plain(), stamp) {
        (caption, Some(stamp)) => format!("{caption} ({stamp})"),
        (caption, None) => caption,
    };
    let mut lines = vec![caption];
    lines.extend(pieces(table, style).iter().map(|columns| piece(table, columns, style)));
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

/// A table that is too wide becomes several below each other: each has the leading columns of words, and as many others as fit,
/// broken between groups of columns where that is possible.
fn pieces(table: &Table, style: TerminalStyle) -> Vec<Vec<usize>> {
    let count = table.columns.len();
    let leading = table.columns.iter().take_while(|column| column.kind == Kind::Text).count().clamp(1, count);
    let width = |columns: &[usize]| {
        let text = piece(table, columns, TerminalStyle { colour: false, ..style });
        text.lines().map(|line| line.chars().count()).max().unwrap_or(0)
    };
    let room = style.width.map_or(usize::MAX, usize::from);
    if width(&(0..count).collect::<Vec<_>>()) <= room {
        return vec![(0..count).collect()];
    }
    let mut others: Vec<usize> = (leading..count).collect();
    let mut pieces = Vec::new();
    while !others.is_empty() {
        let with = |taken: usize| (0..leading).chain(others[..taken].iter().copied()).collect::<Vec<_>>();
        let fitting = (1..=others.len()).take_while(|taken| width(&with(*taken)) <= room).last().unwrap_or(1);
        let between = |taken: &usize| {
            *taken == others.len()
                || table.group_index(others[*taken]) != table.group_index(others[*taken - 1])
        };
        let taken = (1..=fitting).rev().find(between).filter(|_| !table.groups.is_empty()).unwrap_or(fitting);
        pieces.push(with(taken));
        others.drain(..taken);
    }
    pieces
}

/// Some columns of a table.
fn piece(table: &Table, columns: &[usize], style: TerminalStyle) -> String {
    let mut shown = ruled_table(style.colour, style.unicode);
    // Digits stay below each other if what follows them is equally wide in all rows.
    let tails: Vec<usize> = columns
        .iter()
        .map(|at| {
            table.rows.iter().map(|row| tail(&row.cells[*at], style).chars().count()).max().unwrap_or(0)
        })
        .collect();
    let align = |at: usize| match table.columns[at].align {
        Align::Left => CellAlignment::Left,
        Align::Centre => CellAlignment::Center,
        Align::Right => CellAlignment::Right,
    };
    shown.set_header(columns.iter().map(|at| {
        let group = table.group_of(*at).filter(|title| !title.is_empty());
        let heading = table.columns[*at].heading();
        let heading = match group {
            Some(group) => format!("{group}\n{heading}"),
            // Headings stand on the line of those that have a group.
            None if !table.groups.is_empty() => format!("\u{A0}\n{heading}"),
            None => heading,
        };
        Shown::new(heading).set_alignment(align(*at))
    }));
    let mut group = &None;
    for (index, row) in table.rows.iter().enumerate() {
        let empty = || columns.iter().skip(1).map(|_| Shown::new(""));
        if row.group != *group {
            group = &row.group;
            let title = Shown::new(group.as_deref().unwrap_or("\u{A0}"));
            shown.add_row(std::iter::once(title).chain(empty()));
        } else if row.rule && index > 0 {
            shown.add_row(std::iter::once(Shown::new("\u{A0}")).chain(empty()));
        }
        shown.add_row(columns.iter().zip(&tails).map(|(at, tail)| {
            let number = table.columns[*at].kind == Kind::Number;
            let cell = in_row(row, *at, if number { *tail } else { 0 }, style).set_alignment(align(*at));
            match row.cells[*at].mark {
                Some(Mark::Best) if style.colour => cell.add_attribute(Attribute::Bold),
                Some(Mark::Second) if style.colour => cell.add_attribute(Attribute::Underlined),
                _ => cell,
            }
        }));
    }
    shown.column_iter_mut().enumerate().for_each(|(at, column)| {
        column.set_padding((u16::from(at > 0), 0));
    });
    tight(&shown.trim_fmt())
}

/// Takes the spaces around a number out of its underline.
fn tight(text: &str) -> String {
    const ON: &str = "\u{1b}[4m";
    const OFF: &str = "\u{1b}[0m";
    let mut parts = text.split(ON);
    let mut tight = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (inside, after) = part.split_once(OFF).unwrap_or((part, ""));
        let words = inside.trim();
        let start = inside.find(words).unwrap_or(0);
        let (before, behind) = (&inside[..start], &inside[start + words.len()..]);
        tight.extend([before, ON, words, OFF, behind, after]);
    }
    tight
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
    // No-break spaces: the table trims the others.
    let fill = "\u{A0}".repeat(width.saturating_sub(tail.chars().count()));
    let mut text = format!("{sign}{}{tail}{fill}", cell.text);
    if at == 0 && !row.tags.is_empty() {
        text.push_str(&format!(" ({})", row.tags.join(", ")));
    }
    if at == 0 && row.group.is_some() {
        text.insert_str(0, "\u{A0}\u{A0}");
    }
    Shown::new(text)
}

/// An empty table with rules above, below and under the header, and nothing else.
#[must_use]
pub fn ruled_table(colour: bool, unicode: bool) -> comfy_table::Table {
    let rule = if unicode { '─' } else { '-' };
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
    if colour {
        table.enforce_styling();
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
