//! What a figure of several panels says, without how it looks.

use crate::figure::description::Axis;

/// Panels of equal size in a grid of up to three columns, with one key for all of them.
#[derive(Debug, Clone, PartialEq)]
pub struct PanelFigure {
    /// Heading, in bold.
    pub title: String,
    /// Second heading, smaller; may be empty.
    pub subtitle: String,
    /// Names of the series, in the order of their colours and markers; a grid of names (*one, other*) has colours for the one part and
    /// markers for the other.
    pub series: Vec<String>,
    /// The panels, row by row.
    pub panels: Vec<Panel>,
    /// What bars are, such as `10–90 %`.
    pub bars: String,
    /// Small print at the bottom; may be empty.
    pub footnote: String,
}

/// One panel.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// Heading; may be empty.
    pub title: String,
    /// Horizontal axis.
    pub x: Axis,
    /// Vertical axis; its marks are not used.
    pub y: Axis,
    /// What was measured.
    pub curves: Vec<PanelCurve>,
    /// Line of a predicted law, drawn dashed in grey; may be empty.
    pub guide: Vec<(f64, f64)>,
    /// A few letters beside the guide line, such as its formula; may be empty.
    pub guide_label: String,
    /// Small print where the panel has room for it; may be empty.
    pub annotation: String,
}

/// The points of one series in one panel.
#[derive(Debug, Clone, PartialEq)]
pub struct PanelCurve {
    /// Index into [`PanelFigure::series`], which gives the colour and the marker.
    pub series: usize,
    /// The points, in the order in which they are joined.
    pub points: Vec<PanelPoint>,
    /// Whether a line joins the points.
    pub joined: bool,
}

/// One point with its vertical bar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PanelPoint {
    /// Abscissa.
    pub x: f64,
    /// Ordinate, drawn as the marker.
    pub y: f64,
    /// Lower end of the bar, or `y` for no bar.
    pub low: f64,
    /// Upper end of the bar, or `y` for no bar.
    pub high: f64,
}

impl PanelPoint {
    /// The bar, if there is one.
    pub(in crate::figure) fn bar(&self) -> Option<(f64, f64)> {
        let drawn = self.low.is_finite() && self.high.is_finite() && self.low < self.high;
        drawn.then_some((self.low, self.high))
    }
}
