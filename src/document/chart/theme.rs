//! Colours.
//!
//! The series' colours are those of Okabe and Ito ("Color Universal Design", 2008), told apart by people with any of the
//! common kinds of colour blindness; those with too little contrast to the ground are darkened for the light scheme and
//! lightened for the dark one, to the 3:1 that WCAG 2.2 asks of graphics (1.4.11). Series differ in their markers, hatching and
//! dashes too, so no chart needs its colours.

use super::scene::Ink;

/// A colour: red, green, blue.
pub type Rgb = [u8; 3];

/// How many series a chart may have: as many as there are colours.
pub const SERIES: usize = 8;

/// A scheme of colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// Dark on white; for print too.
    Light,
    /// Light on nearly black.
    Dark,
}

const LIGHT: [Rgb; SERIES] = [
    [0x00, 0x72, 0xB2],
    [0xD5, 0x5E, 0x00],
    [0x00, 0x8F, 0x68],
    [0xB8, 0x55, 0x90],
    [0x9A, 0x6B, 0x00],
    [0x2F, 0x8F, 0xC9],
    [0x6E, 0x6E, 0x6E],
    [0x4B, 0x2E, 0x83],
];

const DARK: [Rgb; SERIES] = [
    [0x56, 0xB4, 0xE9],
    [0xF0, 0x7F, 0x33],
    [0x1F, 0xC0, 0x93],
    [0xE0, 0x96, 0xC2],
    [0xF0, 0xE4, 0x42],
    [0x3F, 0x8F, 0xD0],
    [0xA8, 0xA8, 0xA8],
    [0xB9, 0xA2, 0xF0],
];

impl Theme {
    /// `light` or `dark`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// The colour of a role.
    #[must_use]
    pub fn colour(self, ink: Ink) -> Rgb {
        match (self, ink) {
            (Self::Light, Ink::Text) => [0x1B, 0x1F, 0x24],
            (Self::Light, Ink::Muted) => [0x57, 0x60, 0x6A],
            (Self::Light, Ink::Grid) => [0xDF, 0xE3, 0xE8],
            (Self::Light, Ink::Surface) => [0xFF, 0xFF, 0xFF],
            (Self::Light, Ink::Alarm) => [0xA4, 0x0E, 0x26],
            (Self::Light, Ink::Series(at)) => LIGHT[at % SERIES],
            (Self::Dark, Ink::Text) => [0xE6, 0xED, 0xF3],
            (Self::Dark, Ink::Muted) => [0x9D, 0xA7, 0xB3],
            (Self::Dark, Ink::Grid) => [0x2E, 0x35, 0x3D],
            (Self::Dark, Ink::Surface) => [0x11, 0x15, 0x1A],
            (Self::Dark, Ink::Alarm) => [0xFF, 0x8A, 0x80],
            (Self::Dark, Ink::Series(at)) => DARK[at % SERIES],
        }
    }

    /// Every role.
    pub fn inks() -> impl Iterator<Item = Ink> {
        [Ink::Text, Ink::Muted, Ink::Grid, Ink::Surface, Ink::Alarm]
            .into_iter()
            .chain((0..SERIES).map(Ink::Series))
    }
}

/// Contrast of two colours, 1 to 21: `(L1 + 0.05) / (L2 + 0.05)` of their relative luminances, the higher first (WCAG 2.2,
/// "contrast ratio").
#[must_use]
pub fn contrast(one: Rgb, other: Rgb) -> f64 {
    let (a, b) = (luminance(one), luminance(other));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// Relative luminance (WCAG 2.2).
fn luminance(colour: Rgb) -> f64 {
    let linear = |channel: u8| {
        let share = f64::from(channel) / 255.0;
        if share <= 0.04045 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
    };
    let [red, green, blue] = colour.map(linear);
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}
