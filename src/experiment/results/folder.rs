//! A folder of results: what is written into it, and read back from it for figures and reports.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use ndarray::Array2;
use ndarray_npy::WriteNpyExt;

use super::manifest::Manifest;
use super::names::{FIGURE, FIGURE_FORMS, NETWORKS, POINTS, SPEC, VERDICTS};
use super::networks::{TrainedNetwork, read_networks};
use super::storage::{make_folder, read as read_file};
use super::{Provenance, ResultsError, Row, Verdict, read_points, to_csv, write_atomically};
use crate::experiment::plot;
use crate::experiment::specification::load;
use crate::experiment::specification::text::text_of_spec;
use crate::experiment::specification::{AnySpec, Heading, Spec, WorkSpec};
use crate::figure::{self, Drawing, FigureError, Form, Page};

/// Names and contents of files.
pub(in crate::experiment) type Files = Vec<(String, Vec<u8>)>;

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
    /// When, how long and on what they were made, where that is known.
    pub provenance: Option<Provenance>,
}

/// The folder of an experiment's results.
pub fn folder_of(out: &Path, name: &str) -> PathBuf {
    out.join(name)
}

/// The files `spec.toml`, `points.csv` and `verdicts.json`.
pub(in crate::experiment) fn files<W: WorkSpec>(
    folder: &Path,
    spec: &Spec<W>,
    rows: &[Row],
    verdicts: &[Verdict],
) -> Result<Files, ResultsError> {
    let variables: Vec<&str> = spec.sweep.names().collect();
    let text = text_of_spec(&spec.resolved);
    let json = serde_json::to_string_pretty(verdicts).map_err(|error| ResultsError::new(folder, error))?;
    let files = [(SPEC, text), (POINTS, to_csv(rows, &variables)), (VERDICTS, json + "\n")];
    Ok(files.map(|(name, text)| (name.to_owned(), text.into_bytes())).into())
}

/// Writes the files of a run in place of those of an earlier one.
///
/// # Errors
/// A file cannot be written.
pub(in crate::experiment) fn write(folder: &Path, heading: &Heading, files: &Files) -> Result<(), ResultsError> {
    Manifest::write(folder, heading, files)
}

/// The same with the figure that they give.
///
/// # Errors
/// A file cannot be written.
pub(in crate::experiment) fn write_with_figure(
    folder: &Path,
    heading: &Heading,
    mut files: Files,
) -> Result<(), ResultsError> {
    let written = |name: &str| Ok(files.iter().find(|(own, _)| own == name).map(|(_, contents)| contents.clone()));
    let drawing = Saved::parse(folder, written)?.drawing();
    files.extend(figures(&*drawing, &Page::default(), &FIGURE_FORMS, folder, FIGURE)?);
    Manifest::write(folder, heading, &files)
}

/// Every draw of one point.
pub(in crate::experiment) struct PointDraws {
    /// The network and the variables, by which the array is named.
    pub name: String,
    /// The network.
    pub network: String,
    /// An array [draws, observables].
    pub values: Array2<f64>,
}

/// Writes every draw of every point: one array a point, and what its columns and the arrays stand for as arrays of text: `observables`, and,
/// point after point, `points` (the arrays' names) and `networks`.
///
/// # Errors
/// The file cannot be written.
pub(in crate::experiment) fn write_draws(
    path: &Path,
    observables: &[&str],
    points: &[PointDraws],
) -> Result<(), ResultsError> {
    let failed = |error: &dyn std::fmt::Display| ResultsError::new(path, format!("cannot be written: {error}"));
    // In memory first: an archive that is written to a full disk cannot be closed.
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().large_file(true);
    let mut add = |name: &str, bytes: &[u8]| {
        archive.start_file(format!("{name}.npy"), options)?;
        archive.write_all(bytes)?;
        zip::result::ZipResult::Ok(())
    };
    for point in points {
        let mut bytes = Vec::new();
        point.values.write_npy(&mut bytes).map_err(|error| failed(&error))?;
        add(&point.name, &bytes).map_err(|error| failed(&error))?;
    }
    let names: Vec<&str> = points.iter().map(|point| point.name.as_str()).collect();
    let networks: Vec<&str> = points.iter().map(|point| point.network.as_str()).collect();
    for (name, texts) in [("observables", observables), ("points", &names), ("networks", &networks)] {
        // A network may be called so; its draws come first.
        if !names.contains(&name) {
            add(name, &npy_of_texts(texts)).map_err(|error| failed(&error))?;
        }
    }
    let bytes = archive.finish().map_err(|error| failed(&error))?.into_inner();
    write_atomically(path, &bytes)
}

/// The bytes of a `.npy` file of texts, as NumPy has them: UTF-32, all as long as the longest, filled up with zeros.
fn npy_of_texts(texts: &[&str]) -> Vec<u8> {
    let longest = texts.iter().map(|text| text.chars().count()).max().unwrap_or(0).max(1);
    let dictionary = format!("{{'descr': '<U{longest}', 'fortran_order': False, 'shape': ({},), }}", texts.len());
    // Magic, version and length take 10 bytes; the header ends in a line break at a multiple of 64.
    let length = (10 + dictionary.len() + 1).next_multiple_of(64) - 10;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(format!("{dictionary:<width$}\n", width = length - 1).bytes());
    for text in texts {
        let filled = text.chars().map(u32::from).chain(std::iter::repeat(0)).take(longest);
        bytes.extend(filled.flat_map(u32::to_le_bytes));
    }
    bytes
}

/// Reads a results folder.
///
/// # Errors
/// A file is missing or damaged, or does not belong to the others.
pub fn read(folder: &Path) -> Result<Saved, ResultsError> {
    let manifest = Manifest::of(folder)?;
    let saved = Saved::parse(folder, |name| {
        // A figure that no run lists is that of an earlier one.
        if name.starts_with(FIGURE) && manifest.as_ref().is_some_and(|manifest| !manifest.has(name)) {
            return Ok(None);
        }
        let path = folder.join(name);
        let contents = read_file(&path)?;
        if let (Some(manifest), Some(contents)) = (&manifest, &contents) {
            manifest.check(&path, name, contents)?;
        }
        Ok(contents)
    })?;
    let results = manifest.map(|manifest| manifest.results());
    let provenance = results.map(|results| Provenance::of(folder, &results)).transpose()?.flatten();
    Ok(Saved { provenance, ..saved })
}

impl Saved {
    /// The results that some files hold, as `contents` gives them by name.
    fn parse(
        folder: &Path,
        contents: impl Fn(&str) -> Result<Option<Vec<u8>>, ResultsError>,
    ) -> Result<Self, ResultsError> {
        let text = |name: &str| {
            let path = folder.join(name);
            let bytes =
                contents(name)?.ok_or_else(|| ResultsError::new(&path, "cannot be read: there is no such file"))?;
            String::from_utf8(bytes).map_err(|_| ResultsError::new(&path, "cannot be read: it is no text"))
        };
        let path = folder.join(SPEC);
        let spec = load::parse(&path.to_string_lossy(), &text(SPEC)?, &[])
            .map_err(|error| ResultsError::new(folder, error))?;
        let rows = read_points(&folder.join(POINTS), &text(POINTS)?, &spec.variables())?;
        let networks = match &spec {
            AnySpec::Draw(_) => Vec::new(),
            AnySpec::Train(spec) => read_networks(spec, &folder.join(NETWORKS), &text(NETWORKS)?)?,
        };
        let verdicts =
            serde_json::from_str(&text(VERDICTS)?).map_err(|error| ResultsError::new(&folder.join(VERDICTS), error))?;
        let svg = format!("{FIGURE}.svg");
        let figure = contents(&svg)?.is_some().then(|| text(&svg)).transpose()?;
        Ok(Self { spec, rows, networks, verdicts, figure, provenance: None })
    }

    /// What the figure of these results shows.
    pub fn drawing(&self) -> Box<dyn Drawing> {
        let Self { spec, rows, networks, verdicts, .. } = self;
        match spec {
            AnySpec::Draw(spec) if spec.panels.is_empty() => Box::new(plot::figure_of(spec, rows, verdicts)),
            AnySpec::Draw(spec) => Box::new(plot::panels_of_drawn(spec, rows, verdicts)),
            AnySpec::Train(spec) => Box::new(plot::panels_of_trained(spec, networks, verdicts)),
        }
    }
}

/// Draws a figure to `FOLDER/NAME.svg` and so on. One that has nothing to show has no files, and none of an earlier one is left.
///
/// # Errors
/// A file cannot be written.
pub fn draw(drawing: &dyn Drawing, page: &Page, forms: &[Form], folder: &Path, name: &str) -> Result<(), ResultsError> {
    make_folder(folder)?;
    let files = figures(drawing, page, forms, folder, name)?;
    if files.is_empty() {
        let mut all = Form::ALL.iter().map(|&form| folder.join(file_name(name, form)));
        return all.try_for_each(|path| super::storage::remove(&path));
    }
    Manifest::replace(folder, &files)
}

/// The files of a figure; none where nothing can be drawn.
fn figures(
    drawing: &dyn Drawing,
    page: &Page,
    forms: &[Form],
    folder: &Path,
    name: &str,
) -> Result<Files, ResultsError> {
    match figure::files(drawing, page, forms) {
        Ok(files) => Ok(files.into_iter().map(|(form, bytes)| (file_name(name, form), bytes)).collect()),
        Err(FigureError::NothingToDraw) => Ok(Vec::new()),
        Err(error) => Err(ResultsError::new(&folder.join(name), error)),
    }
}

fn file_name(name: &str, form: Form) -> String {
    format!("{name}.{}", form.suffix())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_figure_of_an_earlier_run_is_not_left_where_nothing_is_drawn() {
        let folder = tempfile::tempdir().unwrap();
        let figures = ["figure.svg", "figure.png"].map(|name| folder.path().join(name));
        figures.iter().for_each(|path| fs::write(path, "an earlier one").unwrap());
        let spec = load::load("dense-dimension", &[]).unwrap();
        let (rows, networks, verdicts) = (Vec::new(), Vec::new(), Vec::new());
        let nothing = Saved { spec, rows, networks, verdicts, figure: None, provenance: None };
        draw(&*nothing.drawing(), &Page::default(), &FIGURE_FORMS, folder.path(), "figure").unwrap();
        assert!(figures.iter().all(|path| !path.exists()));
    }

    /// Every bit of every file counts, and so does which files there are.
    #[test]
    fn files_of_two_runs_are_no_results() {
        let folder = tempfile::tempdir().unwrap();
        let AnySpec::Draw(spec) = load::load("dense-dimension", &[]).unwrap() else { panic!("drawn networks") };
        let save = || {
            let files = files(folder.path(), &spec, &[], &[]).unwrap();
            write_with_figure(folder.path(), &spec.heading, files).unwrap();
        };
        save();
        read(folder.path()).unwrap();
        for name in [SPEC, POINTS, VERDICTS] {
            let path = folder.path().join(name);
            let whole = fs::read(&path).unwrap();
            for (at, bit) in (0..whole.len().min(40)).flat_map(|at| [(at, 1), (at, 0x20)]) {
                let mut changed = whole.clone();
                changed[at] ^= bit;
                fs::write(&path, changed).unwrap();
                let error = read(folder.path()).unwrap_err().to_string();
                assert!(error.contains(name) && error.contains("run the experiment again"), "{error}");
            }
            fs::write(&path, &whole[..whole.len() - 1]).unwrap();
            assert!(read(folder.path()).is_err());
            fs::remove_file(&path).unwrap();
            assert!(read(folder.path()).unwrap_err().to_string().contains(name));
            save();
        }
        fs::write(folder.path().join("manifest.json"), "{").unwrap();
        assert!(read(folder.path()).unwrap_err().to_string().contains("manifest.json: is damaged"));
    }
}
