//! Text inside a panel, placed where it hides as little of the data as can be.

use crate::figure::layout::{Dodge, Panel as Frame};
use crate::figure::scene::{Anchor, Rect, Scene, Text};
use crate::figure::{font, marks, theme};

use super::data;
use super::description::Panel;

/// Space between the text and the edges of the panel.
const EDGE: f64 = 6.0;
/// Space between the text and the guide line that it belongs to.
const GUIDE_GAP: f64 = 4.0;
/// Space between the text and what it should not hide.
const CLEARANCE: f64 = 3.0;
/// Distance of the samples by which lines are represented.
const STEP: f64 = 3.0;
/// Heights that are tried for the annotation, and places along the guide line that are tried for its label.
const LEVELS: usize = 9;

/// Draws the label of the guide line and the annotation of a panel, over the data.
pub fn draw(scene: &mut Scene, panel: &Panel, frame: &Frame, dodges: &[Dodge]) {
    let room = frame.rect.width() - 2.0 * EDGE;
    let mut occupied = Occupied::by_data(panel, frame, dodges);
    let guide = marks::runs(frame, &panel.guide);
    let label = if guide.iter().any(|run| run.len() > 1) { panel.guide_label.as_str() } else { "" };
    for (text, most, beside) in [(label, 1, guide), (panel.annotation.as_str(), 2, Vec::new())] {
        let lines = font::wrapped(text, theme::INSET_SIZE, false, room, most);
        let size = extent(&lines);
        let mut candidates = beside_lines(&beside, size, frame.rect);
        if candidates.is_empty() {
            candidates = along_edges(size, frame.rect);
        }
        let crowd = |place: &Rect| occupied.count_in(place);
        let best = candidates.into_iter().min_by_key(crowd).filter(|_| !lines.is_empty());
        if let Some(best) = best {
            write(scene, &lines, best, frame.rect);
            occupied.texts.push(best);
        }
    }
}

/// Width and height of lines of text.
fn extent(lines: &[String]) -> (f64, f64) {
    let width = lines.iter().map(|line| font::width(line, theme::INSET_SIZE, false)).fold(0.0, f64::max);
    (width, theme::INSET_SIZE * (theme::LEADING * (lines.len() as f64 - 1.0) + 1.0))
}

/// Places of text of this size beside lines, the ends of which come first.
fn beside_lines(lines: &[Vec<(f64, f64)>], (width, height): (f64, f64), frame: Rect) -> Vec<Rect> {
    let places: Vec<(f64, f64)> = lines.iter().flat_map(|line| sampled(line)).collect();
    let anchors = (0..LEVELS).rev().filter_map(|i| places.get(i * places.len().saturating_sub(1) / (LEVELS - 1)));
    anchors
        .flat_map(|&(x, y)| {
            let (over, under) = (y - GUIDE_GAP - height, y + GUIDE_GAP);
            let (before, after) = (x - width - GUIDE_GAP, x + GUIDE_GAP);
            [(before, over), (after, under), (after, over), (before, under), (x - width / 2.0, over)]
        })
        .map(|(left, top)| Rect { left, top, right: left + width, bottom: top + height })
        .filter(|r| r.left > frame.left && r.right < frame.right && r.top > frame.top && r.bottom < frame.bottom)
        .collect()
}

/// Places of text of this size at the edges of the panel and between them, the best of which come first.
fn along_edges((width, height): (f64, f64), frame: Rect) -> Vec<Rect> {
    let (least, most) = (frame.top + EDGE, (frame.bottom - EDGE - height).max(frame.top + EDGE));
    let mut levels: Vec<usize> = (0..LEVELS).collect();
    levels.sort_by_key(|&i| i.min(LEVELS - 1 - i));
    let lefts = [frame.left + EDGE, frame.right - EDGE - width, (frame.left + frame.right - width) / 2.0];
    levels
        .into_iter()
        .map(|i| least + (most - least) * i as f64 / (LEVELS - 1) as f64)
        .flat_map(|top| lefts.map(|left| Rect { left, top, right: left + width, bottom: top + height }))
        .collect()
}

/// Writes lines of text into `place`, flush with the edge of the panel that it is closer to.
fn write(scene: &mut Scene, lines: &[String], place: Rect, frame: Rect) {
    let (x, anchor) = if place.left - frame.left <= frame.right - place.right {
        (place.left, Anchor::Start)
    } else {
        (place.right, Anchor::End)
    };
    // Grid lines stop short of the text.
    scene.rect(place, theme::faded(theme::PAPER, 0.75));
    for (i, line) in lines.iter().enumerate() {
        let baseline = place.top + theme::INSET_SIZE * (0.79 + theme::LEADING * i as f64);
        scene.text(Text::new(line, (x, baseline), theme::INSET_SIZE, theme::FAINT_TEXT).anchored(anchor));
    }
}

/// What text in a panel should not hide.
struct Occupied {
    /// Points on markers, bars and lines.
    data: Vec<(f64, f64)>,
    /// Text that has been placed.
    texts: Vec<Rect>,
}

impl Occupied {
    fn by_data(panel: &Panel, frame: &Frame, dodges: &[Dodge]) -> Self {
        let mut found: Vec<(f64, f64)> = marks::runs(frame, &panel.guide).iter().flat_map(|run| sampled(run)).collect();
        for (curve, dodge) in panel.curves.iter().zip(dodges) {
            if curve.joined {
                found.extend(data::joined(frame, &curve.points, *dodge).iter().flat_map(|run| sampled(run)));
            }
            for point in &curve.points {
                let Some((x, y)) = frame.place((point.x, point.y)) else {
                    continue;
                };
                let (x, r) = (x + dodge.shift, theme::MARKER_RADIUS);
                // A marker is worse to hide than a piece of a line.
                found.extend([(x, y), (x - r, y), (x + r, y), (x, y - r), (x, y + r)]);
                if let Some((low, high)) = point.bar() {
                    found.extend(sampled(&[(x, frame.py(low)), (x, frame.py(high))]));
                }
            }
        }
        Occupied { data: found, texts: Vec::new() }
    }

    /// How much text in `place` would hide; other text counts more than any data.
    fn count_in(&self, place: &Rect) -> usize {
        let r = Rect {
            left: place.left - CLEARANCE,
            top: place.top - CLEARANCE,
            right: place.right + CLEARANCE,
            bottom: place.bottom + CLEARANCE,
        };
        let inside = |p: &&(f64, f64)| (r.left..=r.right).contains(&p.0) && (r.top..=r.bottom).contains(&p.1);
        let hidden = self.data.iter().filter(inside).count();
        let texts = self.texts.iter().filter(|text| text.overlaps(&r)).count();
        hidden + texts * (self.data.len() + 1)
    }
}

/// Points along a line.
fn sampled(line: &[(f64, f64)]) -> Vec<(f64, f64)> {
    line.windows(2)
        .flat_map(|ends| {
            let ((x0, y0), (x1, y1)) = (ends[0], ends[1]);
            let pieces = ((x1 - x0).hypot(y1 - y0) / STEP).ceil().max(1.0);
            let shares = (0..=pieces as usize).map(move |i| i as f64 / pieces);
            shares.map(move |share| (x0 + (x1 - x0) * share, y0 + (y1 - y0) * share))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Rect = Rect { left: 0.0, top: 0.0, right: 200.0, bottom: 100.0 };

    #[test]
    fn text_goes_where_nothing_is_hidden() {
        let diagonal = sampled(&[(0.0, 100.0), (200.0, 0.0)]);
        let occupied = Occupied { data: diagonal, texts: Vec::new() };
        let places = along_edges((80.0, 12.0), FRAME);
        let best = places.iter().min_by_key(|place| occupied.count_in(place)).unwrap();
        assert_eq!((best.left, best.top), (EDGE, EDGE));
        assert_eq!(occupied.count_in(best), 0);
    }

    #[test]
    fn text_avoids_other_text_more_than_data() {
        let places = along_edges((80.0, 12.0), FRAME);
        let occupied = Occupied { data: sampled(&[(0.0, 90.0), (200.0, 90.0)]), texts: vec![places[0]] };
        let other = places.iter().find(|place| occupied.count_in(place) == 0).unwrap();
        assert!(!other.overlaps(&places[0]));
        assert!(occupied.count_in(&places[0]) > occupied.count_in(&places[4]));
    }

    #[test]
    fn labels_of_a_guide_line_stay_within_the_panel() {
        let places = beside_lines(&[vec![(0.0, 100.0), (200.0, 0.0)]], (60.0, 12.0), FRAME);
        assert!(!places.is_empty());
        assert!(places.iter().all(|r| r.left > 0.0 && r.right < 200.0 && r.top > 0.0 && r.bottom < 100.0));
        assert!(beside_lines(&[], (60.0, 12.0), FRAME).is_empty());
    }
}
