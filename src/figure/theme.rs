//! Everything that is a matter of taste: sizes, colours, line widths, marker
//! shapes. Lengths are in units of a scene.

use plotters::style::RGBAColor;

/// Width and height of a figure that chooses them.
pub const SIZE: (u32, u32) = (900, 700);
/// Height of a figure with labels beside its panels, as a share of its width, without headings and with them.
pub const HEIGHT: [f64; 2] = [0.68, 7.0 / 9.0];
/// Height of the panels of a figure with labels beneath, as a share of its width: of one panel, and of two.
pub const STACK: [f64; 2] = [0.66, 0.95];

/// Distance of everything from the edge of the canvas.
pub const MARGIN: f64 = 14.0;
/// Width of the column of direct labels right of the panels.
pub const LABEL_COLUMN: f64 = 246.0;
/// Most of a figure's width that this column may take.
pub const LABEL_SHARE: f64 = 0.3;
/// Least width of a figure that has such a column; in narrower ones labels stand beneath the panels.
pub const LABELS_BESIDE: f64 = 560.0;
/// Share of the panels' height that the upper one gets.
pub const UPPER_SHARE: f64 = 0.68;
/// Vertical space between the panels.
pub const PANEL_GAP: f64 = 16.0;

/// Width and height of what the axes of one panel of a grid and all around them take up, for grids of one, two and
/// three columns; the height is that of the axes alone.
pub const GRID_PANELS: [(f64, f64); 3] = [(640.0, 380.0), (440.0, 265.0), (344.0, 205.0)];
/// Least width of such a panel where the figure's width is given, and its height as a share of its width.
pub const GIVEN_PANELS: (f64, f64) = (260.0, 0.6);
/// Width of the figures of a sheet that chooses it.
pub const SHEET_CELL: u32 = 560;
/// Most columns of such a sheet.
pub const SHEET_COLUMNS: usize = 3;
/// Least width of a figure of a sheet whose width is given.
pub const LEAST_CELL: u32 = 300;
/// Room right of the axes, for the half of the last number.
pub const GRID_OVERHANG: f64 = 12.0;
/// Space between the columns and between the rows of a grid.
pub const GRID_GAPS: (f64, f64) = (18.0, 20.0);

/// Text sizes are whole line heights (1.164 em in DejaVu), because an even
/// number of bitmap pixels keeps all glyphs of a line on the same baseline.
pub const TITLE_SIZE: f64 = 19.0;
/// Subtitle.
pub const SUBTITLE_SIZE: f64 = 14.0;
/// Names of the axes.
pub const AXIS_SIZE: f64 = 14.0;
/// Numbers at the ticks.
pub const TICK_SIZE: f64 = 12.0;
/// First lines of the direct labels.
pub const LABEL_SIZE: f64 = 14.0;
/// Smaller lines of the direct labels.
pub const ANNOTATION_SIZE: f64 = 12.0;
/// Headings of the panels of a grid.
pub const PANEL_TITLE_SIZE: f64 = 14.0;
/// Annotations within the panels of a grid.
pub const INSET_SIZE: f64 = 12.0;
/// The key.
pub const KEY_SIZE: f64 = 12.0;
/// The footnote.
pub const FOOTNOTE_SIZE: f64 = 11.0;
/// Distance of consecutive baselines, in units of the text size.
pub const LEADING: f64 = 1.16;

/// Radius of a disc marker; other shapes cover about the same area.
pub const MARKER_RADIUS: f64 = 3.9;
/// Half the width of the caps of error bars.
pub const CAP: f64 = 2.6;
/// Width of error bars.
pub const BAR_WIDTH: f64 = 1.2;
/// Width of theory curves.
pub const THEORY_WIDTH: f64 = 1.2;
/// Width of the lines that join the points of a series.
pub const SERIES_WIDTH: f64 = 1.5;
/// Width of guide lines.
pub const GUIDE_WIDTH: f64 = 1.1;
/// Lengths of the dashes of the lines of every other seven series and of the gaps between them.
pub const SERIES_DASH: (f64, f64) = (4.0, 2.0);
/// Lengths of the dashes of guide lines and of the gaps between them.
pub const DASH: (f64, f64) = (6.0, 4.0);
/// Greatest width of the pale bars that show deciles.
pub const DECILE_WIDTH: f64 = 6.0;

/// The paper.
pub const PAPER: RGBAColor = RGBAColor(255, 255, 255, 1.0);
/// Titles and names.
pub const TEXT: RGBAColor = RGBAColor(26, 26, 26, 1.0);
/// Subtitle, key, numbers and footnote.
pub const FAINT_TEXT: RGBAColor = RGBAColor(84, 84, 84, 1.0);
/// Axis lines.
pub const AXIS: RGBAColor = RGBAColor(110, 110, 110, 1.0);
/// Grid lines.
pub const GRID: RGBAColor = RGBAColor(230, 230, 230, 1.0);
/// Guide lines.
pub const GUIDE: RGBAColor = RGBAColor(138, 138, 138, 1.0);
/// The shaded tolerance.
pub const BAND: RGBAColor = RGBAColor(232, 237, 243, 1.0);
/// The reference line.
pub const REFERENCE: RGBAColor = RGBAColor(70, 70, 70, 1.0);

/// Okabe and Ito's colours without yellow, which vanishes on white.
const PALETTE: [(u8, u8, u8); 7] =
    [(0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (230, 159, 0), (86, 180, 233), (0, 0, 0)];

/// Shape of the markers of one curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// ●
    Disc,
    /// ■
    Square,
    /// ▲
    Up,
    /// ◆
    Diamond,
    /// ▼
    Down,
    /// ✚
    Plus,
    /// ★
    Star,
    /// ✖
    Cross,
}

const MARKERS: [Marker; 8] = [
    Marker::Disc,
    Marker::Square,
    Marker::Up,
    Marker::Diamond,
    Marker::Down,
    Marker::Plus,
    Marker::Star,
    Marker::Cross,
];

/// Colour of the marks of the curve with this index.
pub fn colour(curve: usize) -> RGBAColor {
    let (r, g, b) = PALETTE[curve % PALETTE.len()];
    RGBAColor(r, g, b, 1.0)
}

/// A darker kind of the curve's colour, in which text and thin lines stay
/// readable on white.
pub fn ink(curve: usize) -> RGBAColor {
    let RGBAColor(r, g, b, a) = colour(curve);
    let darker = |c: u8| (f64::from(c) * 0.72) as u8;
    RGBAColor(darker(r), darker(g), darker(b), a)
}

/// The same colour, translucent.
pub fn faded(colour: RGBAColor, opacity: f64) -> RGBAColor {
    RGBAColor(colour.0, colour.1, colour.2, opacity)
}

/// Whether the line of the series with this index is dashed, because its colour has been used before.
pub fn is_dashed(series: usize) -> bool {
    series / PALETTE.len() % 2 == 1
}

/// Marker of the curve with this index. Seven colours and eight shapes have no
/// common factor, so that no pair recurs before 56 curves.
pub fn marker(curve: usize) -> Marker {
    MARKERS[curve % MARKERS.len()]
}

/// The index whose curve has the colour of one index and the marker of another: there is one below 56, since 7 and 8 have no common factor.
pub fn mixed(of_colour: usize, of_marker: usize) -> usize {
    let (colours, markers) = (PALETTE.len(), MARKERS.len());
    (0..colours * markers)
        .find(|index| index % colours == of_colour % colours && index % markers == of_marker % markers)
        .unwrap_or(of_colour)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifty_six_curves_look_different_and_the_next_one_does_not_panic() {
        let look = |i| {
            let RGBAColor(r, g, b, _) = colour(i);
            (r, g, b, marker(i) as usize)
        };
        let looks: std::collections::HashSet<_> = (0..56).map(look).collect();
        assert_eq!(looks.len(), 56);
        assert_eq!(look(56), look(0));
        assert_eq!(look(mixed(2, 5)), {
            let ((r, g, b, _), (.., marker)) = (look(2), look(5));
            (r, g, b, marker)
        });
    }
}
