//! `gradlaw plot`: figures again from saved results.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use gradlaw::experiment::save;

use super::failure::Failure;
use super::terminal::Terminal;

/// Draws the figure of each results folder, beside its results or into one folder.
pub fn plot(folders: &[PathBuf], to: Option<&Path>, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let read = |folder: &PathBuf| {
        // A folder that holds no results is the user's mistake, not the machine's.
        save::read(folder).map_err(|error| Failure::Usage(error.to_string()))
    };
    let all = folders.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    if let Some(to) = to {
        save::make_folder(to)?;
    }
    for (folder, saved) in folders.iter().zip(&all) {
        let (place, name) = to.map_or((folder.as_path(), "figure"), |to| (to, saved.spec.name.as_str()));
        save::draw(place, name, &saved.spec, &saved.rows, &saved.verdicts)?;
        terminal.note(&format!("{}/{name}.svg, {name}.png", place.display()));
    }
    Ok(ExitCode::SUCCESS)
}
