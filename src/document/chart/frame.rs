//! What all charts share: title, stamp, legend, axes.

use super::axis::{Scale, Ticks};
use super::font;
use super::scene::{Anchor, Ink, Scene};

/// Room at the picture's edges.
pub(super) const EDGE: f64 = 14.0;
/// Height of the face of words.
pub(super) const WORDS: f64 = 14.0;
/// Height of the face of ticks.
pub(super) const SMALL: f64 = 13.0;
const TITLE: f64 = 18.0;

/// How a legend shows a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sample {
    /// By a hatched box.
    Bar,
    /// By a marker.
    Dot,
    /// By a marker on a dashed line.
    Line,
}

/// Title, stamp and legend; gives where the rest begins.
pub(super) fn head(
    scene: &mut Scene,
    title: &str,
    stamp: Option<&str>,
    sample: Sample,
    names: &[&str],
) -> f64 {
    let named: Vec<(usize, &str)> = names.iter().copied().enumerate().collect();
    head_as(scene, title, stamp, sample, &named)
}

/// The same where series have the looks of other places: each name with the place.
pub(super) fn head_as(
    scene: &mut Scene,
    title: &str,
    stamp: Option<&str>,
    sample: Sample,
    names: &[(usize, &str)],
) -> f64 {
    let room = Scene::WIDTH - 2.0 * EDGE;
    let mut y = EDGE;
    for line in font::wrap(title, TITLE, room, 2) {
        scene.text((EDGE, y + TITLE / 2.0), Anchor::Start, TITLE, Ink::Text, line);
        y += TITLE + 4.0;
    }
    for line in stamp.map(|stamp| font::wrap(stamp, WORDS, room, 2)).into_iter().flatten() {
        scene.text((EDGE, y + WORDS / 2.0), Anchor::Start, WORDS, Ink::Alarm, line);
        y += WORDS + 4.0;
    }
    y += 4.0;
    if names.len() < 2 {
        return y + 4.0;
    }
    let (sample_width, gap) = (if sample == Sample::Line { 30.0 } else { 16.0 }, 18.0);
    let mut x = EDGE;
    for &(at, name) in names {
        let name = font::fit(name, WORDS, room - sample_width - 6.0);
        let width = sample_width + 6.0 + font::width(&name, WORDS);
        if x > EDGE && x + width > EDGE + room {
            x = EDGE;
            y += WORDS + 7.0;
        }
        let middle = y + WORDS / 2.0;
        match sample {
            Sample::Bar => scene.bar((x, middle - 7.0), (x + 16.0, middle + 7.0), at),
            Sample::Dot => scene.marker((x + 8.0, middle), 4.5, at),
            Sample::Line => {
                scene.dashed(&[(x, middle), (x + 30.0, middle)], 2.0, at);
                scene.marker((x + 15.0, middle), 4.0, at);
            }
        }
        scene.text((x + sample_width + 6.0, middle), Anchor::Start, WORDS, Ink::Text, name);
        x += width + gap;
    }
    y + WORDS + 12.0
}

/// The place of the data.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plot {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
    pub y: Scale,
}

/// The vertical axis with its grid, its label level above it, for data from `top` on that are `height` high. The data begin at
/// `left`, or beside the ticks.
pub(super) fn vertical(
    scene: &mut Scene,
    label: &str,
    ticks: &Ticks,
    top: f64,
    height: f64,
    left: Option<f64>,
) -> Plot {
    let label = font::fit(label, WORDS, Scene::WIDTH - 2.0 * EDGE);
    scene.text((EDGE, top + WORDS / 2.0), Anchor::Start, WORDS, Ink::Muted, label);
    let top = top + WORDS + 10.0;
    let widest = ticks.labels.iter().map(|label| font::width(label, SMALL)).fold(0.0, f64::max);
    let left = left.unwrap_or(EDGE + widest + 8.0);
    let right = Scene::WIDTH - EDGE;
    let y = Scale { low: ticks.low(), high: ticks.high(), from: top + height, to: top };
    for (value, label) in ticks.values.iter().zip(&ticks.labels) {
        let at = y.place(*value);
        let ink = if *value == 0.0 { Ink::Muted } else { Ink::Grid };
        scene.line(&[(left, at), (right, at)], 1.0, ink);
        scene.text((left - 8.0, at), Anchor::End, SMALL, Ink::Muted, label.clone());
    }
    Plot { left, right, top, bottom: top + height, y }
}

/// Labels below groups of equal width, in up to three lines; gives where the next thing below may begin.
pub(super) fn below(scene: &mut Scene, plot: &Plot, labels: &[String]) -> f64 {
    let slot = (plot.right - plot.left) / labels.len().max(1) as f64;
    let mut lowest: f64 = 0.0;
    for (at, label) in labels.iter().enumerate() {
        let middle = plot.left + (at as f64 + 0.5) * slot;
        for (line, words) in font::wrap(label, SMALL, slot - 5.0, 3).into_iter().enumerate() {
            let y = plot.bottom + 8.0 + SMALL / 2.0 + line as f64 * (SMALL + 2.0);
            scene.text((middle, y), Anchor::Middle, SMALL, Ink::Text, words);
            lowest = lowest.max(y + SMALL / 2.0);
        }
    }
    lowest.max(plot.bottom + 8.0)
}

/// A label in the middle below; gives where the picture may end.
pub(super) fn caption_below(scene: &mut Scene, plot: &Plot, y: f64, label: &str) -> f64 {
    let label = font::fit(label, WORDS, plot.right - plot.left);
    let at = (plot.left.midpoint(plot.right), y + 6.0 + WORDS / 2.0);
    scene.text(at, Anchor::Middle, WORDS, Ink::Muted, label);
    y + 6.0 + WORDS
}

/// Least and greatest of numbers and of the ends of intervals.
pub(super) fn range<'a>(estimates: impl Iterator<Item = &'a super::Estimate>) -> Option<(f64, f64)> {
    estimates
        .flat_map(|estimate| {
            let (low, high) = estimate.interval.unwrap_or((estimate.value, estimate.value));
            [low, high, estimate.value]
        })
        .fold(None, |range, value| {
            let (low, high) = range.unwrap_or((value, value));
            Some((value.min(low), value.max(high)))
        })
}
