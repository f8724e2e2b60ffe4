//! Puts a scene on paper: the only place that talks to plotters' backends.

use image::ExtendedColorType::Rgb8;
use image::ImageEncoder;
use image::codecs::png::PngEncoder;
use plotters::coord::Shift;
use plotters::prelude::{
    BitMapBackend, Circle, DrawingArea, DrawingBackend, IntoDrawingArea, PathElement, Polygon, SVGBackend,
    Text as TextElement,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontTransform, ShapeStyle, TextStyle};

use super::scene::{Anchor, Scene, Shape, Text};
use super::{font, theme};

/// Backends place shapes at whole units, so an SVG has tenths of a pixel.
const SVG_UNITS: u32 = 10;
/// The bitmap is painted larger by this factor and averaged down: plotters
/// leaves edges jagged and rounds to whole pixels, which makes thin slanted
/// lines wobble visibly at a factor of two.
const OVERSAMPLING: u32 = 4;

/// Em of the font, as a share of the line height by which it is scaled.
const EM: f64 = 1.0 / 1.164;

/// How a backend deals with lengths and with text.
#[derive(Debug, Clone, Copy)]
struct Medium {
    /// Units of the backend per pixel of the scene.
    zoom: f64,
    /// Size to ask for, per line height: backends convert it differently.
    font_factor: f64,
    /// Where the backend puts the baseline, in line heights below the top.
    baseline: f64,
    /// Whether letters are drawn one by one, because the backend would put
    /// them in the wrong places.
    by_letter: bool,
}

impl Medium {
    /// plotters writes the size divided by 1.24 as the em of the text, and
    /// shifts top-aligned text down by 0.76 em.
    const SVG: Medium =
        Medium { zoom: SVG_UNITS as f64, font_factor: 1.24 * EM, baseline: 0.76 * EM, by_letter: false };

    /// plotters takes the size as the line height and puts the baseline of
    /// top-aligned text half of it below the top.
    const BITMAP: Medium =
        Medium { zoom: (theme::BITMAP_SCALE * OVERSAMPLING) as f64, font_factor: 1.0, baseline: 0.5, by_letter: true };

    fn place(&self, (x, y): (f64, f64)) -> (i32, i32) {
        ((x * self.zoom).round() as i32, (y * self.zoom).round() as i32)
    }

    fn length(&self, length: f64) -> u32 {
        (length * self.zoom).round().max(1.0) as u32
    }
}

/// The scene as an SVG document; the error is a reason in words.
pub fn svg(scene: &Scene) -> Result<String, String> {
    let (width, height) = scene.size;
    let units = (width * SVG_UNITS, height * SVG_UNITS);
    let mut document = String::new();
    paint(scene, SVGBackend::with_string(&mut document, units), Medium::SVG)?;
    // The view box stays in fine units; only the nominal size is in pixels.
    let fine = format!("width=\"{}\" height=\"{}\"", units.0, units.1);
    let nominal = format!("width=\"{width}\" height=\"{height}\"");
    Ok(document.replacen(&fine, &nominal, 1))
}

/// The scene as the bytes of a PNG; the error is a reason in words.
pub fn png(scene: &Scene) -> Result<Vec<u8>, String> {
    let size = (scene.size.0 * theme::BITMAP_SCALE, scene.size.1 * theme::BITMAP_SCALE);
    let large = (size.0 * OVERSAMPLING, size.1 * OVERSAMPLING);
    let mut pixels = vec![0; 3 * large.0 as usize * large.1 as usize];
    paint(scene, BitMapBackend::with_buffer(&mut pixels, large), Medium::BITMAP)?;
    let averaged = averaged(&pixels, large.0 as usize);
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes).write_image(&averaged, size.0, size.1, Rgb8).map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// Averages squares of [`OVERSAMPLING`] pixels a side into one each.
fn averaged(pixels: &[u8], width: usize) -> Vec<u8> {
    let side = OVERSAMPLING as usize;
    let stride = 3 * width;
    let mut result = Vec::with_capacity(pixels.len() / (side * side));
    for rows in pixels.chunks_exact(stride * side) {
        for column in (0..stride).step_by(3 * side) {
            for channel in 0..3 {
                let mut sum = 0;
                for start in (0..side).map(|row| row * stride + column + channel) {
                    sum += (0..side).map(|i| usize::from(rows[start + 3 * i])).sum::<usize>();
                }
                result.push(((sum + side * side / 2) / (side * side)) as u8);
            }
        }
    }
    result
}

/// Paints every shape onto a backend.
fn paint<DB: DrawingBackend>(scene: &Scene, backend: DB, medium: Medium) -> Result<(), String> {
    if !font::register() {
        return Err("the embedded font could not be read".to_owned());
    }
    let area = backend.into_drawing_area();
    area.fill(&theme::PAPER).map_err(|error| error.to_string())?;
    for shape in &scene.shapes {
        paint_shape(&area, shape, medium)?;
    }
    area.present().map_err(|error| error.to_string())
}

/// Paints one shape.
fn paint_shape<DB: DrawingBackend>(area: &DrawingArea<DB, Shift>, shape: &Shape, medium: Medium) -> Result<(), String> {
    let places =
        |points: &[(f64, f64)]| -> Vec<(i32, i32)> { points.iter().map(|&point| medium.place(point)).collect() };
    let done = match shape {
        Shape::Path(points, width, colour) => {
            let style = ShapeStyle { color: *colour, filled: false, stroke_width: medium.length(*width) };
            area.draw(&PathElement::new(places(points), style))
        }
        Shape::Polygon(corners, colour) => area.draw(&Polygon::new(places(corners), colour.filled())),
        Shape::Disc(centre, radius, colour) => {
            area.draw(&Circle::new(medium.place(*centre), medium.length(*radius), colour.filled()))
        }
        Shape::Text(text) if medium.by_letter => return paint_letters(area, text, medium),
        Shape::Text(text) => {
            let (style, corner) = text_style(text, medium);
            area.draw(&TextElement::new(text.content.as_str(), corner, style))
        }
    };
    done.map_err(|error| error.to_string())
}

/// Paints a line of text letter by letter.
fn paint_letters<DB: DrawingBackend>(area: &DrawingArea<DB, Shift>, text: &Text, medium: Medium) -> Result<(), String> {
    let (letters, width) = font::letters(&text.content, text.size, text.bold);
    let start = match text.anchor {
        Anchor::Start => 0.0,
        Anchor::Middle => -width / 2.0,
        Anchor::End => -width,
    };
    for letter in letters {
        // plotters cuts the bearing off in whole pixels, rounded down.
        let bearing = (letter.bearing * medium.zoom).floor() / medium.zoom;
        let along = start + letter.pen + bearing;
        let (x, y) = text.at;
        let alone = Text {
            content: letter.character.to_string(),
            bold: letter.bold,
            anchor: Anchor::Start,
            at: if text.upwards { (x, y - along) } else { (x + along, y) },
            ..text.clone()
        };
        let (style, corner) = text_style(&alone, medium);
        area.draw(&TextElement::new(alone.content.as_str(), corner, style)).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// The style of a line of text, and where its upper edge belongs so that its
/// baseline comes out right.
fn text_style(text: &Text, medium: Medium) -> (TextStyle<'static>, (i32, i32)) {
    let line_height = text.size * medium.zoom;
    let drop = (line_height * medium.baseline).round() as i32;
    let (x, y) = medium.place(text.at);
    let (transform, corner) =
        if text.upwards { (FontTransform::Rotate270, (x - drop, y)) } else { (FontTransform::None, (x, y - drop)) };
    let horizontal = match text.anchor {
        Anchor::Start => HPos::Left,
        Anchor::Middle => HPos::Center,
        Anchor::End => HPos::Right,
    };
    let style = font::font(text.bold, line_height * medium.font_factor)
        .transform(transform)
        .color(&text.colour)
        .pos(Pos::new(horizontal, VPos::Top));
    (style, corner)
}
