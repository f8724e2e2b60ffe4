//! Specs: run and judged as the program does it, their results in folders; their exact values; the shipped ones.

use std::path::PathBuf;

use gradlaw::experiment::results::{ResultsError, to_csv};
use gradlaw::experiment::{
    AnySpec, Experiment, Limits, Override, Results, RunError, RunOptions, SpecError, Together, catalogue, check_names,
    load, theory_rows,
};
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;

use crate::supervise::supervised;
use crate::{bad_file, bad_input, bad_value};

/// A spec as Python gives it: a name for messages, and its text; the name alone of a file or a shipped experiment.
type Given = (String, Option<String>);

/// Runs the specs, judges their claims together, and saves the results of each in a folder under `out` with its name. Gives the folders.
#[pyfunction]
#[pyo3(signature = (specs, changes, out, threads, memory, fresh, keep_draws, progress))]
#[allow(clippy::too_many_arguments)]
pub fn run(
    py: Python<'_>,
    specs: Vec<Given>,
    changes: &str,
    out: PathBuf,
    threads: Option<usize>,
    memory: f64,
    fresh: bool,
    keep_draws: bool,
    progress: Option<Bound<'_, PyAny>>,
) -> PyResult<Vec<PathBuf>> {
    let overrides = overrides(changes)?;
    let memory = bytes(memory)?;
    let options = RunOptions { fresh, keep_draws, share: None };
    let performed = supervised(py, threads, progress.as_ref(), |reporter| {
        let limits = Limits { threads: rayon::current_num_threads(), memory };
        let specs = specs.iter().map(|given| loaded(given, &overrides)).collect::<Result<Vec<_>, _>>()?;
        check_names(&specs)?;
        let prepared = specs.into_iter().map(|spec| Experiment::prepare(spec, &limits));
        let experiments = prepared.collect::<Result<Vec<_>, _>>()?;
        let together = Together::new(&experiments, &out);
        let _locks = together.enter(fresh)?;
        let mut done: Vec<Results> = Vec::new();
        let run = |(experiment, folder): (&Experiment, PathBuf)| experiment.run(&folder, options, reporter);
        // What was done before one is stopped is saved.
        let stopped = together.folders().map(run).find_map(|ran| ran.map(|results| done.push(results)).err());
        together.save(&done)?;
        match stopped {
            Some(error) => Err(error.into()),
            None => Ok(together.folders().map(|(_, folder)| folder).collect()),
        }
    })?;
    performed.map_err(|failure| match failure {
        Failure::Input(error) => bad_input(&error),
        Failure::File(error) => bad_file(&error),
        Failure::Interrupted => {
            PyKeyboardInterrupt::new_err("interrupted; what was done is kept in the folder of results")
        }
    })
}

/// The exact values of a spec, as the text of a table in CSV, and what there is to say of them.
#[pyfunction]
pub fn theory(py: Python<'_>, spec: Given, changes: &str) -> PyResult<(String, Vec<String>)> {
    let overrides = overrides(changes)?;
    let computed = supervised(py, None, None, |_| {
        let spec = loaded(&spec, &overrides)?.drawn()?;
        let variables: Vec<&str> = spec.sweep.names().collect();
        let (rows, notes) = theory_rows(&spec)?;
        Ok((to_csv(&rows, &variables), notes))
    })?;
    computed.map_err(|error: SpecError| bad_input(&error))
}

/// The names and titles of the shipped experiments.
#[pyfunction]
pub fn shipped() -> PyResult<Vec<(String, String)>> {
    let heading = |shipped: &catalogue::Shipped| {
        let spec = load::parse(shipped.name, shipped.text, &[])?;
        Ok((shipped.name.to_owned(), spec.heading().title.clone()))
    };
    catalogue::SHIPPED.iter().map(heading).collect::<Result<_, SpecError>>().map_err(|error| bad_input(&error))
}

/// Why a run did not end.
enum Failure {
    Input(SpecError),
    File(ResultsError),
    Interrupted,
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Changed(error) => Self::Input(error),
            RunError::Results(error) => Self::File(error),
            // There is no other way to stop.
            _ => Self::Interrupted,
        }
    }
}

impl From<SpecError> for Failure {
    fn from(error: SpecError) -> Self {
        Self::Input(error)
    }
}

impl From<ResultsError> for Failure {
    fn from(error: ResultsError) -> Self {
        Self::File(error)
    }
}

fn loaded((name, text): &Given, overrides: &[Override]) -> Result<AnySpec, SpecError> {
    match text {
        Some(text) => load::parse(name, text, overrides),
        None => load::load(name, overrides),
    }
}

/// Changes as JSON, an object of values by dotted key.
pub fn overrides(changes: &str) -> PyResult<Vec<Override>> {
    let table: toml::Table = serde_json::from_str(changes)
        .map_err(|error| bad_value(format!("a change of the spec is no TOML: {error}")))?;
    Ok(table.into_iter().map(|(key, value)| Override::new(&key, value)).collect())
}

/// GiB as bytes.
pub fn bytes(gib: f64) -> PyResult<u64> {
    if gib > 0.0 && gib <= 1e6 {
        Ok((gib * f64::from(1u32 << 30)) as u64)
    } else {
        Err(bad_value("memory: must be a number of GiB above 0"))
    }
}
