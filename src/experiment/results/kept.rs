//! Weights that are kept beside the results: in files that are named for their networks, and say inside where they come from.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::names::WEIGHTS;
use super::storage::{self, ResultsError};
use crate::network::WeightFile;

/// The entry of a file's metadata that says it all: with several their order would not be the same each time.
const ENTRY: &str = "gradlaw";

/// Most bytes of a name that a label and the values of variables may take; file systems allow 255.
const LONGEST: usize = 160;

/// Where weights come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The program that trained them.
    pub version: String,
    /// The label of the network in the spec.
    pub network: String,
    /// The label of the network and its method, as in `networks.csv`.
    pub label: String,
    /// Values of the sweep variables.
    pub variables: Vec<(String, f64)>,
    /// Which repetition, as in `networks.csv`.
    pub repeat: usize,
    /// The digest of all that they depend on: spec, seed, version and data.
    pub fingerprint: String,
}

impl Provenance {
    /// The name of the file: `LABEL@side=32#2.safetensors`, with what file systems or this name take for something else as `%2F`.
    pub fn file_name(&self) -> String {
        let mut name: String =
            self.label.chars().map(|letter| if is_plain(letter) { letter.into() } else { encoded(letter) }).collect();
        let values: Vec<String> = self.variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !values.is_empty() {
            name.push('@');
            name.push_str(&values.join(","));
        }
        if name.len() > LONGEST {
            let end = (0..=LONGEST).rev().find(|&end| name.is_char_boundary(end)).unwrap_or(0);
            name.truncate(end);
            name.push('~');
            name.extend(self.fingerprint.chars().take(16));
        }
        format!("{name}#{}.safetensors", self.repeat)
    }

    /// What is written into the file.
    pub fn metadata(&self) -> HashMap<String, String> {
        // Strings and numbers, which JSON can hold.
        HashMap::from([(ENTRY.to_owned(), serde_json::to_string(self).unwrap_or_default())])
    }

    /// What a file says, if a run of this program kept it.
    pub fn of(file: &WeightFile) -> Option<Self> {
        serde_json::from_str(file.metadata().get(ENTRY)?).ok()
    }

    /// Keeps the bytes of a file in a results folder.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep(&self, results: &Path, bytes: &[u8]) -> Result<(), ResultsError> {
        storage::make_folder(&results.join(WEIGHTS))?;
        storage::write_atomically(&self.path(results), bytes)
    }

    /// Whether they are kept in a results folder: the file there is of the same training.
    pub fn is_kept(&self, results: &Path) -> bool {
        of_path(&self.path(results)).is_some_and(|found| found.fingerprint == self.fingerprint)
    }

    /// Takes what is kept in one results folder to another; where there is nothing, nothing is done.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn take(&self, from: &Path, to: &Path) -> Result<(), ResultsError> {
        match storage::read(&self.path(from))? {
            Some(bytes) if self.is_kept(from) => self.keep(to, &bytes),
            _ => Ok(()),
        }
    }

    fn path(&self, results: &Path) -> PathBuf {
        results.join(WEIGHTS).join(self.file_name())
    }
}

fn of_path(path: &Path) -> Option<Provenance> {
    Provenance::of(&WeightFile::open(path).ok()?)
}

/// Takes away what runs of other work kept in a results folder; what no run kept stays.
///
/// # Errors
/// A file cannot be removed.
pub fn remove_stale(results: &Path, is_own: impl Fn(&str) -> bool) -> Result<(), ResultsError> {
    let entries = std::fs::read_dir(results.join(WEIGHTS)).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        if of_path(&path).is_some_and(|found| !is_own(&found.fingerprint)) {
            storage::remove(&path)?;
        }
    }
    Ok(())
}

/// Whether a letter stands for itself in the name of a file, on every system.
fn is_plain(letter: char) -> bool {
    !letter.is_control() && !"/\\:*?\"<>|%#@~".contains(letter)
}

fn encoded(letter: char) -> String {
    let mut bytes = [0; 4];
    letter.encode_utf8(&mut bytes).bytes().fold(String::new(), |mut text, byte| {
        // A string takes whatever is written to it.
        let _ = write!(text, "%{byte:02X}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::weights::to_bytes;
    use crate::network::{Architecture, Dense, Parameters, Shape};

    fn provenance(label: &str, fingerprint: &str) -> Provenance {
        Provenance {
            version: "1".into(),
            network: "small".into(),
            label: label.into(),
            variables: vec![("side".into(), 32.0), ("strength".into(), 0.001)],
            repeat: 2,
            fingerprint: fingerprint.into(),
        }
    }

    #[test]
    fn files_are_named_for_their_networks() {
        assert_eq!(provenance("small", "f").file_name(), "small@side=32,strength=0.001#2.safetensors");
        let odd = ["a/b", "a\\b", "a%2Fb", "a@b", "a#b", "a:b"].map(|label| provenance(label, "f").file_name());
        assert_eq!(odd[0], "a%2Fb@side=32,strength=0.001#2.safetensors");
        let distinct: std::collections::HashSet<&String> = odd.iter().collect();
        assert_eq!(distinct.len(), odd.len());
        assert!(odd.iter().all(|name| !name.contains(['/', '\\', ':'])));
        let long = provenance(&"‖∂ₓL‖₁ ".repeat(40), "0123456789abcdef0").file_name();
        assert!(long.len() < 255 && long.ends_with("~0123456789abcdef#2.safetensors"), "{long}");
    }

    #[test]
    fn weights_are_kept_for_one_training_and_go_with_it() {
        let network = Architecture::new(Shape::new([3]).unwrap(), vec![Dense::new(2).into()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (provenance("one", "first"), provenance("two", "second"));
        for kept in [&one, &two] {
            let bytes = to_bytes(&network, &Parameters::new(&network), Some(kept.metadata())).unwrap();
            kept.keep(folder.path(), &bytes).unwrap();
        }
        assert!(one.is_kept(folder.path()) && two.is_kept(folder.path()));
        assert!(!provenance("one", "another").is_kept(folder.path()));
        assert_eq!(of_path(&one.path(folder.path())), Some(one.clone()));
        let foreign = folder.path().join(WEIGHTS).join("own.safetensors");
        std::fs::write(&foreign, to_bytes(&network, &Parameters::new(&network), None).unwrap()).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        one.take(folder.path(), elsewhere.path()).unwrap();
        assert!(one.is_kept(elsewhere.path()));
        remove_stale(folder.path(), |fingerprint| fingerprint == "second").unwrap();
        assert!(!one.is_kept(folder.path()) && two.is_kept(folder.path()) && foreign.exists());
    }
}
