//! How series differ without colour: markers, hatching, dashes.

use super::scene::{Ink, Point, Scene};

impl Scene {
    /// The marker of a series, about `2 * radius` wide, with a rim of the ground so that it stands out from lines.
    pub(super) fn marker(&mut self, at: Point, radius: f64, series: usize) {
        self.bare_marker(at, radius + 1.25, series, Ink::Surface);
        self.bare_marker(at, radius, series, Ink::Series(series));
    }

    fn bare_marker(&mut self, (x, y): Point, r: f64, series: usize, ink: Ink) {
        let (wide, square) = (r * 1.2, r * 0.9);
        match series {
            0 => self.disc((x, y), r, ink),
            1 => self.rect((x - square, y - square), (x + square, y + square), ink),
            2 => self.area(&[(x, y - wide), (x + wide, y + r * 0.9), (x - wide, y + r * 0.9)], ink),
            3 => self.area(&[(x, y - wide), (x + wide, y), (x, y + wide), (x - wide, y)], ink),
            4 => self.area(&[(x, y + wide), (x + wide, y - r * 0.9), (x - wide, y - r * 0.9)], ink),
            5 => self.area(&star(x, y, wide, wide * 0.38, 4), ink),
            6 => self.area(&star(x, y, wide * 1.1, wide * 0.5, 5), ink),
            _ => {
                let arm = r * 0.4;
                self.rect((x - wide, y - arm), (x + wide, y + arm), ink);
                self.rect((x - arm, y - wide), (x + arm, y + wide), ink);
            }
        }
    }

    /// A bar of a series: its colour, and lines of the ground over it.
    pub(super) fn bar(&mut self, from: Point, to: Point, series: usize) {
        let (left, right) = (from.0.min(to.0), from.0.max(to.0));
        let (top, bottom) = (from.1.min(to.1), from.1.max(to.1));
        if right - left < 0.25 || bottom - top < 0.25 {
            return;
        }
        self.rect((left, top), (right, bottom), Ink::Series(series));
        // x + slope * y = constant along a line; slope 0 is upright, and level lines are drawn by themselves.
        let slopes: &[f64] = match series {
            1 => &[1.0],
            2 => &[-1.0],
            3 | 7 => &[1.0, -1.0],
            5 => &[0.0],
            _ => &[],
        };
        let step = if series == 7 { 4.0 } else { 6.0 };
        for slope in slopes {
            let ends =
                [left + slope * top, left + slope * bottom, right + slope * top, right + slope * bottom];
            let (first, last) =
                ends.into_iter().fold((f64::MAX, f64::MIN), |(a, b), end| (a.min(end), b.max(end)));
            let mut constant = first + step / 2.0;
            while constant < last {
                self.hatch((left, right), (top, bottom), *slope, constant);
                constant += step;
            }
        }
        if matches!(series, 4 | 6) {
            let mut level = bottom - 2.0;
            while level > top {
                self.line(&[(left, level), (right, level)], 1.0, Ink::Surface);
                level -= if series == 4 { 5.0 } else { 2.5 };
            }
        }
    }

    /// The part of `x + slope * y = constant` within a rectangle.
    fn hatch(&mut self, (left, right): (f64, f64), (top, bottom): (f64, f64), slope: f64, constant: f64) {
        let x = |y: f64| constant - slope * y;
        let (mut high, mut low) = (top, bottom);
        if slope != 0.0 {
            let (a, b) = ((constant - left) / slope, (constant - right) / slope);
            high = high.max(a.min(b));
            low = low.min(a.max(b));
        }
        if low - high > 0.25 {
            self.line(&[(x(high), high), (x(low), low)], 1.0, Ink::Surface);
        }
    }

    /// A line in the dashes of a series.
    pub(super) fn dashed(&mut self, points: &[Point], width: f64, series: usize) {
        let dashes: &[f64] = match series % 4 {
            0 => &[],
            1 => &[7.0, 3.0],
            2 => &[2.0, 2.5],
            _ => &[8.0, 2.5, 2.0, 2.5],
        };
        let ink = Ink::Series(series);
        if dashes.is_empty() {
            return self.line(points, width, ink);
        }
        let (mut at, mut left, mut dash) = (0, dashes[0], vec![]);
        dash.extend(points.first());
        for pair in points.windows(2) {
            let (mut from, to) = (pair[0], pair[1]);
            loop {
                let length = (to.0 - from.0).hypot(to.1 - from.1);
                if length <= left {
                    left -= length;
                    dash.push(to);
                    break;
                }
                let share = left / length;
                from = (from.0 + share * (to.0 - from.0), from.1 + share * (to.1 - from.1));
                dash.push(from);
                if at % 2 == 0 {
                    self.line(&dash, width, ink);
                }
                dash = vec![from];
                at = (at + 1) % dashes.len();
                left = dashes[at];
            }
        }
        if at % 2 == 0 {
            self.line(&dash, width, ink);
        }
    }

    /// A circle that is not filled.
    pub(super) fn ring(&mut self, (x, y): Point, radius: f64, width: f64, ink: Ink) {
        let corner = |at: u32| {
            let angle = std::f64::consts::TAU * f64::from(at) / 32.0;
            (x + radius * angle.cos(), y + radius * angle.sin())
        };
        // One corner more than once around, so that no end is seen.
        self.line(&(0..=33).map(corner).collect::<Vec<_>>(), width, ink);
    }

    /// An interval: a line with a short stroke at each end.
    pub(super) fn whisker(&mut self, from: Point, to: Point, cap: f64, width: f64, ink: Ink) {
        self.line(&[from, to], width, ink);
        let upright = (from.0 - to.0).abs() < (from.1 - to.1).abs();
        for (x, y) in [from, to] {
            let (dx, dy) = if upright { (cap, 0.0) } else { (0.0, cap) };
            self.line(&[(x - dx, y - dy), (x + dx, y + dy)], width, ink);
        }
    }
}

fn star(x: f64, y: f64, outer: f64, inner: f64, points: u32) -> Vec<Point> {
    (0..2 * points)
        .map(|corner| {
            let angle = std::f64::consts::PI * f64::from(corner) / f64::from(points);
            let radius = if corner % 2 == 0 { outer } else { inner };
            (x + radius * angle.sin(), y - radius * angle.cos())
        })
        .collect()
}
