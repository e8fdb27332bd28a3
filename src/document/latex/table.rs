//! A table with booktabs.

use std::fmt::Write as _;

use super::escape::escape;
use super::prose;
use crate::document::table::{Align, Cell, Mark, Row, Table};

/// The `table` environment. It is shrunk to the width of the line if it is wider.
pub(in crate::document) fn float(table: &Table, stamp: Option<&str>) -> String {
    let width = table.columns.len();
    let mut text = String::from("\\begin{table}[htbp]\n\\centering\n");
    let stamp = stamp.map_or_else(String::new, |stamp| format!(" \\textbf{{({})}}", escape(stamp)));
    let caption = prose(&table.caption);
    let (number, caption) = numbered(&caption);
    if let Some(number) = number {
        // LaTeX counts tables itself, and would say "Table 2: Table II: ..".
        let _ = writeln!(text, "\\addtocounter{{table}}{{-1}}\\renewcommand{{\\thetable}}{{{number}}}");
    }
    let _ = write!(text, "\\caption{{{caption}{stamp}}}\n\\label{{tab:{}}}\n", table.id);
    let align = table.columns.iter().map(|column| match column.align {
        Align::Left => 'l',
        Align::Centre => 'c',
        Align::Right => 'r',
    });
    let _ = write!(
        text,
        "\\resizebox{{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}}{{!}}{{%\n\\begin{{tabular}}{{{}}}\n\\toprule\n",
        align.collect::<String>()
    );
    text.push_str(&group_headings(table));
    let headings: Vec<String> = table.columns.iter().map(|column| escape(&column.heading())).collect();
    let _ = write!(text, "{} \\\\\n\\midrule\n", headings.join(" & "));
    let mut group = &None;
    for (at, row) in table.rows.iter().enumerate() {
        if row.group != *group {
            group = &row.group;
            let rule = if at > 0 { "\\midrule\n" } else { "" };
            let title = group.as_deref().map_or_else(String::new, escape);
            let _ = writeln!(text, "{rule}\\multicolumn{{{width}}}{{l}}{{\\emph{{{title}}}}} \\\\");
        } else if row.rule && at > 0 {
            text.push_str("\\midrule\n");
        }
        let cells: Vec<String> =
            row.cells.iter().enumerate().map(|(at, cell)| in_row(cell, row, at)).collect();
        let _ = writeln!(text, "{} \\\\", cells.join(" & "));
    }
    text.push_str("\\bottomrule\n\\end{tabular}}\n");
    let notes = notes(table);
    if !notes.is_empty() {
        let _ = writeln!(
            text,
            "\\par\\smallskip\n\\begin{{minipage}}{{\\linewidth}}\\footnotesize\n{}\n\\end{{minipage}}",
            notes.join("\\par\n")
        );
    }
    text.push_str("\\end{table}\n");
    text
}

/// The number that a caption gives its table, as in `Table II: ..` or `Table II in full: ..`, and the rest of it.
fn numbered(caption: &str) -> (Option<&str>, &str) {
    let is_number = |text: &&str| {
        text.len() <= 20
            && text.starts_with(['I', 'V', 'X'])
            && text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == ' ')
    };
    let parts = caption.strip_prefix("Table ").and_then(|rest| rest.split_once(": "));
    match parts.filter(|(number, _)| is_number(number)) {
        Some((number, rest)) => (Some(number), rest),
        None => (None, caption),
    }
}

/// The headings above the columns' own, with a rule below each.
fn group_headings(table: &Table) -> String {
    if table.groups.is_empty() {
        return String::new();
    }
    let mut first = 1;
    let mut rules = String::new();
    let mut cells = Vec::new();
    for group in &table.groups {
        let last = first + group.span - 1;
        if group.title.is_empty() {
            cells.push(format!("\\multicolumn{{{}}}{{c}}{{}}", group.span));
        } else {
            cells.push(format!("\\multicolumn{{{}}}{{c}}{{{}}}", group.span, escape(&group.title)));
            let _ = write!(rules, "\\cmidrule(lr){{{first}-{last}}}");
        }
        first = last + 1;
    }
    format!("{} \\\\\n{rules}\n", cells.join(" & "))
}

fn in_row(cell: &Cell, row: &Row, at: usize) -> String {
    // The minus of a number is a sign, not a hyphen.
    let minus = cell.text.strip_prefix('-').filter(|_| cell.value.is_some());
    let text = minus.map_or_else(|| escape(&cell.text), |rest| format!("\\ensuremath{{-}}{}", escape(rest)));
    let mut shown = match cell.mark {
        Some(Mark::Best) => format!("\\textbf{{{text}}}"),
        Some(Mark::Second) => format!("\\underline{{{text}}}"),
        None => text,
    };
    if let Some(spread) = &cell.spread {
        let _ = write!(shown, " \\ensuremath{{\\pm}} {}", escape(&spread.text));
    }
    let superscript = cell.superscript();
    if !superscript.is_empty() {
        let _ = write!(shown, "\\textsuperscript{{{}}}", escape(&superscript));
    }
    if at == 0 {
        if row.group.is_some() {
            shown.insert_str(0, "\\quad ");
        }
        if !row.tags.is_empty() {
            let _ = write!(shown, " \\emph{{({})}}", escape(&row.tags.join(", ")));
        }
    }
    shown
}

fn notes(table: &Table) -> Vec<String> {
    let mut notes = Vec::new();
    if table.bears(Mark::Best) {
        let second = if table.bears(Mark::Second) { "; \\underline{underlined}: second" } else { "" };
        notes.push(format!("\\textbf{{Bold}}: best{second}."));
    }
    for note in &table.notes {
        let mark = note
            .mark
            .as_deref()
            .map_or_else(String::new, |mark| format!("\\textsuperscript{{{}}} ", escape(mark)));
        notes.push(format!("{mark}{}", prose(&note.text)));
    }
    notes
}
