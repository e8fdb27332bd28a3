//! Scenes as pictures, by plotters' backends.

use std::cell::Cell;

use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, FontDesc, FontStyle, RGBColor, ShapeStyle, TextStyle};

use super::font;
use super::scene::{Anchor, Ink, Point, Scene, Shape};
use super::theme::Theme;

/// plotters draws on whole pixels; a finer grid gives places and widths to a quarter of a unit.
const GRID: f64 = 4.0;
/// Pixels of a PNG for a unit of the scene: sharp on dense screens and in print.
const PIXELS: usize = 2;

/// plotters sets words on bitmaps too high by this share of their height; the middle of small letters should be at the point.
const BITMAP_DROP: f64 = 0.13;

/// The picture as SVG.
pub(super) fn svg(scene: &Scene, theme: Theme, title: &str, description: &str) -> String {
    let (width, height) = size(scene);
    let mut text = String::new();
    {
        let mut backend = SVGBackend::with_string(&mut text, (width, height));
        draw(scene, theme, 0.0, &mut backend);
    }
    // A `viewBox` of the fine grid, shown at its natural size; and words for those who do not see it.
    let fine = format!("width=\"{width}\" height=\"{height}\" viewBox");
    let shown = format!("width=\"{}\" height=\"{}\" viewBox", Scene::WIDTH, scene.height.ceil());
    let body = text.replacen(&fine, &shown, 1);
    let (open, shapes) = body.split_once('\n').unwrap_or((&body, ""));
    let open = open.replacen("<svg ", "<svg role=\"img\" ", 1);
    format!("{open}\n<title>{}</title>\n<desc>{}</desc>\n{shapes}", escape(title), escape(description))
}

thread_local! {
    /// The large picture of [`png`], kept for the next one: the system takes longer to hand out ten fresh megabytes than drawing does.
    static LARGE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The picture as PNG.
pub(super) fn png(scene: &Scene, theme: Theme) -> Vec<u8> {
    let (width, height) = size(scene);
    let mut pixels = LARGE.take();
    // What is in it does not matter: the ground is drawn first.
    pixels.resize(width as usize * height as usize * 3, 0);
    {
        let mut backend = BitMapBackend::with_buffer(&mut pixels, (width, height));
        draw(scene, theme, BITMAP_DROP, &mut backend);
    }
    // Drawn twice as large and averaged: plotters' own smoothing leaves steps in slanted lines.
    let fold = GRID as usize / PIXELS;
    let (wide, tall) = (width as usize / fold, height as usize / fold);
    let mut small = Vec::with_capacity(wide * tall * 3);
    let line = width as usize * 3;
    let mut sums = vec![0u16; wide * 3];
    for rows in pixels.chunks_exact(line * fold) {
        sums.fill(0);
        for row in rows.chunks_exact(line) {
            for (sums, group) in sums.chunks_exact_mut(3).zip(row.chunks_exact(3 * fold)) {
                for pixel in group.chunks_exact(3) {
                    sums.iter_mut().zip(pixel).for_each(|(sum, channel)| *sum += u16::from(*channel));
                }
            }
        }
        small.extend(sums.iter().map(|sum| (sum / (fold * fold) as u16) as u8));
    }
    LARGE.set(pixels);
    encode(&small, wide as u32, tall as u32)
}

fn encode(pixels: &[u8], width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    encoder.set_pixel_dims(Some(png::PixelDimensions {
        // 192 dots an inch: 640 units are six and two thirds inches.
        xppu: 7559,
        yppu: 7559,
        unit: png::Unit::Meter,
    }));
    // Writing to memory cannot fail, and the buffer has the size that the header says.
    if let Ok(mut writer) = encoder.write_header() {
        let _ = writer.write_image_data(pixels);
    }
    bytes
}

fn size(scene: &Scene) -> (u32, u32) {
    ((Scene::WIDTH * GRID) as u32, (scene.height.ceil() * GRID) as u32)
}

/// Both backends draw to memory, which cannot fail; their errors are those of files and fonts.
fn draw<B: DrawingBackend>(scene: &Scene, theme: Theme, drop: f64, backend: &mut B) {
    font::register();
    let (width, height) = size(scene);
    let _ = backend.draw_rect((0, 0), (width as i32, height as i32), &style(theme, Ink::Surface, 0.0), true);
    for shape in &scene.shapes {
        let _ = match shape {
            Shape::Line { points, width, ink } => {
                let path: Vec<_> = points.iter().copied().map(fine).collect();
                let style = style(theme, *ink, *width);
                match path[..] {
                    [from, to] => backend.draw_line(from, to, &style),
                    _ => backend.draw_path(path, &style),
                }
            }
            Shape::Area { corners, ink } => {
                backend.fill_polygon(corners.iter().copied().map(fine), &style(theme, *ink, 0.0))
            }
            Shape::Disc { at, radius, ink } => {
                backend.draw_circle(fine(*at), (radius * GRID).round() as u32, &style(theme, *ink, 0.0), true)
            }
            Shape::Text(text) => {
                let anchor = match text.anchor {
                    Anchor::Start => HPos::Left,
                    Anchor::Middle => HPos::Center,
                    Anchor::End => HPos::Right,
                };
                let face = FontDesc::new(font::FAMILY, text.size * GRID, FontStyle::Normal);
                let colour = rgb(theme, text.ink);
                let style = TextStyle::from(face).color(&colour).pos(Pos::new(anchor, VPos::Center));
                let (x, y) = text.at;
                backend.draw_text(&text.words, &style, fine((x, y + drop * text.size)))
            }
        };
    }
    let _ = backend.present();
}

fn fine((x, y): Point) -> (i32, i32) {
    ((x * GRID).round() as i32, (y * GRID).round() as i32)
}

fn style(theme: Theme, ink: Ink, width: f64) -> ShapeStyle {
    ShapeStyle { color: rgb(theme, ink).to_rgba(), filled: true, stroke_width: (width * GRID).round() as u32 }
}

fn rgb(theme: Theme, ink: Ink) -> RGBColor {
    let [red, green, blue] = theme.colour(ink);
    RGBColor(red, green, blue)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
