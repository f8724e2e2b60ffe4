//! Tests of whole figures of panels: what they show, and that all text is legible.

use super::super::page::{Form, Unit};
use super::super::{Axis, FigureError, Scale, files, paint, write};
use super::*;
use crate::figure::scene::Shape;

fn axis(label: &str, scale: Scale) -> Axis {
    Axis { label: label.to_owned(), scale, marks: Vec::new() }
}

/// Points of a law y = c · x^(1/2) from x = 10⁻⁴ on.
fn curve(series: usize, points: i32) -> PanelCurve {
    let point = |k: i32| {
        let x = 10f64.powf(0.4 * f64::from(k) - 4.0);
        let y = x.sqrt() * (1.0 + 0.1 * series as f64);
        PanelPoint { x, y, low: 0.9 * y, high: 1.1 * y }
    };
    PanelCurve { series, points: (0..points).map(point).collect(), joined: true }
}

fn panel(title: &str, scale: Scale, series: usize) -> Panel {
    Panel {
        title: title.to_owned(),
        x: axis("strength ε", scale),
        y: axis("E‖∂ₓL‖₁", scale),
        curves: (0..series).map(|i| curve(i, 11)).collect(),
        guide: vec![(1e-4, 1e-2), (1.0, 1.0)],
        guide_label: "√(2d/π)".to_owned(),
        annotation: "rank correlation 0.97".to_owned(),
    }
}

/// Panels whose scales differ.
fn figure(panels: usize, series: usize) -> PanelFigure {
    let scales = [Scale::Log10, Scale::Linear, Scale::Log2];
    PanelFigure {
        title: "Penalties and augmentations lower ‖∂ₓL‖₁".to_owned(),
        subtitle: "d = 3072 & ε < ∞".to_owned(),
        series: (0..series).map(|i| format!("kind {i} of training")).collect(),
        panels: (0..panels).map(|i| panel(&format!("Panel {i}"), scales[i % 3], series)).collect(),
        bars: "10–90 %".to_owned(),
        footnote: "Small print.".to_owned(),
    }
}

fn scene(figure: &PanelFigure) -> Scene {
    compose(figure, &Page::default()).expect("the figure has values")
}

fn says(scene: &Scene, text: &str) -> bool {
    scene.texts().any(|t| t.content.contains(text))
}

/// Asserts that text neither overlaps other text nor leaves the canvas, on every kind of page.
fn assert_legible(figure: &PanelFigure) {
    Page::kinds().for_each(|page| assert_legible_on(figure, &page));
}

fn assert_legible_on(figure: &PanelFigure, page: &Page) {
    let scene = compose(figure, page).expect("the figure has values");
    let (width, height) = (f64::from(scene.size.0), f64::from(scene.size.1));
    let texts: Vec<_> = scene.texts().map(|t| (&t.content, t.bounds())).collect();
    for (i, (content, a)) in texts.iter().enumerate() {
        let inside = a.left >= 0.0 && a.top >= 0.0 && a.right <= width && a.bottom <= height;
        assert!(inside, "{content} leaves the canvas of {page:?}: {a:?}");
        for (other, b) in &texts[..i] {
            assert!(!a.overlaps(b), "{content} overlaps {other} on {page:?}: {a:?} {b:?}");
        }
    }
}

#[test]
fn text_is_legible_whatever_the_number_of_panels_and_series() {
    for panels in [1, 2, 3, 4, 5, 6, 9] {
        for series in [1, 6, 8, 20] {
            assert_legible(&figure(panels, series));
        }
    }
}

#[test]
fn long_texts_are_broken_or_shortened() {
    let mut long = figure(4, 3);
    let text = "so many words that they cannot possibly fit into a single line ".repeat(6);
    for field in [&mut long.title, &mut long.subtitle, &mut long.footnote, &mut long.series[1]] {
        field.clone_from(&text);
    }
    let panel = &mut long.panels[2];
    let fields = [&mut panel.title, &mut panel.x.label, &mut panel.y.label, &mut panel.guide_label];
    for field in fields.into_iter().chain([&mut panel.annotation]) {
        field.clone_from(&text);
    }
    long.series[0] = "x".repeat(300);
    assert_legible(&long);
    assert!(says(&scene(&long), "xxx…"));
}

#[test]
fn long_numbers_are_legible() {
    let mut figure = figure(6, 2);
    for (i, panel) in figure.panels.iter_mut().enumerate() {
        let factor = [1e-9, 1e9, 1e-200, 1e40, 1e7, 123_456.0][i];
        panel.guide.clear();
        for point in panel.curves.iter_mut().flat_map(|curve| &mut curve.points) {
            let (x, y) = (factor * (1.0 + 1e-3 * point.x), factor * (1.0 + point.y));
            *point = PanelPoint { x, y, low: 0.99 * y, high: y };
        }
    }
    assert_legible(&figure);
}

#[test]
fn panels_are_equally_large_and_in_rows() {
    for (panels, columns, rows) in [(1, 1, 1), (2, 2, 1), (3, 3, 1), (4, 2, 2), (5, 3, 2), (6, 3, 2), (9, 3, 3)] {
        let drawn = scene(&figure(panels, 2));
        let corners = drawn.shapes.iter().filter_map(|shape| match shape {
            Shape::Path(points, _, colour) if points.len() == 3 && *colour == theme::AXIS => Some(points),
            _ => None,
        });
        let boxes: Vec<[i64; 4]> = corners
            .map(|p| [p[0].0, p[0].1, p[2].0 - p[0].0, p[2].1 - p[0].1].map(|length| (length * 100.0).round() as i64))
            .collect();
        assert_eq!(boxes.len(), panels);
        let distinct = |i: usize| boxes.iter().map(|b| b[i]).collect::<std::collections::HashSet<_>>().len();
        assert_eq!([0, 1, 2, 3].map(distinct), [columns, rows, 1, 1], "{panels}");
    }
}

#[test]
fn the_key_names_only_what_is_there() {
    let mut plain = figure(2, 3);
    let full = scene(&plain);
    for entry in ["kind 0", "kind 1", "kind 2", "bars 10–90 %", "predicted law", "√(2d/π)", "rank correlation"] {
        assert!(says(&full, entry), "{entry}");
    }
    for panel in &mut plain.panels {
        panel.guide.clear();
        panel.annotation.clear();
        panel.curves.remove(1);
        for point in panel.curves.iter_mut().flat_map(|curve| &mut curve.points) {
            (point.low, point.high) = (point.y, point.y);
        }
    }
    let bare = scene(&plain);
    for entry in ["kind 1", "bars", "predicted law", "√(2d/π)", "rank correlation", "not drawn"] {
        assert!(!says(&bare, entry), "{entry}");
    }
    assert!(says(&bare, "kind 0") && says(&bare, "kind 2"));
}

#[test]
fn values_without_a_place_are_counted() {
    let mut odd = figure(1, 2);
    let points = &mut odd.panels[0].curves[0].points;
    points[0].x = 0.0;
    points[3].y = -1.0;
    points[5].y = f64::NAN;
    points[6].low = f64::NAN;
    points[7].high = f64::INFINITY;
    assert!(says(&scene(&odd), "3 points not drawn"));
    assert_legible(&odd);
    odd.panels[0].curves.remove(1);
    odd.panels[0].curves[0].points.truncate(2);
    assert!(says(&scene(&odd), "1 point not drawn"));
    odd.panels[0].x.scale = Scale::Linear;
    assert!(!says(&scene(&odd), "not drawn"));
}

#[test]
fn a_mark_at_zero_is_left_out_of_a_logarithmic_axis() {
    let mut marked = figure(1, 1);
    marked.panels[0].x.marks = vec![0.0, 0.001, 0.1];
    let drawn = scene(&marked);
    assert!(says(&drawn, "0.001") && !drawn.texts().any(|t| t.content == "0"));
}

#[test]
fn empty_panels_say_so() {
    let mut sparse = figure(3, 2);
    sparse.panels[1].curves.clear();
    sparse.panels[1].guide.clear();
    let drawn = scene(&sparse);
    assert_eq!(drawn.texts().filter(|t| t.content == "nothing to draw").count(), 1);
    assert_legible(&sparse);
}

#[test]
fn a_series_without_a_name_is_drawn_all_the_same() {
    let mut strange = figure(1, 1);
    strange.panels[0].curves[0].series = usize::MAX;
    assert_legible(&strange);
}

#[test]
fn both_files_are_written_from_the_same_scene() {
    let figure = figure(4, 8);
    let drawn = scene(&figure);
    let document = paint::svg(&drawn).unwrap();
    for text in ["Penalties and augmentations", "d = 3072 &amp; ε &lt; ∞", "kind 7 of training", "√(2d/π)"] {
        assert!(document.contains(text), "{text}");
    }
    let (width, height) = drawn.size;
    assert!(
        document.starts_with(&format!("<svg width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width}0 {height}0\""))
    );

    let written = files(&figure, &Page::default(), &[Form::Svg, Form::Png]).unwrap();
    assert_eq!(written[0].1, document.into_bytes());
    let bytes = &written[1].1;
    let size = [&bytes[16..20], &bytes[20..24]].map(|number| u32::from_be_bytes(number.try_into().unwrap()));
    assert_eq!(size, [width, height].map(|length| length * Unit::SCREEN.dots));
}

#[test]
fn a_figure_without_values_is_an_error() {
    let mut empty = figure(2, 1);
    for panel in &mut empty.panels {
        panel.curves.clear();
        panel.guide.clear();
    }
    let nowhere = std::path::Path::new("/nonexistent/directory");
    for figure in [empty, figure(0, 1)] {
        let written = write(&figure, &Page::default(), &Form::ALL, nowhere, "a");
        assert!(matches!(written, Err(FigureError::NothingToDraw)));
    }
}

#[test]
fn a_grid_of_names_has_colours_for_the_one_part_and_markers_for_the_other() {
    let styles = |names: &[&str]| {
        let series: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let styles = Styles::new(&series);
        (0..names.len()).map(|series| styles.of(series)).collect::<Vec<_>>()
    };
    let grid = styles(&["average, last dense", "average, last max", "strides, last dense", "strides, last max"]);
    let colours: Vec<_> = grid.iter().map(|&look| theme::colour(look)).collect();
    assert!(colours[0] == colours[1] && colours[1] != colours[2] && colours[2] == colours[3]);
    let markers: Vec<_> = grid.iter().map(|&look| theme::marker(look)).collect();
    assert!(markers[0] == markers[2] && markers[0] != markers[1] && markers[1] == markers[3]);
    assert_eq!(styles(&["average", "strides, dense", "strides, max"]), [0, 1, 2], "not all names have two parts");
    assert_eq!(styles(&["relu, he", "tanh, he", "erf, he"]), [0, 1, 2], "the first part does not recur");
}
