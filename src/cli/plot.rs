//! `gradlaw plot`: figures again from saved results.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use gradlaw::experiment::results::{folder, folders};

use super::failure::Failure;
use super::terminal::Terminal;

/// The results folders among these paths; what is none is passed over with a word.
pub(super) fn find(paths: &[PathBuf], terminal: &Terminal) -> Result<Vec<PathBuf>, Failure> {
    let found = folders::find(paths).map_err(|error| Failure::Usage(error.to_string()))?;
    for path in &found.passed_over {
        terminal.note(&format!("{}: holds no results, passed over", path.display()));
    }
    Ok(found.folders)
}

/// Draws the figure of each results folder, beside its results or into one folder.
pub fn plot(paths: &[PathBuf], to: Option<&Path>, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let folders = find(paths, terminal)?;
    let read = |folder: &PathBuf| {
        // A folder that holds no results is the user's mistake, not the machine's.
        folder::read(folder).map_err(|error| Failure::Usage(error.to_string()))
    };
    let all = folders.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    for (folder, saved) in folders.iter().zip(&all) {
        let (place, name) = to.map_or((folder.as_path(), "figure"), |to| (to, saved.spec.heading().name.as_str()));
        saved.draw(place, name)?;
        terminal.note(&format!("{}/{name}.svg, {name}.png", place.display()));
    }
    Ok(ExitCode::SUCCESS)
}
