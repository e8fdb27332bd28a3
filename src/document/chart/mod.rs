//! Charts: plain numbers in, pictures out.
//!
//! A chart is laid out once, as a scene of lines and words in roles ("series 2", "grid"); a theme gives the roles their
//! colours. So the light and the dark picture differ in nothing else, and the layout can be tested without a picture.

mod axis;
mod bars;
mod bins;
mod check;
mod curves;
mod font;
mod frame;
mod intervals;
mod ladder;
mod marker;
mod model;
mod paint;
mod ranks;
mod scene;
mod theme;

pub use model::{
    Axis, Bars, Bin, Bins, Chart, Curve, Curves, Estimate, IntervalRow, Intervals, Ladder, Panel, RankSeries,
    Ranks, Rung, Series,
};
pub use scene::{Anchor, Ink, Scene, Shape, Text};
pub use theme::{Rgb, SERIES, Theme, contrast};

impl Chart {
    /// The chart as shapes, with the stamp of its document.
    #[must_use]
    pub fn scene(&self, stamp: Option<&str>) -> Scene {
        match self {
            Self::Bars(chart) => bars::scene(chart, stamp),
            Self::Intervals(chart) => intervals::scene(chart, stamp),
            Self::Ladder(chart) => ladder::scene(chart, stamp),
            Self::Curves(chart) => curves::scene(chart, stamp),
            Self::Ranks(chart) => ranks::scene(chart, stamp),
            Self::Bins(chart) => bins::scene(chart, stamp),
        }
    }

    /// The picture as SVG: 640 units wide, words as words in the viewer's sans-serif face, title and description for those
    /// who do not see it.
    #[must_use]
    pub fn svg(&self, stamp: Option<&str>, theme: Theme) -> String {
        paint::svg(&self.scene(stamp), theme, self.title(), &self.description())
    }

    /// The picture as PNG, 1280 pixels wide, words in the embedded DejaVu Sans.
    #[must_use]
    pub fn png(&self, stamp: Option<&str>, theme: Theme) -> Vec<u8> {
        paint::png(&self.scene(stamp), theme)
    }
}
