//! LaTeX: whole documents, and tables to be taken into a paper.

mod escape;
mod table;

use std::fmt::Write as _;

use super::Checked;
use super::model::{Block, Figure};
use super::prose::{Prose, Span};
use escape::{escape, escape_url};

/// What a paper must load for [`latex_tables`].
pub const PACKAGES: &str = "\\usepackage[T1]{fontenc}\n\\usepackage[utf8]{inputenc}\n\\usepackage{textcomp}\n\
    \\usepackage{booktabs}\n\\usepackage{graphicx}\n";

/// The document, to be compiled with pdflatex, xelatex or lualatex. Figures are pictures in the folder `figures`, named as
/// [`files`](super::files) names them; a picture that is not there becomes a box with its name.
#[must_use]
pub fn latex(document: &Checked, figures: &str) -> String {
    let stamp = document.stamp.as_deref();
    let mut text = format!(
        "\\documentclass[a4paper]{{article}}\n{PACKAGES}\\usepackage[margin=22mm]{{geometry}}\n\
         \\usepackage[hidelinks]{{hyperref}}\n\\setlength{{\\parindent}}{{0pt}}\n\\setlength{{\\parskip}}{{6pt}}\n\
         \\title{{{}}}\n\\author{{}}\n\\date{{}}\n\\pagestyle{{myheadings}}\n\\markboth{{{stamp}}}{{{stamp}}}\n\
         \\begin{{document}}\n\\maketitle\n\\thispagestyle{{myheadings}}\n",
        escape(&document.title),
        stamp = stamp.map_or_else(String::new, |stamp| format!("\\textbf{{{}}}", escape(stamp))),
    );
    if !document.warnings.is_empty() {
        let items = document.warnings.iter().map(|warning| format!("\\item {}\n", prose(warning)));
        let _ = write!(
            text,
            "\\textbf{{Warnings}}\n\\begin{{itemize}}\n{}\\end{{itemize}}\n",
            items.collect::<String>()
        );
    }
    for section in &document.sections {
        let command = ["section", "subsection", "subsubsection"][usize::from(section.level.clamp(1, 3)) - 1];
        let _ = write!(text, "\n\\{command}{{{}}}\n", escape(&section.heading));
        for block in &section.blocks {
            match block {
                Block::Prose(paragraph) => text.push_str(&prose(paragraph)),
                Block::Table(table) => text.push_str(&table::float(table, stamp)),
                Block::Figure(figure) => text.push_str(&picture(figure, figures, stamp)),
                Block::Facts(facts) => {
                    text.push_str("\\begin{description}\n");
                    for (name, value) in &facts.entries {
                        let _ = writeln!(text, "\\item[{{{}}}] {}", escape(name), prose(value));
                    }
                    text.push_str("\\end{description}\n");
                }
                Block::Code(code) => {
                    let _ = write!(text, "\\textbf{{{}}}\n\n{}", escape(&code.heading), listing(&code.text));
                }
            }
            text.push_str("\n\n");
        }
    }
    text.push_str("\\end{document}\n");
    text
}

/// Each table as its id and a `table` environment for a paper that loads [`PACKAGES`].
#[must_use]
pub fn latex_tables(document: &Checked) -> Vec<(String, String)> {
    let stamp = document.stamp.as_deref();
    document.tables().map(|table| (table.id.clone(), table::float(table, stamp))).collect()
}

pub(super) use table::float as table_latex;

fn picture(figure: &Figure, folder: &str, stamp: Option<&str>) -> String {
    let file = format!("{folder}/{}-light.png", figure.id);
    format!(
        "\\begin{{figure}}[htbp]\n\\centering\n\\IfFileExists{{{file}}}{{\\includegraphics[width=\\linewidth]{{{file}}}}}\
         {{\\fbox{{{}}}}}\n\\caption{{{}{}}}\n\\label{{fig:{}}}\n\\end{{figure}}",
        escape(&file),
        prose(&figure.caption),
        stamp.map_or_else(String::new, |stamp| format!(" \\textbf{{({})}}", escape(stamp))),
        figure.id
    )
}

/// Lines of a program's text. `verbatim` would end at its own name and take no code points, so lines are set one by one.
fn listing(text: &str) -> String {
    let line = |line: &str| {
        let line = escape(&line.replace('\t', "    "));
        // Spaces that must not be merged or broken at.
        if line.is_empty() { "\\strut".to_owned() } else { line.replace(' ', "\\ ") }
    };
    let lines: Vec<String> = text.lines().map(line).collect();
    format!("{{\\footnotesize\\ttfamily\\raggedright\n{}\\par}}\n", lines.join("\\\\\n"))
}

/// A paragraph.
fn prose(prose: &Prose) -> String {
    let span = |span: &Span| match span {
        Span::Text(text) => escape(text),
        Span::Emphasis(text) => format!("\\emph{{{}}}", escape(text)),
        Span::Strong(text) => format!("\\textbf{{{}}}", escape(text)),
        Span::Code(text) => format!("\\texttt{{{}}}", escape(text)),
        // Within the document, the caption's own number is the reference; the words say what is meant.
        Span::Link { text, url } if url.starts_with('#') => escape(text),
        // A paper that takes a table may not load hyperref.
        Span::Link { text, url } => {
            format!(
                "\\ifdefined\\href\\href{{{}}}{{{text}}}\\else{{{text}}}\\fi{{}}",
                escape_url(url),
                text = escape(text)
            )
        }
    };
    prose.0.iter().map(span).collect()
}
