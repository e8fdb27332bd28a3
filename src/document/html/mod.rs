//! One page that needs nothing else: style, script and pictures are in it, and its policy forbids it to fetch anything.

mod table;
mod theme;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use super::Checked;
use super::chart::Theme;
use super::model::{Block, Code, Facts, Figure, Section};
use super::prose::{Prose, Span};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// The document as one HTML file. Tables can be sorted (click, or Enter on a heading), filtered and copied as LaTeX, CSV and
/// Markdown; figures and page follow the system's colour scheme or the reader's choice. Without scripts, everything is there
/// to be read. Works from a file, on a phone, by keyboard and on paper.
#[must_use]
pub fn html(document: &Checked) -> String {
    let style = format!("{}{STYLE}", theme::rules());
    // Only this style and this script may act, by their hashes; nothing may be fetched.
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        BASE64.encode(Sha256::digest(&style)),
        BASE64.encode(Sha256::digest(SCRIPT)),
    );
    let contents: Vec<(String, &Section)> =
        document.sections.iter().enumerate().map(|(at, section)| (anchor(at, section), section)).collect();
    let page = html! {
        (DOCTYPE)
        html.no-js lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title {
                    (document.title)
                    @if let Some(stamp) = &document.stamp { " (" (stamp) ")" }
                }
                style { (PreEscaped(&style)) }
            }
            body.stamped[document.stamp.is_some()] {
                a.skip href="#content" { "Skip to the content" }
                @if let Some(stamp) = &document.stamp { p.stamp role="note" { (stamp) } }
                header {
                    h1 { (document.title) }
                    button.scheme id="scheme" type="button" { "Dark colours" }
                }
                nav.contents aria-label="Contents" {
                    @if contents.len() > 1 {
                        details open { summary { "Contents" }
                            ol {
                                @for (anchor, section) in &contents {
                                    li class={ "level-" (section.level) } { a href={ "#" (anchor) } { (section.heading) } }
                                }
                            }
                        }
                    }
                }
                main id="content" tabindex="-1" {
                    @if !document.warnings.is_empty() {
                        section.warnings aria-labelledby="warnings" {
                            h2 id="warnings" { "Warnings" }
                            ul { @for warning in &document.warnings { li { (prose(warning)) } } }
                        }
                    }
                    @for (anchor, section) in &contents { (part(anchor, section, document)) }
                }
                div.hidden id="announcer" aria-live="polite" {}
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    let mut text = page.into_string();
    text.push('\n');
    text
}

/// Ids of sections have a prefix with an underscore, which ids of tables cannot have.
fn anchor(at: usize, section: &Section) -> String {
    let words = section.heading.to_lowercase();
    let words = words.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    format!("s_{}-{}", at + 1, words.collect::<Vec<_>>().join("-"))
}

fn part(anchor: &str, section: &Section, document: &Checked) -> Markup {
    html! {
        @match section.level {
            1 => h2 id=(anchor) { (section.heading) },
            2 => h3 id=(anchor) { (section.heading) },
            _ => h4 id=(anchor) { (section.heading) },
        }
        @for block in &section.blocks {
            @match block {
                Block::Prose(paragraph) => p { (prose(paragraph)) },
                Block::Table(table) => (table::table(table, document)),
                Block::Figure(figure) => (drawing(figure, document.stamp.as_deref())),
                Block::Facts(facts) => (list(facts)),
                Block::Code(code) => (listing(code)),
            }
        }
    }
}

fn drawing(figure: &Figure, stamp: Option<&str>) -> Markup {
    let svg = theme::themed(&figure.chart.svg(stamp, Theme::Light));
    html! {
        figure.drawing id=(figure.id) {
            div.box tabindex="0" role="region" aria-label=(figure.chart.title()) { (PreEscaped(svg)) }
            figcaption {
                (prose(&figure.caption))
                @if let Some(stamp) = stamp { span.stamp.small { (stamp) } }
            }
        }
    }
}

fn list(facts: &Facts) -> Markup {
    let entries =
        html! { dl { @for (name, value) in &facts.entries { dt { (name) } dd { (prose(value)) } } } };
    match &facts.folded {
        Some(heading) => html! { details.fold { summary { (heading) } (entries) } },
        None => entries,
    }
}

fn listing(code: &Code) -> Markup {
    html! { details.fold { summary { (code.heading) } pre tabindex="0" { code { (code.text) } } } }
}

/// A paragraph.
fn prose(prose: &Prose) -> Markup {
    html! {
        @for span in &prose.0 {
            @match span {
                Span::Text(text) => (text),
                Span::Emphasis(text) => em { (text) },
                Span::Strong(text) => strong { (text) },
                Span::Code(text) => code { (text) },
                Span::Link { text, url } => a href=(url) rel="noreferrer" { (text) },
            }
        }
    }
}
