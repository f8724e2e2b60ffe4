//! Writes result files so that a reader never sees half of one: beside their place, and then renamed.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use ndarray::Array2;
use ndarray_npy::NpzWriter;
use thiserror::Error;

/// Writing or reading results failed.
#[derive(Debug, Error)]
#[error("{}: {message}", path.display())]
pub struct ResultsError {
    /// The file or folder.
    pub path: PathBuf,
    /// What the system said, or what is wrong with the contents.
    pub message: String,
}

impl ResultsError {
    /// An error about a path.
    pub fn new(path: &Path, message: impl ToString) -> Self {
        Self { path: path.to_owned(), message: message.to_string() }
    }
}

/// The name under which a file is written before it is renamed.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

/// Writes a file beside its place and renames it; nothing is left where that fails.
pub fn write_atomically(path: &Path, contents: &[u8]) -> Result<(), ResultsError> {
    let temporary = beside(path);
    let write = || -> std::io::Result<()> {
        let mut file = fs::File::create(&temporary)?;
        file.write_all(contents)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().map_err(|error| {
        // It may not be there, and the first error is the one to tell.
        let _ = fs::remove_file(&temporary);
        ResultsError::new(path, format!("cannot be written: {error}"))
    })
}

/// Writes every draw of every point: one array [draws, observables] a point, named by the network and the variables.
pub fn write_draws(path: &Path, points: &[(String, Array2<f64>)]) -> Result<(), ResultsError> {
    let temporary = beside(path);
    let failed = |error: &dyn std::fmt::Display| ResultsError::new(path, format!("cannot be written: {error}"));
    let file = fs::File::create(&temporary).map_err(|error| failed(&error))?;
    let mut archive = NpzWriter::new_compressed(file);
    for (name, draws) in points {
        archive.add_array(name, draws).map_err(|error| failed(&error))?;
    }
    archive.finish().map_err(|error| failed(&error))?;
    fs::rename(&temporary, path).map_err(|error| failed(&error))
}
