//! Saves the results of a training experiment into its folder, and reads them back for figures.

use std::fs;
use std::path::Path;

use super::panels::figure_of;
use super::results::{TrainedNetwork, epochs_to_csv, read_csv, to_csv};
use super::run::Results;
use super::spec::TrainingSpec;
use super::{TrainingExperiment, is_training};
use crate::experiment::load::parse_table;
use crate::experiment::results::{self, Measurement, ResultsError, Row, Verdict, write_atomically};
use crate::experiment::save::draw_figure;

/// Results that were read from a folder.
#[derive(Debug, Clone)]
pub struct Saved {
    /// The spec.
    pub spec: TrainingSpec,
    /// What is finished.
    pub networks: Vec<TrainedNetwork>,
    /// The verdicts.
    pub verdicts: Vec<Verdict>,
    /// The figure as SVG, where there is one.
    pub figure: Option<String>,
}

/// Writes what there is so far: `spec.toml`, of finished networks `networks.csv`, `points.csv` and `verdicts.json`, and of all
/// epochs `epochs.csv`.
///
/// # Errors
/// A file cannot be written.
pub fn save(
    folder: &Path,
    experiment: &TrainingExperiment,
    so_far: &Results,
    measurements: &[Measurement],
    verdicts: &[Verdict],
) -> Result<(), ResultsError> {
    let spec = &experiment.spec;
    let networks = experiment.networks(so_far);
    let rows = measurements.iter().map(|measurement| measurement.row.clone());
    let rows: Vec<Row> = rows.filter(|row| row.sampled.is_some()).collect();
    let variables: Vec<&str> = spec.sweep.names().collect();
    let text = toml::to_string(&spec.resolved).map_err(|error| ResultsError::new(folder, error))?;
    let json = serde_json::to_string_pretty(verdicts).map_err(|error| ResultsError::new(folder, error))?;
    let write = |name: &str, contents: &str| write_atomically(&folder.join(name), contents.as_bytes());
    write("spec.toml", &text)?;
    write("networks.csv", &to_csv(spec, &networks))?;
    write("epochs.csv", &epochs_to_csv(spec, experiment.histories(so_far)))?;
    write("points.csv", &results::to_csv(&rows, &variables))?;
    write("verdicts.json", &(json + "\n"))
}

/// Draws the figure to `FOLDER/NAME.svg` and `FOLDER/NAME.png`.
///
/// # Errors
/// A file cannot be written.
pub fn draw(folder: &Path, name: &str, saved: &Saved) -> Result<(), ResultsError> {
    draw_figure(folder, name, &figure_of(&saved.spec, &saved.networks, &saved.verdicts))
}

/// Reads a results folder, if it holds results of trained networks.
///
/// # Errors
/// A file is missing or damaged.
pub fn read(folder: &Path) -> Result<Option<Saved>, ResultsError> {
    let path = folder.join("spec.toml");
    let text =
        fs::read_to_string(&path).map_err(|error| ResultsError::new(&path, format!("cannot be read: {error}")))?;
    let (table, origin) =
        parse_table(&path.to_string_lossy(), &text, &[]).map_err(|error| ResultsError::new(folder, error))?;
    if !is_training(&table) {
        return Ok(None);
    }
    let spec = TrainingSpec::from_table(&table, origin).map_err(|error| ResultsError::new(folder, error))?;
    let networks = read_csv(&spec, &folder.join("networks.csv"))?;
    let path = folder.join("verdicts.json");
    let text =
        fs::read_to_string(&path).map_err(|error| ResultsError::new(&path, format!("cannot be read: {error}")))?;
    let verdicts = serde_json::from_str(&text).map_err(|error| ResultsError::new(&path, error))?;
    let figure = fs::read_to_string(folder.join("figure.svg")).ok();
    Ok(Some(Saved { spec, networks, verdicts, figure }))
}
