//! Composes a figure into a scene: places headings, panels, labels and small
//! print, and draws them from back to front.

use super::axes::Side;
use super::description::{Figure, RatioPanel, Scale};
use super::layout::{Panel, Range, dodge, is_drawable};
use super::page::Page;
use super::scene::{Rect, Scene};
use super::{axes, font, headings, key, labels, marks, theme};

/// Distance at which two markers hide one another.
const MARKER_REACH: f64 = 7.0;
/// Distance of means that are set side by side, and the share of the space
/// between abscissas they may fill: little, because on a sloped curve whatever
/// is shifted sideways seems to be off the curve.
const MEAN_DODGE: (f64, f64) = (4.0, 0.4);
/// The same for ratios, whose intervals have to be told apart.
const RATIO_DODGE: (f64, f64) = (6.0, 0.75);

/// Draws the figure, or nothing if there is not one value that can be drawn.
pub fn compose(figure: &Figure, page: &Page) -> Option<Scene> {
    let whole = page.width.units().unwrap_or(theme::SIZE.0);
    let x = Range::around(figure.x.scale, abscissas(figure), side_padding(figure, whole))?;
    let y = Range::around(figure.y.scale, ordinates(figure), 0.05)?;
    let ratio = figure.ratio.as_ref().and_then(|ratio| Some((ratio, ratio_range(figure, ratio)?)));

    let mut scene = Scene::on(page.width);
    scene.title.clone_from(&figure.title);
    scene.note.clone_from(&figure.footnote);
    let width = f64::from(whole);
    let sheet = Rect { left: theme::MARGIN, top: theme::MARGIN, right: width - theme::MARGIN, bottom: f64::INFINITY };
    let top = headings::draw_titles(&mut scene, page, (&figure.title, &figure.subtitle), sheet);
    let row = Rect { top: top + 2.0, ..sheet };
    let top = key::draw(&mut scene, figure, ratio.is_some(), undrawn(figure), row) + 8.0;
    let lines = headings::small_print(page, &figure.footnote, sheet.width());
    let foot = headings::small_print_height(lines.len()) + theme::MARGIN;
    let numbers = axes::numbers_height() + 1.5 * theme::AXIS_SIZE;

    let beside = (width >= theme::LABELS_BESIDE).then(|| theme::LABEL_COLUMN.min(theme::LABEL_SHARE * width));
    let bottom = match beside {
        Some(_) => width * theme::HEIGHT[usize::from(page.titled)] - foot - numbers,
        None => top + width * theme::STACK[usize::from(ratio.is_some())],
    };
    let right = sheet.right - beside.unwrap_or(theme::GRID_OVERHANG);
    draw_panels(&mut scene, figure, (x, y), ratio, Rect { top, bottom, left: sheet.left, right }, beside);
    let end = match beside {
        Some(_) => bottom + numbers,
        None => labels::draw_beneath(&mut scene, &figure.curves, Rect { top: bottom + numbers, ..sheet }),
    };
    let height = (end + foot).round();
    scene.size = (whole, height as u32);
    headings::draw_small_print(&mut scene, lines, Rect { bottom: height - theme::MARGIN, ..sheet });
    Some(scene)
}

/// Divides `stack` among the panels and draws them, with the labels of the curves in a column beside them if it has a width.
fn draw_panels(
    scene: &mut Scene,
    figure: &Figure,
    (x, y): (Range, Range),
    ratio: Option<(&RatioPanel, Range)>,
    stack: Rect,
    labels: Option<f64>,
) {
    let upper_height = match ratio {
        Some(_) => (stack.height() - theme::PANEL_GAP) * theme::UPPER_SHARE,
        None => stack.height(),
    };
    let split = stack.top + upper_height;
    let lower_top = split + theme::PANEL_GAP;
    let side = Side::new(y, &figure.y.label, upper_height);
    let lower = ratio.map(|(ratio, range)| {
        let side = Side::new(range, &ratio.label, stack.bottom - lower_top);
        (ratio, range, side)
    });
    // Both panels start at the same x, whichever has the longer numbers.
    let margin = lower.iter().map(|(.., side)| side.width()).fold(side.width(), f64::max);
    let area = Rect { left: stack.left + margin, ..stack };
    let x_ticks = axes::horizontal_ticks(x, &figure.x.marks, area.width());

    let upper = Panel { rect: Rect { bottom: split, ..area }, x, y };
    axes::draw(scene, &upper, &x_ticks, &side, stack.left);
    if let Some(width) = labels {
        let column = Rect { left: area.right, right: area.right + width, ..upper.rect };
        // The leaders of the labels belong beneath the data.
        labels::draw(scene, &upper, &figure.curves, column, stack.bottom);
    }
    draw_curves(scene, figure, &upper);

    let mut lowest = upper;
    if let Some((ratio, range, side)) = lower {
        lowest = Panel { rect: Rect { top: lower_top, ..area }, x, y: range };
        draw_tolerance(scene, ratio, &lowest);
        axes::draw(scene, &lowest, &x_ticks, &side, stack.left);
        draw_ratios(scene, ratio, &lowest);
    }
    axes::draw_x_numbers(scene, &lowest, &x_ticks);
    let width = lowest.rect.width();
    let name = font::ellipsised(&figure.x.label, theme::AXIS_SIZE, false, width);
    axes::draw_x_name(scene, &lowest, &[name]);
}

/// Draws all curves, layer by layer, so that no bar hides another's marker.
fn draw_curves(scene: &mut Scene, figure: &Figure, panel: &Panel) {
    let places: Vec<Vec<(f64, f64)>> = figure
        .curves
        .iter()
        .map(|curve| {
            let means = curve.points.iter().map(|p| (p.x, p.mean));
            means.filter_map(|p| panel.place(p)).collect()
        })
        .collect();
    let dodges = dodge(&places, MARKER_REACH, MEAN_DODGE.0, MEAN_DODGE.1);
    let curves = || figure.curves.iter().zip(&dodges).enumerate();
    for (_, (curve, _)) in curves() {
        curve.guides.iter().for_each(|guide| marks::draw_guide(scene, panel, guide));
    }
    for (i, (curve, dodge)) in curves() {
        marks::draw_spread(scene, panel, curve, i, *dodge);
    }
    for (i, (curve, _)) in curves() {
        marks::draw_theory(scene, panel, curve, i);
    }
    for (i, (curve, dodge)) in curves() {
        marks::draw_means(scene, panel, curve, i, *dodge);
    }
}

/// Shades the tolerance of the ratios.
fn draw_tolerance(scene: &mut Scene, ratio: &RatioPanel, panel: &Panel) {
    if let Some((low, high)) = drawable_band(ratio) {
        let band = Rect { top: panel.py(low.max(high)), bottom: panel.py(low.min(high)), ..panel.rect };
        scene.rect(band, theme::BAND);
    }
}

/// Draws the reference line and the ratios, side by side wherever several
/// share an abscissa.
fn draw_ratios(scene: &mut Scene, ratio: &RatioPanel, panel: &Panel) {
    let r = panel.rect;
    if is_drawable(Scale::Linear, ratio.reference) {
        let y = panel.py(ratio.reference);
        scene.line((r.left, y), (r.right, y), 1.0, theme::REFERENCE);
    }
    let places: Vec<Vec<(f64, f64)>> = ratio
        .curves
        .iter()
        .map(|curve| {
            let ratios = curve.points.iter().map(|p| (p.x, p.ratio));
            ratios.filter_map(|p| panel.place(p)).collect()
        })
        .collect();
    let dodges = dodge(&places, f64::INFINITY, RATIO_DODGE.0, RATIO_DODGE.1);
    for (curve, dodge) in ratio.curves.iter().zip(dodges) {
        marks::draw_ratios(scene, panel, curve, dodge);
    }
}

/// Which share of the abscissas' range is left free on either side: enough for ratios that are set side by side.
fn side_padding(figure: &Figure, width: u32) -> f64 {
    let ratios = figure.ratio.as_ref().map_or(0, |ratio| ratio.curves.len());
    let reach = RATIO_DODGE.0 * ratios as f64 / 2.0 + MARKER_REACH;
    // Of a panel that is about as wide, and no more than leaves half of it to the range.
    (reach / (0.7 * f64::from(width))).clamp(0.05, 0.5)
}

/// Everything that the horizontal axis has to reach.
fn abscissas(figure: &Figure) -> impl Iterator<Item = f64> {
    let measured = figure.curves.iter().flat_map(|curve| &curve.points);
    let drawn = measured.filter(|p| is_drawable(figure.y.scale, p.mean));
    let lines = figure.curves.iter().flat_map(lines_of);
    let drawn_lines = lines.filter(|p| is_drawable(figure.y.scale, p.1));
    drawn.map(|p| p.x).chain(drawn_lines.map(|p| p.0))
}

/// Everything that the vertical axis of the upper panel has to reach.
fn ordinates(figure: &Figure) -> impl Iterator<Item = f64> {
    let (x, y) = (figure.x.scale, figure.y.scale);
    let measured = figure.curves.iter().flat_map(|curve| &curve.points);
    let drawn = measured.filter(move |p| is_drawable(x, p.x) && is_drawable(y, p.mean));
    let reached = drawn.flat_map(move |p| {
        let bar = marks::half_bar(p);
        let ends = [p.mean, p.mean + bar, p.mean - bar, p.q10, p.q90];
        // On a logarithmic axis, a bar that ends close to zero would reach
        // down by many empty decades; it is cut off at the edge instead.
        let lowest = match y {
            Scale::Linear => f64::NEG_INFINITY,
            Scale::Log2 | Scale::Log10 => p.mean * 0.01,
        };
        ends.into_iter().filter(move |&end| end >= lowest)
    });
    let lines = figure.curves.iter().flat_map(lines_of);
    let drawn_lines = lines.filter(move |p| is_drawable(x, p.0));
    reached.chain(drawn_lines.map(|p| p.1))
}

/// The points of a curve's predictions.
fn lines_of(curve: &super::Curve) -> impl Iterator<Item = &(f64, f64)> {
    curve.theory.iter().chain(curve.guides.iter().flatten())
}

/// The range of the lower panel, if there is a ratio that can be drawn.
fn ratio_range(figure: &Figure, ratio: &RatioPanel) -> Option<Range> {
    let points = ratio.curves.iter().flat_map(|curve| &curve.points);
    let drawn = points.filter(|p| is_drawable(figure.x.scale, p.x));
    let mut values: Vec<f64> = drawn
        .filter(|p| is_drawable(Scale::Linear, p.ratio))
        .flat_map(|p| [p.ratio - marks::half_interval(p), p.ratio + marks::half_interval(p)])
        .collect();
    if values.is_empty() {
        return None;
    }
    values.push(ratio.reference);
    values.extend(drawable_band(ratio).into_iter().flat_map(|(a, b)| [a, b]));
    Range::around(Scale::Linear, values, 0.08)
}

/// The tolerance, if it is a pair of numbers.
fn drawable_band(ratio: &RatioPanel) -> Option<(f64, f64)> {
    let drawable = |v: &f64| is_drawable(Scale::Linear, *v);
    ratio.band.filter(|(a, b)| drawable(a) && drawable(b))
}

/// How many measured points and ratios the axes have no place for.
fn undrawn(figure: &Figure) -> usize {
    let (x, y) = (figure.x.scale, figure.y.scale);
    let means = figure.curves.iter().flat_map(|curve| &curve.points);
    let means = means.filter(|p| !(is_drawable(x, p.x) && is_drawable(y, p.mean)));
    let ratios = figure.ratio.iter().flat_map(|ratio| &ratio.curves);
    let ratios = ratios.flat_map(|curve| &curve.points);
    let ratios = ratios.filter(|p| !(is_drawable(x, p.x) && is_drawable(Scale::Linear, p.ratio)));
    means.count() + ratios.count()
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
