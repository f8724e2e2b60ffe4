//! What stands above and beneath all panels: the headings and the small print.

use super::page::Page;
use super::scene::{Rect, Scene, Text};
use super::{font, theme};

/// Draws title and subtitle at the upper edge of `sheet`, or only the letter where the page has no headings; returns
/// where they end.
pub fn draw_titles(scene: &mut Scene, page: &Page, (title, subtitle): (&str, &str), sheet: Rect) -> f64 {
    let mut top = sheet.top;
    let (title, subtitle) = if page.titled { (title, subtitle) } else { ("", "") };
    let lettered = page.letter.as_ref().map_or_else(|| title.to_owned(), |letter| format!("{letter} {title}"));
    let headings = [
        (lettered.as_str(), theme::TITLE_SIZE, true, theme::TEXT),
        (subtitle, theme::SUBTITLE_SIZE, false, theme::FAINT_TEXT),
    ];
    for (content, size, bold, colour) in headings {
        let most = if sheet.width() < theme::LABELS_BESIDE { 3 } else { 2 };
        let lines = font::wrapped(content, size, bold, sheet.width(), most);
        if lines.is_empty() {
            continue;
        }
        for line in lines {
            let text = Text::new(line, (sheet.left, top + 0.8 * size), size, colour);
            scene.text(Text { bold, ..text });
            top += size * theme::LEADING;
        }
        top += 3.0;
    }
    top
}

/// The small print, broken into at most three lines of this width; none where the page has no headings.
pub fn small_print(page: &Page, footnote: &str, width: f64) -> Vec<String> {
    if page.titled { font::wrapped(footnote, theme::FOOTNOTE_SIZE, false, width, 3) } else { Vec::new() }
}

/// Height of so many lines of small print with the space above them.
pub fn small_print_height(lines: usize) -> f64 {
    if lines == 0 { 0.0 } else { lines as f64 * theme::FOOTNOTE_SIZE * theme::LEADING + 4.0 }
}

/// Draws the small print upwards from the lower edge of `sheet`; returns where it begins.
pub fn draw_small_print(scene: &mut Scene, lines: Vec<String>, sheet: Rect) -> f64 {
    let size = theme::FOOTNOTE_SIZE;
    let start = sheet.bottom - size * theme::LEADING * lines.len() as f64;
    let top = sheet.bottom - small_print_height(lines.len());
    for (i, line) in lines.into_iter().enumerate() {
        let baseline = start + size * (0.85 + theme::LEADING * i as f64);
        scene.text(Text::new(line, (sheet.left, baseline), size, theme::FAINT_TEXT));
    }
    top
}
