//! The data of one panel within its axes: ranges, and what is drawn inside them.

use crate::figure::description::Scale;
use crate::figure::layout::{Dodge, Panel as Frame, Range, dodge, is_drawable};
use crate::figure::scene::Scene;
use crate::figure::{marks, theme};

use super::description::{Panel, PanelCurve, PanelPoint};
use super::styles::Styles;

/// Share of the span of an axis that is left empty at either end.
const PADDING: f64 = 0.06;
/// Size of the markers, as a share of those of a figure with a single panel.
const MARKER_SIZE: f64 = 0.8;
/// Distance at which two markers hide one another, distance at which they are then set side by side, and the share of
/// the space between abscissas that they may fill: little, because on a sloped curve whatever is shifted sideways seems
/// to be off the curve.
const DODGE: (f64, f64, f64) = (6.0, 1.6, 0.4);
/// Opacity of the bars, which lie beneath lines and markers.
const BAR_OPACITY: f64 = 0.5;

/// Whether both axes have a place for the point.
pub fn has_place(panel: &Panel, point: &PanelPoint) -> bool {
    is_drawable(panel.x.scale, point.x) && is_drawable(panel.y.scale, point.y)
}

/// Every point that the axes have a place for.
pub fn drawn_points(panel: &Panel) -> impl Iterator<Item = &PanelPoint> {
    panel.curves.iter().flat_map(|curve| &curve.points).filter(|point| has_place(panel, point))
}

/// The ranges of both axes, or nothing if there is nothing to draw.
pub fn ranges(panel: &Panel) -> Option<(Range, Range)> {
    let guide = || {
        let places = panel.guide.iter().filter(|_| panel.guide.len() > 1);
        places.filter(|p| is_drawable(panel.x.scale, p.0) && is_drawable(panel.y.scale, p.1))
    };
    let xs = drawn_points(panel).map(|point| point.x).chain(guide().map(|p| p.0));
    let ys = drawn_points(panel).flat_map(|point| reach(panel.y.scale, point)).chain(guide().map(|p| p.1));
    Some((Range::around(panel.x.scale, xs, PADDING)?, Range::around(panel.y.scale, ys, PADDING)?))
}

/// What the vertical axis has to reach for a point. On a logarithmic axis, a bar that ends close to zero would reach
/// down by many empty decades; it is cut off at the edge instead.
fn reach(scale: Scale, point: &PanelPoint) -> impl Iterator<Item = f64> {
    let lowest = match scale {
        Scale::Linear => f64::NEG_INFINITY,
        Scale::Log2 | Scale::Log10 => point.y * 0.01,
    };
    let (low, high) = point.bar().unwrap_or((point.y, point.y));
    [point.y, low, high].into_iter().filter(move |&end| end >= lowest)
}

/// How each curve is shifted sideways. Only joined curves over the same abscissas are; elsewhere, abscissas are
/// measured and have to stay exact.
pub fn dodges(panel: &Panel, frame: &Frame) -> Vec<Dodge> {
    let abscissas = |curve: &PanelCurve| curve.points.iter().map(|point| point.x.to_bits()).collect::<Vec<_>>();
    let common: Vec<Vec<u64>> = panel.curves.iter().map(abscissas).collect();
    let shares = |i: usize| common.iter().enumerate().any(|(j, other)| i != j && *other == common[i]);
    let places: Vec<Vec<(f64, f64)>> = panel
        .curves
        .iter()
        .enumerate()
        .map(|(i, curve)| {
            let points = curve.points.iter().filter(|_| curve.joined && shares(i));
            points.filter_map(|point| frame.place((point.x, point.y))).collect()
        })
        .collect();
    dodge(&places, DODGE.0, DODGE.1, DODGE.2)
}

/// Draws bars, guide, lines and markers, layer by layer, so that no bar hides another's marker.
pub fn draw(scene: &mut Scene, panel: &Panel, frame: &Frame, dodges: &[Dodge], styles: &Styles) {
    for (curve, dodge) in panel.curves.iter().zip(dodges) {
        draw_bars(scene, frame, curve, *dodge, styles.of(curve.series));
    }
    marks::draw_guide(scene, frame, &panel.guide);
    for (curve, dodge) in panel.curves.iter().zip(dodges).filter(|(curve, _)| curve.joined) {
        for run in joined(frame, &curve.points, *dodge) {
            marks::draw_series(scene, run, styles.of(curve.series));
        }
    }
    for (curve, dodge) in panel.curves.iter().zip(dodges) {
        for (x, y) in curve.points.iter().filter_map(|point| frame.place((point.x, point.y))) {
            marks::draw_marker(scene, styles.of(curve.series), (x + dodge.shift, y), MARKER_SIZE);
        }
    }
}

/// Draws the bars of a curve.
fn draw_bars(scene: &mut Scene, frame: &Frame, curve: &PanelCurve, dodge: Dodge, look: usize) {
    let style = (theme::CAP.min(dodge.slot), theme::faded(theme::ink(look), BAR_OPACITY));
    for point in &curve.points {
        if let (Some((x, _)), Some(ends)) = (frame.place((point.x, point.y)), point.bar()) {
            marks::draw_interval(scene, frame, x + dodge.shift, ends, style);
        }
    }
}

/// The lines that join the points, interrupted where the axes have no place for one.
pub fn joined(frame: &Frame, points: &[PanelPoint], dodge: Dodge) -> Vec<Vec<(f64, f64)>> {
    let line: Vec<(f64, f64)> = points.iter().map(|point| (point.x, point.y)).collect();
    let mut runs = marks::runs(frame, &line);
    runs.iter_mut().flatten().for_each(|place| place.0 += dodge.shift);
    runs
}
