//! `gradlaw theory`: exact values at every sweep point, as rows of `points.csv`, without sampling.

use std::process::ExitCode;

use gradlaw::experiment::results::to_csv;
use gradlaw::experiment::{Experiment, load};

use super::Common;
use super::failure::Failure;
use super::terminal::Terminal;

/// Prints one table for each spec.
pub fn theory(specs: &[String], common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let load = |name: &String| Experiment::prepare(load::load(name, &common.overrides())?, &common.limits());
    let experiments = specs.iter().map(load).collect::<Result<Vec<_>, _>>()?;
    let tables = experiments.iter().map(|experiment| {
        let variables: Vec<&str> = experiment.spec.sweep.names().collect();
        to_csv(&experiment.theory_rows(), &variables)
    });
    terminal.print(tables.collect::<Vec<_>>().join("\n").trim_end());
    Ok(ExitCode::SUCCESS)
}
