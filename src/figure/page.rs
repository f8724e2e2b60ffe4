//! The page that a figure is made for: how wide it is, at which size it is printed, and whether it has headings. And
//! the forms in which a figure can be written.

use std::ops::RangeInclusive;
use std::str::FromStr;

/// How wide a figure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Width {
    /// As wide as is good for a screen.
    #[default]
    Natural,
    /// So many pixels of 1/96 inch.
    Pixels(u32),
    /// A column of a two-column paper: 86.36 mm.
    Column,
    /// The text of a page: 177.8 mm.
    Page,
    /// A slide: 254 mm, with text that is read from afar.
    Slide,
}

/// Least and greatest number of pixels that can be asked for: fewer have no room for numbers.
const PIXELS: RangeInclusive<u32> = 280..=2400;

impl Width {
    /// What [`Width::from_str`] takes, in words.
    pub const ALLOWED: &'static str = "column, page, slide, or a number of pixels from 280 to 2400";

    /// The width in units of a scene; nothing where the figure chooses.
    pub(super) fn units(self) -> Option<u32> {
        match self {
            Width::Natural => None,
            Width::Pixels(pixels) => Some(pixels),
            Width::Column => Some(340),
            Width::Page => Some(700),
            Width::Slide => Some(600),
        }
    }

    pub(super) fn unit(self) -> Unit {
        match self {
            Width::Natural | Width::Pixels(_) => Unit::SCREEN,
            // Numbers of 12 units are then 7.4 points high, and a bitmap has 300 dots per inch.
            Width::Column | Width::Page => Unit { per_inch: 100, dots: 3 },
            Width::Slide => Unit { per_inch: 60, dots: 5 },
        }
    }
}

impl FromStr for Width {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let pixels = || text.parse().ok().filter(|pixels| PIXELS.contains(pixels)).map(Width::Pixels);
        match text {
            "column" => Ok(Width::Column),
            "page" => Ok(Width::Page),
            "slide" => Ok(Width::Slide),
            _ => pixels().ok_or_else(|| format!("must be {}", Self::ALLOWED)),
        }
    }
}

/// How large a unit of a scene is on paper, and in a bitmap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit {
    /// Units per inch.
    pub per_inch: u32,
    /// Dots of a bitmap per unit.
    pub dots: u32,
}

impl Unit {
    /// Pixels, of which a bitmap has two each way.
    pub const SCREEN: Self = Self { per_inch: 96, dots: 2 };
}

/// What a figure is made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// How wide it is.
    pub width: Width,
    /// Whether title, subtitle and small print are drawn; in a paper, the caption says what they say.
    pub titled: bool,
    /// The letter of a figure that stands on a sheet with others.
    pub(super) letter: Option<String>,
}

impl Default for Page {
    fn default() -> Self {
        Page::new(Width::Natural, true)
    }
}

impl Page {
    /// A page of this width, with headings or without.
    pub fn new(width: Width, titled: bool) -> Self {
        Page { width, titled, letter: None }
    }

    /// Pages of every kind, on which text has to be legible.
    #[cfg(test)]
    pub(super) fn kinds() -> impl Iterator<Item = Self> {
        let headed =
            [Width::Natural, Width::Pixels(280), Width::Page, Width::Slide].map(|width| Page::new(width, true));
        headed.into_iter().chain([Width::Natural, Width::Column].map(|width| Page::new(width, false)))
    }
}

/// A form in which a figure can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Scalable, text as text in a font that the file brings along.
    Svg,
    /// A bitmap.
    Png,
    /// For papers: text as text, fonts embedded.
    Pdf,
    /// What is drawn, as numbers.
    Csv,
}

impl Form {
    /// All of them.
    pub const ALL: [Form; 4] = [Form::Svg, Form::Png, Form::Pdf, Form::Csv];

    /// How the names of such files end.
    pub const fn suffix(self) -> &'static str {
        match self {
            Form::Svg => "svg",
            Form::Png => "png",
            Form::Pdf => "pdf",
            Form::Csv => "csv",
        }
    }
}

impl FromStr for Form {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|form| form.suffix() == text);
        found.ok_or_else(|| format!("must be one of {}", Self::ALL.map(Self::suffix).join(", ")))
    }
}

/// The letter of the figure or panel with this index: a to z, then aa, ab, …
pub(super) fn letter(index: usize) -> String {
    let last = char::from(b'a' + (index % 26) as u8);
    if index < 26 { last.into() } else { format!("{}{last}", letter(index / 26 - 1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_words_or_pixels() {
        assert_eq!("column".parse(), Ok(Width::Column));
        assert_eq!("640".parse(), Ok(Width::Pixels(640)));
        for wrong in ["", "colum", "279", "2401", "-5", "3.5", "99999999999"] {
            assert!(wrong.parse::<Width>().unwrap_err().contains("slide"), "{wrong}");
        }
        assert!("tiff".parse::<Form>().unwrap_err().contains("svg, png, pdf, csv"));
    }

    #[test]
    fn paper_has_its_size_and_three_hundred_dots_per_inch() {
        for (width, inches) in [(Width::Column, 3.4), (Width::Page, 7.0), (Width::Slide, 10.0)] {
            let unit = width.unit();
            assert_eq!(width.units().map(|units| f64::from(units) / f64::from(unit.per_inch)), Some(inches));
            assert_eq!(unit.per_inch * unit.dots, 300);
        }
    }

    #[test]
    fn letters_go_on_after_z() {
        assert_eq!([0, 25, 26, 51, 52, 701, 702].map(letter), ["a", "z", "aa", "az", "ba", "zz", "aaa"]);
    }
}
