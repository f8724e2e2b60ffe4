//! What a figure shows as numbers, for whoever wants to draw it again or read a value off.

use super::description::{Curve, Figure};
use super::marks;
use super::panels::PanelFigure;

/// One point or one step of a line.
#[derive(Debug, Clone, PartialEq)]
pub struct DrawnPoint {
    /// The panel; empty where there is one.
    pub panel: String,
    /// The curve.
    pub series: String,
    /// What it is: `measured`, `theory` or `law`.
    pub kind: &'static str,
    /// Abscissa.
    pub x: f64,
    /// Ordinate.
    pub y: f64,
    /// Both ends of the bar, where there is one.
    pub bar: Option<(f64, f64)>,
    /// First decile, median, ninth decile, where they are drawn.
    pub deciles: Option<[f64; 3]>,
}

/// The header of [`csv`].
const HEADER: [&str; 10] = ["panel", "series", "kind", "x", "y", "low", "high", "q10", "median", "q90"];

/// Points as a table, numbers written so that they read back to the same bits.
pub fn csv(points: &[DrawnPoint]) -> Result<Vec<u8>, String> {
    let mut table = csv::Writer::from_writer(Vec::new());
    let mut write = |record: [String; 10]| table.write_record(record).map_err(|error| error.to_string());
    write(HEADER.map(str::to_owned))?;
    for point in points {
        let cell = |number: Option<f64>| number.map_or_else(String::new, |number| number.to_string());
        let [q10, median, q90] = [0, 1, 2].map(|i| cell(point.deciles.map(|deciles| deciles[i])));
        let (low, high) = (cell(point.bar.map(|bar| bar.0)), cell(point.bar.map(|bar| bar.1)));
        let (x, y) = (point.x.to_string(), point.y.to_string());
        write([point.panel.clone(), point.series.clone(), point.kind.into(), x, y, low, high, q10, median, q90])?;
    }
    table.into_inner().map_err(|error| error.to_string())
}

/// A line of a figure as points of this kind.
fn line<'a>(
    panel: &'a str,
    series: &'a str,
    kind: &'static str,
    line: &'a [(f64, f64)],
) -> impl Iterator<Item = DrawnPoint> + 'a {
    line.iter().map(move |&(x, y)| DrawnPoint {
        panel: panel.into(),
        series: series.into(),
        kind,
        x,
        y,
        bar: None,
        deciles: None,
    })
}

impl Figure {
    /// Everything that it shows.
    pub(super) fn drawn_points(&self) -> Vec<DrawnPoint> {
        let ratio = self.ratio.iter().flat_map(|ratio| {
            ratio.curves.iter().flat_map(move |curve| {
                let series = self.curves.get(curve.curve).map(|curve| curve.label.clone()).unwrap_or_default();
                curve.points.iter().map(move |point| {
                    let half = marks::half_interval(point);
                    DrawnPoint {
                        panel: ratio.label.clone(),
                        series: series.clone(),
                        kind: "measured",
                        x: point.x,
                        y: point.ratio,
                        bar: Some((point.ratio - half, point.ratio + half)),
                        deciles: None,
                    }
                })
            })
        });
        self.curves.iter().flat_map(Curve::drawn_points).chain(ratio).collect()
    }
}

impl Curve {
    fn drawn_points(&self) -> impl Iterator<Item = DrawnPoint> + '_ {
        let measured = self.points.iter().map(|point| {
            let half = marks::half_bar(point);
            DrawnPoint {
                panel: String::new(),
                series: self.label.clone(),
                kind: "measured",
                x: point.x,
                y: point.mean,
                bar: Some((point.mean - half, point.mean + half)),
                deciles: marks::has_spread(point).then_some([point.q10, point.median, point.q90]),
            }
        });
        let laws = self.guides.iter().flat_map(|guide| line("", &self.label, "law", guide));
        measured.chain(line("", &self.label, "theory", &self.theory)).chain(laws)
    }
}

impl PanelFigure {
    /// Everything that it shows.
    pub(super) fn drawn_points(&self) -> Vec<DrawnPoint> {
        let panels = self.panels.iter().flat_map(|panel| {
            let title = if panel.title.is_empty() { &panel.y.label } else { &panel.title };
            let curves = panel.curves.iter().flat_map(move |curve| {
                let series = self.series.get(curve.series).cloned().unwrap_or_default();
                curve.points.iter().map(move |point| DrawnPoint {
                    panel: title.clone(),
                    series: series.clone(),
                    kind: "measured",
                    x: point.x,
                    y: point.y,
                    bar: point.bar(),
                    deciles: None,
                })
            });
            curves.chain(line(title, &panel.guide_label, "law", &panel.guide))
        });
        panels.collect()
    }
}
