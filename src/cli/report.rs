//! `gradlaw report`: one HTML page of saved results.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use gradlaw::experiment::results::write_atomically;
use gradlaw::experiment::{save, trained};
use gradlaw::report::{self, Reported};

use super::failure::Failure;
use super::terminal::Terminal;

/// Name of the page in a folder.
pub const PAGE: &str = "report.html";

/// Writes the page of these results folders: to `out` if that names an HTML file, else into the folder `out`.
pub fn report(folders: &[PathBuf], out: &Path, terminal: &Terminal) -> Result<ExitCode, Failure> {
    // A folder that holds no results is the user's mistake, not the machine's.
    let read = |folder: &PathBuf| {
        let results = match trained::read(folder) {
            Ok(Some(saved)) => Ok(saved.into()),
            Ok(None) => save::read(folder).map(Reported::from),
            Err(error) => Err(error),
        };
        results.map_err(|error| Failure::Usage(error.to_string()))
    };
    let all = folders.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let is_page = out.extension().is_some_and(|suffix| suffix.eq_ignore_ascii_case("html"));
    let page = if is_page { out.to_owned() } else { out.join(PAGE) };
    if let Some(folder) = page.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        save::make_folder(folder)?;
    }
    write_atomically(&page, report::html(&all).as_bytes())?;
    terminal.note(&page.display().to_string());
    Ok(ExitCode::SUCCESS)
}
