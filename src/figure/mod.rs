//! Figures of points and curves, in one panel or several, as SVG, PNG and PDF
//! from one description. A `Figure` or a `PanelFigure` is composed for a page into a list of shapes, which
//! is then painted onto each medium, so that all show the same.

mod axes;
mod description;
mod embedded;
mod font;
mod headings;
mod key;
mod labels;
mod layout;
mod level;
mod marks;
mod page;
mod paint;
mod panels;
mod pdf;
mod points;
mod render;
pub mod scene;
mod sheet;
mod theme;
mod ticks;

use std::path::{Path, PathBuf};

pub use description::{Axis, Curve, Figure, Point, RatioCurve, RatioPanel, RatioPoint, Scale};
pub use level::{Level, Part, parts};
pub use page::{Form, Page, Unit, Width};
pub use panels::{Panel, PanelCurve, PanelFigure, PanelPoint};
pub use points::DrawnPoint;
pub use sheet::Sheet;

/// Why a figure was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
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

/// What can be drawn: a [`Figure`], a [`PanelFigure`], or a [`Sheet`] of them.
pub trait Drawing {
    /// The shapes to draw, or nothing if there is not one value that fits the axes.
    fn scene(&self, page: &Page) -> Option<scene::Scene>;

    /// The same as numbers.
    fn points(&self) -> Vec<DrawnPoint>;
}

impl Drawing for Figure {
    fn scene(&self, page: &Page) -> Option<scene::Scene> {
        render::compose(self, page)
    }

    fn points(&self) -> Vec<DrawnPoint> {
        self.drawn_points()
    }
}

impl Drawing for PanelFigure {
    fn scene(&self, page: &Page) -> Option<scene::Scene> {
        panels::compose(self, page)
    }

    fn points(&self) -> Vec<DrawnPoint> {
        self.drawn_points()
    }
}

/// The figure in these forms, all made of one composition.
///
/// # Errors
/// There is nothing to draw, or drawing fails.
pub fn files(figure: &dyn Drawing, page: &Page, forms: &[Form]) -> Result<Vec<(Form, Vec<u8>)>, FigureError> {
    let scene = figure.scene(page).ok_or(FigureError::NothingToDraw)?;
    let made = |&form: &Form| {
        let bytes = match form {
            Form::Svg => paint::svg(&scene).map(String::into_bytes),
            Form::Png => paint::png(&scene),
            Form::Pdf => pdf::pdf(&scene),
            Form::Csv => points::csv(&figure.points()),
        };
        Ok((form, bytes.map_err(|reason| FigureError::DrawingFailed { reason })?))
    };
    forms.iter().map(made).collect()
}

/// Writes the figure to `FOLDER/NAME.svg` and so on, in each of these forms.
///
/// # Errors
/// There is nothing to draw, drawing fails, or a file cannot be written.
pub fn write(figure: &dyn Drawing, page: &Page, forms: &[Form], folder: &Path, name: &str) -> Result<(), FigureError> {
    for (form, bytes) in files(figure, page, forms)? {
        let path = folder.join(format!("{name}.{}", form.suffix()));
        std::fs::write(&path, bytes).map_err(|error| FigureError::NotWritten { path, reason: error.to_string() })?;
    }
    Ok(())
}
