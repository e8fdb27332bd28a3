//! Learning curves.

use super::axis::{Scale, Ticks};
use super::font;
use super::frame::{EDGE, Plot, SMALL, Sample, caption_below, head, vertical};
use super::model::{Curve, Curves, Panel};
use super::scene::{Anchor, Ink, Scene};

pub(super) fn scene(chart: &Curves, stamp: Option<&str>) -> Scene {
    let mut scene = Scene::default();
    let longest = chart.panels.iter().max_by_key(|panel| panel.curves.len());
    let names: Vec<&str> =
        longest.into_iter().flat_map(|panel| &panel.curves).map(|curve| curve.name.as_str()).collect();
    let mut top = head(&mut scene, &chart.title, stamp, Sample::Line, &names);
    let points = || chart.panels.iter().flat_map(|panel| &panel.curves).flat_map(|curve| &curve.points);
    let low = points().map(|(x, _)| *x).fold(f64::INFINITY, f64::min);
    let high = points().map(|(x, _)| *x).fold(f64::NEG_INFINITY, f64::max);
    let (low, high) = if low < high {
        (low, high)
    } else if low.is_finite() {
        (low - 1.0, low + 1.0)
    } else {
        (0.0, 1.0)
    };
    let height = if chart.panels.len() == 1 { 240.0 } else { 165.0 };
    // All panels begin at the same place, so that an epoch is below itself.
    let axes: Vec<Ticks> = chart.panels.iter().map(ticks).collect();
    let widest = axes
        .iter()
        .flat_map(|ticks| &ticks.labels)
        .map(|label| font::width(label, SMALL))
        .fold(0.0, f64::max);
    let left = EDGE + widest + 8.0;
    let mut last = None;
    for (panel, ticks) in chart.panels.iter().zip(&axes) {
        let plot = vertical(&mut scene, &panel.axis.heading(), ticks, top, height, Some(left));
        let x = Scale { low, high, from: left + 8.0, to: plot.right - 8.0 };
        for (at, curve) in panel.curves.iter().enumerate() {
            let places: Vec<_> = curve.points.iter().map(|(a, b)| (x.place(*a), plot.y.place(*b))).collect();
            scene.dashed(&places, 1.75, at);
            // A marker at each point, unless they would touch.
            if places.len() <= 40 {
                places.iter().for_each(|place| scene.marker(*place, 2.5, at));
            }
        }
        best_points(&mut scene, panel, &x, &plot);
        top = plot.bottom + 16.0;
        last = Some((plot, x));
    }
    let Some((plot, x)) = last else { return scene };
    let ticks = Ticks::whole(low, high, 10);
    let tick_width = ticks.labels.iter().map(|label| font::width(label, SMALL)).fold(0.0, f64::max);
    let spacing = (x.to - x.from) / (ticks.values.len().saturating_sub(1)).max(1) as f64;
    let every = ((tick_width + 10.0) / spacing).ceil().max(1.0) as usize;
    for (value, label) in ticks.values.iter().zip(&ticks.labels).step_by(every) {
        let at = x.place(*value);
        scene.line(&[(at, plot.bottom), (at, plot.bottom + 4.0)], 1.0, Ink::Muted);
        scene.text((at, plot.bottom + 8.0 + SMALL / 2.0), Anchor::Middle, SMALL, Ink::Muted, label.clone());
    }
    scene.height = caption_below(&mut scene, &plot, plot.bottom + 8.0 + SMALL, &chart.x.heading()) + EDGE;
    scene
}

fn ticks(panel: &Panel) -> Ticks {
    let values = || panel.curves.iter().flat_map(|curve| &curve.points).map(|(_, y)| *y);
    let low = values().fold(f64::INFINITY, f64::min);
    let high = values().fold(f64::NEG_INFINITY, f64::max);
    if low > high { Ticks::covering(0.0, 1.0, 4) } else { Ticks::covering(low, high, 4) }
}

/// Rings around the best points. They are open: seeds often end close to each other.
fn best_points(scene: &mut Scene, panel: &Panel, x: &Scale, plot: &Plot) {
    let best = |curve: &Curve| curve.best.and_then(|best| curve.points.get(best)).copied();
    for (at, curve) in panel.curves.iter().enumerate() {
        let Some((a, b)) = best(curve) else { continue };
        let place = (x.place(a), plot.y.place(b));
        scene.marker(place, 4.5, at);
        scene.ring(place, 8.0, 1.5, Ink::Text);
    }
    if panel.curves.iter().any(|curve| curve.best.is_some()) {
        let y = plot.top - 10.0 - 7.0;
        let words = "ringed: weights kept";
        scene.text((plot.right, y), Anchor::End, SMALL, Ink::Muted, words);
    }
}
