//! What a table may say beside its protocol.

use super::toml_reader::{Reader, Section};
use super::{Comparable, PaperAveraging, Tags};

/// The optional keys of a `[[table]]` that say how its numbers may be compared.
pub(super) fn tags(reader: &mut Reader, section: &mut Section<'_>) -> Tags {
    let candidates = reader.optional_count(section, "candidates");
    let candidates = candidates.and_then(|count| {
        let fits = u32::try_from(count).ok();
        if fits.is_none() {
            let at = at(section, "candidates");
            reader.problem(&at, format!("candidates is {count}; expected at most {}", u32::MAX));
        }
        fits
    });
    let averaging = choice(reader, section, "averaging", &PaperAveraging::ALL);
    let retriever = reader.optional_text(section, "retriever");
    let copied_from = reader.optional_text(section, "copied_from");
    let comparable = choice(reader, section, "comparable", &Comparable::ALL);
    let why = reader.optional_text(section, "why");
    if comparable.is_some() && !section.table.contains_key("why") {
        let at = at(section, "comparable");
        reader.problem(&at, "comparable without why; expected why = \"...\", what makes it so");
    }
    Tags { candidates, averaging, retriever, copied_from, comparable, why }
}

fn at(section: &mut Section<'_>, key: &'static str) -> std::ops::Range<usize> {
    section.get(key).map_or(section.at.clone(), toml::Spanned::span)
}

/// One of a few names, if the key is there.
fn choice<T: Copy>(
    reader: &mut Reader,
    section: &mut Section<'_>,
    key: &'static str,
    all: &[(&str, T)],
) -> Option<T> {
    let text = reader.optional_text(section, key)?;
    let found = all.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    if found.is_none() {
        let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
        let at = at(section, key);
        reader.problem(&at, format!("{key} {text:?} is unknown; expected one of {}", names.join(", ")));
    }
    found
}
