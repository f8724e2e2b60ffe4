//! The marks that carry data: markers, error bars, deciles, curves, guides.

use std::f64::consts::TAU;

use plotters::style::RGBAColor;

use super::description::{Curve, Point, RatioCurve, RatioPoint};
use super::layout::{Dodge, Panel};
use super::scene::{Rect, Scene};
use super::theme::{self, Marker};

/// Quantile of the normal distribution that makes 95 % intervals.
const NORMAL_95: f64 = 1.96;

/// Draws a marker with a thin rim of paper, which parts it from its bars.
pub fn draw_marker(scene: &mut Scene, curve: usize, centre: (f64, f64), size: f64) {
    let (shape, radius) = (theme::marker(curve), theme::MARKER_RADIUS * size);
    fill_marker(scene, shape, centre, radius + 0.9, theme::PAPER);
    fill_marker(scene, shape, centre, radius, theme::colour(curve));
}

/// Fills the outline of a marker.
fn fill_marker(scene: &mut Scene, shape: Marker, at: (f64, f64), r: f64, colour: RGBAColor) {
    // Radii are scaled so that all shapes look equally heavy.
    let corners = match shape {
        Marker::Disc => return scene.disc(at, r, colour),
        Marker::Square => ring(4, r * 1.26, 1.0, TAU / 8.0),
        Marker::Up => ring(3, r * 1.4, 1.0, -TAU / 4.0),
        Marker::Diamond => ring(4, r * 1.32, 1.0, 0.0),
        Marker::Down => ring(3, r * 1.4, 1.0, TAU / 4.0),
        Marker::Star => ring(10, r * 1.5, 0.45, -TAU / 4.0),
        Marker::Plus => plus(r * 1.25, 0.0),
        Marker::Cross => plus(r * 1.3, TAU / 8.0),
    };
    let moved = corners.iter().map(|(x, y)| (at.0 + x, at.1 + y)).collect();
    scene.polygon(moved, colour);
}

/// Corners on a circle; every second one is drawn in to the share `inner`.
fn ring(corners: usize, radius: f64, inner: f64, turn: f64) -> Vec<(f64, f64)> {
    (0..corners)
        .map(|i| {
            let angle = turn + TAU * i as f64 / corners as f64;
            let r = if i % 2 == 1 { radius * inner } else { radius };
            (r * angle.cos(), r * angle.sin())
        })
        .collect()
}

/// A thick plus sign, turned.
fn plus(arm: f64, turn: f64) -> Vec<(f64, f64)> {
    let half = arm * 0.36;
    let quarter = [(arm, -half), (arm, half), (half, half)];
    (0..4)
        .flat_map(|i| {
            let (sin, cos) = (turn + TAU / 4.0 * f64::from(i)).sin_cos();
            quarter.map(|(x, y)| (x * cos - y * sin, x * sin + y * cos))
        })
        .collect()
}

/// Draws an interval of values; where the panel cuts it off, it has no cap.
pub fn draw_interval(scene: &mut Scene, panel: &Panel, x: f64, ends: (f64, f64), style: (f64, RGBAColor)) {
    let (cap, colour) = style;
    let pixels = (panel.py(ends.0), panel.py(ends.1));
    scene.line((x, pixels.0), (x, pixels.1), theme::BAR_WIDTH, colour);
    for (end, y) in [(ends.0, pixels.0), (ends.1, pixels.1)] {
        if panel.y.holds(end) {
            scene.line((x - cap, y), (x + cap, y), theme::BAR_WIDTH, colour);
        }
    }
}

/// Draws the pale bar from the first to the ninth decile and the median in it.
fn draw_deciles(scene: &mut Scene, panel: &Panel, x: f64, p: &Point, curve: usize, slot: f64) {
    let colour = theme::colour(curve);
    let half = theme::DECILE_WIDTH.min(slot * 0.9) / 2.0;
    if !has_spread(p) {
        return;
    }
    let bar = Rect { left: x - half, top: panel.py(p.q90), right: x + half, bottom: panel.py(p.q10) };
    scene.rect(bar, theme::faded(colour, 0.24));
    if panel.place((p.x, p.median)).is_some() {
        let y = panel.py(p.median);
        let ends = ((x - half - 0.8, y), (x + half + 0.8, y));
        scene.line(ends.0, ends.1, 1.4, theme::faded(colour, 0.55));
    }
}

/// Draws a dashed guide line.
pub fn draw_guide(scene: &mut Scene, panel: &Panel, guide: &[(f64, f64)]) {
    for run in runs(panel, guide) {
        scene.dashed(&run, theme::GUIDE_WIDTH, theme::DASH, theme::GUIDE);
    }
}

/// Draws the line that joins points of a series.
pub fn draw_series(scene: &mut Scene, line: Vec<(f64, f64)>, series: usize) {
    let colour = theme::colour(series);
    if theme::is_dashed(series) {
        scene.dashed(&line, theme::SERIES_WIDTH, theme::SERIES_DASH, colour);
    } else {
        scene.path(line, theme::SERIES_WIDTH, colour);
    }
}

/// Draws the exact curve.
pub fn draw_theory(scene: &mut Scene, panel: &Panel, curve: &Curve, index: usize) {
    for run in runs(panel, &curve.theory) {
        scene.path(run, theme::THEORY_WIDTH, theme::ink(index));
    }
}

/// Draws the deciles of a curve's points, which belong beneath its lines.
pub fn draw_spread(scene: &mut Scene, panel: &Panel, curve: &Curve, index: usize, dodge: Dodge) {
    for p in &curve.points {
        if let Some((x, _)) = panel.place((p.x, p.mean)) {
            draw_deciles(scene, panel, x + dodge.shift, p, index, dodge.slot);
        }
    }
}

/// Draws the means of a curve with their error bars.
pub fn draw_means(scene: &mut Scene, panel: &Panel, curve: &Curve, index: usize, dodge: Dodge) {
    let cap = theme::CAP.min(dodge.slot / 2.0);
    for p in &curve.points {
        let Some((x, y)) = panel.place((p.x, p.mean)) else {
            continue;
        };
        let x = x + dodge.shift;
        let half = half_bar(p);
        if half > 0.0 {
            let ends = (p.mean - half, p.mean + half);
            draw_interval(scene, panel, x, ends, (cap, theme::ink(index)));
        }
        draw_marker(scene, index, (x, y), crowded(dodge));
    }
}

/// Draws ratios with their intervals.
pub fn draw_ratios(scene: &mut Scene, panel: &Panel, ratios: &RatioCurve, dodge: Dodge) {
    let cap = theme::CAP.min(dodge.slot / 2.0);
    for p in &ratios.points {
        let Some((x, y)) = panel.place((p.x, p.ratio)) else {
            continue;
        };
        let x = x + dodge.shift;
        let half = half_interval(p);
        if half > 0.0 {
            let ends = (p.ratio - half, p.ratio + half);
            draw_interval(scene, panel, x, ends, (cap, theme::ink(ratios.curve)));
        }
        draw_marker(scene, ratios.curve, (x, y), 0.85 * crowded(dodge));
    }
}

/// Whether there are deciles to be drawn.
pub fn has_spread(point: &Point) -> bool {
    point.q10.is_finite() && point.q90.is_finite() && point.q90 > point.q10
}

/// Half the error bar of a mean.
pub fn half_bar(point: &Point) -> f64 {
    length(NORMAL_95 * point.std_error)
}

/// Half the interval of a ratio.
pub fn half_interval(point: &RatioPoint) -> f64 {
    length(point.half_interval)
}

/// The number itself if it can be a length, and zero otherwise.
fn length(number: f64) -> f64 {
    if number.is_finite() { number.max(0.0) } else { 0.0 }
}

/// Size of markers that have to share their abscissa with shifted neighbours.
fn crowded(dodge: Dodge) -> f64 {
    (0.35 + 0.1 * dodge.slot).clamp(0.55, 1.0)
}

/// The stretches of a line that the axes have a place for, in pixels.
pub fn runs(panel: &Panel, line: &[(f64, f64)]) -> Vec<Vec<(f64, f64)>> {
    let places: Vec<Option<(f64, f64)>> = line.iter().map(|&p| panel.place(p)).collect();
    places.split(Option::is_none).map(|run| run.iter().flatten().copied().collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_about_equally_large() {
        let area = |corners: Vec<(f64, f64)>| {
            let next = corners.iter().cycle().skip(1);
            let twice: f64 = corners.iter().zip(next).map(|(p, q)| p.0 * q.1 - p.1 * q.0).sum();
            twice.abs() / 2.0
        };
        for shape in (0..8).map(theme::marker) {
            let mut scene = Scene::default();
            fill_marker(&mut scene, shape, (0.0, 0.0), 1.0, theme::PAPER);
            let drawn = match scene.shapes.remove(0) {
                crate::figure::scene::Shape::Polygon(corners, _) => area(corners),
                _ => std::f64::consts::PI,
            };
            assert!((2.2..4.0).contains(&drawn), "{shape:?} {drawn}");
        }
    }
}
