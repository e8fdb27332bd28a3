//! How often each rank occurs.

use super::axis::Ticks;
use super::frame::{EDGE, SMALL, Sample, caption_below, head, vertical};
use super::model::Ranks;
use super::scene::{Anchor, Ink, Scene};

/// With more methods than this, bars become too narrow for their hatching and lines take their place.
const MOST_BARS: usize = 3;

pub(super) fn scene(chart: &Ranks, stamp: Option<&str>) -> Scene {
    let mut scene = Scene::default();
    let names: Vec<&str> = chart.series.iter().map(|series| series.name.as_str()).collect();
    let ranks = chart.series.first().map_or(1, |series| series.counts.len());
    let bars = chart.series.len() <= MOST_BARS && ranks * chart.series.len() <= 80;
    let top = head(&mut scene, &chart.title, stamp, if bars { Sample::Bar } else { Sample::Line }, &names);
    let share = |count: u64, users: u64| 100.0 * count as f64 / users as f64;
    let all = chart.series.iter().flat_map(|s| s.counts.iter().map(|count| share(*count, s.users)));
    let ticks = Ticks::covering(0.0, all.fold(0.0, f64::max), 5);
    let plot = vertical(&mut scene, "users (%)", &ticks, top, 230.0, None);
    let slot = (plot.right - plot.left) / ranks as f64;
    let middle = |rank: usize| plot.left + (rank as f64 + 0.5) * slot;
    let bar = slot * 0.84 / chart.series.len() as f64;
    for (at, series) in chart.series.iter().enumerate() {
        let heights = series.counts.iter().map(|count| plot.y.place(share(*count, series.users)));
        if bars {
            for (rank, height) in heights.enumerate() {
                let left = middle(rank) - bar * chart.series.len() as f64 / 2.0 + bar * at as f64;
                let gap = (bar * 0.05).min(1.0);
                scene.bar((left + gap, height), (left + bar - gap, plot.bottom), at);
            }
        } else {
            let places: Vec<_> = heights.enumerate().map(|(rank, height)| (middle(rank), height)).collect();
            scene.dashed(&places, 1.75, at);
            places.iter().for_each(|place| scene.marker(*place, 3.5, at));
        }
    }
    let every = (24.0 / slot).ceil().max(1.0) as usize;
    for rank in (0..ranks).filter(|rank| *rank == 0 || (rank + 1).is_multiple_of(every)) {
        let at = (middle(rank), plot.bottom + 8.0 + SMALL / 2.0);
        if rank > 0 || every <= 2 || slot * (every - 1) as f64 > 24.0 {
            scene.text(at, Anchor::Middle, SMALL, Ink::Muted, (rank + 1).to_string());
        }
    }
    let label = "rank of the held-out item among the candidates";
    scene.height = caption_below(&mut scene, &plot, plot.bottom + 8.0 + SMALL, label) + EDGE;
    scene
}
