//! Tests of whole figures: what they show, and that nothing leaves the canvas.

use super::super::page::{Form, Width};
use super::super::scene::Text;
use super::super::{Axis, Curve, FigureError, Point, RatioCurve, RatioPanel, RatioPoint, files, paint, write};
use super::super::{Drawing, Sheet};
use super::*;

fn point(x: f64, mean: f64) -> Point {
    Point { x, mean, std_error: 0.01 * mean, q10: 0.8 * mean, median: 0.98 * mean, q90: 1.3 * mean }
}

fn curve(name: &str, points: Vec<Point>) -> Curve {
    Curve {
        label: name.to_owned(),
        annotation: "slope 0.4998 ± 0.0004, predicted 0.5".to_owned(),
        guides: vec![points.iter().map(|p| (p.x, 0.9 * p.mean)).collect()],
        theory: points.iter().map(|p| (p.x, p.mean)).collect(),
        points,
    }
}

fn figure(curves: Vec<Curve>) -> Figure {
    let ratios = |(i, curve): (usize, &Curve)| RatioCurve {
        curve: i,
        points: curve.points.iter().map(|p| RatioPoint { x: p.x, ratio: 1.01, half_interval: 0.02 }).collect(),
    };
    let axis = |label: &str, scale| Axis { label: label.to_owned(), scale, marks: Vec::new() };
    Figure {
        title: "‖∂ₓL‖₁ grows like √d".to_owned(),
        subtitle: "σ² = 2 & ε < ∞".to_owned(),
        x: axis("dimension d", Scale::Log2),
        y: axis("E‖∂ₓL‖₁", Scale::Log10),
        ratio: Some(RatioPanel {
            label: "measured / predicted".to_owned(),
            curves: curves.iter().enumerate().map(ratios).collect(),
            reference: 1.0,
            band: Some((1.0 - 0.02, 1.0 + 0.02)),
        }),
        curves,
        footnote: "Small print.".to_owned(),
    }
}

/// Curves that all coincide, with points at powers of two from 2⁶.
fn coinciding(curves: usize, points: i32) -> Figure {
    let points: Vec<Point> = (6..6 + points).map(|k| point(2f64.powi(k), 2f64.powi(k).sqrt())).collect();
    let named = |i| curve(&format!("curve {i}"), points.clone());
    figure((0..curves).map(named).collect())
}

fn scene(figure: &Figure) -> Scene {
    compose(figure, &Page::default()).expect("the figure has values")
}

fn says(scene: &Scene, text: &str) -> bool {
    scene.texts().any(|t| t.content.contains(text))
}

/// Asserts that text neither overlaps other text nor leaves the canvas, on every kind of page.
fn assert_legible(figure: &Figure) {
    Page::kinds().for_each(|page| assert_legible_on(figure, &page));
}

fn assert_legible_on(figure: &Figure, page: &Page) {
    let scene = compose(figure, page).expect("the figure has values");
    let (width, height) = (f64::from(scene.size.0), f64::from(scene.size.1));
    let texts: Vec<_> = scene.texts().map(|t| (&t.content, t.bounds())).collect();
    for (i, (content, a)) in texts.iter().enumerate() {
        let inside = a.left >= 0.0 && a.top >= 0.0 && a.right <= width && a.bottom <= height;
        assert!(inside, "{content} leaves the canvas of {page:?}: {a:?}");
        for (other, b) in &texts[..i] {
            let apart = a.left >= b.right || b.left >= a.right || a.top >= b.bottom || b.top >= a.bottom;
            assert!(apart, "{content} overlaps {other} on {page:?}: {a:?} {b:?}");
        }
    }
}

#[test]
fn text_is_legible_whatever_the_number_of_curves_and_points() {
    for (curves, points) in [(1, 1), (1, 20), (3, 11), (8, 11), (8, 20), (30, 5)] {
        assert_legible(&coinciding(curves, points));
    }
}

#[test]
fn long_texts_are_broken_or_shortened() {
    let mut long = coinciding(3, 5);
    let text = "so many words that they cannot possibly fit into a single line ".repeat(6);
    for field in [&mut long.title, &mut long.subtitle, &mut long.footnote, &mut long.x.label, &mut long.y.label] {
        field.clone_from(&text);
    }
    for curve in &mut long.curves {
        curve.label = "x".repeat(200);
        curve.annotation.clone_from(&text);
    }
    assert_legible(&long);
    assert!(says(&scene(&long), "xxx…"));
}

#[test]
fn ten_decades_and_large_abscissas_are_legible() {
    let points = (0..20).map(|k| point(64.0 * 2.4f64.powi(k), 10f64.powf(-0.5 * f64::from(k))));
    let mut wide = figure(vec![curve("vanishing", points.collect())]);
    assert_legible(&wide);
    wide.ratio = None;
    wide.x.scale = Scale::Linear;
    assert_legible(&wide);
}

#[test]
fn the_key_names_only_what_is_there() {
    let mut plain = coinciding(2, 3);
    let full = scene(&plain);
    for entry in ["theory", "predicted law", "bars 95 %", "0.98–1.02"] {
        assert!(says(&full, entry), "{entry}");
    }
    plain.ratio = None;
    for curve in &mut plain.curves {
        curve.annotation.clear();
        curve.theory.clear();
        curve.guides.clear();
        for p in &mut curve.points {
            (p.std_error, p.q10, p.q90) = (0.0, p.mean, p.mean);
        }
    }
    let bare = scene(&plain);
    for entry in ["theory", "predicted", "bars", "pale", "tolerance", "not drawn"] {
        assert!(!says(&bare, entry), "{entry}");
    }
    assert!(says(&bare, "mean"));
}

#[test]
fn values_without_a_place_are_counted() {
    let mut odd = coinciding(1, 6);
    let points = &mut odd.curves[0].points;
    points[0].mean = f64::NAN;
    points[1].mean = -1.0;
    points[2].x = f64::INFINITY;
    points[3].std_error = f64::NAN;
    points[3].q10 = f64::NEG_INFINITY;
    points[4].q90 = f64::INFINITY;
    assert!(says(&scene(&odd), "3 points not drawn"));
    odd.curves[0].points.truncate(1);
    assert!(says(&scene(&odd), "1 point not drawn"));
}

#[test]
fn an_empty_ratio_panel_is_left_out() {
    let mut empty = coinciding(2, 4);
    empty.ratio.as_mut().unwrap().curves.clear();
    let drawn = scene(&empty);
    assert!(!says(&drawn, "measured / predicted") && !says(&drawn, "tolerance"));
    assert_legible(&empty);
}

#[test]
fn a_ratio_of_a_curve_that_does_not_exist_is_drawn_all_the_same() {
    let mut strange = coinciding(1, 4);
    strange.ratio.as_mut().unwrap().curves[0].curve = usize::MAX;
    assert_legible(&strange);
}

#[test]
fn the_svg_contains_the_texts_and_has_the_nominal_size() {
    let document = paint::svg(&scene(&coinciding(2, 4))).unwrap();
    for text in ["‖∂ₓL‖₁ grows like √d", "σ² = 2 &amp; ε &lt; ∞", "curve 1", "2⁷"] {
        assert!(document.contains(text), "{text}");
    }
    assert!(document.starts_with("<svg width=\"900\" height=\"700\" viewBox=\"0 0 9000 7000\""));
    assert!(document.contains(", DejaVu Sans, sans-serif\"") && document.contains("<desc>Small print.</desc>"));
    assert_eq!(document.matches("@font-face").count(), 2);
    assert!(document.trim_end().ends_with("</svg>"));
}

#[test]
fn paper_has_millimetres_and_bitmaps_say_their_size() {
    let figure = coinciding(3, 5);
    let document = paint::svg(&compose(&figure, &Page::new(Width::Column, false)).unwrap()).unwrap();
    assert!(document.starts_with("<svg width=\"86.36mm\""), "{}", &document[..60]);
    assert!(!document.contains("grows like"));
    for (width, pixels, per_metre) in [(Width::Natural, 1800, 7559), (Width::Column, 1020, 11811)] {
        let png = files(&figure, &Page::new(width, true), &[Form::Png]).unwrap().remove(0).1;
        assert!(png.starts_with(b"\x89PNG"));
        assert_eq!(png[16..20], u32::to_be_bytes(pixels));
        let place = png.windows(4).position(|window| window == b"pHYs").unwrap() + 4;
        assert_eq!(png[place..place + 4], u32::to_be_bytes(per_metre));
    }
}

#[test]
fn all_forms_are_written_from_one_scene() {
    let directory = tempfile::tempdir().unwrap();
    let figure = coinciding(3, 5);
    write(&figure, &Page::default(), &Form::ALL, directory.path(), "a").unwrap();
    let read = |form: Form| std::fs::read(directory.path().join(format!("a.{}", form.suffix()))).unwrap();
    assert_eq!(read(Form::Png)[16..24], [0, 0, 0x07, 0x08, 0, 0, 0x05, 0x78]);
    assert!(String::from_utf8(read(Form::Svg)).unwrap().contains("curve 2"));
    assert!(read(Form::Pdf).starts_with(b"%PDF"));
    let table = String::from_utf8(read(Form::Csv)).unwrap();
    // Three curves of five points with as many ratios, lines of theory and laws.
    assert_eq!(table.lines().count(), 1 + 3 * 4 * 5);
    let first = &figure.curves[0].points[0];
    assert!(table.contains(&format!("\n,curve 0,measured,64,{},", first.mean)), "{table}");
    assert!(table.contains("measured / predicted,curve 2,measured,64,1.01,"), "{table}");
}

#[test]
fn a_sheet_has_every_figure_with_its_letter() {
    let drawings = |count| -> Vec<Box<dyn Drawing>> { (0..count).map(|_| Box::new(coinciding(2, 4)) as _).collect() };
    let mut with_nothing = drawings(4);
    with_nothing.insert(1, Box::new(figure(vec![])));
    let sheet = Sheet(with_nothing);
    for page in [Page::default(), Page::new(Width::Page, false), Page::new(Width::Column, true)] {
        let scene = sheet.scene(&page).unwrap();
        for letter in ["a", "b", "c", "d"] {
            let lettered = |text: &&Text| text.content == letter || text.content.starts_with(&format!("{letter} ‖"));
            assert_eq!(scene.texts().filter(lettered).count(), 1, "{letter}");
        }
        let (width, height) = (f64::from(scene.size.0), f64::from(scene.size.1));
        let bounds = scene.texts().map(Text::bounds);
        assert!(bounds.into_iter().all(|b| b.left >= 0.0 && b.right <= width && b.bottom <= height));
    }
    assert!(sheet.points().iter().any(|point| point.panel == "d measured / predicted"));
    assert!(Sheet(Vec::new()).scene(&Page::default()).is_none());
}

#[test]
fn errors_say_what_failed() {
    let nowhere = std::path::Path::new("/nonexistent/directory");
    for (figure, nothing) in [(figure(vec![]), true), (coinciding(1, 3), false)] {
        for form in Form::ALL {
            let error = write(&figure, &Page::default(), &[form], nowhere, "a").unwrap_err();
            assert_eq!(matches!(error, FigureError::NothingToDraw), nothing);
            assert_eq!(error.to_string().contains("/nonexistent/directory/a."), !nothing);
        }
    }
}
