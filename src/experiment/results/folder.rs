//! A folder of results: what is written into it, and read back from it for figures and reports.

use std::fs;
use std::path::{Path, PathBuf};

use super::networks::{TrainedNetwork, read_networks};
use super::{ResultsError, Row, Verdict, read_points, to_csv, write_atomically};
use crate::experiment::plot;
use crate::experiment::specification::load;
use crate::experiment::specification::{AnySpec, Spec, WorkSpec};
use crate::figure::{self, Drawing, FigureError};

/// Files of a results folder.
pub(super) const SPEC: &str = "spec.toml";
const POINTS: &str = "points.csv";
const VERDICTS: &str = "verdicts.json";
pub(in crate::experiment) const NETWORKS: &str = "networks.csv";

/// Results that were read from a folder.
#[derive(Debug, Clone)]
pub struct Saved {
    /// The spec.
    pub spec: AnySpec,
    /// The rows of `points.csv`.
    pub rows: Vec<Row>,
    /// The rows of `networks.csv`, where networks are trained.
    pub networks: Vec<TrainedNetwork>,
    /// The verdicts.
    pub verdicts: Vec<Verdict>,
    /// The figure as SVG, where there is one.
    pub figure: Option<String>,
}

/// The folder of an experiment's results.
pub fn folder_of(out: &Path, name: &str) -> PathBuf {
    out.join(name)
}

/// Makes the results folder.
///
/// # Errors
/// The system does not let us.
pub fn make_folder(folder: &Path) -> Result<(), ResultsError> {
    fs::create_dir_all(folder).map_err(|error| ResultsError::new(folder, format!("cannot be made: {error}")))
}

/// Writes `spec.toml`, `points.csv` and `verdicts.json`.
///
/// # Errors
/// A file cannot be written.
pub(in crate::experiment) fn write<W: WorkSpec>(
    folder: &Path,
    spec: &Spec<W>,
    rows: &[Row],
    verdicts: &[Verdict],
) -> Result<(), ResultsError> {
    let variables: Vec<&str> = spec.sweep.names().collect();
    let text = toml::to_string(&spec.resolved).map_err(|error| ResultsError::new(folder, error))?;
    write_atomically(&folder.join(SPEC), text.as_bytes())?;
    write_atomically(&folder.join(POINTS), to_csv(rows, &variables).as_bytes())?;
    let json = serde_json::to_string_pretty(verdicts).map_err(|error| ResultsError::new(folder, error))?;
    write_atomically(&folder.join(VERDICTS), (json + "\n").as_bytes())
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
    let path = folder.join(SPEC);
    let spec =
        load::parse(&path.to_string_lossy(), &text(SPEC)?, &[]).map_err(|error| ResultsError::new(folder, error))?;
    let rows = read_points(&folder.join(POINTS), &spec.variables())?;
    let networks = match &spec {
        AnySpec::Draw(_) => Vec::new(),
        AnySpec::Train(spec) => read_networks(spec, &folder.join(NETWORKS))?,
    };
    let verdicts =
        serde_json::from_str(&text(VERDICTS)?).map_err(|error| ResultsError::new(&folder.join(VERDICTS), error))?;
    let figure = fs::read_to_string(folder.join("figure.svg")).ok();
    Ok(Saved { spec, rows, networks, verdicts, figure })
}

impl Saved {
    /// Draws the figure to `FOLDER/NAME.svg` and `FOLDER/NAME.png`; results in which nothing can be drawn have none, and none of an
    /// earlier run is left.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn draw(&self, folder: &Path, name: &str) -> Result<(), ResultsError> {
        let Self { spec, rows, networks, verdicts, .. } = self;
        match spec {
            AnySpec::Draw(spec) => draw(folder, name, &plot::figure_of(spec, rows, verdicts)),
            AnySpec::Train(spec) => draw(folder, name, &plot::panels_of(spec, networks, verdicts)),
        }
    }
}

fn draw<D: Drawing>(folder: &Path, name: &str, description: &D) -> Result<(), ResultsError> {
    type Write<D> = fn(&D, &Path) -> Result<(), FigureError>;
    for (suffix, write) in [("svg", figure::write_svg::<D> as Write<D>), ("png", figure::write_png::<D>)] {
        let path = folder.join(format!("{name}.{suffix}"));
        // Drawn beside its place and then renamed; the drawing library knows the format by the suffix.
        let temporary = folder.join(format!(".{name}.part.{suffix}"));
        match write(description, &temporary) {
            Ok(()) => fs::rename(&temporary, &path).map_err(|error| ResultsError::new(&path, error))?,
            Err(FigureError::NothingToDraw { .. }) => match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(ResultsError::new(&path, error));
                }
                _ => {}
            },
            Err(FigureError::DrawingFailed { reason, .. }) => return Err(ResultsError::new(&path, reason)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_of_an_earlier_run_is_not_left_where_nothing_is_drawn() {
        let folder = tempfile::tempdir().unwrap();
        let figures = ["figure.svg", "figure.png"].map(|name| folder.path().join(name));
        figures.iter().for_each(|path| fs::write(path, "an earlier one").unwrap());
        let spec = load::load("dense-dimension", &[]).unwrap();
        let nothing = Saved { spec, rows: Vec::new(), networks: Vec::new(), verdicts: Vec::new(), figure: None };
        nothing.draw(folder.path(), "figure").unwrap();
        assert!(figures.iter().all(|path| !path.exists()));
    }
}
