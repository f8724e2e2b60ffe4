//! The experiments of one run: each with a folder for its results, all judged as one family.

use std::path::{Path, PathBuf};

use super::{Experiment, Results, RunError};
use crate::experiment::claim::judge;
use crate::experiment::results::{Lock, ResultsError, Verdict};
use crate::experiment::specification::AnySpec;
use crate::experiment::specification::reader::SpecError;

/// Refuses specs of one name, the results of which would be in one folder.
///
/// # Errors
/// The second spec of a name.
pub fn check_names<'s>(specs: impl IntoIterator<Item = &'s AnySpec>) -> Result<(), SpecError> {
    let mut known: Vec<&AnySpec> = Vec::new();
    for spec in specs {
        let name = &spec.heading().name;
        if let Some(other) = known.iter().find(|other| other.heading().name == *name) {
            let other = &other.origin().file;
            let message = format!("must differ from the name of {other}, whose results it would overwrite in this run");
            return Err(spec.origin().error("name", name, message));
        }
        known.push(spec);
    }
    Ok(())
}

/// Experiments that are run one after the other.
pub struct Together<'a> {
    experiments: Vec<&'a Experiment>,
    out: &'a Path,
}

impl<'a> Together<'a> {
    /// These, with results in folders of their names in `out`.
    pub fn new(experiments: impl IntoIterator<Item = &'a Experiment>, out: &'a Path) -> Self {
        Self { experiments: experiments.into_iter().collect(), out }
    }

    /// Each with the folder of its results.
    pub fn folders(&self) -> impl Iterator<Item = (&'a Experiment, PathBuf)> {
        self.experiments.iter().map(|&experiment| (experiment, self.out.join(&experiment.heading().name)))
    }

    /// Takes the folders of all experiments, so that a run which cannot go to its end does not begin.
    ///
    /// # Errors
    /// As [`Experiment::enter`].
    pub fn enter(&self, fresh: bool) -> Result<Vec<Lock>, RunError> {
        self.folders().map(|(experiment, folder)| experiment.enter(&folder, fresh)).collect()
    }

    /// The verdicts of the experiments that are done, which are the first ones, as one family of tests.
    pub fn judged(&self, done: &[Results]) -> Vec<Vec<Verdict>> {
        let measured = self.experiments.iter().zip(done);
        judge(&measured.map(|(experiment, results)| experiment.measured(&results.measurements)).collect::<Vec<_>>())
    }

    /// Judges what is done and saves it, as far as it goes where a run was stopped.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn save(&self, done: &[Results]) -> Result<Vec<Vec<Verdict>>, ResultsError> {
        let judged = self.judged(done);
        for (((experiment, folder), results), verdicts) in self.folders().zip(done).zip(&judged) {
            experiment.save(&folder, results, verdicts)?;
        }
        Ok(judged)
    }
}
