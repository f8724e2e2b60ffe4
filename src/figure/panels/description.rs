//! What a figure of several panels says, without how it looks.

use crate::figure::description::Axis;
use crate::figure::theme;

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

impl PanelFigure {
    /// For each series the index of its colour and marker. Where all names are of the form *one, other* and both parts recur, the first
    /// part has the colour and the second the marker; elsewhere they are in order.
    pub(super) fn looks(&self) -> Looks {
        let parts: Option<Vec<(&str, &str)>> = self.series.iter().map(|name| name.split_once(", ")).collect();
        let Some(parts) = parts else { return Looks::default() };
        let ones = indices(parts.iter().map(|part| part.0));
        let others = indices(parts.iter().map(|part| part.1));
        let recur = |of: &[usize]| of.iter().max().is_some_and(|&most| most + 1 < of.len());
        if !recur(&ones) || !recur(&others) {
            return Looks::default();
        }
        Looks(ones.into_iter().zip(others).map(|(one, other)| theme::mixed(one, other)).collect())
    }
}

/// For series the indices of their colours and markers; those that are not in it have their own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Looks(Vec<usize>);

impl Looks {
    /// That of a series.
    pub fn of(&self, series: usize) -> usize {
        self.0.get(series).copied().unwrap_or(series)
    }
}

/// Of each name, which of the different ones it is, in the order of their first appearance.
fn indices<'a>(names: impl Iterator<Item = &'a str>) -> Vec<usize> {
    let mut known: Vec<&str> = Vec::new();
    names
        .map(|name| {
            known.iter().position(|other| *other == name).unwrap_or_else(|| {
                known.push(name);
                known.len() - 1
            })
        })
        .collect()
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
