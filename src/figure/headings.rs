//! What stands above and beneath all panels: the headings and the small print.

use super::scene::{Rect, Scene, Text};
use super::{font, theme};

/// Draws title and subtitle at the upper edge of `page`; returns where they end.
pub fn draw_titles(scene: &mut Scene, title: &str, subtitle: &str, page: Rect) -> f64 {
    let mut top = page.top;
    let headings =
        [(title, theme::TITLE_SIZE, true, theme::TEXT), (subtitle, theme::SUBTITLE_SIZE, false, theme::FAINT_TEXT)];
    for (content, size, bold, colour) in headings {
        for line in font::wrapped(content, size, bold, page.width(), 2) {
            let text = Text::new(line, (page.left, top + 0.8 * size), size, colour);
            scene.text(Text { bold, ..text });
            top += size * theme::LEADING;
        }
        top += 3.0;
    }
    top
}

/// The small print, broken into at most three lines as wide as the page.
pub fn small_print(footnote: &str, width: f64) -> Vec<String> {
    font::wrapped(footnote, theme::FOOTNOTE_SIZE, false, width, 3)
}

/// Height of so many lines of small print with the space above them.
pub fn small_print_height(lines: usize) -> f64 {
    if lines == 0 { 0.0 } else { lines as f64 * theme::FOOTNOTE_SIZE * theme::LEADING + 4.0 }
}

/// Draws the small print upwards from the lower edge of `page`; returns where it begins.
pub fn draw_small_print(scene: &mut Scene, lines: Vec<String>, page: Rect) -> f64 {
    let size = theme::FOOTNOTE_SIZE;
    let start = page.bottom - size * theme::LEADING * lines.len() as f64;
    let top = page.bottom - small_print_height(lines.len());
    for (i, line) in lines.into_iter().enumerate() {
        let baseline = start + size * (0.85 + theme::LEADING * i as f64);
        scene.text(Text::new(line, (page.left, baseline), size, theme::FAINT_TEXT));
    }
    top
}
