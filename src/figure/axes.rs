//! The frame of a panel: grid, ticks, numbers and names of the axes.

use super::font;
use super::layout::{Panel, Range};
use super::scene::{Anchor, Scene, Text};
use super::theme;
use super::ticks::{Tick, ticks};

/// Length of the strokes at labelled ticks; minor ones are shorter.
const STROKE: f64 = 4.5;
/// Space between a number and its axis.
const NUMBER_GAP: f64 = 7.0;
/// Least space between two numbers along the horizontal axis.
const NUMBER_SPACING: f64 = 12.0;

/// Ticks of a horizontal axis whose numbers do not touch: at those of `marks` within the range if they fit, else at
/// round numbers.
pub fn horizontal_ticks(range: Range, marks: &[f64], width: f64) -> Vec<Tick> {
    let (lo, hi) = range.ends();
    let inside = marks.iter().filter(|&&value| range.holds(value));
    let marked: Vec<Tick> = inside.map(|&value| Tick { value, label: value.to_string() }).collect();
    if !marked.is_empty() && are_apart(&marked, range, width) {
        return marked;
    }
    let mut room = (width / 46.0) as usize;
    loop {
        let found = ticks(range.scale, lo, hi, room);
        if room <= 2 || are_apart(&found, range, width) {
            return found;
        }
        room -= 1;
    }
}

/// Ticks of a vertical axis: few, as each has a grid line, but enough to read
/// values off a low panel.
fn vertical_ticks(range: Range, height: f64) -> Vec<Tick> {
    let (lo, hi) = range.ends();
    let room = (height / 40.0).clamp(5.0, 9.0) as usize;
    ticks(range.scale, lo, hi, room)
}

/// Whether the numbers, centred at their ticks, keep their distance.
fn are_apart(found: &[Tick], range: Range, width: f64) -> bool {
    let spans: Vec<(f64, f64)> = found
        .iter()
        .filter(|tick| !tick.label.is_empty())
        .map(|tick| {
            let centre = range.share(tick.value) * width;
            let half = font::width(&tick.label, theme::TICK_SIZE, false) / 2.0;
            (centre - half, centre + half)
        })
        .collect();
    spans.windows(2).all(|pair| pair[1].0 - pair[0].1 >= NUMBER_SPACING)
}

/// What stands left of a panel: the numbers and the name of its axis.
pub struct Side {
    ticks: Vec<Tick>,
    name: Vec<String>,
}

impl Side {
    /// The ticks of an axis of this height, and its name, broken into at most
    /// two lines as long as the axis.
    pub fn new(range: Range, name: &str, height: f64) -> Self {
        Side { ticks: vertical_ticks(range, height), ..Self::bare(name, height) }
    }

    /// An axis without ticks.
    pub fn bare(name: &str, height: f64) -> Self {
        // An equation is not broken at its sign.
        let name = font::wrapped(&name.replace(" = ", "\u{a0}=\u{a0}"), theme::AXIS_SIZE, false, height, 2);
        Side { ticks: Vec::new(), name }
    }

    /// Room that this takes left of the axis.
    pub fn width(&self) -> f64 {
        let numbers = self.ticks.iter().map(|tick| font::width(&tick.label, theme::TICK_SIZE, false));
        let name = theme::AXIS_SIZE * theme::LEADING * self.name.len() as f64;
        name + 4.0 + numbers.fold(0.0, f64::max) + NUMBER_GAP
    }
}

/// Draws all of a panel's axes but the numbers of the horizontal one; `left`
/// is the left edge of the name.
pub fn draw(scene: &mut Scene, panel: &Panel, x_ticks: &[Tick], side: &Side, left: f64) {
    draw_grid(scene, panel, x_ticks, &side.ticks);
    draw_frame(scene, panel, x_ticks, &side.ticks);
    draw_y_name(scene, panel, &side.name, left);
}

/// Room that the numbers of a horizontal axis take beneath it.
pub fn numbers_height() -> f64 {
    NUMBER_GAP + theme::TICK_SIZE
}

/// Draws the grid, which belongs beneath the data.
fn draw_grid(scene: &mut Scene, panel: &Panel, x_ticks: &[Tick], y_ticks: &[Tick]) {
    let r = panel.rect;
    for tick in x_ticks.iter().filter(|tick| !tick.label.is_empty()) {
        let x = panel.px(tick.value);
        scene.line((x, r.top), (x, r.bottom), 0.8, theme::GRID);
    }
    for tick in y_ticks.iter().filter(|tick| !tick.label.is_empty()) {
        let y = panel.py(tick.value);
        scene.line((r.left, y), (r.right, y), 0.8, theme::GRID);
    }
}

/// Draws the axis lines, the strokes and the numbers of the vertical axis.
fn draw_frame(scene: &mut Scene, panel: &Panel, x_ticks: &[Tick], y_ticks: &[Tick]) {
    let r = panel.rect;
    let corner = vec![(r.left, r.top), (r.left, r.bottom), (r.right, r.bottom)];
    scene.path(corner, 1.0, theme::AXIS);
    for tick in x_ticks {
        let x = panel.px(tick.value);
        let end = (x, r.bottom + stroke(tick));
        scene.line((x, r.bottom), end, 1.0, theme::AXIS);
    }
    for tick in y_ticks {
        let y = panel.py(tick.value);
        scene.line((r.left, y), (r.left - stroke(tick), y), 1.0, theme::AXIS);
        let at = (r.left - NUMBER_GAP, y + 0.31 * theme::TICK_SIZE);
        let number = Text::new(&tick.label, at, theme::TICK_SIZE, theme::FAINT_TEXT);
        scene.text(number.anchored(Anchor::End));
    }
}

/// Length of the stroke at a tick.
fn stroke(tick: &Tick) -> f64 {
    if tick.label.is_empty() { STROKE * 0.55 } else { STROKE }
}

/// Draws the numbers of the horizontal axis.
pub fn draw_x_numbers(scene: &mut Scene, panel: &Panel, x_ticks: &[Tick]) {
    let baseline = panel.rect.bottom + NUMBER_GAP + 0.78 * theme::TICK_SIZE;
    for tick in x_ticks {
        let at = (panel.px(tick.value), baseline);
        let number = Text::new(&tick.label, at, theme::TICK_SIZE, theme::FAINT_TEXT);
        scene.text(number.anchored(Anchor::Middle));
    }
}

/// Height of the name of a horizontal axis of so many lines.
pub fn x_name_height(lines: usize) -> f64 {
    theme::AXIS_SIZE * (0.5 + theme::LEADING * lines as f64)
}

/// Draws the name of a horizontal axis beneath its numbers.
pub fn draw_x_name(scene: &mut Scene, panel: &Panel, lines: &[String]) {
    let (r, size) = (panel.rect, theme::AXIS_SIZE);
    for (i, line) in lines.iter().enumerate() {
        let baseline = r.bottom + numbers_height() + size * (1.15 + theme::LEADING * i as f64);
        let at = ((r.left + r.right) / 2.0, baseline);
        scene.text(Text::new(line, at, size, theme::TEXT).anchored(Anchor::Middle));
    }
}

/// Draws the name of a vertical axis upwards; `left` is its left edge.
fn draw_y_name(scene: &mut Scene, panel: &Panel, lines: &[String], left: f64) {
    let centre = (panel.rect.top + panel.rect.bottom) / 2.0;
    for (i, line) in lines.iter().enumerate() {
        let x = left + theme::AXIS_SIZE * (0.75 + theme::LEADING * i as f64);
        let name = Text::new(line, (x, centre), theme::AXIS_SIZE, theme::TEXT);
        scene.text(Text { anchor: Anchor::Middle, upwards: true, ..name });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::description::Scale;

    #[test]
    fn long_numbers_get_fewer_ticks() {
        let near = Range::around(Scale::Linear, [1.000_01, 1.000_02], 0.0).unwrap();
        let far = Range::around(Scale::Linear, [0.0, 10.0], 0.0).unwrap();
        let count = |range| horizontal_ticks(range, &[], 300.0).len();
        assert!(count(near) < count(far));
        assert!(are_apart(&horizontal_ticks(near, &[], 300.0), near, 300.0));
    }
}
