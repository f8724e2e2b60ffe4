//! Saves an experiment's results into its folder, and reads them back for figures.

use std::fs;
use std::path::{Path, PathBuf};

use super::load;
use super::plot::figure_of;
use super::results::{ResultsError, Row, Verdict, read_points, to_csv, write_atomically};
use super::spec::Spec;
use crate::figure::{self, Drawing, FigureError};

/// Results that were read from a folder.
#[derive(Debug, Clone)]
pub struct Saved {
    /// The spec.
    pub spec: Spec,
    /// The rows of `points.csv`.
    pub rows: Vec<Row>,
    /// The verdicts.
    pub verdicts: Vec<Verdict>,
    /// The figure as SVG, where there is one.
    pub figure: Option<String>,
}

/// The folder of a spec's results.
pub fn folder_of(out: &Path, spec: &Spec) -> PathBuf {
    out.join(&spec.name)
}

/// Makes the results folder.
///
/// # Errors
/// The system does not let us.
pub fn make_folder(folder: &Path) -> Result<(), ResultsError> {
    fs::create_dir_all(folder).map_err(|error| ResultsError::new(folder, format!("cannot be made: {error}")))
}

/// Writes `spec.toml`, `points.csv` and `verdicts.json`, and the figure as SVG and PNG.
///
/// # Errors
/// A file cannot be written.
pub fn save(folder: &Path, spec: &Spec, rows: &[Row], verdicts: &[Verdict]) -> Result<(), ResultsError> {
    let variables: Vec<&str> = spec.sweep.names().collect();
    let text = toml::to_string(&spec.resolved).map_err(|error| ResultsError::new(folder, error))?;
    write_atomically(&folder.join("spec.toml"), text.as_bytes())?;
    write_atomically(&folder.join("points.csv"), to_csv(rows, &variables).as_bytes())?;
    let json = serde_json::to_string_pretty(verdicts).map_err(|error| ResultsError::new(folder, error))?;
    write_atomically(&folder.join("verdicts.json"), (json + "\n").as_bytes())?;
    draw(folder, "figure", spec, rows, verdicts)
}

/// Draws the figure to `FOLDER/NAME.svg` and `FOLDER/NAME.png`; results in which nothing can be drawn have none.
///
/// # Errors
/// A file cannot be written.
pub fn draw(folder: &Path, name: &str, spec: &Spec, rows: &[Row], verdicts: &[Verdict]) -> Result<(), ResultsError> {
    draw_figure(folder, name, &figure_of(spec, rows, verdicts))
}

/// Draws any figure in the same way.
///
/// # Errors
/// A file cannot be written.
pub(super) fn draw_figure<D: Drawing>(folder: &Path, name: &str, description: &D) -> Result<(), ResultsError> {
    type Write<D> = fn(&D, &Path) -> Result<(), FigureError>;
    for (suffix, write) in [("svg", figure::write_svg::<D> as Write<D>), ("png", figure::write_png::<D>)] {
        let path = folder.join(format!("{name}.{suffix}"));
        // Drawn beside its place and then renamed; the drawing library knows the format by the suffix.
        let temporary = folder.join(format!(".{name}.part.{suffix}"));
        match write(description, &temporary) {
            Ok(()) => fs::rename(&temporary, &path).map_err(|error| ResultsError::new(&path, error))?,
            Err(FigureError::NothingToDraw { .. }) => return Ok(()),
            Err(FigureError::DrawingFailed { reason, .. }) => return Err(ResultsError::new(&path, reason)),
        }
    }
    Ok(())
}

/// Reads a results folder.
///
/// # Errors
/// A file is missing or damaged.
pub fn read(folder: &Path) -> Result<Saved, ResultsError> {
    let text = |name: &str| {
        let path = folder.join(name);
        fs::read_to_string(&path).map_err(|error| ResultsError::new(&path, format!("cannot be read: {error}")))
    };
    let path = folder.join("spec.toml");
    let spec = load::parse(&path.to_string_lossy(), &text("spec.toml")?, &[])
        .map_err(|error| ResultsError::new(folder, error))?;
    let variables: Vec<&str> = spec.sweep.names().collect();
    let rows = read_points(&folder.join("points.csv"), &variables)?;
    let verdicts = serde_json::from_str(&text("verdicts.json")?)
        .map_err(|error| ResultsError::new(&folder.join("verdicts.json"), error))?;
    let figure = fs::read_to_string(folder.join("figure.svg")).ok();
    Ok(Saved { spec, rows, verdicts, figure })
}
