//! What a figure says, without how it looks: axes, curves of measured points
//! with their predictions, and an optional panel of ratios underneath.

/// One figure: an upper panel of curves and, optionally, a lower one of ratios.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Heading, in bold.
    pub title: String,
    /// Second heading, smaller; may be empty.
    pub subtitle: String,
    /// Horizontal axis, shared by both panels.
    pub x: Axis,
    /// Vertical axis of the upper panel.
    pub y: Axis,
    /// Curves of the upper panel, in the order of their colours.
    pub curves: Vec<Curve>,
    /// Lower panel, if the figure has one.
    pub ratio: Option<RatioPanel>,
    /// Small print at the bottom; may be empty.
    pub footnote: String,
}

/// An axis: what it measures and how it is scaled.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// Name of the quantity.
    pub label: String,
    /// How values are spaced.
    pub scale: Scale,
    /// The values to mark; round numbers where there are none.
    pub marks: Vec<f64>,
}

/// How values are spaced along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Equal differences are equally far apart.
    Linear,
    /// Equal ratios are equally far apart, with ticks at powers of two.
    Log2,
    /// Equal ratios are equally far apart, with ticks at powers of ten.
    Log10,
}

/// One family of measured points with what theory says about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Name, written next to the curve.
    pub label: String,
    /// Remark in smaller print beneath the label; may be empty.
    pub annotation: String,
    /// The measurements.
    pub points: Vec<Point>,
    /// Exact curve, drawn as a solid line; may be empty.
    pub theory: Vec<(f64, f64)>,
    /// Predicted laws, one for each claim that gives one, drawn dashed in grey.
    pub guides: Vec<Vec<(f64, f64)>>,
}

/// The measurements at one abscissa.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Abscissa.
    pub x: f64,
    /// Mean over the repetitions, drawn as the marker.
    pub mean: f64,
    /// Standard error of the mean; the bars are 1.96 times as long.
    pub std_error: f64,
    /// First decile of the repetitions.
    pub q10: f64,
    /// Median of the repetitions.
    pub median: f64,
    /// Ninth decile of the repetitions.
    pub q90: f64,
}

/// The lower panel: ratios that should be close to a reference value.
#[derive(Debug, Clone, PartialEq)]
pub struct RatioPanel {
    /// Name of the ratio.
    pub label: String,
    /// The ratios, curve by curve.
    pub curves: Vec<RatioCurve>,
    /// Value the ratios are compared with, usually 1.
    pub reference: f64,
    /// Lower and upper end of a tolerance to be shaded.
    pub band: Option<(f64, f64)>,
}

/// The ratios that belong to one curve of the upper panel.
#[derive(Debug, Clone, PartialEq)]
pub struct RatioCurve {
    /// Index into [`Figure::curves`], which gives the colour and the marker.
    pub curve: usize,
    /// The ratios.
    pub points: Vec<RatioPoint>,
}

/// One ratio with its uncertainty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RatioPoint {
    /// Abscissa.
    pub x: f64,
    /// The ratio.
    pub ratio: f64,
    /// Half the length of its 95 % confidence interval.
    pub half_interval: f64,
}
