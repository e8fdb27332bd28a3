//! Dots with intervals around a zero line.

use super::axis::{Scale, Ticks};
use super::font;
use super::frame::{EDGE, SMALL, Sample, WORDS, head_as, range};
use super::model::Intervals;
use super::scene::{Anchor, Ink, Scene};
use crate::document::table::Better;

pub(super) fn scene(chart: &Intervals, stamp: Option<&str>) -> Scene {
    let mut scene = Scene::default();
    let names: Vec<(usize, &str)> =
        chart.series.iter().enumerate().map(|(at, name)| (chart.look(at), name.as_str())).collect();
    let top = head_as(&mut scene, &chart.title, stamp, Sample::Dot, &names);
    let all = || chart.rows.iter().flat_map(|row| row.values.iter().flatten());
    let (low, high) = range(all()).unwrap_or((0.0, 1.0));
    let ticks = Ticks::covering(low.min(0.0), high.max(0.0), 6);

    let widest =
        |words: &mut dyn Iterator<Item = String>| words.map(|w| font::width(&w, WORDS)).fold(0.0, f64::max);
    let name_width = widest(&mut chart.rows.iter().map(|row| row.name.clone())).min(190.0);
    let values = all().map(|estimate| chart.axis.signed(estimate.value));
    let value_width = values.map(|words| font::width(&words, SMALL)).fold(0.0, f64::max);
    let left = EDGE + name_width + 16.0;
    let right = Scene::WIDTH - EDGE - value_width - 12.0;
    let x = Scale { low: ticks.low(), high: ticks.high(), from: left, to: right };

    let line = 18.0;
    let row_height = line * chart.series.len() as f64 + 10.0;
    let bottom = top + row_height * chart.rows.len() as f64;
    let tick_width = ticks.labels.iter().map(|label| font::width(label, SMALL)).fold(0.0, f64::max);
    let spacing = (right - left) / (ticks.values.len() - 1).max(1) as f64;
    let every = ((tick_width + 10.0) / spacing).ceil().max(1.0) as usize;
    let zero = ticks.values.iter().position(|value| *value == 0.0).unwrap_or(0);
    for (at, (value, label)) in ticks.values.iter().zip(&ticks.labels).enumerate() {
        let place = x.place(*value);
        if *value != 0.0 {
            scene.line(&[(place, top), (place, bottom)], 1.0, Ink::Grid);
        }
        if at.abs_diff(zero).is_multiple_of(every) {
            scene.text((place, bottom + 8.0 + SMALL / 2.0), Anchor::Middle, SMALL, Ink::Muted, label.clone());
        }
    }
    for at in 1..chart.rows.len() {
        let y = top + row_height * at as f64;
        scene.line(&[(EDGE, y), (Scene::WIDTH - EDGE, y)], 0.5, Ink::Grid);
    }
    scene.line(&[(x.place(0.0), top - 2.0), (x.place(0.0), bottom)], 1.5, Ink::Text);
    for (at, row) in chart.rows.iter().enumerate() {
        let first = top + row_height * at as f64;
        let name = font::fit(&row.name, WORDS, name_width);
        scene.text((EDGE, first + row_height / 2.0), Anchor::Start, WORDS, Ink::Text, name);
        for (series, estimate) in row.values.iter().enumerate() {
            let Some(estimate) = estimate else { continue };
            let look = chart.look(series);
            let y = first + 5.0 + line * (series as f64 + 0.5);
            if let Some((low, high)) = estimate.interval {
                scene.whisker((x.place(low), y), (x.place(high), y), 4.0, 2.0, Ink::Series(look));
            }
            scene.marker((x.place(estimate.value), y), 4.5, look);
            let words = chart.axis.signed(estimate.value);
            scene.text((Scene::WIDTH - EDGE, y), Anchor::End, SMALL, Ink::Text, words);
        }
    }
    let side = match chart.better {
        Some(Better::Higher) => " (better: right of 0)",
        Some(Better::Lower) => " (better: left of 0)",
        None => "",
    };
    let room = Scene::WIDTH - 2.0 * EDGE;
    let label = font::fit(&format!("{}{side}", chart.axis.heading()), WORDS, room);
    let half = font::width(&label, WORDS) / 2.0;
    let middle = left.midpoint(right).clamp(EDGE + half, Scene::WIDTH - EDGE - half);
    let y = bottom + 8.0 + SMALL + 6.0;
    scene.text((middle, y + WORDS / 2.0), Anchor::Middle, WORDS, Ink::Muted, label);
    scene.height = y + WORDS + EDGE;
    scene
}
