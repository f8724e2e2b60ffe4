//! Puts a scene on paper: the only place that talks to plotters' backends.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use plotters::coord::Shift;
use plotters::prelude::{
    BitMapBackend, Circle, DrawingArea, DrawingBackend, IntoDrawingArea, PathElement, Polygon, SVGBackend,
    Text as TextElement,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontTransform, ShapeStyle, TextStyle};

use super::embedded::Subset;
use super::font::EM;
use super::level::{Level, parts};
use super::page::Unit;
use super::scene::{Anchor, Scene, Shape, Text};
use super::{font, theme};
use crate::digest::sha256;

/// Backends place shapes at whole units, so an SVG has tenths of a pixel.
const SVG_UNITS: u32 = 10;
/// So many pixels a unit the bitmap is painted with, before it is averaged down: plotters leaves edges jagged and rounds
/// to whole pixels, which makes thin slanted lines wobble visibly at half as many.
const PAINTED: u32 = 8;
/// Most bytes of what is painted; a large sheet gets fewer pixels.
const MOST_BYTES: u64 = 1 << 29;

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
    fn bitmap(zoom: u32) -> Medium {
        Medium { zoom: f64::from(zoom), font_factor: 1.0, baseline: 0.5, by_letter: true }
    }

    fn place(&self, (x, y): (f64, f64)) -> (i32, i32) {
        ((x * self.zoom).round() as i32, (y * self.zoom).round() as i32)
    }

    fn length(&self, length: f64) -> u32 {
        (length * self.zoom).round().max(1.0) as u32
    }
}

/// The scene as an SVG document that brings its letters along; the error is a reason in words.
pub fn svg(scene: &Scene) -> Result<String, String> {
    let (width, height) = scene.size;
    let units = (width * SVG_UNITS, height * SVG_UNITS);
    let mut document = String::new();
    paint(scene, SVGBackend::with_string(&mut document, units), Medium::SVG)?;
    // The view box stays in fine units; only the nominal size is in pixels, or in millimetres of paper.
    let fine = format!("width=\"{}\" height=\"{}\"", units.0, units.1);
    let [width, height] = [width, height].map(|length| nominal(length, scene.unit));
    let mut document = document.replacen(&fine, &format!("width=\"{width}\" height=\"{height}\""), 1);

    for shape in &scene.shapes {
        if let Shape::Text(text) = shape {
            set_levels(&mut document, text);
        }
    }

    let (family, faces) = font_faces(scene)?;
    document = document.replace(&format!("\"{}\"", font::FAMILY), &format!("\"{family}, {}\"", font::FAMILY));
    if let Some(end) = document.find('>') {
        let note = escaped(&scene.note);
        document.insert_str(end + 1, &format!("\n<desc>{note}</desc>\n<style>{faces}</style>"));
    }
    Ok(document)
}

/// Marks the indices and exponents of a line of text in the document, which plotters writes all of one size.
fn set_levels(document: &mut String, text: &Text) {
    let parts = parts(&text.content);
    if parts.iter().all(|part| part.level == Level::Line) {
        return;
    }
    let mut fallen = 0.0;
    let mut marked = String::new();
    for part in parts {
        let says = escaped(part.text);
        let (size, fall) = (part.level.size(), part.level.fall());
        // In ems of the piece itself.
        let step = (fall - fallen) / (size * EM);
        marked += &match part.level {
            Level::Line if fallen == 0.0 => says,
            Level::Line => format!("<tspan dy=\"{step:.3}em\">{says}</tspan>"),
            Level::Index | Level::Exponent => {
                format!("<tspan dy=\"{step:.3}em\" font-size=\"{size}em\">{says}</tspan>")
            }
        };
        fallen = fall;
    }
    // plotters puts the text on a line of its own.
    let line = |says: &str| format!(">\n{says}\n</text>");
    *document = document.replace(&line(&escaped(&text.content)), &line(&marked));
}

/// A length as an attribute of SVG.
fn nominal(length: u32, unit: Unit) -> String {
    if unit == Unit::SCREEN {
        return length.to_string();
    }
    format!("{:.2}mm", 25.4 * f64::from(length) / f64::from(unit.per_inch))
}

/// The fonts of a scene as style rules, and the name of their family: one of its own, because the letters of another
/// figure on the same page of HTML are others.
fn font_faces(scene: &Scene) -> Result<(String, String), String> {
    let fonts = Subset::of(scene)?
        .iter()
        .map(|subset| Ok((subset.bold, subset.woff()?)))
        .collect::<Result<Vec<_>, String>>()?;
    let all: Vec<u8> = fonts.iter().flat_map(|(_, font)| font.iter().copied()).collect();
    let family = format!("gradlaw-{}", &sha256(&all)[..12]);
    let face = |(bold, font): &(bool, Vec<u8>)| {
        let weight = if *bold { "bold" } else { "normal" };
        let data = BASE64_STANDARD.encode(font);
        format!("@font-face{{font-family:{family};font-weight:{weight};src:url(data:font/woff;base64,{data})}}")
    };
    let faces = fonts.iter().map(face).collect();
    Ok((family, faces))
}

/// Text as the contents of an element.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The scene as the bytes of a PNG, which says how large it is on paper; the error is a reason in words.
pub fn png(scene: &Scene) -> Result<Vec<u8>, String> {
    let Unit { per_inch, dots } = scene.unit;
    let size = (scene.size.0 * dots, scene.size.1 * dots);
    let bytes = |side: u32| 3 * u64::from(size.0 * side) * u64::from(size.1 * side);
    let side = (1..=PAINTED.div_ceil(dots)).rev().find(|&side| bytes(side) <= MOST_BYTES).unwrap_or(1);
    let large = (size.0 * side, size.1 * side);
    let mut pixels = vec![0; 3 * large.0 as usize * large.1 as usize];
    paint(scene, BitMapBackend::with_buffer(&mut pixels, large), Medium::bitmap(dots * side))?;
    let averaged = averaged(&pixels, large.0 as usize, side as usize);

    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, size.0, size.1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let per_metre = (f64::from(per_inch * dots) / 0.0254).round() as u32;
    let dimensions = png::PixelDimensions { xppu: per_metre, yppu: per_metre, unit: png::Unit::Meter };
    encoder.set_pixel_dims(Some(dimensions));
    let mut writer = encoder.write_header().map_err(|error| error.to_string())?;
    writer.write_image_data(&averaged).and_then(|()| writer.finish()).map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// Averages squares of `side` pixels a side into one each.
fn averaged(pixels: &[u8], width: usize, side: usize) -> Vec<u8> {
    let stride = 3 * width;
    let mut result = Vec::with_capacity(pixels.len() / (side * side));
    // No more than eight rows of bytes.
    let mut columns = vec![0u16; stride];
    for rows in pixels.chunks_exact(stride * side) {
        columns.fill(0);
        for row in rows.chunks_exact(stride) {
            columns.iter_mut().zip(row).for_each(|(sum, &value)| *sum += u16::from(value));
        }
        for square in columns.chunks_exact(3 * side) {
            result.extend((0..3).map(|channel| {
                let sum: usize = square.iter().skip(channel).step_by(3).map(|&sum| usize::from(sum)).sum();
                ((sum + side * side / 2) / (side * side)) as u8
            }));
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
        let alone = Text {
            content: letter.character.to_string(),
            bold: letter.bold,
            size: letter.size,
            anchor: Anchor::Start,
            at: text.under(start + letter.pen + bearing, letter.fall),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_and_exponents_are_marked_and_what_follows_returns_to_the_baseline() {
        let mut scene = Scene::default();
        scene.text(Text::new("‖x‖∞ & d^(1/q)", (20.0, 20.0), 10.0, theme::TEXT));
        scene.text(Text::new("‖x‖₁ & f_norm", (20.0, 40.0), 10.0, theme::TEXT));
        let document = svg(&scene).unwrap();
        let script = |fall, says| format!("<tspan dy=\"{fall}em\" font-size=\"0.7em\">{says}</tspan>");
        let line =
            format!("‖x‖{}<tspan dy=\"-0.151em\"> &amp; d</tspan>{}", script("0.216", "∞"), script("-0.499", "1/q"));
        assert!(document.contains(&line) && document.contains("‖x‖₁ &amp; f_norm"), "{document}");
    }

    #[test]
    fn squares_of_pixels_are_averaged_channel_by_channel() {
        // Two squares of 2 × 2 pixels: red 255 in three of four, green everywhere, blue in a corner of the second.
        let row = |reds: [u8; 4], blue: u8| -> Vec<u8> {
            reds.iter().enumerate().flat_map(|(at, &red)| [red, 200, if at == 3 { blue } else { 0 }]).collect()
        };
        let pixels = [row([255, 255, 0, 0], 0), row([255, 0, 0, 1], 250)].concat();
        assert_eq!(averaged(&pixels, 4, 2), [191, 200, 0, 0, 200, 63]);
        assert_eq!(averaged(&pixels, 4, 1), pixels);
        assert_eq!(averaged(&[255; 3 * 64], 8, 8), [255; 3]);
    }
}
