//! The embedded face, and how wide words are in it.

use std::sync::OnceLock;

use plotters::style::{FontDesc, FontFamily, FontStyle, register_font};

/// DejaVu Sans Condensed, under the Bitstream Vera licence (free to embed and to pass on). It is registered as the generic
/// family, so an SVG names no font that its viewer may lack.
pub(super) const FAMILY: FontFamily<'static> = FontFamily::SansSerif;

/// Makes the face known to plotters, once.
pub(super) fn register() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        // The face is a constant; that it can be read is tested by every picture.
        let _ = register_font(FAMILY.as_str(), FontStyle::Normal, dejavu::sans_condensed::regular());
    });
}

/// Width of `words` at this height of the face.
pub(super) fn width(words: &str, size: f64) -> f64 {
    register();
    // Measured large, because plotters rounds to whole pixels.
    const LARGE: f64 = 200.0;
    let font = FontDesc::new(FAMILY, LARGE, FontStyle::Normal);
    font.box_size(words).map_or(0.0, |(width, _)| f64::from(width) * size / LARGE)
}

/// `words`, cut at their end with an ellipsis if they are wider than `room`.
pub(super) fn fit(words: &str, size: f64, room: f64) -> String {
    if width(words, size) <= room {
        return words.to_owned();
    }
    let characters: Vec<char> = words.chars().collect();
    let cut = |length: usize| format!("{}…", characters[..length].iter().collect::<String>().trim_end());
    // Widths grow with the number of characters, so the longest that fits can be searched for by halves.
    let (mut fits, mut wide) = (0, characters.len());
    while fits + 1 < wide {
        let middle = fits.midpoint(wide);
        if width(&cut(middle), size) <= room { fits = middle } else { wide = middle }
    }
    cut(fits)
}

/// `words` in at most `lines` lines, broken at spaces; what is left over is cut.
pub(super) fn wrap(words: &str, size: f64, room: f64, lines: usize) -> Vec<String> {
    let mut wrapped: Vec<String> = Vec::new();
    for word in words.split_whitespace() {
        match wrapped.last_mut() {
            Some(line) if wrapped_full(line, word, size, room) => wrapped.push(word.to_owned()),
            Some(line) => line.extend([" ", word]),
            None => wrapped.push(word.to_owned()),
        }
    }
    if wrapped.len() > lines {
        let rest = wrapped.split_off(lines - 1).join(" ");
        wrapped.push(rest);
    }
    wrapped.iter().map(|line| fit(line, size, room)).collect()
}

fn wrapped_full(line: &str, word: &str, size: f64, room: f64) -> bool {
    width(&format!("{line} {word}"), size) > room
}
