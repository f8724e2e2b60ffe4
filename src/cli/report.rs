//! `gradlaw report`: one HTML page of saved results.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use gradlaw::experiment::results::{ResultsError, folder, folders, make_folder, write_atomically};
use gradlaw::report::{self, Reported};

use super::failure::Failure;
use super::plot::find;
use super::terminal::Terminal;

/// Name of the page in a folder.
const PAGE: &str = "report.html";

/// Writes the page of these results folders: to `out` if that names an HTML file, else into the folder `out`.
pub fn report(paths: &[PathBuf], out: &Path, terminal: &Terminal) -> Result<ExitCode, Failure> {
    // A folder that holds no results is the user's mistake, not the machine's.
    let read = |folder: &PathBuf| read(folder).map_err(|error| Failure::Usage(error.to_string()));
    let all = find(paths, terminal)?.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let is_page = out.extension().is_some_and(|suffix| suffix.eq_ignore_ascii_case("html"));
    write(&if is_page { out.to_owned() } else { out.join(PAGE) }, &all, terminal)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the page of all results in a folder, of this run and of earlier ones. Those that cannot be read, as results of another
/// version may be, are passed over with a word.
pub fn of_folder(folder: &Path, terminal: &Terminal) -> Result<(), ResultsError> {
    let mut all = Vec::new();
    for results in folders::find(&[folder.to_owned()])?.folders {
        match read(&results) {
            Ok(reported) => all.push(reported),
            Err(error) => terminal.note(&format!("not in the report: {error}")),
        }
    }
    write(&folder.join(PAGE), &all, terminal)
}

fn read(folder: &Path) -> Result<Reported, ResultsError> {
    folder::read(folder).map(Reported::from)
}

fn write(page: &Path, all: &[Reported], terminal: &Terminal) -> Result<(), ResultsError> {
    if let Some(folder) = page.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        make_folder(folder)?;
    }
    write_atomically(page, report::html(all).as_bytes())?;
    terminal.note(&page.display().to_string());
    Ok(())
}
