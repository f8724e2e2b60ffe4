//! Figures of points and curves, in one panel or several, drawn to SVG and PNG
//! from one description. A `Figure` or a `PanelFigure` is composed into a list of shapes, which
//! is then painted onto either medium, so that both show the same.

mod axes;
mod description;
mod font;
mod headings;
mod key;
mod labels;
mod layout;
mod marks;
mod paint;
mod panels;
mod render;
mod scene;
mod theme;
mod ticks;

use std::path::{Path, PathBuf};

pub use description::{Axis, Curve, Figure, Point, RatioCurve, RatioPanel, RatioPoint, Scale};
pub use panels::{Panel, PanelCurve, PanelFigure, PanelPoint};

/// Why a figure was not written.
#[derive(Debug, thiserror::Error)]
pub enum FigureError {
    /// The figure has no value that its axes have a place for.
    #[error("nothing to draw: no finite value fits the axes")]
    NothingToDraw,
    /// Drawing failed.
    #[error("the figure could not be drawn: {reason}")]
    DrawingFailed {
        /// What the drawing library said.
        reason: String,
    },
    /// Writing failed.
    #[error("{}: the figure could not be written: {reason}", path.display())]
    NotWritten {
        /// File that was to be written.
        path: PathBuf,
        /// What the operating system said.
        reason: String,
    },
}

/// What can be drawn: a [`Figure`] or a [`PanelFigure`].
pub trait Drawing {
    /// The shapes to draw, or nothing if there is not one value that fits the axes.
    fn scene(&self) -> Option<scene::Scene>;
}

impl Drawing for Figure {
    fn scene(&self) -> Option<scene::Scene> {
        render::compose(self)
    }
}

impl Drawing for PanelFigure {
    fn scene(&self) -> Option<scene::Scene> {
        panels::compose(self)
    }
}

/// The figure as SVG, with its text as text.
pub fn svg<D: Drawing>(figure: &D) -> Result<String, FigureError> {
    painted(figure, paint::svg)
}

/// The figure as the bytes of a PNG, at twice the resolution of the SVG's size.
pub fn png<D: Drawing>(figure: &D) -> Result<Vec<u8>, FigureError> {
    painted(figure, paint::png)
}

/// Writes the figure as SVG.
pub fn write_svg<D: Drawing>(figure: &D, path: &Path) -> Result<(), FigureError> {
    write(path, svg(figure)?.as_bytes())
}

/// Writes the figure as PNG.
pub fn write_png<D: Drawing>(figure: &D, path: &Path) -> Result<(), FigureError> {
    write(path, &png(figure)?)
}

/// Composes the figure and paints it.
fn painted<T>(figure: &impl Drawing, paint: fn(&scene::Scene) -> Result<T, String>) -> Result<T, FigureError> {
    let scene = figure.scene().ok_or(FigureError::NothingToDraw)?;
    paint(&scene).map_err(|reason| FigureError::DrawingFailed { reason })
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), FigureError> {
    let failed = |error: std::io::Error| FigureError::NotWritten { path: path.to_owned(), reason: error.to_string() };
    std::fs::write(path, bytes).map_err(failed)
}
