//! When, how long and on what results were made. No number depends on it, so it stands in a file of its own, which
//! comparisons of results need not look at.

use std::fs;
use std::path::Path;
use std::time::{Instant, SystemTime};

use serde::{Deserialize, Serialize};

use super::manifest::Manifest;
use super::storage::{ResultsError, read, write_atomically};

/// Name of the file.
const PROVENANCE: &str = ".provenance.json";

/// When, how long and on what a process finished some results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// When they were there, as RFC 3339 has it, in UTC.
    pub finished: String,
    /// The seconds that the process worked on them; not those of others before it, whose states it took up.
    pub seconds: f64,
    /// On so many threads.
    pub threads: usize,
    /// Of this processor.
    pub processor: String,
}

/// The file: of which results it speaks, and what it says.
#[derive(Serialize, Deserialize)]
struct Record {
    results: String,
    #[serde(flatten)]
    provenance: Provenance,
}

impl Provenance {
    /// That of results which are there now, on the threads of the current pool.
    pub fn since(began: Instant) -> Self {
        Self {
            finished: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            seconds: began.elapsed().as_secs_f64(),
            threads: rayon::current_num_threads(),
            processor: processor(),
        }
    }

    /// Says so beside the results of a folder. What is known of the same results stays: a command that finds them there already has not
    /// made them.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep(&self, folder: &Path) -> Result<(), ResultsError> {
        let Some(results) = Manifest::of(folder)?.map(|manifest| manifest.results()) else { return Ok(()) };
        if Self::of(folder, &results)?.is_some() {
            return Ok(());
        }
        let path = folder.join(PROVENANCE);
        let text = serde_json::to_string_pretty(&Record { results, provenance: self.clone() });
        let text = text.map_err(|error| ResultsError::new(&path, error))?;
        write_atomically(&path, (text + "\n").as_bytes())
    }

    /// What is known of these results of a folder; nothing where the file speaks of others, or says nothing that can be read.
    ///
    /// # Errors
    /// There is a file that cannot be read.
    pub fn of(folder: &Path, results: &str) -> Result<Option<Self>, ResultsError> {
        let record = read(&folder.join(PROVENANCE))?.and_then(|bytes| serde_json::from_slice::<Record>(&bytes).ok());
        Ok(record.filter(|record| record.results == results).map(|record| record.provenance))
    }
}

/// What the system calls its processor; the kind of processor where it does not say.
fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let named = text.lines().filter_map(|line| line.split_once(':')).find(|(key, _)| key.trim() == "model name");
    named.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::results::folder;
    use crate::experiment::specification::AnySpec;
    use crate::experiment::specification::load::load;

    #[test]
    fn it_is_that_of_the_first_who_made_the_results_and_of_no_others() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path();
        let write = |seed: &str| {
            let AnySpec::Draw(spec) = load("dense-dimension", &[seed.parse().unwrap()]).unwrap() else {
                panic!("drawn networks")
            };
            let files = folder::files(place, &spec, &[], &[]).unwrap();
            folder::write_with_figure(place, &spec.heading, files).unwrap();
        };
        let known = || folder::read(place).unwrap().provenance;
        let by = |seconds| Provenance { seconds, ..Provenance::since(Instant::now()) };
        write("seed=1");
        assert_eq!(known(), None);
        by(5.0).keep(place).unwrap();
        by(0.1).keep(place).unwrap();
        let first = known().unwrap();
        assert_eq!(first.seconds, 5.0);
        assert!(first.finished.ends_with('Z') && first.threads > 0 && !first.processor.is_empty(), "{first:?}");
        write("seed=2");
        assert_eq!(known(), None);
        by(2.0).keep(place).unwrap();
        assert_eq!(known().unwrap().seconds, 2.0);
        fs::write(place.join(PROVENANCE), "{").unwrap();
        assert_eq!(known(), None);
    }
}
