//! The page's colours as CSS variables, from the same themes as the charts'.

use std::fmt::Write as _;

use crate::document::chart::{Ink, Rgb, Theme};

/// The page's colours beyond those of charts: name, light, dark.
const PAGE: [(&str, Rgb, Rgb); 5] = [
    ("link", [0x00, 0x5A, 0x9C], [0x6C, 0xB6, 0xFF]),
    ("focus", [0x00, 0x5A, 0x9C], [0x6C, 0xB6, 0xFF]),
    ("line", [0xD5, 0xDA, 0xE0], [0x33, 0x3B, 0x44]),
    ("control", [0x7A, 0x84, 0x90], [0x7D, 0x87, 0x93]),
    ("raised", [0xF3, 0xF5, 0xF8], [0x1B, 0x21, 0x28]),
];

/// The variable of a role.
fn variable(ink: Ink) -> String {
    match ink {
        Ink::Text => "--text".to_owned(),
        Ink::Muted => "--muted".to_owned(),
        Ink::Grid => "--grid".to_owned(),
        Ink::Surface => "--surface".to_owned(),
        Ink::Alarm => "--alarm".to_owned(),
        Ink::Series(at) => format!("--series-{at}"),
    }
}

/// Names and colours of a scheme.
pub(super) fn colours(theme: Theme) -> Vec<(String, Rgb)> {
    let page = PAGE
        .iter()
        .map(|(name, light, dark)| (format!("--{name}"), if theme == Theme::Light { *light } else { *dark }));
    Theme::inks().map(|ink| (variable(ink), theme.colour(ink))).chain(page).collect()
}

fn hex([red, green, blue]: Rgb) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}

/// Rules that set the variables: light, dark by the system's wish, either by the reader's, light in print.
pub(super) fn rules() -> String {
    let set = |theme| {
        let scheme = format!("color-scheme:{};", if theme == Theme::Light { "light" } else { "dark" });
        colours(theme).into_iter().fold(scheme, |mut rules, (name, colour)| {
            let _ = write!(rules, "{name}:{};", hex(colour));
            rules
        })
    };
    let (light, dark) = (set(Theme::Light), set(Theme::Dark));
    format!(
        ":root{{{light}}}\n@media screen and (prefers-color-scheme:dark){{:root:not([data-scheme=light]){{{dark}}}}}\n\
         @media screen{{:root[data-scheme=dark]{{{dark}}}}}\n"
    )
}

/// A light picture that takes its colours from the page instead.
pub(super) fn themed(svg: &str) -> String {
    // Words cannot be hit: in a picture, `"` is escaped in them.
    Theme::inks().fold(svg.to_owned(), |svg, ink| {
        svg.replace(&format!("\"{}\"", hex(Theme::Light.colour(ink))), &format!("\"var({})\"", variable(ink)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::chart::contrast;

    #[test]
    fn the_page_has_the_contrast_that_wcag_aa_asks_for() {
        for theme in [Theme::Light, Theme::Dark] {
            let all = colours(theme);
            let colour =
                |name: &str| all.iter().find(|(known, _)| known == name).expect("a colour of this name").1;
            // Words on either ground, and boxes and focus beside them (1.4.3, 1.4.11).
            for ground in ["--surface", "--raised"] {
                for (name, least) in
                    [("--text", 4.5), ("--muted", 4.5), ("--link", 4.5), ("--control", 3.0), ("--focus", 3.0)]
                {
                    let found = contrast(colour(name), colour(ground));
                    assert!(found >= least, "{theme:?}: {name} on {ground}: {found:.2}");
                }
            }
        }
    }
}
