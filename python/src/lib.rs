//! gradlaw as a Python module: the engine under the package `gradlaw`, which reads what it writes and gives it its Python shape.
//!
//! Long work runs on a thread of its own while the caller's waits, so that Ctrl-C is heard, progress is told, and other threads of the
//! interpreter go on.

mod given;
mod run;
mod supervise;

use gradlaw::experiment::SpecError;
use gradlaw::experiment::results::ResultsError;
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;

/// The error of what a user wrote: a spec, a network, weights, samples.
fn bad_input(error: &SpecError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

fn bad_value(message: impl Into<String>) -> PyErr {
    PyValueError::new_err(message.into())
}

fn bad_file(error: &ResultsError) -> PyErr {
    PyOSError::new_err(error.to_string())
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_function(wrap_pyfunction!(run::run, module)?)?;
    module.add_function(wrap_pyfunction!(run::theory, module)?)?;
    module.add_function(wrap_pyfunction!(run::shipped, module)?)?;
    module.add_function(wrap_pyfunction!(given::gradient, module)?)?;
    module.add_function(wrap_pyfunction!(given::attack, module)?)?;
    module.add_function(wrap_pyfunction!(given::names, module)?)
}
