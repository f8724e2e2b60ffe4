//! Which of the paths that a user names hold results: results folders themselves, or folders of them.

use std::fs;
use std::path::{Path, PathBuf};

use super::ResultsError;
use super::names::SPEC;
use crate::experiment::catalogue;

/// Results folders, and what else was named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Folders that hold results, each once.
    pub folders: Vec<PathBuf>,
    /// Files, and folders without results, as `runs/*` names them too.
    pub passed_over: Vec<PathBuf>,
}

/// Finds the results folders among `paths`; a folder that holds none itself stands for those directly inside it, in the order in
/// which experiments ship and then by name.
///
/// # Errors
/// A path does not exist or cannot be read, or there are no results at all.
pub fn find(paths: &[PathBuf]) -> Result<Found, ResultsError> {
    let mut found = Found::default();
    for path in paths {
        let inside = if !fs::metadata(path).map_err(|error| ResultsError::new(path, error))?.is_dir() {
            Vec::new()
        } else if holds_results(path) {
            vec![path.clone()]
        } else {
            inside(path)?
        };
        if inside.is_empty() {
            found.passed_over.push(path.clone());
        }
        let new: Vec<PathBuf> = inside.into_iter().filter(|folder| !found.folders.contains(folder)).collect();
        found.folders.extend(new);
    }
    match (&found.folders[..], paths) {
        ([], [first, ..]) => Err(ResultsError::new(first, "holds no results: no spec.toml here or in a folder inside")),
        _ => Ok(found),
    }
}

fn holds_results(folder: &Path) -> bool {
    folder.join(SPEC).is_file()
}

fn inside(folder: &Path) -> Result<Vec<PathBuf>, ResultsError> {
    let entries = fs::read_dir(folder).map_err(|error| ResultsError::new(folder, error))?;
    let mut folders: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    folders.retain(|path| holds_results(path));
    folders.sort();
    catalogue::sort_as_shipped(&mut folders);
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_results_stands_for_those_inside_and_the_rest_is_passed_over() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        for name in ["zebra", "ant", "pooling", "dense-dimension", "empty"] {
            fs::create_dir(path(name)).unwrap();
            if name != "empty" {
                fs::write(path(name).join(SPEC), "").unwrap();
            }
        }
        fs::write(path("report.html"), "").unwrap();
        let inside = ["dense-dimension", "pooling", "ant", "zebra"].map(path).to_vec();
        assert_eq!(find(&[place.path().into()]).unwrap().folders, inside);
        let named = find(&["report.html", "zebra", "empty", "zebra"].map(path)).unwrap();
        assert_eq!(
            named,
            Found { folders: vec![path("zebra")], passed_over: vec![path("report.html"), path("empty")] }
        );
        assert!(find(&[path("report.html")]).unwrap_err().to_string().contains("holds no results"));
        assert!(find(&[path("zebra"), path("nowhere")]).is_err());
    }
}
