//! Grouped bars with intervals.

use super::axis::Ticks;
use super::font;
use super::frame::{EDGE, SMALL, Sample, below, head, range, vertical};
use super::model::Bars;
use super::scene::{Anchor, Ink, Scene};

pub(super) fn scene(chart: &Bars, stamp: Option<&str>) -> Scene {
    let mut scene = Scene::default();
    let names: Vec<&str> = chart.series.iter().map(|series| series.name.as_str()).collect();
    let top = head(&mut scene, &chart.title, stamp, Sample::Bar, &names);
    let all = chart.series.iter().flat_map(|series| series.values.iter().flatten());
    let (low, high) = range(all).unwrap_or((0.0, 1.0));
    let ticks = Ticks::covering(low.min(0.0), high.max(0.0), 5);
    let plot = vertical(&mut scene, &chart.axis.heading(), &ticks, top, 230.0, None);
    let slot = (plot.right - plot.left) / chart.categories.len() as f64;
    let bar = (slot * 0.8 / chart.series.len() as f64).min(60.0);
    let zero = plot.y.place(0.0);
    // Values are written above the bars if every one of them has the room.
    let label = |value: f64| chart.axis.number(value);
    let written = chart.series.iter().all(|series| {
        series
            .values
            .iter()
            .flatten()
            .all(|e| e.value >= 0.0 && font::width(&label(e.value), SMALL) <= bar - 2.0)
    });
    for group in 0..chart.categories.len() {
        let first = plot.left + (group as f64 + 0.5) * slot - bar * chart.series.len() as f64 / 2.0;
        for (at, series) in chart.series.iter().enumerate() {
            let Some(Some(estimate)) = series.values.get(group) else { continue };
            let left = first + at as f64 * bar;
            let gap = (bar * 0.06).min(2.0);
            scene.bar((left + gap, plot.y.place(estimate.value)), (left + bar - gap, zero), at);
            let middle = left + bar / 2.0;
            let mut highest = plot.y.place(estimate.value);
            if let Some((low, high)) = estimate.interval {
                let (low, high) = (plot.y.place(low), plot.y.place(high));
                // A rim of the ground, so that the interval is seen on its own bar.
                let cap = (bar * 0.2).min(5.0);
                scene.whisker((middle, low), (middle, high), cap + 1.0, 3.5, Ink::Surface);
                scene.whisker((middle, low), (middle, high), cap, 1.5, Ink::Text);
                highest = highest.min(high);
            }
            if written {
                let at = (middle, highest - 4.0 - SMALL / 2.0);
                scene.text(at, Anchor::Middle, SMALL, Ink::Text, label(estimate.value));
            }
        }
    }
    scene.line(&[(plot.left, zero), (plot.right, zero)], 1.0, Ink::Muted);
    scene.height = below(&mut scene, &plot, &chart.categories) + EDGE;
    scene
}
