//! Shapes in roles, before they have colours.

/// What a colour stands for. A theme says which one it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ink {
    /// Words and what must be seen first.
    Text,
    /// Words of second rank, axes.
    Muted,
    /// Lines to read values by.
    Grid,
    /// The ground.
    Surface,
    /// The document's stamp.
    Alarm,
    /// A series, from 0.
    Series(usize),
}

/// Which end of words stands at their point. Upwards and downwards it is always their middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// The first letter.
    Start,
    /// The middle.
    Middle,
    /// The last letter.
    End,
}

/// A point in units of 1/640 of the picture's width, from its upper left.
pub type Point = (f64, f64);

/// Words in one line.
#[derive(Debug, Clone, PartialEq)]
pub struct Text {
    /// Where.
    pub at: Point,
    /// Which end stands there.
    pub anchor: Anchor,
    /// Height of the face.
    pub size: f64,
    /// Role.
    pub ink: Ink,
    /// The words.
    pub words: String,
}

/// A shape.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// A line through points.
    Line {
        /// The points.
        points: Vec<Point>,
        /// How wide it is.
        width: f64,
        /// Role.
        ink: Ink,
    },
    /// A filled polygon.
    Area {
        /// Its corners.
        corners: Vec<Point>,
        /// Role.
        ink: Ink,
    },
    /// A filled circle.
    Disc {
        /// Its middle.
        at: Point,
        /// Its radius.
        radius: f64,
        /// Role.
        ink: Ink,
    },
    /// Words.
    Text(Text),
}

/// A picture: shapes on the ground, from the back to the front.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scene {
    /// Height, where the width is [`Scene::WIDTH`].
    pub height: f64,
    /// The shapes.
    pub shapes: Vec<Shape>,
}

impl Scene {
    /// Width of every picture.
    pub const WIDTH: f64 = 640.0;

    pub(super) fn line(&mut self, points: &[Point], width: f64, ink: Ink) {
        if points.len() > 1 {
            self.shapes.push(Shape::Line { points: points.to_vec(), width, ink });
        }
    }

    pub(super) fn area(&mut self, corners: &[Point], ink: Ink) {
        self.shapes.push(Shape::Area { corners: corners.to_vec(), ink });
    }

    pub(super) fn rect(&mut self, from: Point, to: Point, ink: Ink) {
        self.area(&[from, (to.0, from.1), to, (from.0, to.1)], ink);
    }

    pub(super) fn disc(&mut self, at: Point, radius: f64, ink: Ink) {
        self.shapes.push(Shape::Disc { at, radius, ink });
    }

    pub(super) fn text(&mut self, at: Point, anchor: Anchor, size: f64, ink: Ink, words: impl Into<String>) {
        self.shapes.push(Shape::Text(Text { at, anchor, size, ink, words: words.into() }));
    }

    /// The words, front to back irrelevant: none covers another.
    pub fn texts(&self) -> impl Iterator<Item = &Text> {
        self.shapes.iter().filter_map(|shape| if let Shape::Text(text) = shape { Some(text) } else { None })
    }
}

impl Text {
    /// Left, top, right and bottom of the words in the embedded face, which is wider than most.
    #[must_use]
    pub fn bounds(&self) -> (f64, f64, f64, f64) {
        let width = super::font::width(&self.words, self.size);
        let left = match self.anchor {
            Anchor::Start => self.at.0,
            Anchor::Middle => self.at.0 - width / 2.0,
            Anchor::End => self.at.0 - width,
        };
        (left, self.at.1 - self.size / 2.0, left + width, self.at.1 + self.size / 2.0)
    }
}
