//! The key: one line that says what the marks mean, naming only marks that
//! are in the figure. Figures of several panels name their series there, too.

use plotters::style::RGBAColor;

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

/// Distance of consecutive rows.
const LINE_HEIGHT: f64 = 1.4 * theme::KEY_SIZE;

/// What an entry shows in front of its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sample {
    /// A marker without a bar.
    Mean,
    /// A marker with an error bar.
    MeanWithBar,
    /// A pale bar with a median.
    Deciles,
    /// An exact curve.
    Theory,
    /// A dashed line.
    Guide,
    /// A line to compare with.
    Reference,
    /// A shaded tolerance.
    Band,
    /// The marker of the series with this index.
    Marker(usize),
    /// The same on a line.
    JoinedMarker(usize),
    /// A bar alone.
    Bar,
    /// Text alone.
    Nothing,
}

impl Sample {
    /// Where the text begins.
    fn indent(self) -> f64 {
        match self {
            Sample::Nothing => 0.0,
            Sample::Marker(_) | Sample::Bar => 0.6 * SAMPLE + SAMPLE_GAP,
            _ => SAMPLE + SAMPLE_GAP,
        }
    }
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
    let guide = figure.curves.iter().flat_map(|curve| &curve.guides).any(|guide| guide.len() > 1);
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
        let reference = format!("lower panel: as predicted at {}", brief(ratio.reference));
        found.push(match ratio.band {
            Some((low, high)) => (Sample::Band, format!("{reference}, tolerance {}–{}", brief(low), brief(high))),
            None => (Sample::Reference, reference),
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

/// Draws the key of a figure from the top of `column` downwards and returns where it ends.
pub fn draw(scene: &mut Scene, figure: &Figure, has_ratio: bool, missing: usize, column: Rect) -> f64 {
    draw_entries(scene, &entries(figure, has_ratio, missing), column)
}

/// Width of entries side by side.
pub fn width(entries: &[(Sample, String)]) -> f64 {
    entries.iter().map(entry_width).sum::<f64>() + ENTRY_GAP * entries.len().saturating_sub(1) as f64
}

/// Width of one entry.
fn entry_width((sample, text): &(Sample, String)) -> f64 {
    sample.indent() + font::width(text, theme::KEY_SIZE, false)
}

/// Draws entries from the top of `column` downwards, in as many rows as they need; returns where they end.
pub fn draw_entries(scene: &mut Scene, entries: &[(Sample, String)], column: Rect) -> f64 {
    let (mut x, mut top) = (column.left, column.top);
    for entry in entries {
        let width = entry_width(entry);
        if x > column.left && x + width > column.right {
            (x, top) = (column.left, top + LINE_HEIGHT);
        }
        draw_entry(scene, entry, (x, top), column.width());
        x += width + ENTRY_GAP;
    }
    if entries.is_empty() { top } else { top + LINE_HEIGHT }
}

/// Draws entries like [`draw_entries`], but one below another in columns, as many in each row as fit; returns where
/// they end.
pub fn draw_columns(scene: &mut Scene, entries: &[(Sample, String)], column: Rect) -> f64 {
    let widths = |columns: usize| -> Vec<f64> {
        let all = entries.iter().map(entry_width).enumerate();
        (0..columns)
            .map(|c| all.clone().filter(|(i, _)| i % columns == c).map(|(_, w)| w).fold(0.0, f64::max))
            .collect()
    };
    let fits =
        |columns: &usize| widths(*columns).iter().map(|w| w + ENTRY_GAP).sum::<f64>() - ENTRY_GAP <= column.width();
    let most = (1..=entries.len()).rev().find(fits).unwrap_or(1);
    let rows = entries.len().div_ceil(most);
    // The last row is as full as the others where that can be had for no more rows.
    let columns = (1..most).find(|columns| entries.len().div_ceil(*columns) == rows).filter(fits).unwrap_or(most);
    let widths = widths(columns);
    for (i, entry) in entries.iter().enumerate() {
        let before: f64 = widths[..i % columns].iter().map(|w| w + ENTRY_GAP).sum();
        let at = (column.left + before, column.top + (i / columns) as f64 * LINE_HEIGHT);
        draw_entry(scene, entry, at, column.width());
    }
    column.top + rows as f64 * LINE_HEIGHT
}

/// Draws one entry, shortened to `room`, at its upper left corner.
fn draw_entry(scene: &mut Scene, (sample, text): &(Sample, String), (x, top): (f64, f64), room: f64) {
    let size = theme::KEY_SIZE;
    let text = font::ellipsised(text, size, false, room - sample.indent());
    let baseline = top + 0.95 * size;
    draw_sample(scene, *sample, x, baseline - 0.31 * size);
    scene.text(Text::new(text, (x + sample.indent(), baseline), size, theme::FAINT_TEXT));
}

/// Draws the sample of an entry around the height `y`.
fn draw_sample(scene: &mut Scene, sample: Sample, left: f64, y: f64) {
    let right = left + sample.indent() - SAMPLE_GAP;
    let middle = (left + right) / 2.0;
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
            draw_bar(scene, (middle, y), grey);
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
        Sample::Marker(series) => marks::draw_marker(scene, series, (middle, y), 1.0),
        Sample::JoinedMarker(series) => {
            marks::draw_series(scene, vec![(left, y), (right, y)], series);
            marks::draw_marker(scene, series, (middle, y), 1.0);
        }
        Sample::Bar => draw_bar(scene, (middle, y), grey),
        Sample::Nothing => {}
    }
}

/// Draws the sample of an error bar.
fn draw_bar(scene: &mut Scene, (x, y): (f64, f64), colour: RGBAColor) {
    for (from, to) in [
        ((x, y - 7.5), (x, y + 7.5)),
        ((x - theme::CAP, y - 7.5), (x + theme::CAP, y - 7.5)),
        ((x - theme::CAP, y + 7.5), (x + theme::CAP, y + 7.5)),
    ] {
        scene.line(from, to, theme::BAR_WIDTH, colour);
    }
}
