//! A drawing as a list of shapes in units of its page (pixels, where it is made for a screen). Composing the figure into a
//! scene first means that SVG, PNG and PDF cannot differ, and that tests can ask
//! where every piece of text ended up.

use plotters::style::RGBAColor;

use super::page::{Unit, Width};
use super::{font, theme};

/// An axis-parallel rectangle; `top` is less than `bottom`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rect {
    /// Least x.
    pub left: f64,
    /// Least y.
    pub top: f64,
    /// Greatest x.
    pub right: f64,
    /// Greatest y.
    pub bottom: f64,
}

impl Rect {
    /// Horizontal extent.
    pub fn width(&self) -> f64 {
        self.right - self.left
    }

    /// Vertical extent.
    pub fn height(&self) -> f64 {
        self.bottom - self.top
    }

    /// Whether the two share more than an edge.
    pub fn overlaps(&self, other: &Rect) -> bool {
        self.left < other.right && other.left < self.right && self.top < other.bottom && other.top < self.bottom
    }
}

/// Which end of a line of text its position is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// The first character begins there.
    Start,
    /// The text is centred there.
    Middle,
    /// The last character ends there.
    End,
}

/// A line of text on its baseline.
#[derive(Debug, Clone, PartialEq)]
pub struct Text {
    /// What it says.
    pub content: String,
    /// The anchored end of the baseline.
    pub at: (f64, f64),
    /// Which end that is.
    pub anchor: Anchor,
    /// Line height.
    pub size: f64,
    /// Whether it is bold.
    pub bold: bool,
    /// Whether it reads upwards.
    pub upwards: bool,
    /// Its colour.
    pub colour: RGBAColor,
}

impl Text {
    /// Horizontal text in regular weight that starts at `at`.
    pub fn new(content: impl Into<String>, at: (f64, f64), size: f64, colour: RGBAColor) -> Self {
        Text { content: content.into(), at, anchor: Anchor::Start, size, bold: false, upwards: false, colour }
    }

    /// The same text, anchored elsewhere.
    pub fn anchored(self, anchor: Anchor) -> Self {
        Text { anchor, ..self }
    }

    /// The point this far along the line from where it is anchored, and this far beneath its baseline.
    pub fn under(&self, along: f64, fall: f64) -> (f64, f64) {
        let (x, y) = self.at;
        if self.upwards { (x + fall, y - along) } else { (x + along, y + fall) }
    }

    /// The rectangle that the letters fill.
    pub fn bounds(&self) -> Rect {
        let width = font::width(&self.content, self.size, self.bold);
        let before = match self.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => width / 2.0,
            Anchor::End => width,
        };
        let (x, y) = self.at;
        let (rise, fall) = (0.66 * self.size, 0.2 * self.size);
        if self.upwards {
            Rect { left: x - rise, top: y + before - width, right: x + fall, bottom: y + before }
        } else {
            Rect { left: x - before, top: y - rise, right: x - before + width, bottom: y + fall }
        }
    }
}

/// One thing to draw.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// An open path.
    Path(Vec<(f64, f64)>, f64, RGBAColor),
    /// A filled polygon.
    Polygon(Vec<(f64, f64)>, RGBAColor),
    /// A filled disc.
    Disc((f64, f64), f64, RGBAColor),
    /// A line of text.
    Text(Text),
}

impl Shape {
    /// The same shape, moved.
    pub fn moved(&self, (dx, dy): (f64, f64)) -> Self {
        let place = |&(x, y): &(f64, f64)| (x + dx, y + dy);
        match self {
            Shape::Path(points, width, colour) => Shape::Path(points.iter().map(place).collect(), *width, *colour),
            Shape::Polygon(corners, colour) => Shape::Polygon(corners.iter().map(place).collect(), *colour),
            Shape::Disc(centre, radius, colour) => Shape::Disc(place(centre), *radius, *colour),
            Shape::Text(text) => Shape::Text(Text { at: place(&text.at), ..text.clone() }),
        }
    }
}

/// Shapes in the order in which they are painted.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// Width and height of the canvas.
    pub size: (u32, u32),
    /// How large a unit of it is on paper.
    pub unit: Unit,
    /// What it is called and where it comes from, which files say even where it is not drawn.
    pub title: String,
    /// Seed, version and numbers of draws.
    pub note: String,
    /// The shapes.
    pub shapes: Vec<Shape>,
}

impl Default for Scene {
    fn default() -> Self {
        Scene::on(Width::Natural)
    }
}

impl Scene {
    /// Nothing yet, on a page of this width.
    pub fn on(width: Width) -> Self {
        let unit = width.unit();
        Scene { size: theme::SIZE, unit, title: String::new(), note: String::new(), shapes: Vec::new() }
    }

    /// Adds an open path through `points`.
    pub fn path(&mut self, points: Vec<(f64, f64)>, width: f64, colour: RGBAColor) {
        if points.len() > 1 {
            self.shapes.push(Shape::Path(points, width, colour));
        }
    }

    /// Adds a straight line.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), width: f64, colour: RGBAColor) {
        self.path(vec![from, to], width, colour);
    }

    /// Adds a dashed path; the pattern runs on around corners.
    pub fn dashed(&mut self, points: &[(f64, f64)], width: f64, (dash, gap): (f64, f64), colour: RGBAColor) {
        let mut travelled = 0.0;
        for ends in points.windows(2) {
            let ((x0, y0), (x1, y1)) = (ends[0], ends[1]);
            let length = (x1 - x0).hypot(y1 - y0);
            let along = |s: f64| (x0 + (x1 - x0) * s / length, y0 + (y1 - y0) * s / length);
            let mut from = -(travelled % (dash + gap));
            while from < length {
                let (begin, end) = (from.max(0.0), (from + dash).min(length));
                if end > begin {
                    self.line(along(begin), along(end), width, colour);
                }
                from += dash + gap;
            }
            travelled += length;
        }
    }

    /// Adds a filled rectangle.
    pub fn rect(&mut self, r: Rect, colour: RGBAColor) {
        let corners = vec![(r.left, r.top), (r.right, r.top), (r.right, r.bottom), (r.left, r.bottom)];
        self.shapes.push(Shape::Polygon(corners, colour));
    }

    /// Adds a filled polygon.
    pub fn polygon(&mut self, corners: Vec<(f64, f64)>, colour: RGBAColor) {
        self.shapes.push(Shape::Polygon(corners, colour));
    }

    /// Adds a filled disc.
    pub fn disc(&mut self, centre: (f64, f64), radius: f64, colour: RGBAColor) {
        self.shapes.push(Shape::Disc(centre, radius, colour));
    }

    /// Adds a line of text; empty text is left out.
    pub fn text(&mut self, text: Text) {
        if !text.content.is_empty() {
            self.shapes.push(Shape::Text(text));
        }
    }

    /// Every line of text.
    #[cfg(test)]
    pub fn texts(&self) -> impl Iterator<Item = &Text> {
        self.shapes.iter().filter_map(|shape| match shape {
            Shape::Text(text) => Some(text),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_cover_their_share_of_the_length() {
        let mut scene = Scene::default();
        let bent = [(0.0, 0.0), (33.0, 0.0), (33.0, 67.0)];
        scene.dashed(&bent, 1.0, (6.0, 4.0), theme::GUIDE);
        let drawn: f64 = scene
            .shapes
            .iter()
            .map(|shape| match shape {
                Shape::Path(p, ..) => (p[1].0 - p[0].0).hypot(p[1].1 - p[0].1),
                _ => 0.0,
            })
            .sum();
        assert!((drawn - 60.0).abs() < 1e-9);
    }

    #[test]
    fn dashing_a_point_draws_nothing() {
        let mut scene = Scene::default();
        scene.dashed(&[(1.0, 1.0), (1.0, 1.0)], 1.0, (6.0, 4.0), theme::GUIDE);
        assert!(scene.shapes.is_empty());
    }
}
