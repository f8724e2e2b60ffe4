//! The key: one line that says what the marks mean, naming only marks that
//! are in the figure.

use super::description::Figure;
use super::font;
use super::layout::is_drawable;
use super::marks;
use super::scene::{Rect, Scene, Text};
use super::theme;

/// Room for the sample in front of each explanation.
const SAMPLE: f64 = 24.0;
/// Space between a sample and its explanation.
const SAMPLE_GAP: f64 = 5.0;
/// Space between entries.
const ENTRY_GAP: f64 = 16.0;

/// What an entry shows in front of its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sample {
    Mean,
    MeanWithBar,
    Deciles,
    Theory,
    Guide,
    Reference,
    Band,
    Nothing,
}

/// The entries that apply to the figure, of which `missing` points are not
/// drawn.
fn entries(figure: &Figure, has_ratio: bool, missing: usize) -> Vec<(Sample, String)> {
    let points = || {
        figure
            .curves
            .iter()
            .flat_map(|curve| &curve.points)
            .filter(|p| is_drawable(figure.x.scale, p.x) && is_drawable(figure.y.scale, p.mean))
    };
    let bars = points().any(|p| marks::half_bar(p) > 0.0);
    let spread = points().any(marks::has_spread);
    let theory = figure.curves.iter().any(|curve| curve.theory.len() > 1);
    let guide = figure.curves.iter().any(|curve| curve.guide.len() > 1);
    let mean = match (points().next().is_some(), bars) {
        (true, true) => Some((Sample::MeanWithBar, "mean, bars 95 %")),
        (true, false) => Some((Sample::Mean, "mean")),
        _ => None,
    };
    let mut found: Vec<(Sample, String)> = [
        mean,
        spread.then_some((Sample::Deciles, "pale: 10–90 % and median")),
        theory.then_some((Sample::Theory, "theory")),
        guide.then_some((Sample::Guide, "predicted law")),
    ]
    .into_iter()
    .flatten()
    .map(|(sample, text)| (sample, text.to_owned()))
    .collect();
    if let Some(ratio) = figure.ratio.as_ref().filter(|_| has_ratio) {
        let reference = brief(ratio.reference);
        found.push(match ratio.band {
            Some((low, high)) => {
                let band = format!("{}–{}", brief(low), brief(high));
                (Sample::Band, format!("lower panel: {reference}, tolerance {band}"))
            }
            None => (Sample::Reference, format!("lower panel: {reference}")),
        });
    }
    if missing > 0 {
        let points = if missing == 1 { "point" } else { "points" };
        found.push((Sample::Nothing, format!("{missing} {points} not drawn")));
    }
    found
}

/// A number without the noise of binary fractions, such as 1 − 0.02.
fn brief(number: f64) -> String {
    let rounded = format!("{number:.5e}").parse().unwrap_or(number);
    format!("{rounded}").replace('-', "−")
}

/// Draws the key from `top` downwards and returns where it ends.
pub fn draw(scene: &mut Scene, figure: &Figure, has_ratio: bool, missing: usize, column: Rect) -> f64 {
    let size = theme::KEY_SIZE;
    let line_height = 1.4 * size;
    let (mut x, mut top) = (column.left, column.top);
    let found = entries(figure, has_ratio, missing);
    for (sample, text) in &found {
        let indent = match sample {
            Sample::Nothing => 0.0,
            _ => SAMPLE + SAMPLE_GAP,
        };
        let width = indent + font::width(text, size, false);
        if x > column.left && x + width > column.right {
            (x, top) = (column.left, top + line_height);
        }
        let baseline = top + 0.95 * size;
        draw_sample(scene, *sample, x, baseline - 0.31 * size);
        let at = (x + indent, baseline);
        scene.text(Text::new(text, at, size, theme::FAINT_TEXT));
        x += width + ENTRY_GAP;
    }
    if found.is_empty() { top } else { top + line_height }
}

/// Draws the sample of an entry around the height `y`.
fn draw_sample(scene: &mut Scene, sample: Sample, left: f64, y: f64) {
    let (right, middle) = (left + SAMPLE, left + SAMPLE / 2.0);
    let box_of = |half_width: f64, half_height: f64| Rect {
        left: middle - half_width,
        top: y - half_height,
        right: middle + half_width,
        bottom: y + half_height,
    };
    let grey = theme::FAINT_TEXT;
    match sample {
        Sample::Mean => scene.disc((middle, y), theme::MARKER_RADIUS, grey),
        Sample::MeanWithBar => {
            for (from, to) in [
                ((middle, y - 7.5), (middle, y + 7.5)),
                ((middle - theme::CAP, y - 7.5), (middle + theme::CAP, y - 7.5)),
                ((middle - theme::CAP, y + 7.5), (middle + theme::CAP, y + 7.5)),
            ] {
                scene.line(from, to, theme::BAR_WIDTH, grey);
            }
            scene.disc((middle, y), theme::MARKER_RADIUS, grey);
        }
        Sample::Deciles => {
            let half = theme::DECILE_WIDTH / 2.0;
            scene.rect(box_of(half, 7.5), theme::faded(grey, 0.26));
            let ends = ((middle - half - 0.8, y), (middle + half + 0.8, y));
            scene.line(ends.0, ends.1, 1.4, theme::faded(grey, 0.6));
        }
        Sample::Theory => scene.line((left, y), (right, y), theme::THEORY_WIDTH, grey),
        Sample::Guide => {
            let ends = [(left, y), (right, y)];
            scene.dashed(&ends, theme::GUIDE_WIDTH, theme::DASH, theme::GUIDE);
        }
        Sample::Reference => scene.line((left, y), (right, y), 1.0, theme::REFERENCE),
        Sample::Band => {
            scene.rect(box_of(SAMPLE / 2.0, 6.0), theme::BAND);
            scene.line((left, y), (right, y), 1.0, theme::REFERENCE);
        }
        Sample::Nothing => {}
    }
}
