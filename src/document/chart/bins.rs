//! A metric over bins of users or items.

use super::axis::Ticks;
use super::font;
use super::frame::{EDGE, SMALL, Sample, below, caption_below, head, range, vertical};
use super::model::Bins;
use super::scene::{Anchor, Ink, Scene};

pub(super) fn scene(chart: &Bins, stamp: Option<&str>) -> Scene {
    let mut scene = Scene::default();
    let names: Vec<&str> = chart.series.iter().map(|series| series.name.as_str()).collect();
    let top = head(&mut scene, &chart.title, stamp, Sample::Line, &names);
    let all = chart.series.iter().flat_map(|series| series.values.iter().flatten());
    let (low, high) = range(all).unwrap_or((0.0, 1.0));
    let ticks = Ticks::covering(low.min(0.0), high, 5);
    let plot = vertical(&mut scene, &chart.axis.heading(), &ticks, top, 230.0, None);
    let slot = (plot.right - plot.left) / chart.bins.len() as f64;
    // Side by side within a bin, so that intervals do not cover each other.
    let step = (slot * 0.6 / chart.series.len() as f64).min(16.0);
    let place = |bin: usize, series: usize| {
        let offset = series as f64 - (chart.series.len() - 1) as f64 / 2.0;
        plot.left + (bin as f64 + 0.5) * slot + offset * step
    };
    for (at, series) in chart.series.iter().enumerate() {
        // A gap breaks the line.
        let places: Vec<Option<_>> = series
            .values
            .iter()
            .enumerate()
            .map(|(bin, estimate)| Some((place(bin, at), plot.y.place(estimate.as_ref()?.value))))
            .collect();
        for run in places.split(Option::is_none) {
            let run: Vec<_> = run.iter().flatten().copied().collect();
            scene.dashed(&run, 1.25, at);
        }
    }
    for (at, series) in chart.series.iter().enumerate() {
        for (bin, estimate) in series.values.iter().enumerate() {
            let Some(estimate) = estimate else { continue };
            let x = place(bin, at);
            if let Some((low, high)) = estimate.interval {
                let ends = ((x, plot.y.place(low)), (x, plot.y.place(high)));
                scene.whisker(ends.0, ends.1, 3.5, 1.75, Ink::Series(at));
            }
            scene.marker((x, plot.y.place(estimate.value)), 4.5, at);
        }
    }
    let labels: Vec<String> = chart.bins.iter().map(|bin| bin.label.clone()).collect();
    let y = below(&mut scene, &plot, &labels);
    for (at, bin) in chart.bins.iter().enumerate() {
        let words = font::fit(&format!("n = {}", bin.users), SMALL, slot - 4.0);
        let middle = plot.left + (at as f64 + 0.5) * slot;
        scene.text((middle, y + 3.0 + SMALL / 2.0), Anchor::Middle, SMALL, Ink::Muted, words);
    }
    scene.height = caption_below(&mut scene, &plot, y + 3.0 + SMALL, &chart.x_label) + EDGE;
    scene
}
