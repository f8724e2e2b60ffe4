//! Which files of a results folder belong together: a list of them with their digests, written last. A folder in which a run was cut off
//! between two files, or in which a file was changed, is seen as such.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::names::{EPOCHS, FIGURE, NETWORKS, POINTS, SPEC, VERDICTS};
use super::storage::{ResultsError, read, remove, write_atomically, write_together};
use crate::digest::sha256;
use crate::experiment::specification::Heading;
use crate::figure::Form;

/// Name of the list.
const MANIFEST: &str = "manifest.json";

/// Files that a run writes; of these a folder keeps none that the last run did not write.
fn all() -> impl Iterator<Item = String> {
    let tables = [SPEC, POINTS, VERDICTS, NETWORKS, EPOCHS].map(str::to_owned);
    tables.into_iter().chain(Form::ALL.map(|form| format!("{FIGURE}.{}", form.suffix())))
}

/// The files of one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The experiment.
    name: String,
    /// The program that wrote them.
    version: String,
    /// The seed.
    seed: u64,
    /// SHA-256 of every file.
    files: BTreeMap<String, String>,
    /// SHA-256 of all of this.
    checksum: String,
}

impl Manifest {
    /// The list of a folder, if it has one.
    ///
    /// # Errors
    /// It is damaged.
    pub fn of(folder: &Path) -> Result<Option<Self>, ResultsError> {
        let path = folder.join(MANIFEST);
        let Some(bytes) = read(&path)? else { return Ok(None) };
        let damaged = |reason: &dyn std::fmt::Display| {
            ResultsError::new(&path, format!("is damaged: {reason}; run the experiment again"))
        };
        let manifest: Self = serde_json::from_slice(&bytes).map_err(|error| damaged(&error))?;
        // Byte for byte, so that what means nothing is not passed over either.
        match manifest.clone().signed().text() {
            Ok(text) if text.as_bytes() == bytes => Ok(Some(manifest)),
            _ => Err(damaged(&"its checksum does not fit")),
        }
    }

    /// Whether the list has a file of this name.
    pub fn has(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    /// What tells these results from others: the digest of all but their figures.
    pub fn results(&self) -> String {
        let Self { name, version, seed, files, .. } = self;
        let tables: BTreeMap<_, _> = files.iter().filter(|(name, _)| !name.starts_with(FIGURE)).collect();
        sha256(format!("{name} {version} {seed} {tables:?}"))
    }

    /// Checks that a file is the one that was written with the others.
    ///
    /// # Errors
    /// It is another one.
    pub fn check(&self, path: &Path, name: &str, contents: &[u8]) -> Result<(), ResultsError> {
        match self.files.get(name) {
            Some(known) if *known != sha256(contents) => {
                let message =
                    format!("is not the file that belongs to the others here ({MANIFEST}): run the experiment again");
                Err(ResultsError::new(path, message))
            }
            _ => Ok(()),
        }
    }

    /// Writes all files of a run, and then the list of them.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(folder: &Path, heading: &Heading, files: &[(String, Vec<u8>)]) -> Result<(), ResultsError> {
        let stale = all().filter(|name| !files.iter().any(|(written, _)| written == name));
        write_together(folder, files)?;
        stale.map(|name| folder.join(name)).try_for_each(|path| remove(&path))?;
        let manifest = Self {
            name: heading.name.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            seed: heading.seed,
            files: files.iter().map(|(name, contents)| (name.clone(), sha256(contents))).collect(),
            checksum: String::new(),
        };
        manifest.save(folder)
    }

    /// Writes files in place of those that the list has, where there is one.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn replace(folder: &Path, files: &[(String, Vec<u8>)]) -> Result<(), ResultsError> {
        let manifest = Self::of(folder)?;
        write_together(folder, files)?;
        let Some(mut manifest) = manifest else { return Ok(()) };
        manifest.files.extend(files.iter().map(|(name, contents)| (name.clone(), sha256(contents))));
        manifest.save(folder)
    }

    fn save(self, folder: &Path) -> Result<(), ResultsError> {
        let path = folder.join(MANIFEST);
        let text = self.signed().text().map_err(|error| ResultsError::new(&path, error))?;
        write_atomically(&path, text.as_bytes())
    }

    /// The same with the checksum of all that is in it.
    fn signed(self) -> Self {
        let Self { name, version, seed, files, .. } = &self;
        Self { checksum: sha256(format!("{name} {version} {seed} {files:?}")), ..self }
    }

    fn text(&self) -> serde_json::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}
