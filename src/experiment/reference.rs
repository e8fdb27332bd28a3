//! The table of settings as a person reads it.

use serde::Serialize;

use super::schema::{Default, Lit, Spec, When};
use super::settings;

/// One setting, described.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SettingDoc {
    /// Dotted key.
    pub key: &'static str,
    /// What a value must be.
    pub expected: String,
    /// What holds where nobody types it, as TOML, or a word in parentheses.
    pub default: String,
    /// For a quirk of the protocol, what `protocol = "reference"` makes it.
    pub reference: Option<String>,
    /// Where it has a meaning; empty for everywhere.
    pub applies: String,
    /// One sentence.
    pub doc: &'static str,
}

/// Every setting, in the order of sections.
#[must_use]
pub fn settings_reference() -> Vec<SettingDoc> {
    settings::all().map(describe).collect()
}

/// The settings as Markdown, one table.
#[must_use]
pub fn settings_markdown() -> String {
    let mut text =
        String::from("| setting | value | default | `reference` | where | |\n|---|---|---|---|---|---|\n");
    for SettingDoc { key, expected, default, reference, applies, doc } in settings_reference() {
        let code = |text: &str| {
            if text.starts_with('(') || text.is_empty() { text.to_owned() } else { format!("`{text}`") }
        };
        let reference = code(&reference.unwrap_or_default());
        let row = [format!("`{key}`"), expected, code(&default), reference, code(&applies), doc.to_owned()];
        let row: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        text.push_str(&format!("| {} |\n", row.join(" | ")));
    }
    text
}

fn describe(spec: &Spec) -> SettingDoc {
    let literal = |lit: Lit| lit.value().to_string();
    let default = match spec.default {
        Default::Required => "(required)".to_owned(),
        Default::Absent => "(none)".to_owned(),
        Default::Is(lit) => literal(lit),
        Default::ByDataset { ml_100k, others } => {
            format!("{} on ml-100k, else {}", literal(ml_100k), literal(others))
        }
    };
    let reference = spec.reference.map(|(when, lit)| match when {
        When::Is(key, value) if when != spec.when => format!("{} where {key} = {value:?}", literal(lit)),
        _ => literal(lit),
    });
    let applies = match spec.when {
        When::Always => String::new(),
        When::Is(key, value) => format!("{key} = {value:?}"),
        When::Backbone => "(with a backbone)".to_owned(),
        When::Embedded => "(with a built-in backbone)".to_owned(),
    };
    SettingDoc { key: spec.key, expected: spec.kind.describe(), default, reference, applies, doc: spec.doc }
}
