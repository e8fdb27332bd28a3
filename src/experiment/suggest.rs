//! What was probably meant.

use super::settings::{self, FILE_ONLY, SECTIONS};

/// The candidate nearest to `typed`, if it is near: at most one edit in three letters, in any case.
pub(super) fn nearest<'a>(typed: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // A key of a megabyte is no typing error, and the distance is quadratic.
    if typed.len() > 200 {
        return None;
    }
    let typed = typed.to_lowercase().replace('-', "_");
    let allowed = (typed.chars().count() / 3).max(1);
    candidates
        .map(|name| (strsim::damerau_levenshtein(&typed, &name.to_lowercase().replace('-', "_")), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, name)| name)
}

/// Advice for a key that is not a setting: a neighbour in its own section, the same name in another, or a section. In a file
/// (`in_section`) a neighbour stands below its section's header, elsewhere its key is written in full.
pub(super) fn for_key(key: &str, in_section: bool) -> String {
    let unquoted = key.replace('"', "");
    if settings::find(&unquoted).is_some() {
        return format!("did you mean {unquoted}, without quotes?");
    }
    let (section, leaf) = key.rsplit_once('.').unwrap_or(("", key));
    let meant_section = if section.is_empty() || SECTIONS.contains(&section) {
        Some(section)
    } else {
        nearest(section, SECTIONS.iter().copied())
    };
    if let Some(near) = meant_section {
        let siblings = settings::all().filter(|spec| spec.section() == near).map(super::schema::Spec::leaf);
        let file_only = FILE_ONLY.iter().copied().filter(|_| near.is_empty());
        let sections = SECTIONS.iter().copied().filter(|_| near.is_empty());
        if let Some(found) = nearest(leaf, siblings.chain(file_only).chain(sections)) {
            return if near == section && SECTIONS.contains(&found) && near.is_empty() {
                format!("did you mean the section [{found}]?")
            } else if near.is_empty() || near == section && in_section {
                format!("did you mean {found}?")
            } else {
                format!("did you mean {near}.{found}?")
            };
        }
    }
    let elsewhere: Vec<&str> =
        settings::all().filter(|spec| spec.leaf() == leaf).map(|spec| spec.key).collect();
    match elsewhere.as_slice() {
        [] => "docs/formats.md lists the settings".to_owned(),
        found => format!("did you mean {}?", found.join(" or ")),
    }
}
