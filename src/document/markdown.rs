//! Markdown as GitHub reads it.

use std::fmt::Write as _;

use super::Checked;
use super::model::{Block, Code, Facts, Figure};
use super::prose::{Prose, Span};
use super::table::{Align, Cell, Mark, Row, Table};

/// The document. Figures are pictures at `figures` (a path or URL without a slash at the end, such as `figures`), named as
/// [`files`](super::files) names them: in the reader's scheme, light or dark.
#[must_use]
pub fn markdown(document: &Checked, figures: &str) -> String {
    let stamp = document.stamp.as_deref();
    let mut text = format!("# {}\n", escape(&document.title));
    if let Some(stamp) = stamp {
        // Writing to a String cannot fail, here and below.
        let _ = write!(text, "\n**{}**\n", escape(stamp));
    }
    if !document.warnings.is_empty() {
        text.push_str("\n> [!WARNING]\n");
        let warnings: Vec<String> =
            document.warnings.iter().map(|warning| format!("> - {}\n", prose(warning))).collect();
        text.push_str(&warnings.concat());
    }
    for section in &document.sections {
        let _ =
            write!(text, "\n{} {}\n", "#".repeat(usize::from(section.level) + 1), escape(&section.heading));
        for block in &section.blocks {
            text.push('\n');
            match block {
                Block::Prose(paragraph) => text.push_str(&guarded(&prose(paragraph))),
                Block::Table(table) => text.push_str(&table_markdown(table, stamp)),
                Block::Figure(figure) => text.push_str(&figure_markdown(figure, figures, stamp)),
                Block::Facts(facts) => text.push_str(&facts_markdown(facts)),
                Block::Code(code) => text.push_str(&code_markdown(code)),
            }
            if !text.ends_with('\n') {
                text.push('\n');
            }
        }
    }
    text
}

/// A table with its caption above and its notes below, ending in a newline.
pub(super) fn table_markdown(table: &Table, stamp: Option<&str>) -> String {
    // So that links in the document lead here.
    let mut text = format!("<a id=\"{}\"></a>**{}**", table.id, prose(&table.caption));
    if let Some(stamp) = stamp {
        let _ = write!(text, " ({})", escape(stamp));
    }
    text.push_str("\n\n");
    let heading = |(at, column): (usize, &super::Column)| match table.group_of(at) {
        // Markdown has no spanning cells: each column says its group.
        Some(group) if !group.is_empty() => format!("{}<br>{}", escape(group), escape(&column.heading())),
        _ => escape(&column.heading()),
    };
    let headings: Vec<String> = table.columns.iter().enumerate().map(heading).collect();
    let rule = table.columns.iter().map(|column| match column.align {
        Align::Left => "---",
        Align::Centre => ":-:",
        Align::Right => "--:",
    });
    let rule: Vec<&str> = rule.collect();
    let _ = write!(text, "| {} |\n| {} |\n", headings.join(" | "), rule.join(" | "));
    let mut group = &None;
    for row in &table.rows {
        if row.group != *group {
            group = &row.group;
            let title = group.as_ref().map_or_else(String::new, |title| format!("*{}*", escape(title)));
            let _ = writeln!(text, "| {title} |{}", " |".repeat(table.columns.len() - 1));
        }
        let cells: Vec<String> =
            row.cells.iter().enumerate().map(|(at, cell)| in_row(cell, row, at)).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    let notes = notes(table);
    if !notes.is_empty() {
        let _ = write!(text, "\n{}\n", notes.join("<br>\n"));
    }
    text
}

fn notes(table: &Table) -> Vec<String> {
    let mut notes = Vec::new();
    if table.bears(Mark::Best) {
        notes.push(format!(
            "**Bold**: best{}.",
            if table.bears(Mark::Second) { "; <ins>underlined</ins>: second" } else { "" }
        ));
    }
    for note in &table.notes {
        let mark =
            note.mark.as_ref().map_or_else(String::new, |mark| format!("<sup>{}</sup> ", escape(mark)));
        notes.push(format!("{mark}{}", prose(&note.text)));
    }
    notes
}

fn in_row(cell: &Cell, row: &Row, at: usize) -> String {
    let text = escape(&cell.text);
    let mut shown = match cell.mark {
        Some(Mark::Best) => format!("**{text}**"),
        Some(Mark::Second) => format!("<ins>{text}</ins>"),
        None => text,
    };
    if let Some(spread) = &cell.spread {
        let _ = write!(shown, " ± {}", escape(&spread.text));
    }
    let superscript = cell.superscript();
    if !superscript.is_empty() {
        let _ = write!(shown, "<sup>{}</sup>", escape(&superscript));
    }
    if at == 0 && !row.tags.is_empty() {
        let _ = write!(shown, " ({})", escape(&row.tags.join(", ")));
    }
    shown
}

fn figure_markdown(figure: &Figure, folder: &str, stamp: Option<&str>) -> String {
    let stamp = stamp.map_or_else(String::new, |stamp| format!(" ({})", escape(stamp)));
    let id = &figure.id;
    let folder = escape(folder);
    format!(
        "<a id=\"{id}\"></a>\n<picture>\n  <source media=\"(prefers-color-scheme: dark)\" srcset=\"{folder}/{id}-dark.svg\">\n  <img \
         src=\"{folder}/{id}-light.svg\" width=\"640\" alt=\"{}\">\n</picture>\n\n*{}*{stamp}\n",
        html_escape(&figure.chart.description()),
        prose(&figure.caption)
    )
}

fn facts_markdown(facts: &Facts) -> String {
    let list: Vec<String> = facts
        .entries
        .iter()
        .map(|(name, value)| format!("- **{}**: {}\n", escape(name), prose(value)))
        .collect();
    match &facts.folded {
        Some(heading) => folded(heading, &list.concat()),
        None => list.concat(),
    }
}

fn code_markdown(code: &Code) -> String {
    // A fence must be longer than any in the text.
    let longest = code.text.split(|character| character != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let language: String = code.language.chars().filter(char::is_ascii_alphanumeric).collect();
    folded(&code.heading, &format!("{fence}{language}\n{}\n{fence}\n", code.text.trim_end_matches('\n')))
}

fn folded(heading: &str, text: &str) -> String {
    format!("<details>\n<summary>{}</summary>\n\n{text}\n</details>\n", html_escape(heading))
}

/// A paragraph.
fn prose(prose: &Prose) -> String {
    let span = |span: &Span| match span {
        Span::Text(text) => escape(text),
        Span::Emphasis(text) => format!("*{}*", escape(text)),
        Span::Strong(text) => format!("**{}**", escape(text)),
        // HTML, because backticks cannot be escaped between backticks.
        Span::Code(text) => format!("<code>{}</code>", escape(text)),
        Span::Link { text, url } => {
            format!("[{}](<{}>)", escape(text), url.replace('<', "%3C").replace('>', "%3E"))
        }
    };
    prose.0.iter().map(span).collect()
}

/// `text` as it stands: no character of it means anything to Markdown, to HTML within it, or to GitHub (`@name`, `#12`).
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut before = ' ';
    for character in text.chars() {
        let within = before.is_alphanumeric();
        before = character;
        match character {
            // `NDCG@10` mentions nobody.
            '@' if within => escaped.push('@'),
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '@' => escaped.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '#' | '|' | '~' | '$' | '!' => {
                escaped.push('\\');
                escaped.push(character);
            }
            _ => escaped.push(character),
        }
    }
    escaped
}

fn html_escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A paragraph that does not begin a list, a rule or a heading underlined by what follows.
fn guarded(text: &str) -> String {
    let digits = text.chars().take_while(char::is_ascii_digit).count();
    match text.chars().nth(digits) {
        Some('.' | ')') if digits > 0 => format!("{}\\{}", &text[..digits], &text[digits..]),
        Some('-' | '+' | '=') if digits == 0 => format!("\\{text}"),
        _ => text.to_owned(),
    }
}
