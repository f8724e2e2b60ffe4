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
    #[error("{}: nothing to draw: no finite value fits the axes", path.display())]
    NothingToDraw {
        /// File that was to be written.
        path: PathBuf,
    },
    /// Drawing or writing failed.
    #[error("{}: the figure could not be drawn: {reason}", path.display())]
    DrawingFailed {
        /// File that was to be written.
        path: PathBuf,
        /// What the drawing library or the operating system said.
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

/// Writes the figure as SVG, with its text as text.
pub fn write_svg<D: Drawing>(figure: &D, path: &Path) -> Result<(), FigureError> {
    write(figure, path, paint::write_svg)
}

/// Writes the figure as PNG, at twice the resolution of the SVG's size.
pub fn write_png<D: Drawing>(figure: &D, path: &Path) -> Result<(), FigureError> {
    write(figure, path, paint::write_png)
}

/// Composes the figure and paints it.
fn write(
    figure: &impl Drawing,
    path: &Path,
    paint: fn(&scene::Scene, &Path) -> Result<(), String>,
) -> Result<(), FigureError> {
    let nothing = || FigureError::NothingToDraw { path: path.to_owned() };
    let scene = figure.scene().ok_or_else(nothing)?;
    paint(&scene, path).map_err(|reason| FigureError::DrawingFailed { path: path.to_owned(), reason })
}
