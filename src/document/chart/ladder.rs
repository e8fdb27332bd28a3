//! From the worst order to the best possible one.

use super::axis::{Scale, Ticks};
use super::font;
use super::frame::{EDGE, SMALL, Sample, WORDS, head, range};
use super::model::Ladder;
use super::scene::{Anchor, Ink, Scene};

pub(super) fn scene(chart: &Ladder, stamp: Option<&str>) -> Scene {
    let mut scene = Scene::default();
    let top = head(&mut scene, &chart.title, stamp, Sample::Bar, &[]);
    let (low, high) = range(chart.rungs.iter().map(|rung| &rung.estimate)).unwrap_or((0.0, 1.0));
    let ticks = Ticks::covering(low.min(0.0), high.max(0.0), 6);
    let names = chart.rungs.iter().map(|rung| font::width(&rung.name, WORDS));
    let name_width = names.fold(0.0, f64::max).min(190.0);
    let labels: Vec<(String, String)> = chart
        .rungs
        .iter()
        .enumerate()
        .map(|(at, rung)| {
            let before = at.checked_sub(1).map(|before| chart.rungs[before].estimate.value);
            let gain =
                before.map_or_else(String::new, |before| chart.axis.signed(rung.estimate.value - before));
            (chart.axis.number(rung.estimate.value), gain)
        })
        .collect();
    let value_width = labels.iter().map(|(value, _)| font::width(value, WORDS)).fold(0.0, f64::max);
    let gain_width =
        labels.iter().map(|(_, gain)| font::width(gain, SMALL)).fold(font::width("gain", SMALL), f64::max);
    let left = EDGE + name_width + 12.0;
    let right = Scene::WIDTH - EDGE - value_width - gain_width - 26.0;
    let value_right = right + 10.0 + value_width;
    let x = Scale { low: ticks.low(), high: ticks.high(), from: left, to: right };

    let head_line = top + SMALL / 2.0;
    let value_head = (Scene::WIDTH - EDGE, head_line);
    scene.text(value_head, Anchor::End, SMALL, Ink::Muted, "gain");
    let top = top + SMALL + 6.0;
    let row = 34.0;
    let bottom = top + row * chart.rungs.len() as f64;
    let tick_width = ticks.labels.iter().map(|label| font::width(label, SMALL)).fold(0.0, f64::max);
    let spacing = (right - left) / (ticks.values.len() - 1).max(1) as f64;
    let every = ((tick_width + 10.0) / spacing).ceil().max(1.0) as usize;
    for (at, (value, label)) in ticks.values.iter().zip(&ticks.labels).enumerate() {
        let place = x.place(*value);
        scene.line(&[(place, top), (place, bottom)], 1.0, Ink::Grid);
        if at.is_multiple_of(every) {
            scene.text((place, bottom + 8.0 + SMALL / 2.0), Anchor::Middle, SMALL, Ink::Muted, label.clone());
        }
    }
    let zero = x.place(0.0);
    for (at, (rung, (value, gain))) in chart.rungs.iter().zip(&labels).enumerate() {
        let y = top + row * (at as f64 + 0.5);
        let end = x.place(rung.estimate.value);
        let name = font::fit(&rung.name, WORDS, name_width);
        scene.text((EDGE, y), Anchor::Start, WORDS, Ink::Text, name);
        // Bounds are no results: grey, and hatched as nothing else here is.
        scene.bar((zero, y - 10.0), (end, y + 10.0), if rung.bound { 6 } else { 0 });
        if let Some(next) = chart.rungs.get(at + 1) {
            // From the end of this rung down to the next: the height that it climbs.
            let next_end = x.place(next.estimate.value);
            let lower = y + row - 10.0;
            if next_end >= end {
                scene.line(&[(end, y + 10.0), (end, lower)], 1.0, Ink::Muted);
            }
        }
        if let Some((low, high)) = rung.estimate.interval {
            let (from, to) = ((x.place(low), y), (x.place(high), y));
            scene.whisker(from, to, 5.0, 3.5, Ink::Surface);
            scene.whisker(from, to, 4.0, 1.5, Ink::Text);
        }
        scene.text((value_right, y), Anchor::End, WORDS, Ink::Text, value.clone());
        if !gain.is_empty() {
            scene.text((Scene::WIDTH - EDGE, y), Anchor::End, SMALL, Ink::Muted, gain.clone());
        }
    }
    scene.line(&[(zero, top), (zero, bottom)], 1.0, Ink::Muted);
    let label = font::fit(&chart.axis.heading(), WORDS, right - left);
    let y = bottom + 8.0 + SMALL + 6.0;
    scene.text((left.midpoint(right), y + WORDS / 2.0), Anchor::Middle, WORDS, Ink::Muted, label);
    scene.height = y + WORDS + EDGE;
    scene
}
