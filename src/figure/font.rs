//! The typeface: registers DejaVu with plotters, places letters, and breaks or
//! shortens text to a width. The SVG names the same family, so that one set of
//! measurements serves both outputs.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{LazyLock, Mutex, OnceLock, PoisonError};

use plotters::style::{FontDesc, FontFamily, FontStyle, register_font};
use ttf_parser::Face;

use super::level::parts;

/// Family under which the fonts are registered; SVG viewers read it as a list.
pub const FAMILY: &str = "DejaVu Sans, sans-serif";

/// Em of the font, as a share of the line height by which it is scaled.
pub const EM: f64 = 1.0 / 1.164;

/// Size at which text is measured: large, because plotters rounds to pixels.
const MEASURING_SIZE: f64 = 1000.0;

/// Makes the fonts known to plotters, once per process.
pub fn register() -> bool {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    *REGISTERED.get_or_init(|| {
        register_font(FAMILY, FontStyle::Normal, file(false)).is_ok()
            && register_font(FAMILY, FontStyle::Bold, file(true)).is_ok()
    })
}

/// The plotters font for a weight and a size in pixels.
pub fn font(bold: bool, size: f64) -> FontDesc<'static> {
    let style = if bold { FontStyle::Bold } else { FontStyle::Normal };
    FontDesc::new(FontFamily::Name(FAMILY), size, style)
}

/// A letter of a line of text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Letter {
    /// The character that stands for it in the font.
    pub character: char,
    /// Whether it is taken from the bold face.
    pub bold: bool,
    /// Where the pen is, from the start of the line.
    pub pen: f64,
    /// How far right of the pen its ink begins.
    pub bearing: f64,
    /// Its line height: that of the line, less for an index or an exponent.
    pub size: f64,
    /// How far below the line's baseline it stands.
    pub fall: f64,
    /// Where it begins in the text, in bytes.
    pub start: usize,
}

/// Places the letters of a line of text, with indices (the k of f_k) small and low and exponents small and high; also
/// returns the width of the line.
pub fn letters(text: &str, size: f64, bold: bool) -> (Vec<Letter>, f64) {
    register();
    let mut placed: Vec<Letter> = Vec::new();
    let mut pen = 0.0;
    for part in parts(text) {
        let (size, fall) = (part.level.size() * size, part.level.fall() * size);
        for (place, original) in part.text.char_indices() {
            let (character, bold) = available(original, bold);
            if let Some(previous) = placed.last().filter(|letter| (letter.bold, letter.fall) == (bold, fall)) {
                pen += kerning(previous.character, character, bold) * size;
            }
            let bearing = bearing(character, bold).unwrap_or(0.0) * size;
            placed.push(Letter { character, bold, pen, bearing, size, fall, start: part.start + place });
            pen += advance(character, bold) * size;
        }
    }
    (placed, pen)
}

/// Width of a line of text.
pub fn width(text: &str, size: f64, bold: bool) -> f64 {
    letters(text, size, bold).1
}

/// The file of the face.
pub fn file(bold: bool) -> &'static [u8] {
    if bold { dejavu::sans::bold() } else { dejavu::sans::regular() }
}

/// How far right of the pen the ink of a character begins, per line height; nothing if the face lacks the character.
///
/// plotters' bitmaps leave that distance out, which makes letters of one word touch and others drift apart.
fn bearing(character: char, bold: bool) -> Option<f64> {
    static FACES: LazyLock<[Option<Face<'static>>; 2]> =
        LazyLock::new(|| [false, true].map(|bold| Face::parse(file(bold), 0).ok()));
    let face = FACES[usize::from(bold)].as_ref()?;
    // Glyph 0 stands for what is missing.
    let glyph = face.glyph_index(character).filter(|glyph| glyph.0 != 0)?;
    let header = face.tables().hhea;
    let line_height = f64::from(header.ascender) - f64::from(header.descender);
    Some(f64::from(face.glyph_hor_side_bearing(glyph)?) / line_height)
}

/// Letters, or pairs of them, of a face, and what was measured of them.
type Measured<K> = Mutex<HashMap<(K, bool), f64>>;

/// Looks a measurement up, or makes it.
fn once<K: Eq + Hash + Copy>(memory: &Measured<K>, key: K, bold: bool, measure: impl FnOnce() -> f64) -> f64 {
    let mut known = memory.lock().unwrap_or_else(PoisonError::into_inner);
    *known.entry((key, bold)).or_insert_with(measure)
}

/// Width of a character per line height.
fn advance(character: char, bold: bool) -> f64 {
    static KNOWN: LazyLock<Measured<char>> = LazyLock::new(Default::default);
    once(&KNOWN, character, bold, || measured(&character.to_string(), bold))
}

/// By how much a pair is wider than its characters side by side, per line height.
fn kerning(first: char, second: char, bold: bool) -> f64 {
    static KNOWN: LazyLock<Measured<[char; 2]>> = LazyLock::new(Default::default);
    let pair = [first, second];
    once(&KNOWN, pair, bold, || {
        measured(&String::from_iter(pair), bold) - pair.iter().map(|&c| advance(c, bold)).sum::<f64>()
    })
}

/// Width per line height of text that the font has.
fn measured(text: &str, bold: bool) -> f64 {
    match font(bold, MEASURING_SIZE).layout_box(text) {
        Ok(((left, _), (right, _))) => f64::from(right - left) / MEASURING_SIZE,
        // An upper estimate keeps the layout sound should the font be missing.
        Err(_) => text.chars().count() as f64,
    }
}

/// The character and weight to print. The fonts lack most of Unicode's
/// mathematical letters and digits; the ordinary ones, bold for the bold,
/// are better than an empty box.
fn available(character: char, bold: bool) -> (char, bool) {
    if bearing(character, bold).is_some() {
        return (character, bold);
    }
    let letter = |i: u32| char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[i as usize]);
    match u32::from(character) {
        code @ 0x1D400..0x1D434 => (letter(code - 0x1D400), true),
        code @ 0x1D434..0x1D6A4 => (letter((code - 0x1D400) % 52), bold),
        code @ 0x1D7CE..0x1D7D8 => (char::from(b"0123456789"[code as usize - 0x1D7CE]), true),
        code @ 0x1D7D8..=0x1D7FF => (char::from(b"0123456789"[(code as usize - 0x1D7CE) % 10]), bold),
        _ => (character, bold),
    }
}

/// The start of `text` that fits into `room`: how many bytes, and whether that is all of it.
fn fitting(text: &str, size: f64, bold: bool, room: f64) -> (usize, bool) {
    let (placed, end) = letters(text, size, bold);
    if end <= room {
        return (text.len(), true);
    }
    // Letter i ends where the next begins, to within their kerning; the caller measures what it cuts.
    let kept = placed.iter().skip(1).take_while(|next| next.pen <= room).count();
    (placed.get(kept).map_or(0, |letter| letter.start), false)
}

/// Shortens `text` with an ellipsis until it fits into `room`.
pub fn ellipsised(text: &str, size: f64, bold: bool, room: f64) -> String {
    let (mut cut, whole) = fitting(text, size, bold, room);
    if whole {
        return text.to_owned();
    }
    // The ellipsis takes the room of a letter or two.
    while let Some((last, _)) = text[..cut].char_indices().next_back() {
        let candidate = format!("{}…", text[..cut].trim_end_matches([' ', ',', '·']));
        if width(&candidate, size, bold) <= room {
            return candidate;
        }
        cut = last;
    }
    String::new()
}

/// Breaks `text` at spaces into at most `lines` lines no wider than `room`;
/// what does not fit is replaced by an ellipsis. Line feeds break, too.
///
/// The time is proportional to the text that is shown: what is behind the last line is not looked at.
pub fn wrapped(text: &str, size: f64, bold: bool, room: f64, lines: usize) -> Vec<String> {
    let mut broken: Vec<String> = Vec::new();
    let mut paragraphs = text.lines().map(str::trim).filter(|paragraph| !paragraph.is_empty()).peekable();
    while let Some(paragraph) = paragraphs.next() {
        let mut line = String::new();
        for word in paragraph.split(' ').filter(|word| !word.is_empty()) {
            let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
            if line.is_empty() || width(&longer, size, bold) <= room {
                line = longer;
            } else if broken.len() + 1 < lines {
                broken.push(std::mem::replace(&mut line, word.to_owned()));
            } else {
                // No line is left; the next word shows where the text is cut.
                line = format!("{longer}…");
                break;
            }
        }
        if broken.len() + 1 == lines && paragraphs.peek().is_some() && !line.ends_with('…') {
            line.push('…');
        }
        broken.push(line);
        if broken.len() >= lines {
            break;
        }
    }
    broken.truncate(lines);
    broken.iter().map(|line| ellipsised(line, size, bold, room)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fonts_are_registered_and_bold_is_wider() {
        assert!(register());
        assert!(width("gradient", 20.0, true) > width("gradient", 20.0, false));
    }

    #[test]
    fn bearings_are_those_of_the_font() {
        // 201 of 2048 units per em, with lines of 1901 + 483 units.
        assert_eq!(bearing('L', false), Some(201.0 / 2384.0));
        assert!(bearing('‖', false) > bearing('A', false));
        assert_eq!(bearing('\u{10FFFD}', false), None);
    }

    #[test]
    fn width_is_proportional_to_size_and_grows_with_the_text() {
        let small = width("‖∂ₓL‖₁", 10.0, false);
        assert!((width("‖∂ₓL‖₁", 30.0, false) - 3.0 * small).abs() < 1e-9);
        assert!(width("‖∂ₓL‖₁ √d", 10.0, false) > small);
    }

    #[test]
    fn letters_the_font_lacks_are_replaced_by_ordinary_ones() {
        assert_eq!(available('𝟏', false), ('1', true));
        assert_eq!(available('𝐱', false), ('x', true));
        assert_eq!(available('𝟷', false), ('1', false));
        assert_eq!(available('∇', false), ('∇', false));
        assert_eq!(available('\u{10FFFD}', true), ('\u{10FFFD}', true));
    }

    #[test]
    fn letters_are_placed_from_left_to_right() {
        let (placed, end) = letters("AVA ‖∂ₓL‖₁", 20.0, false);
        assert!(placed.windows(2).all(|pair| pair[0].pen < pair[1].pen));
        assert!(placed.last().is_some_and(|letter| letter.pen < end));
        // A and V are kerned.
        assert!(width("AV", 20.0, false) < width("A", 20.0, false) + width("V", 20.0, false));
    }

    #[test]
    fn an_index_is_small_and_low_and_its_line_is_cut_where_it_fits() {
        let text = "‖∂ₓL‖_∞ d^0.5";
        let (placed, _) = letters(text, 20.0, false);
        let (index, behind, exponent) = (placed[5], placed[7], placed[8]);
        assert_eq!((index.character, index.size, behind.size), ('∞', 14.0, 20.0));
        assert!(index.fall > 0.0 && behind.fall == 0.0 && exponent.fall < 0.0);
        assert_eq!(&text[index.start..], "∞ d^0.5");
        assert!(width("‖x‖∞", 20.0, false) < width("‖x‖ ∞", 20.0, false));
        for room in [40.0, 60.0, 80.0] {
            assert!(width(&ellipsised(&text.repeat(9), 20.0, false, room), 20.0, false) <= room);
        }
    }

    #[test]
    fn shortened_text_fits_and_short_text_is_untouched() {
        let text = "a label that is far too long for its column";
        let short = ellipsised(text, 12.0, false, 80.0);
        assert!(width(&short, 12.0, false) <= 80.0);
        assert!(short.ends_with('…') && short.starts_with("a label"));
        assert_eq!(ellipsised("brief", 12.0, false, 80.0), "brief");
        assert_eq!(ellipsised("brief", 12.0, false, 1.0), "");
    }

    #[test]
    fn wrapping_keeps_every_word_when_there_are_lines_enough() {
        let text = "slope 0.4998 ± 0.0004, predicted 0.5";
        let lines = wrapped(text, 12.0, false, 130.0, 5);
        assert!(lines.len() > 1);
        assert_eq!(lines.join(" "), text);
        assert!(lines.iter().all(|l| width(l, 12.0, false) <= 130.0));
    }

    #[test]
    fn long_texts_are_cut_where_short_ones_are() {
        let text = "a title that goes on and on ".repeat(30_000);
        let (short, long) = (&text[..2000], &text[..]);
        assert_eq!(wrapped(short, 12.0, true, 300.0, 2), wrapped(long, 12.0, true, 300.0, 2));
        let word = "x".repeat(100_000);
        let cut = ellipsised(&word, 12.0, false, 80.0);
        assert!(cut.ends_with('…') && width(&cut, 12.0, false) <= 80.0 && width(&cut, 12.0, false) > 65.0, "{cut}");
    }

    #[test]
    fn wrapping_to_fewer_lines_says_that_something_is_missing() {
        let lines = wrapped("one two three four five six", 12.0, false, 60.0, 2);
        assert_eq!(lines.len(), 2);
        assert!(lines[1].ends_with('…'));
        let paragraphs = wrapped("one\ntwo\nthree", 12.0, false, 60.0, 2);
        assert_eq!(paragraphs, ["one", "two…"]);
        assert!(wrapped("  ", 12.0, false, 60.0, 2).is_empty());
    }
}
