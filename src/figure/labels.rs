//! Direct labels: the column at the right that names each curve next to its
//! last point, so that nobody has to look colours up in a legend. A figure that
//! is too narrow for it has its labels beneath.

use super::description::Curve;
use super::font;
use super::layout::{Panel, push_apart};
use super::marks;
use super::scene::{Rect, Scene, Text};
use super::theme;

/// Space left of the text, for the leader and the marker.
const INDENT: f64 = 40.0;
/// The same where labels stand beneath the panels.
const INDENT_BENEATH: f64 = 18.0;
/// Space between labels.
const GAP: f64 = 7.0;

/// How much of the labels is shown, from everything to ever less.
const DETAILS: [(usize, usize); 4] = [(2, 3), (1, 2), (1, 1), (1, 0)];

/// A label, broken into lines.
struct Block {
    curve: usize,
    label: Vec<String>,
    annotation: Vec<String>,
    /// Text size as a share of the usual one.
    zoom: f64,
}

impl Block {
    fn new(index: usize, curve: &Curve, room: f64, (lines, more): (usize, usize), zoom: f64) -> Self {
        let (label, small) = (theme::LABEL_SIZE * zoom, theme::ANNOTATION_SIZE * zoom);
        Block {
            curve: index,
            label: font::wrapped(&curve.label, label, true, room, lines),
            annotation: font::wrapped(&curve.annotation, small, false, room, more),
            zoom,
        }
    }

    fn height(&self) -> f64 {
        let lines =
            theme::LABEL_SIZE * self.label.len().max(1) as f64 + theme::ANNOTATION_SIZE * self.annotation.len() as f64;
        lines * theme::LEADING * self.zoom
    }

    /// Distance of the middle of the first line from the top.
    fn first_middle(&self) -> f64 {
        theme::LABEL_SIZE * self.zoom * 0.58
    }

    fn draw(&self, scene: &mut Scene, left: f64, top: f64) {
        let size = theme::LABEL_SIZE * self.zoom;
        let mut baseline = top + self.first_middle() + 0.31 * size;
        for line in &self.label {
            let text = Text::new(line, (left, baseline), size, theme::ink(self.curve));
            scene.text(Text { bold: true, ..text });
            baseline += size * theme::LEADING;
        }
        let small = theme::ANNOTATION_SIZE * self.zoom;
        baseline -= (size - small) * theme::LEADING;
        for line in &self.annotation {
            let colour = theme::FAINT_TEXT;
            scene.text(Text::new(line, (left, baseline), small, colour));
            baseline += small * theme::LEADING;
        }
    }
}

/// Draws the labels of all curves into `column`. They may use the column down
/// to `lowest` if the height of the panel does not suffice.
pub fn draw(scene: &mut Scene, panel: &Panel, curves: &[Curve], column: Rect, lowest: f64) {
    let room = column.width() - INDENT;
    let height = lowest - column.top;
    let blocks = fitting(curves, room, height);
    let gap = gap_of(&blocks);
    let needed = total(&blocks);
    let bottom = if needed <= column.height() { column.bottom } else { lowest };
    let ends: Vec<Option<(f64, f64)>> = curves.iter().map(|curve| last_place(panel, curve)).collect();
    let wishes: Vec<(f64, f64)> = blocks
        .iter()
        .zip(&ends)
        .map(|(block, end)| {
            let anchor = end.map_or(column.bottom, |(_, y)| y);
            (anchor - block.first_middle(), block.height())
        })
        .collect();
    let tops = push_apart(&wishes, gap, column.top, bottom);
    for ((block, end), top) in blocks.iter().zip(ends).zip(tops) {
        let middle = (column.left + INDENT - 10.0, top + block.first_middle());
        if let Some(end) = end {
            draw_leader(scene, panel, block.curve, end, middle);
        }
        marks::draw_marker(scene, block.curve, middle, block.zoom);
        block.draw(scene, column.left + INDENT, top);
    }
}

/// Draws the labels of all curves one below another, from the top of `column`; returns where they end.
pub fn draw_beneath(scene: &mut Scene, curves: &[Curve], column: Rect) -> f64 {
    let room = column.width() - INDENT_BENEATH;
    let mut top = column.top;
    for (i, curve) in curves.iter().enumerate() {
        let block = Block::new(i, curve, room, DETAILS[0], 1.0);
        top += GAP;
        marks::draw_marker(scene, i, (column.left + 0.4 * INDENT_BENEATH, top + block.first_middle()), 1.0);
        block.draw(scene, column.left + INDENT_BENEATH, top);
        top += block.height();
    }
    top
}

/// Labels with as much detail as fits into `height`, smaller if none does.
fn fitting(curves: &[Curve], room: f64, height: f64) -> Vec<Block> {
    let broken = |detail, zoom: f64| -> Vec<Block> {
        curves.iter().enumerate().map(|(i, curve)| Block::new(i, curve, room, detail, zoom)).collect()
    };
    let mut blocks = Vec::new();
    for detail in DETAILS {
        blocks = broken(detail, 1.0);
        if total(&blocks) <= height {
            return blocks;
        }
    }
    let zoom = 0.99 * height / total(&blocks);
    broken(DETAILS[DETAILS.len() - 1], zoom)
}

/// Height of all labels with the space between them.
fn total(blocks: &[Block]) -> f64 {
    let heights: f64 = blocks.iter().map(Block::height).sum();
    heights + gap_of(blocks) * blocks.len().saturating_sub(1) as f64
}

/// Space between labels, which shrinks with them.
fn gap_of(blocks: &[Block]) -> f64 {
    GAP * blocks.first().map_or(1.0, |block| block.zoom)
}

/// Where a curve ends: its last point, or failing that, its last prediction.
fn last_place(panel: &Panel, curve: &Curve) -> Option<(f64, f64)> {
    let rightmost =
        |places: Vec<(f64, f64)>| places.into_iter().filter_map(|p| panel.place(p)).max_by(|a, b| a.0.total_cmp(&b.0));
    rightmost(curve.points.iter().map(|p| (p.x, p.mean)).collect())
        .or_else(|| rightmost(curve.theory.clone()))
        .or_else(|| rightmost(curve.guides.concat()))
}

/// Draws the thin line from the end of a curve to its label.
fn draw_leader(scene: &mut Scene, panel: &Panel, curve: usize, end: (f64, f64), label: (f64, f64)) {
    let colour = theme::faded(theme::colour(curve), 0.45);
    let clear = 2.2 * theme::MARKER_RADIUS;
    // The line runs level through the panel, where it could be taken for data
    // if it were slanted, and turns towards the label outside.
    let turn = (panel.rect.right + 2.0, end.1);
    let goal = (label.0 - clear, label.1);
    scene.path(vec![(end.0 + clear, end.1), turn, goal], 0.8, colour);
}
